//! One connection in the views of the plugin: the shared judgement, and figures of its status. Pure.

use jiff::Timestamp;
use kube::ResourceExt;
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    api::{
        BoxConnection, BoxConnectionStatus, ConditionStatus, ConditionsExt, ConnectionHealth, Evidence, Judgement,
        ListEvidence, OperatorEvidence, UserCounts, judge,
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
    /// Box's own words; null if it said nothing.
    pub(crate) box_words: Option<String>,
    /// The command that helps; null if none does.
    pub(crate) command: Option<String>,
    /// When the operator tries again, and the command that makes it try now.
    #[serde(skip)]
    pub(crate) retry: Option<String>,
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
    pub(crate) fn new(connection: &BoxConnection, evidence: &Evidence) -> Self {
        let default_status = BoxConnectionStatus::default();
        let status = connection.status.as_ref().unwrap_or(&default_status);
        let Judgement { health, reason, since, problem, action, box_words, command } = judge(connection, evidence);
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
            box_words,
            retry: retry_text(connection, health, evidence),
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

/// When the operator tries again, and the command that makes it try now.
fn retry_text(connection: &BoxConnection, health: ConnectionHealth, evidence: &Evidence) -> Option<String> {
    let status = connection.status.as_ref()?;
    let (name, namespace) = (connection.name_any(), connection.namespace().unwrap_or_default());
    let now = format!("now: kubectl boxsync sync {name} -n {namespace} --wait");
    let at = |time: Timestamp| format!("{} ({})", format_time(time), format_relative_time(time, evidence.now));
    match health {
        ConnectionHealth::Ready | ConnectionHealth::Suspended | ConnectionHealth::Unobserved => None,
        _ if status.observed_generation.unwrap_or(-1) < 0 => None,
        // A sync finds the same users missing.
        ConnectionHealth::NeedsAction if status.held.is_some() && status.failures.is_none() => None,
        _ if evidence.operator == OperatorEvidence::Absent => Some("not before an operator runs".to_owned()),
        _ if status.conditions.has_status("Connected", ConditionStatus::False) => {
            Some(format!("every 1\u{2013}15 min; {now}"))
        }
        ConnectionHealth::NeedsAction | ConnectionHealth::Retrying | ConnectionHealth::Waiting => {
            let retry = status.failures.as_ref().and_then(|failures| failures.retry_time.as_ref());
            match retry.or(status.next_sync_time.as_ref()) {
                Some(time) => Some(format!("{}; {now}", at(time.0))),
                None => Some(now),
            }
        }
    }
}
