//! The labels and their possible values, which bound the number of series.

use crate::{
    api::{Reason, Trigger},
    box_client::{CallOutcome, Endpoint},
};

#[derive(Clone, Copy)]
pub(super) struct Label {
    pub(super) name: &'static str,
    pub(super) values: fn() -> Vec<&'static str>,
    pub(super) meaning: &'static str,
}

/// The namespace of a BoxConnection. Not `namespace`: that label is the operator's own, which Prometheus sets from the target
/// and some installations enforce on every series.
pub(super) const CONNECTION_NAMESPACE: &str = "connection_namespace";

/// A namespace of the operator's flags; likewise not `namespace`.
pub(super) const WATCHED_NAMESPACE: &str = "watched_namespace";

/// Not `endpoint`, which the Prometheus operator sets to the port of the target.
pub(super) const BOX_ENDPOINT: Label = Label {
    name: "box_endpoint",
    values: || Endpoint::ALL.map(Endpoint::as_str).to_vec(),
    meaning: "the called endpoint: token, current user (`users/me`), user list, or one user by its id (`users/{id}`)",
};

pub(super) const CODE: Label = Label {
    name: "code",
    values: CallOutcome::all_labels,
    meaning: "HTTP status of the response (rare ones by class), or why there is none: timeout, connect error, broken connection, response too large",
};

pub(super) const TRIGGER: Label = Label {
    name: "trigger",
    values: || {
        [Trigger::Created, Trigger::Reconnected, Trigger::Requested, Trigger::Retry, Trigger::Scheduled]
            .map(Trigger::as_str)
            .to_vec()
    },
    meaning: "what started the sync",
};

pub(super) const REASON: Label = Label {
    name: "reason",
    values: || Reason::ALL.iter().map(|reason| reason.as_str()).collect(),
    meaning: "the reason, as in conditions and events, see [reasons.md](reasons.md); each metric uses a subset",
};

pub(super) const RESULT: Label =
    Label { name: "result", values: || vec!["Succeeded", "Failed"], meaning: "result of the request" };

pub(super) const RECONCILED_KIND: Label =
    Label { name: "kind", values: || vec!["boxconnections", "usersyncrequests"], meaning: "the reconciled resource" };

pub(super) const WATCHED_KIND: Label = Label {
    name: "kind",
    values: || vec!["boxconnections", "usersyncrequests", "userrosters"],
    meaning: "the watched resource",
};

pub(super) const CACHE: Label = Label {
    name: "cache",
    values: || {
        vec!["boxconnections", "usersyncrequests", "userrosters", "connectionstates", "reconcileerrors", "permitqueue"]
    },
    meaning: "watched objects by kind, what the operator holds for connections beside them, objects whose last reconcile failed, or connections that wait for a permit or have one",
};

pub(super) const ERROR: Label = Label {
    name: "error",
    values: || {
        vec![
            "NotFound",
            "NotServed",
            "Conflict",
            "Unauthenticated",
            "Forbidden",
            "TooManyRequests",
            "Refused",
            "Unavailable",
            "Unreadable",
            "Unreachable",
            "Panic",
        ]
    },
    meaning: "the Kubernetes API error, or `Panic`",
};
