//! Access to the cluster: kubeconfig, context and namespace as with kubectl, and lookups of connections.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client, Config, ResourceExt,
    api::{ListParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig, KubeconfigError},
};

use super::{
    errors::{self, Permission},
    exit_code::CliError,
    output::format::parse_duration,
};
use crate::{
    api::BoxConnection,
    kube_client::{KubeClient, KubeError},
    roster::Store,
};

/// Selects the cluster, the namespace and the user.
#[derive(Args, Debug)]
#[command(next_help_heading = "Cluster")]
pub(crate) struct GlobalArgs {
    /// The context of the kubeconfig
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) context: Option<String>,

    /// The namespace; default: that of the context
    #[arg(short, long, global = true, value_name = "NAME")]
    pub(crate) namespace: Option<String>,

    /// The kubeconfig file
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,

    /// Timeout of each request to the API server, at most 20s
    #[arg(long, global = true, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) request_timeout: Option<Duration>,
}

/// A cluster and the selected namespace.
pub(crate) struct KubeContext {
    pub(crate) client: KubeClient,
    pub(crate) namespace: String,
}

/// Whether connections of one or of all namespaces are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NamespaceScope {
    One,
    All,
}

/// Parameters of a write, with our field manager.
pub(crate) fn post_params() -> PostParams {
    PostParams { field_manager: Some("kubectl-boxsync".to_owned()), ..PostParams::default() }
}

/// The client and the selected namespace.
pub(crate) async fn build_client(global_args: &GlobalArgs) -> Result<(Client, String), CliError> {
    let GlobalArgs { context, namespace, kubeconfig, request_timeout } = global_args;
    let mut config = load_kube_config(context.as_deref(), kubeconfig.as_deref()).await?;
    if let Some(limit) = request_timeout.filter(|limit| *limit > Duration::ZERO) {
        config.read_timeout = Some(limit);
        config.connect_timeout = Some(limit);
    }
    let agent = concat!("kubectl-boxsync/", env!("CARGO_PKG_VERSION"));
    config.headers.push((http::header::USER_AGENT, http::HeaderValue::from_static(agent)));
    let namespace = namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
    let client = Client::try_from(config)
        .map_err(|e| CliError::error(format!("cannot create a Kubernetes client: {e}. Check the kubeconfig.")))?;
    Ok((client, namespace))
}

async fn load_kube_config(context: Option<&str>, file: Option<&Path>) -> Result<Config, CliError> {
    let read = match file {
        Some(file) => Kubeconfig::read_from(file),
        None => Kubeconfig::read(),
    };
    let config_error = |e: KubeconfigError| {
        let why = match &e {
            KubeconfigError::ReadConfig(why, path) => format!("{} cannot be read: {why}", path.display()),
            KubeconfigError::LoadContext(name) => format!("it has no context {name}"),
            KubeconfigError::CurrentContextNotSet => "it has no current context".to_owned(),
            other => other.to_string(),
        };
        CliError::error(format!(
            "the kubeconfig cannot be used: {why}. See kubectl config view, or pass --kubeconfig and --context."
        ))
    };
    match read {
        Ok(kubeconfig) => {
            let options = KubeConfigOptions { context: context.map(str::to_owned), ..KubeConfigOptions::default() };
            Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(config_error)
        }
        // As kubectl does in a pod.
        Err(KubeconfigError::ReadConfig(..) | KubeconfigError::FindPath) if file.is_none() && context.is_none() => {
            Config::incluster().map_err(|_| {
                CliError::error(
                    "there is no kubeconfig and no in-cluster ServiceAccount. Set KUBECONFIG, or pass --kubeconfig.",
                )
            })
        }
        Err(e) => Err(config_error(e)),
    }
}

impl KubeContext {
    pub(crate) fn new(client: Client, namespace: String) -> Self {
        Self { client: KubeClient::new(client), namespace }
    }

    /// The message for an error of a call in the selected namespace, by the permission that the call needs.
    pub(crate) fn explain_error(&self, verb: &str, resource: &str) -> impl Fn(KubeError) -> CliError {
        let permission = Permission::in_namespace(verb, resource, &self.namespace);
        move |error| errors::kube_cli_error(&error, &permission)
    }

    pub(crate) fn roster_store(&self, connection: &str) -> Store {
        Store::new(self.client.clone(), &self.namespace, connection)
    }

    pub(crate) async fn get_secret(&self, name: &str) -> Result<Secret, KubeError> {
        self.client.call(self.client.api::<Secret>(&self.namespace).get(name)).await
    }

    /// Reads a connection; the error for a missing one suggests a similar name.
    pub(crate) async fn get_connection(&self, name: &str) -> Result<BoxConnection, CliError> {
        let api = self.client.api::<BoxConnection>(&self.namespace);
        match self.client.call(api.get(name)).await {
            Ok(connection) => Ok(connection),
            Err(KubeError::NotFound) => Err(self.connection_not_found(name).await),
            Err(other) => Err(self.explain_error("get", "boxconnections")(other)),
        }
    }

    /// Fails if the connection does not exist. Other errors, such as a missing permission, are ignored.
    pub(crate) async fn check_connection_exists(&self, name: &str) -> Result<(), CliError> {
        let api = self.client.api::<BoxConnection>(&self.namespace);
        match self.client.call(api.get(name)).await {
            Err(KubeError::NotFound) => Err(self.connection_not_found(name).await),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    async fn connection_not_found(&self, name: &str) -> CliError {
        let api = self.client.api::<BoxConnection>(&self.namespace);
        match self.client.call(api.list(&ListParams::default())).await {
            Ok(list) => {
                let names: Vec<String> = list.iter().map(ResourceExt::name_any).collect();
                errors::connection_not_found(name, &self.namespace, Some(&names))
            }
            Err(KubeError::UnknownKind) => errors::not_installed(),
            Err(_) => errors::connection_not_found(name, &self.namespace, None),
        }
    }

    pub(crate) async fn list_connections(
        &self,
        scope: NamespaceScope,
        labels: Option<&str>,
    ) -> Result<Vec<BoxConnection>, CliError> {
        let params = labels.map_or_else(ListParams::default, |labels| ListParams::default().labels(labels));
        let api: Api<BoxConnection> = match scope {
            NamespaceScope::One => self.client.api(&self.namespace),
            NamespaceScope::All => Api::all(self.client.raw_client().clone()),
        };
        let permission = match scope {
            NamespaceScope::One => Permission::in_namespace("list", "boxconnections", &self.namespace),
            NamespaceScope::All => Permission::in_all_namespaces("list", "boxconnections"),
        };
        let listed = self.client.call(api.list(&params)).await;
        listed.map(|list| list.items).map_err(|error| errors::kube_cli_error(&error, &permission))
    }
}
