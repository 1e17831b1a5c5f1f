//! Messages for API server errors: one sentence with the next step. Pure.

use super::{
    exit_code::{CliError, ExitStatus},
    output::format::format_number,
};
use crate::{kube_client::KubeError, roster::ReadError};

/// The permission that a call needs.
pub(crate) struct Permission {
    action: String,
    scope: String,
}

impl Permission {
    pub(crate) fn in_namespace(verb: &str, resource: &str, namespace: &str) -> Self {
        Self { action: format!("{verb} {resource}"), scope: format!("in namespace {namespace}") }
    }

    pub(crate) fn in_all_namespaces(verb: &str, resource: &str) -> Self {
        Self { action: format!("{verb} {resource}"), scope: "in all namespaces".to_owned() }
    }

    fn missing_message(&self) -> String {
        let Self { action, scope } = self;
        let ask = if action.ends_with("userrosters") || action.ends_with("userslices") {
            "ask a cluster admin for the ClusterRole boxsync-roster-reader there".to_owned()
        } else if scope.ends_with("all namespaces") {
            "ask a cluster admin for that permission, or pass one namespace with -n".to_owned()
        } else {
            "ask a cluster admin for that permission".to_owned()
        };
        format!("you are not allowed to {action} {scope}: {ask}.")
    }
}

pub(crate) fn kube_cli_error(error: &KubeError, permission: &Permission) -> CliError {
    CliError::error(kube_error_message(error, permission))
}

pub(crate) fn kube_error_message(error: &KubeError, permission: &Permission) -> String {
    match error {
        KubeError::UnknownKind => NOT_INSTALLED.to_owned(),
        KubeError::NotFound => "it no longer exists. Check with kubectl boxsync status.".to_owned(),
        KubeError::Conflict => "it was changed concurrently. Retry.".to_owned(),
        KubeError::Forbidden(message) if let Some((_, why)) = message.split_once(" denied request: ") => {
            format!("denied by an admission policy: {}.", trim_message(why))
        }
        KubeError::Forbidden(message) if message.contains("forbidden") => permission.missing_message(),
        KubeError::Forbidden(_) => {
            "the cluster rejected your credentials: sign in again and check kubectl auth whoami.".to_owned()
        }
        KubeError::TooManyRequests { .. } => "the API server limits requests. Retry in a minute.".to_owned(),
        KubeError::Rejected { code, message } => {
            format!(
                "the API server answered {code}: {}. Retry; if it persists, ask a cluster admin.",
                trim_message(message)
            )
        }
        KubeError::Unreadable(why) => {
            format!("this version of the plugin cannot read the object: {}. Use the newest version.", trim_message(why))
        }
        KubeError::Unreachable(why) => {
            format!(
                "the API server cannot be reached: {}. Check the context with kubectl cluster-info.",
                trim_message(why)
            )
        }
    }
}

const NOT_INSTALLED: &str = "this cluster has no BoxConnections: boxsync is not installed. Install its CRDs and the operator (kubectl apply --server-side -f crds/, then the chart boxsync-operator), or choose another --context.";

pub(crate) fn not_installed() -> CliError {
    CliError::error(NOT_INSTALLED)
}

/// `existing`: the names of all connections of the namespace, if the caller may list them.
pub(crate) fn connection_not_found(name: &str, namespace: &str, existing: Option<&[String]>) -> CliError {
    let similar = |names: &[String]| names.iter().find(|other| strsim::osa_distance(name, other) <= 2).cloned();
    let next = match existing.map(|names| (names.is_empty(), similar(names))) {
        Some((_, Some(other))) => format!("Did you mean {other}?"),
        Some((true, None)) => {
            "The namespace has none: see kubectl boxsync status -A --all, or choose another -n.".to_owned()
        }
        Some((false, None)) => format!("See kubectl boxsync status -n {namespace} --all."),
        None => "Check the name and -n.".to_owned(),
    };
    CliError::error(format!("there is no BoxConnection {name} in namespace {namespace}. {next}"))
}

/// Why the list of an existing connection cannot be read.
pub(crate) fn list_read_error(error: &ReadError, connection: &str, namespace: &str) -> CliError {
    match error {
        ReadError::NoRoster => CliError::Message(
            ExitStatus::NoList,
            format!(
                "no list of {connection} has been published (that is not an empty list). See kubectl boxsync status {connection} -n {namespace}."
            ),
        ),
        ReadError::Incomplete { revision } => CliError::error(format!(
            "the list of {connection} is incomplete: slices of revision {} are missing or damaged. The next sync repairs it: kubectl boxsync sync {connection} -n {namespace} --wait.",
            format_number(*revision)
        )),
        ReadError::NewerFormat { format } => CliError::error(format!(
            "the list of {connection} is in format {format}, which this plugin does not support. Use a plugin of the same version as the operator."
        )),
        ReadError::Kube(error @ KubeError::Forbidden(message)) => {
            let resource = if message.contains("userslices") { "userslices" } else { "userrosters" };
            kube_cli_error(error, &Permission::in_namespace("get", resource, namespace))
        }
        ReadError::Kube(other) => kube_cli_error(other, &Permission::in_namespace("get", "userrosters", namespace)),
    }
}

/// An error message without its final period and without the type that kube prepends.
fn trim_message(text: &str) -> &str {
    text.trim().trim_start_matches("ServiceError: ").trim_end_matches('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_admission_policy_denial_is_not_reported_as_a_missing_right() {
        let permission = Permission::in_namespace("create", "usersyncrequests", "backup");
        let message_for = |message: &str| kube_error_message(&KubeError::Forbidden(message.to_owned()), &permission);
        assert_eq!(
            message_for(
                "usersyncrequests.boxsync.dev \"acme-x\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'p' denied request: Ask Jane."
            ),
            "denied by an admission policy: Ask Jane."
        );
        assert_eq!(
            message_for("usersyncrequests.boxsync.dev is forbidden: User \"alice\" cannot create resource"),
            "you are not allowed to create usersyncrequests in namespace backup: ask a cluster admin for that permission."
        );
    }
}
