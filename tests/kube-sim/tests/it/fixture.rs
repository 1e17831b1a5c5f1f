//! A simulated server with one custom resource, and helpers of the tests.

use kube::{Api, Client, CustomResource, CustomResourceExt, ResourceExt};
use kube_sim::{KubeSim, Resource, SimClock};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub(crate) const NOON: &str = "2026-11-22T12:00:00Z";

#[derive(CustomResource, JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "example.dev",
    version = "v1",
    kind = "Widget",
    namespaced,
    status = "WidgetStatus",
    selectable = ".spec.color"
)]
pub(crate) struct WidgetSpec {
    pub(crate) size: i64,
    #[serde(default = "grey")]
    pub(crate) color: String,
}

#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
pub(crate) struct WidgetStatus {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) phase: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) runs: Option<i64>,
}

fn grey() -> String {
    "grey".into()
}

pub(crate) struct Fixture {
    pub(crate) sim: KubeSim,
    pub(crate) clock: SimClock,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let clock = SimClock::new(NOON.parse().unwrap());
        let sim = KubeSim::new(clock.clock_fn(), [widget_resource()]);
        Self { sim, clock }
    }

    pub(crate) fn api(&self) -> Api<Widget> {
        Api::namespaced(self.sim.client(), "a")
    }

    pub(crate) fn api_as(&self, user: &str) -> Api<Widget> {
        Api::namespaced(self.sim.client_as(user), "a")
    }

    /// Creates a widget without a request.
    pub(crate) fn create_widget(&self, name: &str) -> Widget {
        self.sim.create(widget(name));
        self.sim.object("a", name).unwrap()
    }

    pub(crate) fn get_widget(&self, name: &str) -> Widget {
        self.sim.object("a", name).unwrap()
    }

    pub(crate) async fn send(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        send(&self.sim.client(), method, path, body, "application/json").await
    }
}

/// The CRD of the widgets, with a default status and an immutable size.
pub(crate) fn widget_crd() -> Value {
    let mut crd = serde_json::to_value(Widget::crd()).unwrap();
    let properties = &mut crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"];
    properties["status"]["default"] = json!({"phase": "Pending"});
    properties["spec"]["properties"]["size"]["x-kubernetes-validations"] =
        json!([{"rule": "self == oldSelf", "message": "is immutable"}]);
    crd
}

/// The widgets as a resource of the simulated server. It does not evaluate CEL, so the rule is repeated in Rust.
pub(crate) fn widget_resource() -> Resource {
    Resource::from_crd(&widget_crd()).with_rule(|old, new| match old {
        Some(old) if old["spec"]["size"] != new["spec"]["size"] => {
            Err(format!("spec.size: Invalid value: {}: is immutable", new["spec"]["size"]))
        }
        _ => Ok(()),
    })
}

pub(crate) fn widget(name: &str) -> Widget {
    let mut widget = Widget::new(name, WidgetSpec { size: 1, color: grey() });
    widget.metadata.namespace = Some("a".into());
    widget
}

pub(crate) fn widget_names(widgets: impl IntoIterator<Item = Widget>) -> Vec<String> {
    widgets.into_iter().map(|widget| widget.name_any()).collect()
}

/// The code and the reason of an API error.
#[track_caller]
pub(crate) fn api_error<T: std::fmt::Debug>(result: kube::Result<T>) -> (u16, String) {
    match result {
        Err(kube::Error::Api(status)) => (status.code, status.reason.clone()),
        other => panic!("expected an API error, got {other:?}"),
    }
}

/// The status code and the JSON body of the response; null if the body is not JSON.
pub(crate) async fn send(client: &Client, method: &str, path: &str, body: &str, content: &str) -> (u16, Value) {
    let request = http::Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", content)
        .body(kube::client::Body::from(body.as_bytes().to_vec()))
        .unwrap();
    let response = client.send(request).await.unwrap();
    let code = response.status().as_u16();
    let bytes = response.into_body().collect_bytes().await.unwrap();
    (code, serde_json::from_slice(&bytes).unwrap_or_default())
}
