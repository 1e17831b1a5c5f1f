//! The cluster's side: kubeconfig, context and namespace as kubectl has them, and what is read there.

use std::{path::Path, time::Duration};

use kube::{
    Api, Client, Config, ResourceExt,
    api::{ListParams, ObjectList, PostParams},
    config::{KubeConfigOptions, Kubeconfig, KubeconfigError},
};

use super::{
    exit::Stop,
    flags::Target,
    trouble::{self, Right},
};
use crate::{
    api::BoxConnection,
    cluster::{Cluster, Trouble},
    roster::Store,
};

/// A cluster, and the namespace that is meant in it.
pub(super) struct Site {
    pub(super) cluster: Cluster,
    pub(super) namespace: String,
}

/// Where connections are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    Namespace,
    Everywhere,
}

/// Every write says whose it is.
pub(super) fn writing() -> PostParams {
    PostParams { field_manager: Some("kubectl-boxsync".to_owned()), ..PostParams::default() }
}

/// The client, and the namespace that is meant.
pub(super) async fn connect(target: &Target) -> Result<(Client, String), Stop> {
    let Target { context, namespace, kubeconfig, request_timeout } = target;
    let mut config = config(context.as_deref(), kubeconfig.as_deref()).await?;
    if let Some(limit) = request_timeout.filter(|limit| *limit > Duration::ZERO) {
        config.read_timeout = Some(limit);
        config.connect_timeout = Some(limit);
    }
    let agent = concat!("kubectl-boxsync/", env!("CARGO_PKG_VERSION"));
    config.headers.push((http::header::USER_AGENT, http::HeaderValue::from_static(agent)));
    let namespace = namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
    let client = Client::try_from(config)
        .map_err(|e| Stop::trouble(format!("no client for the cluster could be made: {e}. Check the kubeconfig.")))?;
    Ok((client, namespace))
}

async fn config(context: Option<&str>, file: Option<&Path>) -> Result<Config, Stop> {
    let read = match file {
        Some(file) => Kubeconfig::read_from(file),
        None => Kubeconfig::read(),
    };
    let wrong = |e: KubeconfigError| {
        let why = match &e {
            KubeconfigError::ReadConfig(why, path) => format!("{} cannot be read: {why}", path.display()),
            KubeconfigError::LoadContext(name) => format!("it has no context {name}"),
            KubeconfigError::CurrentContextNotSet => "it names no current context".to_owned(),
            other => other.to_string(),
        };
        Stop::trouble(format!(
            "the kubeconfig cannot be used: {why}. See kubectl config view, or pass --kubeconfig and --context."
        ))
    };
    match read {
        Ok(kubeconfig) => {
            let options = KubeConfigOptions { context: context.map(str::to_owned), ..KubeConfigOptions::default() };
            Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(wrong)
        }
        // As kubectl does in a pod.
        Err(KubeconfigError::ReadConfig(..) | KubeconfigError::FindPath) if file.is_none() && context.is_none() => {
            Config::incluster().map_err(|_| {
                Stop::trouble("there is no kubeconfig, and this is no pod with a ServiceAccount. Set KUBECONFIG, or pass --kubeconfig.")
            })
        }
        Err(e) => Err(wrong(e)),
    }
}

impl Site {
    pub(super) fn new(client: Client, namespace: String) -> Self {
        Self { cluster: Cluster::new(client), namespace }
    }

    pub(super) fn store(&self, connection: &str) -> Store {
        Store::new(self.cluster.clone(), &self.namespace, connection)
    }

    /// The connection of this name; where there is none, the sentence names what is there.
    pub(super) async fn connection(&self, name: &str) -> Result<BoxConnection, Stop> {
        let api = self.cluster.api::<BoxConnection>(&self.namespace);
        match self.cluster.call(api.get(name)).await {
            Ok(connection) => Ok(connection),
            Err(Trouble::NotFound) => Err(self.absent(name).await),
            Err(other) => Err(trouble::told(&other, &Right::to("get", "boxconnections", &self.namespace))),
        }
    }

    /// Whether there is such a connection, as far as one may know; if not, what is to be said of it.
    pub(super) async fn has(&self, name: &str) -> Result<(), Stop> {
        let api = self.cluster.api::<BoxConnection>(&self.namespace);
        match self.cluster.call(api.get(name)).await {
            Err(Trouble::NotFound) => Err(self.absent(name).await),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    async fn absent(&self, name: &str) -> Stop {
        let api = self.cluster.api::<BoxConnection>(&self.namespace);
        match self.cluster.call(api.list(&ListParams::default())).await {
            Ok(list) => {
                let names: Vec<String> = list.iter().map(ResourceExt::name_any).collect();
                trouble::no_connection(name, &self.namespace, Some(&names))
            }
            Err(Trouble::NotServed) => trouble::not_installed(),
            Err(_) => trouble::no_connection(name, &self.namespace, None),
        }
    }

    pub(super) async fn connections(&self, reach: Reach, labels: Option<&str>) -> Result<Vec<BoxConnection>, Stop> {
        let mut params = ListParams::default();
        if let Some(labels) = labels {
            params = params.labels(labels);
        }
        let api: Api<BoxConnection> = match reach {
            Reach::Namespace => self.cluster.api(&self.namespace),
            Reach::Everywhere => Api::all(self.cluster.client().clone()),
        };
        let listed: Result<ObjectList<BoxConnection>, Trouble> = self.cluster.call(api.list(&params)).await;
        match (listed, reach) {
            (Ok(list), _) => Ok(list.items),
            (Err(other), Reach::Namespace) => {
                Err(trouble::told(&other, &Right::to("list", "boxconnections", &self.namespace)))
            }
            (Err(other), Reach::Everywhere) => Err(trouble::told(&other, &Right::everywhere("list", "boxconnections"))),
        }
    }
}
