//! Messages for API server errors: one sentence with the next step. Pure.

use super::{
    exit_code::{CliError, ExitStatus},
    output::format::format_number,
};
use crate::{
    kube_client::{KubeError, Refusal, RefusedBy},
    roster::ReadError,
};

/// The permission that a call needs.
pub(crate) struct Permission {
    /// The verb.
    action: String,
    resource: String,
    scope: String,
}

impl Permission {
    pub(crate) fn in_namespace(verb: &str, resource: &str, namespace: &str) -> Self {
        let scope = format!("in namespace {namespace}");
        Self { action: verb.to_owned(), resource: resource.to_owned(), scope }
    }

    pub(crate) fn in_all_namespaces(verb: &str, resource: &str) -> Self {
        let scope = "in all namespaces".to_owned();
        Self { action: verb.to_owned(), resource: resource.to_owned(), scope }
    }

    /// `right`: the server's sentence, which tells more where another right is missing than that for the call itself, and
    /// where the authorizer of a cloud gives a reason.
    fn missing_message(&self, right: &str) -> String {
        let Self { action, resource, scope } = self;
        if right.contains("\" cannot impersonate ") {
            return format!(
                "you are not allowed to impersonate: {}. Ask a cluster admin, or leave out --as.",
                trim_message(right)
            );
        }
        let ask = if matches!(resource.as_str(), "userrosters" | "userslices") {
            "ask a cluster admin for the ClusterRole boxsync-roster-reader there".to_owned()
        } else if scope.ends_with("all namespaces") {
            "ask a cluster admin for that permission, or pass one namespace with -n".to_owned()
        } else {
            "ask a cluster admin for that permission".to_owned()
        };
        let reason = authorizer_reason(right).map(|reason| format!(" The API server adds: {}.", trim_message(reason)));
        format!("you are not allowed to {action} {resource} {scope}: {ask}.{}", reason.unwrap_or_default())
    }
}

/// What follows the scope in the server's sentence.
fn authorizer_reason(right: &str) -> Option<&str> {
    let after = match right.split_once(" in the namespace \"") {
        Some((_, rest)) => rest.split_once('"')?.1,
        None => right.split_once(" at the cluster scope")?.1,
    };
    after.strip_prefix(": ").filter(|reason| !reason.is_empty())
}

pub(crate) fn kube_cli_error(error: &KubeError, permission: &Permission) -> CliError {
    CliError::error(kube_error_message(error, permission))
}

