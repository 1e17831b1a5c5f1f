//! How a connection is, as its status says: does it need somebody, does it pass? Pure.

use jiff::Timestamp;
use kube::ResourceExt;
use serde::Serialize;

use crate::api::{BoxConnection, BoxConnectionStatus, Conditions, Reason, State, UserCounts};

/// What a connection needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) enum Standing {
    Ready,
    NeedsPerson,
    Retrying,
    /// Before its first result, or overdue.
    Waiting,
    Suspended,
    /// No operator has looked at it yet.
    NotSeen,
}

impl Standing {
    pub(super) const ALL: [Standing; 6] = [
        Standing::Ready,
        Standing::NeedsPerson,
        Standing::Retrying,
        Standing::Waiting,
        Standing::Suspended,
        Standing::NotSeen,
    ];

    /// As a summary counts it.
    pub(super) fn counted(self, n: usize) -> String {
        match self {
            Standing::Ready => format!("{n} ready"),
            Standing::NeedsPerson if n == 1 => "1 needs a person".to_owned(),
            Standing::NeedsPerson => format!("{n} need a person"),
            Standing::Retrying => format!("{n} retrying"),
            Standing::Waiting => format!("{n} waiting for a sync"),
            Standing::Suspended => format!("{n} suspended"),
            Standing::NotSeen => format!("{n} not looked at yet"),
        }
    }

    pub(super) const fn words(self) -> &'static str {
        match self {
            Standing::Ready => "ready",
            Standing::NeedsPerson => "needs a person",
            Standing::Retrying => "retrying",
            Standing::Waiting => "waiting for a sync",
            Standing::Suspended => "suspended",
            Standing::NotSeen => "not looked at yet",
        }
    }
}

/// What there is to say of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) enterprise_id: String,
    pub(super) standing: Standing,
    pub(super) reason: String,
    pub(super) since: Option<Timestamp>,
    /// That of the condition that holds the cause.
    pub(super) message: String,
    pub(super) users: Option<UserCounts>,
    /// When the list was complete, and until when it counts as fresh.
    pub(super) list_time: Option<Timestamp>,
    pub(super) stale_time: Option<Timestamp>,
    pub(super) next_sync_time: Option<Timestamp>,
    pub(super) revision: Option<i64>,
    /// How many removals are held.
    pub(super) held: Option<i64>,
    /// Since when the operator, being told so, asks Box nothing.
    pub(super) paused: Option<Timestamp>,
}

impl Report {
    pub(super) fn of(connection: &BoxConnection) -> Self {
        let nothing = BoxConnectionStatus::default();
        let status = connection.status.as_ref().unwrap_or(&nothing);
        let standing = standing(connection.spec.suspend, status);
        let (reason, since, message) = cause(status, standing);
        Self {
            namespace: connection.namespace().unwrap_or_default(),
            name: connection.name_any(),
            enterprise_id: connection.spec.enterprise_id.clone(),
            standing,
            reason,
            since,
            message,
            users: status.users,
            list_time: status.last_sync.as_ref().map(|s| s.completion_time.0),
            stale_time: status.stale_time.as_ref().map(|t| t.0),
            next_sync_time: status.next_sync_time.as_ref().map(|t| t.0),
            revision: status.roster_ref.as_ref().map(|r| r.revision),
            held: status.held.as_ref().map(|h| h.removals),
            paused: status.conditions.of("Paused").map(|c| c.last_transition_time.0),
        }
    }
}

fn standing(suspend: bool, status: &BoxConnectionStatus) -> Standing {
    if status.conditions.is_empty() || status.conditions.reason("Ready") == Some(Reason::WaitingForOperator) {
        Standing::NotSeen
    } else if suspend {
        // What is broken meanwhile is nobody's task until somebody wants it back.
        Standing::Suspended
    } else if status.conditions.is("Stalled", State::True) || status.held.is_some() {
        Standing::NeedsPerson
    } else if status.failures.is_some() {
        Standing::Retrying
    } else if status.conditions.is("Ready", State::True) {
        Standing::Ready
    } else {
        Standing::Waiting
    }
}

/// Reason, beginning and message of what made it so. The condition that holds a cause tells it whole, the others only
/// point there.
fn cause(status: &BoxConnectionStatus, standing: Standing) -> (String, Option<Timestamp>, String) {
    let broken = ["Connected", "Synced"].into_iter().find(|kind| status.conditions.is(kind, State::False));
    let kind = match standing {
        // A schedule that cannot be kept breaks neither of them.
        Standing::NeedsPerson if broken.is_none() && status.conditions.is("Stalled", State::True) => "Stalled",
        Standing::NeedsPerson | Standing::Retrying => broken.unwrap_or("Ready"),
        Standing::Ready | Standing::Waiting | Standing::Suspended | Standing::NotSeen => "Ready",
    };
    let found = status.conditions.of(kind);
    let (reason, message) = found.map(|c| (c.reason.clone(), c.message.clone())).unwrap_or_default();
    let since = match (standing, &status.held, broken) {
        // What the CRD's default says has no beginning.
        (Standing::NotSeen, _, _) => None,
        (Standing::NeedsPerson, Some(held), None) => Some(held.time.0),
        _ => found.map(|c| c.last_transition_time.0),
    };
    (reason, since, message)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn connection(suspend: bool, status: &Value) -> BoxConnection {
        serde_json::from_value(json!({
            "apiVersion": "boxsync.dev/v1alpha1", "kind": "BoxConnection",
            "metadata": { "name": "acme", "namespace": "backup" },
            "spec": { "enterpriseId": "1", "suspend": suspend, "auth": {} }, "status": status,
        }))
        .expect("a connection")
    }

    fn conditions(told: &[(&str, &str, &str)]) -> Value {
        let one = |(kind, status, reason): &(&str, &str, &str)| json!({ "type": kind, "status": status, "reason": reason, "message": kind, "lastTransitionTime": "2026-11-22T10:00:00Z" });
        told.iter().map(one).collect()
    }

    #[test]
    fn a_connection_stands_as_its_status_says() {
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
            (false, json!({ "conditions": good }), Standing::Ready, "Ready"),
            (true, json!({ "conditions": good }), Standing::Suspended, "Ready"),
            (false, json!({ "conditions": lost }), Standing::NeedsPerson, "Connected"),
            (true, json!({ "conditions": lost }), Standing::Suspended, "Ready"),
            (false, json!({ "conditions": limited, "failures": failures }), Standing::Retrying, "Synced"),
            (false, json!({ "conditions": holding, "held": held }), Standing::NeedsPerson, "Ready"),
            (false, json!({ "conditions": unscheduled }), Standing::NeedsPerson, "Stalled"),
            (false, json!({ "conditions": default }), Standing::NotSeen, "Ready"),
            (true, json!({ "conditions": default }), Standing::NotSeen, "Ready"),
            (false, json!({}), Standing::NotSeen, ""),
            (false, json!({ "conditions": first }), Standing::Waiting, "Ready"),
        ] {
            let report = Report::of(&connection(suspend, &status));
            assert_eq!((report.standing, report.message.as_str()), (expected, cause), "{status}");
        }
    }
}
