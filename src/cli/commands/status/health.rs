//! One connection in the views of the plugin: the shared judgement, and figures of its status. Pure.

use jiff::Timestamp;
use kube::ResourceExt;
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    api::{
        BoxConnection, BoxConnectionStatus, ConditionStatus, ConditionsExt, ConnectionHealth, Evidence, Judgement,
        ListEvidence, OperatorEvidence, Reason, UserCounts, judge, sync_command,
    },
    cli::output::format::{format_relative_time, format_time},
};

/// The word for the health, in tables and counts.
pub(crate) const fn health_label(health: ConnectionHealth) -> &'static str {
    match health {
        ConnectionHealth::Ready => "ready",
        ConnectionHealth::NeedsAction => "needs action",
        ConnectionHealth::Retrying => "retrying",
        ConnectionHealth::Waiting => "waiting",
        ConnectionHealth::Suspended => "suspended",
        ConnectionHealth::Unobserved => "unobserved",
    }
}

/// When the operator tries again, and the command that makes it try now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Retry {
    pub(crate) when: String,
    pub(crate) now: Option<String>,
}

/// One connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ConnectionReport {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) enterprise_id: String,
    pub(crate) health: ConnectionHealth,
    /// Reason of the condition that explains `health`.
    pub(crate) reason: String,
    /// Since when the connection is in this state; null if no operator has observed it.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub(crate) since: Option<Timestamp>,
    /// What happened, in one sentence.
    pub(crate) problem: String,
    /// Who must do what; empty if nobody has to act.
    pub(crate) action: String,
    /// What Box said, or with the reason Internal the API server, word for word; null if nothing was said.
    pub(crate) quotation: Option<String>,
    /// The command that helps; null if none does.
    pub(crate) command: Option<String>,
    #[serde(skip)]
    pub(crate) retry: Option<Retry>,
    /// Whether the published list is usable, as the column READY of kubectl says it. False also if its objects were found
    /// to be deleted.
    pub(crate) ready: bool,
    /// Null if no list has been published.
    pub(crate) users: Option<UserCounts>,
    /// When the published list was complete.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub(crate) list_time: Option<Timestamp>,
    /// When the list becomes stale.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub(crate) stale_time: Option<Timestamp>,
    /// When the next automatic sync starts.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub(crate) next_sync_time: Option<Timestamp>,
    /// Revision of the published list.
    pub(crate) revision: Option<i64>,
    /// Number of held removals; null if none is held.
    pub(crate) held_removals: Option<i64>,
    /// Since when the operator is paused (--paused); null if it is not.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub(crate) paused_since: Option<Timestamp>,
    /// Namespace and name of the Lease of the operator that works on the connection; null if it has none or is unknown.
    pub(crate) operator_lease: Option<String>,
}

impl ConnectionReport {
    /// Whether readers rely on a list that is stale, and the operator could fetch a new one.
    pub(crate) fn is_stale(&self, now: Timestamp) -> bool {
        let by_intent = self.health == ConnectionHealth::Suspended || self.paused_since.is_some();
        !by_intent && self.list_time.is_some() && self.stale_time.is_some_and(|stale| stale <= now)
    }

    pub(crate) fn new(connection: &BoxConnection, evidence: &Evidence) -> Self {
        let default_status = BoxConnectionStatus::default();
        let status = connection.status.as_ref().unwrap_or(&default_status);
        let judgement = judge(connection, evidence);
        let retry = next_retry(connection, &judgement, evidence);
        let Judgement { health, reason, since, problem, action, quotation, command } = judgement;
        let readable = matches!(evidence.list, ListEvidence::NotRead | ListEvidence::Complete);
        Self {
            namespace: connection.namespace().unwrap_or_default(),
            name: connection.name_any(),
            enterprise_id: connection.spec.enterprise_id.clone(),
            health,
            reason,
            since,
            problem,
            action,
            quotation,
            retry,
            command,
            ready: readable && status.conditions.has_status("Ready", ConditionStatus::True),
            users: status.users,
            list_time: status.last_sync.as_ref().map(|s| s.completion_time.0),
            stale_time: status.stale_time.as_ref().map(|t| t.0),
            next_sync_time: status.next_sync_time.as_ref().map(|t| t.0),
            revision: status.roster_ref.as_ref().map(|r| r.revision),
            held_removals: status.held.as_ref().map(|h| h.removals),
            operator_lease: status
                .operator
                .as_ref()
                .and_then(|operator| operator.lease_ref.as_ref())
                .map(|lease| format!("{}/{}", lease.namespace, lease.name)),
            paused_since: status.conditions.find_condition("Paused").map(|c| c.last_transition_time.0),
        }
    }
}

/// When something happens that waits for a permit once its time has come.
pub(crate) fn format_planned_time(time: Timestamp, now: Timestamp) -> String {
    let relative = format!("{} ({})", format_time(time), format_relative_time(time, now));
    if time > now { relative } else { format!("as soon as possible, due since {relative}") }
}

/// When the operator tries again: nothing, if that alone changes nothing.
fn next_retry(connection: &BoxConnection, judgement: &Judgement, evidence: &Evidence) -> Option<Retry> {
    let status = connection.status.as_ref()?;
    let now = Some(sync_command(connection));
    match judgement.health {
        ConnectionHealth::Ready | ConnectionHealth::Suspended | ConnectionHealth::Unobserved => None,
        _ if judgement.reason == Reason::WaitingForOperator.as_str() => None,
        // Requests wait, too.
        _ if status.conditions.find_condition("Paused").is_some() => None,
        _ if judgement.reason == Reason::ScheduleInvalid.as_str() => {
            Some(Retry { when: "not before spec.schedule is corrected".to_owned(), now })
        }
        // A sync finds the same users missing.
        ConnectionHealth::NeedsAction if status.held.is_some() && status.failures.is_none() => None,
        _ if evidence.operator == OperatorEvidence::Absent => {
            Some(Retry { when: "not before an operator runs".to_owned(), now: None })
        }
        _ if status.conditions.has_status("Connected", ConditionStatus::False) => {
            Some(Retry { when: "every 1\u{2013}15 min".to_owned(), now })
        }
        ConnectionHealth::NeedsAction | ConnectionHealth::Retrying | ConnectionHealth::Waiting => {
            let retry = status.failures.as_ref().and_then(|failures| failures.retry_time.as_ref());
            let when = retry
                .or(status.next_sync_time.as_ref())
                .map_or("as soon as possible".to_owned(), |time| format_planned_time(time.0, evidence.now));
            Some(Retry { when, now })
        }
    }
}
