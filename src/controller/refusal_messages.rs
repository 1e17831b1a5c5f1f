//! What it means that the API server refuses a write of the operator, with the server's own sentence, and who must do
//! what. Pure.

use crate::{
    kube_client::{Refusal, RefusedBy},
    text::quote_text,
};

/// The limit for the server's sentence in a condition.
const MAX_SENTENCE_CHARS: usize = 300;

/// What was to be written.
#[derive(Clone, Copy)]
pub(super) struct RefusedWrite<'a> {
    /// Such as `the list` or `Secret acme-oauth2`.
    pub(super) what: &'a str,
    /// As a quota counts it, such as `userslices.boxsync.dev`.
    pub(super) resource: &'a str,
    pub(super) namespace: &'a str,
    /// How many objects are needed; empty if that is plain.
    pub(super) needed: &'a str,
}

/// A refusal, in whole sentences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RefusalMessage {
    pub(super) summary: String,
    /// Who must do what.
    pub(super) remediation: String,
}

pub(super) fn refusal_message(refusal: &Refusal, write: RefusedWrite<'_>) -> RefusalMessage {
    let RefusedWrite { what, resource, namespace, needed } = write;
    let sentence = quote_text(&refusal.sentence, MAX_SENTENCE_CHARS);
    let (summary, remediation) = match &refusal.by {
        RefusedBy::Quota => (
            format!("A quota of namespace {namespace} does not allow {what}: {sentence}."),
            match needed {
                "" => format!("A cluster admin must raise count/{resource}."),
                needed => format!("A cluster admin must raise it: {needed}."),
            },
        ),
        RefusedBy::Webhook(name) => {
            (format!("Admission webhook {name} denied {what}: {sentence}."), policy_remediation(&sentence))
        }
        RefusedBy::Policy(name) => {
            (format!("Admission policy {name} denied {what}: {sentence}."), policy_remediation(&sentence))
        }
        RefusedBy::Admission => {
            (format!("The admission of the API server denied {what}: {sentence}."), policy_remediation(&sentence))
        }
        RefusedBy::UnavailableWebhook(name) => (
            format!(
                "Admission webhook {name} could not be called, so the API server did not accept {what}: {sentence}."
            ),
            format!("If this persists, a cluster admin must repair the webhook, or exclude {resource} from it."),
        ),
        RefusedBy::TerminatingNamespace => (
            format!("Namespace {namespace} is being deleted: the API server accepts no new objects in it."),
            "Nothing is to be done: the connection is deleted with its namespace.".to_owned(),
        ),
        RefusedBy::MissingNamespace => (
            format!("Namespace {namespace} does not exist any more."),
            "Nothing is to be done: the connection was deleted with its namespace.".to_owned(),
        ),
        RefusedBy::Validation => (
            format!("The API server does not accept {what} as valid: {sentence}."),
            "A cluster admin must install the CustomResourceDefinitions of this version of the operator.".to_owned(),
        ),
        RefusedBy::SizeLimit => (
            format!("The API server does not accept {what} because of its size: {sentence}."),
            "A cluster admin should check the size limits of the API server, of etcd, and of a proxy before them."
                .to_owned(),
        ),
    };
    RefusalMessage { summary, remediation }
}

fn policy_remediation(sentence: &str) -> String {
    let lower = sentence.to_lowercase();
    let settings: Vec<&str> = [
        ("label", "labels (chart value objectLabels, --object-labels)"),
        ("annotation", "annotations (chart value objectAnnotations, --object-annotations)"),
    ]
    .into_iter()
    .filter_map(|(word, setting)| lower.contains(word).then_some(setting))
    .collect();
    let exception = "except the operator's ServiceAccount";
    match settings.as_slice() {
        [] => format!("A cluster admin must {exception}, or change it."),
        some => format!("A cluster admin must set the required {}, or {exception}.", some.join(" and ")),
    }
}
