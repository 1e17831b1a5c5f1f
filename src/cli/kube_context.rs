//! Access to the cluster: the client and the namespace as with kubectl, and lookups of connections.

use std::io::{IsTerminal, stderr};

use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client, ResourceExt,
    api::{ListParams, PostParams},
};

use super::{
    errors::{self, Permission},
    exit_code::CliError,
    global_args::GlobalArgs,
    io::Io,
    output::styled::Tty,
};
use crate::{
    api::BoxConnection,
    kube_client::{ClientRetries, ClusterAccess, ExecSettings, KubeClient, KubeError, process_env},
    roster::Store,
};

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

/// Connects to the selected cluster.
pub(crate) async fn connect(global_args: &GlobalArgs, io: &Io<'_>) -> Result<KubeContext, CliError> {
    let access = ClusterAccess::load(&global_args.cluster_overrides(), &process_env)
        .map_err(|e| CliError::error(format!("{e}. See kubectl config view, or pass --kubeconfig and --context.")))?;
    let settings = ExecSettings {
        interactive: io.stdin_tty == Tty::Interactive,
        show_stderr: stderr().is_terminal(),
        // A person may have to sign in.
        timeout: None,
    };
    let cluster = access.connect(settings).await.map_err(|e| CliError::error(format!("{e}.")))?;
    let client = cluster.client(concat!("kubectl-boxsync/", env!("CARGO_PKG_VERSION")), ClientRetries::Some);
    let mut kube = KubeContext::new(client, cluster.namespace().to_owned());
    if let Some(timeout) = global_args.request_timeout {
        kube.client = kube.client.with_request_timeout(timeout);
    }
    Ok(kube)
}

impl KubeContext {
    pub(crate) fn new(client: Client, namespace: String) -> Self {
        Self { client: KubeClient::new(client), namespace }
    }

    /// The same cluster, in the namespace of a connection.
    pub(crate) fn in_namespace_of(&self, connection: &BoxConnection) -> Self {
        let namespace = connection.namespace().unwrap_or_else(|| self.namespace.clone());
        Self { client: self.client.clone(), namespace }
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
        match self.find_connection(name).await {
            Ok(connection) => Ok(connection),
            Err(error) => Err(self.explain_missing_connection(name, error).await),
        }
    }

    pub(crate) async fn find_connection(&self, name: &str) -> Result<BoxConnection, KubeError> {
        self.client.call(self.client.api::<BoxConnection>(&self.namespace).get(name)).await
    }

    /// The message for an error of [`find_connection`](Self::find_connection).
    pub(crate) async fn explain_missing_connection(&self, name: &str, error: KubeError) -> CliError {
        match error {
            KubeError::NotFound => self.connection_not_found(name).await,
            other => self.explain_error("get", "boxconnections")(other),
        }
    }

    /// Fails if the connection does not exist. Other errors, such as a missing permission, are ignored.
    pub(crate) async fn check_connection_exists(&self, name: &str) -> Result<(), CliError> {
        match self.find_connection(name).await {
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
