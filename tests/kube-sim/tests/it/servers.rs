//! Conformance: one case, run on the simulated server and on a real kube-apiserver.

use crate::fixture::{NOON, Widget, send, widget, widget_crd, widget_resource};
use harness::{eventually, shared_control_plane};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use kube_sim::{KubeSim, SimClock};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::sync::OnceCell;

/// Defines each case twice: in `simulated::…` on the simulated server under paused time, and in `real::…` on
/// the real one in a namespace of its own.
macro_rules! conformance_tests {
    ($($case:ident),* $(,)?) => {
        mod simulated {
            $(#[tokio::test(start_paused = true)]
            async fn $case() {
                super::$case(crate::servers::TestServer::start_simulated()).await;
            })*
        }

        mod real {
            $(#[tokio::test]
            async fn $case() {
                super::$case(crate::servers::TestServer::start_real(stringify!($case)).await).await;
            })*
        }
    };
}
pub(crate) use conformance_tests;

/// An API server that serves widgets, and a namespace on it.
pub(crate) struct TestServer {
    pub(crate) client: Client,
    pub(crate) namespace: String,
    sim: Option<KubeSim>,
}

impl TestServer {
    pub(crate) fn start_simulated() -> Self {
        let sim = KubeSim::new(SimClock::new(NOON.parse().unwrap()).clock_fn(), [widget_resource()]);
        Self { client: sim.client(), namespace: "a".into(), sim: Some(sim) }
    }

    pub(crate) async fn start_real(test: &str) -> Self {
        static CRD: OnceCell<()> = OnceCell::const_new();
        let plane = shared_control_plane().await;
        let namespace = plane.create_namespace(test).await.unwrap();
        let client = namespace.client().await.unwrap();
        CRD.get_or_init(|| install_widget_crd(client.clone())).await;
        Self { client, namespace: namespace.name, sim: None }
    }

    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope> + DeserializeOwned,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub(crate) fn widgets(&self) -> Api<Widget> {
        self.api()
    }

    pub(crate) async fn create_widget(&self, name: &str) -> Widget {
        self.create(self.own_widget(name)).await
    }

    /// A widget of this server's namespace, not created.
    pub(crate) fn own_widget(&self, name: &str) -> Widget {
        let mut widget = widget(name);
        widget.metadata.namespace = Some(self.namespace.clone());
        widget
    }

    pub(crate) async fn create(&self, mut widget: Widget) -> Widget {
        widget.metadata.namespace = Some(self.namespace.clone());
        self.widgets().create(&PostParams::default(), &widget).await.unwrap()
    }

    pub(crate) async fn patch(&self, name: &str, patch: Value) -> kube::Result<Widget> {
        self.widgets().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await
    }

    pub(crate) async fn patch_status(&self, name: &str, patch: Value) -> kube::Result<Widget> {
        self.widgets().patch_status(name, &PatchParams::default(), &Patch::Merge(patch)).await
    }

    pub(crate) async fn set_color(&self, name: &str, color: &str) {
        self.patch(name, json!({"spec": {"color": color}})).await.unwrap();
    }

    pub(crate) async fn send(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        send(&self.client, method, path, body, "application/json").await
    }

    pub(crate) fn widgets_path(&self) -> String {
        format!("/apis/example.dev/v1/namespaces/{}/widgets", self.namespace)
    }

    /// A resource version from which the server cannot watch any more.
    pub(crate) async fn expired_version(&self) -> String {
        self.create_widget("first").await;
        self.set_color("first", "red").await;
        if let Some(sim) = &self.sim {
            sim.compact();
        }
        "1".into()
    }
}

async fn install_widget_crd(client: Client) {
    let crd: CustomResourceDefinition = serde_json::from_value(widget_crd()).unwrap();
    let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
    crds.create(&PostParams::default(), &crd).await.unwrap();
    let widgets: Api<Widget> = Api::all(client);
    eventually("widgets are served", Duration::from_secs(60), async || widgets.list(&Default::default()).await).await;
}