pub(crate) fn kube_error_message(error: &KubeError, permission: &Permission) -> String {
    match error {
        KubeError::UnknownKind => NOT_INSTALLED.to_owned(),
        KubeError::NotFound => "it no longer exists. Check with kubectl boxsync status.".to_owned(),
        KubeError::Conflict => "it was changed concurrently. Retry.".to_owned(),
        KubeError::Refused(refusal) => refusal_message(refusal, permission),
        KubeError::Forbidden(right) => permission.missing_message(right),
        KubeError::Unauthenticated(_) => {
            "the cluster rejected your credentials: sign in again and check kubectl auth whoami.".to_owned()
        }
        KubeError::TooManyRequests { .. } => "the API server limits requests. Retry in a minute.".to_owned(),
        KubeError::Unavailable { code, message } => {
            format!("the API server is not available ({code}: {}). Retry in a minute.", trim_message(message))
        }
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

/// What stands against a call for which the caller has the right.
fn refusal_message(refusal: &Refusal, permission: &Permission) -> String {
    let Permission { action, resource, scope } = permission;
    let why = trim_message(&refusal.sentence);
    match &refusal.by {
        RefusedBy::Quota => {
            let finished = match resource.as_str() {
                "usersyncrequests" => " Finished requests count until they are deleted.",
                _ => "",
            };
            format!(
                "a quota does not allow to {action} {resource} {scope}: {why}. Ask a cluster admin to raise it.{finished}"
            )
        }
        // The sentence says what to do, often with a command at its end.
        RefusedBy::Policy(name) => format!("denied by the admission policy {name}: {why}."),
        RefusedBy::Webhook(name) => format!("denied by the admission webhook {name}: {why}."),
        RefusedBy::Admission => format!("denied by the admission of the API server: {why}."),
        RefusedBy::UnavailableWebhook(name) => format!(
            "the admission webhook {name} could not be called, so the API server did not {action} {resource}: {why}. Retry; if it persists, ask a cluster admin to repair the webhook."
        ),
        RefusedBy::TerminatingNamespace => {
            format!("you cannot {action} {resource} {scope}, which is being deleted. Choose another -n.")
        }
        RefusedBy::MissingNamespace => {
            format!("you cannot {action} {resource} {scope}, which does not exist. Check -n and --context.")
        }
        RefusedBy::Validation => format!(
            "the API server does not accept the object: {why}. If that is not what you passed, use a plugin of the same version as the operator's CRDs."
        ),
        RefusedBy::SizeLimit => format!("the object is too large for the API server: {why}."),
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
            "the list of {connection} is incomplete: slices of revision {} are missing or damaged. Unless removals are held or the connection is suspended, a sync publishes it again: kubectl boxsync sync {connection} -n {namespace} --wait.",
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

    fn message_for(error: &KubeError) -> String {
        kube_error_message(error, &Permission::in_namespace("create", "usersyncrequests", "backup"))
    }

    fn refused_message(by: RefusedBy, sentence: &str) -> String {
        message_for(&KubeError::Refused(Refusal { by, sentence: sentence.to_owned() }))
    }

    #[test]
    fn only_a_missing_right_is_reported_as_one() {
        assert_eq!(
            message_for(&KubeError::Forbidden("User \"alice\" cannot create resource".to_owned())),
            "you are not allowed to create usersyncrequests in namespace backup: ask a cluster admin for that permission."
        );
        for by in [
            RefusedBy::Quota,
            RefusedBy::Webhook("w".to_owned()),
            RefusedBy::UnavailableWebhook("w".to_owned()),
            RefusedBy::Policy("p".to_owned()),
            RefusedBy::Admission,
            RefusedBy::TerminatingNamespace,
            RefusedBy::MissingNamespace,
            RefusedBy::Validation,
            RefusedBy::SizeLimit,
        ] {
            let message = refused_message(by, "Ask Jane");
            assert!(!message.contains("allowed to") || message.starts_with("a quota"), "{message}");
            assert!(!message.contains("credentials") && !message.contains("permission"), "{message}");
        }
    }

    #[test]
    fn a_refusal_says_who_refuses_and_in_whose_words() {
        for (by, expected) in [
            (RefusedBy::Policy("p".to_owned()), "denied by the admission policy p: Ask Jane."),
            (RefusedBy::Webhook("w.x".to_owned()), "denied by the admission webhook w.x: Ask Jane."),
            (
                RefusedBy::Quota,
                "a quota does not allow to create usersyncrequests in namespace backup: Ask Jane. Ask a cluster admin to raise it. Finished requests count until they are deleted.",
            ),
            (
                RefusedBy::TerminatingNamespace,
                "you cannot create usersyncrequests in namespace backup, which is being deleted. Choose another -n.",
            ),
        ] {
            assert_eq!(refused_message(by, "Ask Jane."), expected);
        }
    }

    #[test]
    fn the_reason_of_an_authorizer_and_another_missing_right_are_shown() {
        let right = "User \"alice\" cannot create resource \"usersyncrequests\" in API group \"boxsync.dev\" in the namespace \"backup\": Update role assignment to allow access.";
        let message = message_for(&KubeError::Forbidden(right.to_owned()));
        assert!(message.ends_with(" The API server adds: Update role assignment to allow access."), "{message}");
        let right = "User \"alice\" cannot impersonate resource \"users\" in API group \"\" at the cluster scope";
        let message = message_for(&KubeError::Forbidden(right.to_owned()));
        assert!(message.starts_with("you are not allowed to impersonate: User \"alice\" cannot"), "{message}");
    }
}
