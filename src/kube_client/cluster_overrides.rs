//! What flags say about cluster and user, over what the kubeconfig says. Pure.

use std::path::PathBuf;

use secrecy::SecretString;

use super::kubeconfig::{KubeconfigCluster, KubeconfigUser};

/// What flags set, as those of kubectl with the same names.
#[derive(Clone, Debug, Default)]
pub struct ClusterOverrides {
    pub kubeconfig: Option<PathBuf>,
    pub context: Option<String>,
    pub cluster: Option<String>,
    pub user: Option<String>,
    pub namespace: Option<String>,
    pub server: Option<String>,
    pub tls_server_name: Option<String>,
    pub insecure_skip_tls_verify: bool,
    pub certificate_authority: Option<String>,
    pub proxy_url: Option<String>,
    pub token: Option<SecretString>,
    pub client_certificate: Option<String>,
    pub client_key: Option<String>,
    pub impersonate: Option<String>,
    pub impersonate_uid: Option<String>,
    pub impersonate_groups: Vec<String>,
}

/// The cluster with what flags set.
pub(super) fn override_cluster(mut cluster: KubeconfigCluster, overrides: &ClusterOverrides) -> KubeconfigCluster {
    let ClusterOverrides {
        server, tls_server_name, insecure_skip_tls_verify, certificate_authority, proxy_url, ..
    } = overrides;
    if *insecure_skip_tls_verify || certificate_authority.is_some() {
        cluster.insecure_skip_tls_verify = Some(*insecure_skip_tls_verify);
        cluster.certificate_authority = certificate_authority.clone();
        cluster.certificate_authority_data = None;
    }
    // The name belongs to the server that it was written for.
    if tls_server_name.is_some() || server.is_some() {
        cluster.tls_server_name = tls_server_name.clone();
    }
    cluster.server = server.clone().or(cluster.server);
    cluster.proxy_url = proxy_url.clone().or(cluster.proxy_url);
    cluster
}

/// The user with what flags set.
pub(super) fn override_user(mut user: KubeconfigUser, overrides: &ClusterOverrides) -> KubeconfigUser {
    let ClusterOverrides { token, client_certificate, client_key, .. } = overrides;
    let ClusterOverrides { impersonate, impersonate_uid, impersonate_groups, .. } = overrides;
    if let Some(token) = token {
        (user.token, user.token_file) = (Some(token.clone()), None);
    }
    if let Some(file) = client_certificate {
        (user.client_certificate, user.client_certificate_data) = (Some(file.clone()), None);
    }
    if let Some(file) = client_key {
        (user.client_key, user.client_key_data) = (Some(file.clone()), None);
    }
    user.impersonate = impersonate.clone().or(user.impersonate);
    user.impersonate_uid = impersonate_uid.clone().or(user.impersonate_uid);
    if !impersonate_groups.is_empty() {
        user.impersonate_groups = Some(impersonate_groups.clone());
    }
    user
}
