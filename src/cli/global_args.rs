//! The flags that select cluster, namespace and user, with kubectl's names and meanings.

use std::{path::PathBuf, time::Duration};

use clap::{ArgAction, Args};

use super::output::format::parse_duration;
use crate::kube_client::ClusterOverrides;

/// The heading of these flags in --help.
pub(crate) const CLUSTER_FLAGS: &str = "Cluster (as in kubectl)";

#[derive(Args, Debug)]
#[command(next_help_heading = CLUSTER_FLAGS)]
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

    /// The cluster of the kubeconfig
    #[arg(long, global = true, value_name = "NAME")]
    cluster: Option<String>,

    // `changes` has a --user of its own.
    /// The user of the kubeconfig
    #[arg(id = "kubeconfig_user", long = "user", global = true, value_name = "NAME")]
    kubeconfig_user: Option<String>,

    /// The address of the API server
    #[arg(short, long, global = true, value_name = "URL")]
    server: Option<String>,

    /// The bearer token
    #[arg(long, global = true, value_name = "TOKEN")]
    token: Option<String>,

    /// The user to impersonate
    #[arg(long = "as", global = true, value_name = "NAME")]
    impersonate: Option<String>,

    /// A group to impersonate; may be repeated
    #[arg(long = "as-group", global = true, value_name = "NAME")]
    impersonate_groups: Vec<String>,

    /// The UID to impersonate
    #[arg(long = "as-uid", global = true, value_name = "UID")]
    impersonate_uid: Option<String>,

    /// File with the certificates that may sign that of the server
    #[arg(long, global = true, value_name = "FILE")]
    certificate_authority: Option<String>,

    /// File with the certificate of the user
    #[arg(long, global = true, value_name = "FILE")]
    client_certificate: Option<String>,

    /// File with the key of that certificate
    #[arg(long, global = true, value_name = "FILE")]
    client_key: Option<String>,

    /// The name that the certificate of the server must have
    #[arg(long, global = true, value_name = "NAME")]
    tls_server_name: Option<String>,

    /// Accept any certificate of the server, which is insecure
    #[arg(long, global = true, default_value_t = false, action = ArgAction::Set, value_name = "BOOL")]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    insecure_skip_tls_verify: bool,

    /// The proxy to the API server: http, https or socks5
    #[arg(long, global = true, value_name = "URL")]
    proxy_url: Option<String>,

    /// Timeout of each request to the API server, such as 30 (seconds) or 1m; 0 is none; default: 20s
    #[arg(long, global = true, value_name = "TIME", value_parser = parse_request_timeout)]
    pub(crate) request_timeout: Option<Duration>,
}

fn parse_request_timeout(text: &str) -> Result<Duration, String> {
    text.parse().map(Duration::from_secs).or_else(|_| parse_duration(text))
}

impl GlobalArgs {
    pub(crate) fn cluster_overrides(&self) -> ClusterOverrides {
        ClusterOverrides {
            kubeconfig: self.kubeconfig.clone(),
            context: self.context.clone(),
            cluster: self.cluster.clone(),
            user: self.kubeconfig_user.clone(),
            namespace: self.namespace.clone(),
            server: self.server.clone(),
            tls_server_name: self.tls_server_name.clone(),
            insecure_skip_tls_verify: self.insecure_skip_tls_verify,
            certificate_authority: self.certificate_authority.clone(),
            proxy_url: self.proxy_url.clone(),
            token: self.token.clone().map(Into::into),
            client_certificate: self.client_certificate.clone(),
            client_key: self.client_key.clone(),
            impersonate: self.impersonate.clone(),
            impersonate_uid: self.impersonate_uid.clone(),
            impersonate_groups: self.impersonate_groups.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_without_a_unit_is_in_seconds_and_zero_is_none() {
        for (text, seconds) in [("30", 30), ("0", 0), ("0s", 0), ("1m30s", 90)] {
            assert_eq!(parse_request_timeout(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for bad in ["", "-1", "soon", "1.5"] {
            assert!(parse_request_timeout(bad).is_err(), "{bad}");
        }
    }
}
