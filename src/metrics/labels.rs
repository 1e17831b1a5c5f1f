//! The labels, and every word that each may hold: what bounds the number of series.

use crate::{
    api::{Reason, Trigger},
    box_client::{CallOutcome, Endpoint},
};

/// A label.
#[derive(Clone, Copy)]
pub(super) struct Label {
    pub(super) name: &'static str,
    pub(super) values: fn() -> Vec<&'static str>,
    pub(super) meaning: &'static str,
}

pub(super) const ENDPOINT: Label = Label {
    name: "endpoint",
    values: || Endpoint::ALL.map(Endpoint::as_str).to_vec(),
    meaning: "what Box was asked: for a token, who we are (`users/me`), or a page of users",
};

pub(super) const CODE: Label = Label {
    name: "code",
    values: CallOutcome::all_labels,
    meaning: "the HTTP status of Box's answer, a rare one by its class; or why there was none: no complete answer in time, no connection, one that broke, an answer that is too large",
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
    meaning: "the reason that conditions and events name too, see [operating.md](operating.md#reasons); only some can come with each metric",
};

pub(super) const RESULT: Label =
    Label { name: "result", values: || vec!["Succeeded", "Failed"], meaning: "how the request ended" };

/// What is reconciled.
pub(super) const RECONCILED_KIND: Label =
    Label { name: "kind", values: || vec!["boxconnections", "usersyncrequests"], meaning: "what was reconciled" };

/// What is watched.
pub(super) const WATCHED_KIND: Label = Label {
    name: "kind",
    values: || vec!["boxconnections", "usersyncrequests", "userrosters"],
    meaning: "what was watched",
};

pub(super) const ERROR: Label = Label {
    name: "error",
    values: || vec!["NotFound", "NotServed", "Conflict", "Forbidden", "Refused", "Unreachable", "Panic"],
    meaning: "what the API server had against it, or a panic",
};
