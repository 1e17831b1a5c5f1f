//! The health of a connection, derived from its status: ready, retrying, or action needed. Pure.

use jiff::Timestamp;
use kube::ResourceExt;
use schemars::JsonSchema;
use serde::Serialize;
use strum::VariantArray;

use crate::api::{BoxConnection, BoxConnectionStatus, ConditionStatus, ConditionsExt, Reason, UserCounts};

/// Whether a connection works, and whether it needs action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema, VariantArray)]
pub(crate) enum ConnectionHealth {
    Ready,
    /// Somebody must act; `message` says who must do what.
    NeedsAction,
    /// The last attempt failed for a temporary reason.
    Retrying,
    /// The first sync has not finished, or a sync is overdue.
    Waiting,
    /// `spec.suspend` is true.
    Suspended,
    /// No operator has observed the connection yet.
    Unobserved,
}

impl ConnectionHealth {
    /// The count in the summary line.
    pub(crate) fn format_count(self, n: usize) -> String {
        let label = if self == ConnectionHealth::NeedsAction && n != 1 { "need action" } else { self.label() };
        format!("{n} {label}")
    }

    pub(crate) const fn label(self) -> &'static str {
        match self {
            ConnectionHealth::Ready => "ready",
            ConnectionHealth::NeedsAction => "needs action",
            ConnectionHealth::Retrying => "retrying",
            ConnectionHealth::Waiting => "waiting for a sync",
            ConnectionHealth::Suspended => "suspended",
            ConnectionHealth::Unobserved => "not observed yet",
        }
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
    /// Message of the condition that explains `health`.
    pub(crate) message: String,
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
    pub(crate) fn from_connection(connection: &BoxConnection) -> Self {
        let default_status = BoxConnectionStatus::default();
        let status = connection.status.as_ref().unwrap_or(&default_status);
        let health = connection_health(connection.spec.suspend, status);
        let (reason, since, message) = health_cause(status, health);
        Self {
            namespace: connection.namespace().unwrap_or_default(),
            name: connection.name_any(),
            enterprise_id: connection.spec.enterprise_id.clone(),
            health,
            reason,
            since,
            message,
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

fn connection_health(suspend: bool, status: &BoxConnectionStatus) -> ConnectionHealth {
    if status.conditions.is_empty() || status.conditions.reason("Ready") == Some(Reason::WaitingForOperator) {
        ConnectionHealth::Unobserved
    } else if suspend {
        // Failures of a suspended connection need no action until it is resumed.
        ConnectionHealth::Suspended
    } else if status.conditions.has_status("Stalled", ConditionStatus::True) || status.held.is_some() {
        ConnectionHealth::NeedsAction
    } else if status.failures.is_some() {
        ConnectionHealth::Retrying
    } else if status.conditions.has_status("Ready", ConditionStatus::True) {
        ConnectionHealth::Ready
    } else {
        ConnectionHealth::Waiting
    }
}

/// Reason, start time and message of the condition that explains `health`. Only the condition of the cause has the whole
/// message; the others refer to it.
fn health_cause(status: &BoxConnectionStatus, health: ConnectionHealth) -> (String, Option<Timestamp>, String) {
    let broken =
        ["Connected", "Synced"].into_iter().find(|kind| status.conditions.has_status(kind, ConditionStatus::False));
    let kind = match health {
        // An invalid schedule sets neither Connected nor Synced to False.
        ConnectionHealth::NeedsAction
            if broken.is_none() && status.conditions.has_status("Stalled", ConditionStatus::True) =>
        {
            "Stalled"
        }
        ConnectionHealth::NeedsAction | ConnectionHealth::Retrying => broken.unwrap_or("Ready"),
        ConnectionHealth::Ready
        | ConnectionHealth::Waiting
        | ConnectionHealth::Suspended
        | ConnectionHealth::Unobserved => "Ready",
    };
    let found = status.conditions.find_condition(kind);
    let (reason, message) = found.map(|c| (c.reason.clone(), c.message.clone())).unwrap_or_default();
    let since = match (health, &status.held, broken) {
        // The condition that the CRD sets by default has no transition time.
        (ConnectionHealth::Unobserved, _, _) => None,
        (ConnectionHealth::NeedsAction, Some(held), None) => Some(held.time.0),
        _ => found.map(|c| c.last_transition_time.0),
    };
    (reason, since, message)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn connection_with_status(suspend: bool, status: &Value) -> BoxConnection {
        serde_json::from_value(json!({
            "apiVersion": "boxsync.dev/v1alpha1", "kind": "BoxConnection",
            "metadata": { "name": "acme", "namespace": "backup" },
            "spec": { "enterpriseId": "1", "suspend": suspend, "auth": {} }, "status": status,
        }))
        .expect("a connection")
    }

    fn conditions(conditions: &[(&str, &str, &str)]) -> Value {
        let one = |(kind, status, reason): &(&str, &str, &str)| json!({ "type": kind, "status": status, "reason": reason, "message": kind, "lastTransitionTime": "2026-11-22T10:00:00Z" });
        conditions.iter().map(one).collect()
    }

    #[test]
    fn health_follows_from_the_status() {
        let failures = json!({ "reason": "RateLimited", "count": 1, "lastTime": "2026-11-22T10:00:00Z" });
        let held = json!({ "time": "2026-11-22T09:00:00Z", "removals": 250, "total": 1200, "digest": "d" });
        let good = conditions(&[
            ("Ready", "True", "Synced"),
            ("Connected", "True", "Connected"),
            ("Synced", "True", "Synced"),
        ]);
        let lost = conditions(&[
            ("Ready", "False", "AuthorizationExpired"),
            ("Connected", "False", "AuthorizationExpired"),
            ("Stalled", "True", "AuthorizationExpired"),
        ]);
        let limited = conditions(&[
            ("Ready", "True", "LastAttemptFailed"),
            ("Connected", "True", "Connected"),
            ("Synced", "False", "RateLimited"),
        ]);
        let holding = conditions(&[
            ("Ready", "True", "RemovalsHeld"),
            ("Connected", "True", "Connected"),
            ("Synced", "True", "Synced"),
        ]);
        let unscheduled = conditions(&[("Ready", "True", "Synced"), ("Stalled", "True", "ScheduleInvalid")]);
        let default = conditions(&[("Ready", "Unknown", "WaitingForOperator")]);
        let first = conditions(&[("Ready", "Unknown", "Syncing")]);
        for (suspend, status, expected, cause) in [
            (false, json!({ "conditions": good }), ConnectionHealth::Ready, "Ready"),
            (true, json!({ "conditions": good }), ConnectionHealth::Suspended, "Ready"),
            (false, json!({ "conditions": lost }), ConnectionHealth::NeedsAction, "Connected"),
            (true, json!({ "conditions": lost }), ConnectionHealth::Suspended, "Ready"),
            (false, json!({ "conditions": limited, "failures": failures }), ConnectionHealth::Retrying, "Synced"),
            (false, json!({ "conditions": holding, "held": held }), ConnectionHealth::NeedsAction, "Ready"),
            (false, json!({ "conditions": unscheduled }), ConnectionHealth::NeedsAction, "Stalled"),
            (false, json!({ "conditions": default }), ConnectionHealth::Unobserved, "Ready"),
            (true, json!({ "conditions": default }), ConnectionHealth::Unobserved, "Ready"),
            (false, json!({}), ConnectionHealth::Unobserved, ""),
            (false, json!({ "conditions": first }), ConnectionHealth::Waiting, "Ready"),
        ] {
            let report = ConnectionReport::from_connection(&connection_with_status(suspend, &status));
            assert_eq!((report.health, report.message.as_str()), (expected, cause), "{status}");
        }
    }
}
