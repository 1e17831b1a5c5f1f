//! The table of judgements.

use serde_json::{Value, json};

use super::*;

const NOW: &str = "2026-11-22T12:00:00Z";

fn connection(spec: &Value, status: &Value) -> BoxConnection {
    let mut connection = json!({
        "apiVersion": "boxsync.dev/v1alpha1", "kind": "BoxConnection",
        "metadata": { "name": "acme", "namespace": "backup", "creationTimestamp": "2026-11-22T10:00:00Z" },
        "spec": { "enterpriseId": "1", "auth": { "clientCredentials": { "secretRef": { "name": "acme-box" } } } },
        "status": status,
    });
    for (key, value) in spec.as_object().into_iter().flatten() {
        connection["spec"][key] = value.clone();
    }
    serde_json::from_value(connection).expect("a connection")
}

fn evidence() -> Evidence {
    let now = NOW.parse().expect("a time");
    Evidence { list: ListEvidence::Complete, operator: OperatorEvidence::Active, now }
}

fn conditions(conditions: &[(&str, &str, &str)]) -> Value {
    let one = |(kind, status, reason): &(&str, &str, &str)| json!({ "type": kind, "status": status, "reason": reason, "message": format!("{kind} happened. {kind} acts."), "lastTransitionTime": "2026-11-22T10:00:00Z" });
    conditions.iter().map(one).collect()
}

fn status(states: &[(&str, &str, &str)], more: &Value) -> Value {
    let mut status = json!({ "conditions": conditions(states) });
    for (key, value) in more.as_object().into_iter().flatten() {
        status[key] = value.clone();
    }
    status
}

const SYNCED: [(&str, &str, &str); 3] =
    [("Ready", "True", "Synced"), ("Connected", "True", "Connected"), ("Synced", "True", "Synced")];

/// The judgement as a row: health, reason, problem, action, command.
fn row(judgement: &Judgement) -> String {
    let Judgement { health, reason, problem, action, command, .. } = judgement;
    format!("{health:?} {reason} | {problem} | {action} | {}", command.as_deref().unwrap_or("-"))
}

#[test]
fn every_state_has_its_judgement() {
    let held = json!({ "held": { "time": "2026-11-22T09:00:00Z", "removals": 250, "total": 1200, "digest": "d" } });
    let failing = json!({ "failures": { "reason": "RateLimited", "count": 1, "lastTime": "2026-11-22T10:00:00Z" } });
    let lost = |reason| {
        status(&[("Ready", "False", reason), ("Connected", "False", reason), ("Stalled", "True", reason)], &Value::Null)
    };
    let limited = [
        ("Ready", "True", "LastAttemptFailed"),
        ("Connected", "True", "Connected"),
        ("Synced", "False", "RateLimited"),
    ];
    let holding = [("Ready", "True", "RemovalsHeld"), ("Connected", "True", "Connected"), ("Synced", "True", "Synced")];
    let holding_and_limited =
        [("Ready", "True", "RemovalsHeld"), ("Connected", "True", "Connected"), ("Synced", "False", "RateLimited")];
    let blocked = [
        ("Ready", "False", "RemovalsHeld"),
        ("Connected", "True", "Connected"),
        ("Synced", "False", "RemovalsHeld"),
        ("Stalled", "True", "RemovalsHeld"),
    ];
    let unscheduled = [("Ready", "True", "Synced"), ("Stalled", "True", "ScheduleInvalid")];
    let resume = "kubectl patch boxconnection acme -n backup --type merge -p '{\"spec\":{\"suspend\":false}}'";
    let oauth = json!({ "auth": { "oauth2": { "secretRef": { "name": "acme-box" } } } });
    let suspended = json!({ "suspend": true });
    for (spec, status, expected) in [
        (Value::Null, status(&SYNCED, &Value::Null), "Ready Synced | Ready happened. | Ready acts. | -".to_owned()),
        (Value::Null, status(&limited, &failing), "Retrying RateLimited | Synced happened. | Synced acts. | kubectl boxsync sync acme -n backup --wait".to_owned()),
        (Value::Null, status(&holding, &held), "NeedsAction RemovalsHeld | Ready happened. | Ready acts. | kubectl boxsync approve acme -n backup".to_owned()),
        (Value::Null, status(&holding_and_limited, &held), "NeedsAction RemovalsHeld | Ready happened. | Ready acts. | kubectl boxsync approve acme -n backup".to_owned()),
        (Value::Null, status(&blocked, &held), "NeedsAction RemovalsHeld | Synced happened. | Synced acts. | kubectl boxsync approve acme -n backup".to_owned()),
        (Value::Null, status(&unscheduled, &Value::Null), "NeedsAction ScheduleInvalid | Stalled happened. | Stalled acts. | kubectl edit boxconnection acme -n backup".to_owned()),
        (Value::Null, lost("AppNotAuthorized"), "NeedsAction AppNotAuthorized | Connected happened. | Connected acts. | kubectl boxsync handover acme -n backup".to_owned()),
        (Value::Null, lost("AuthorizationExpired"), "NeedsAction AuthorizationExpired | Connected happened. | Connected acts. | kubectl boxsync handover acme -n backup".to_owned()),
        (oauth, lost("AuthorizationExpired"), "NeedsAction AuthorizationExpired | Connected happened. | Connected acts. | kubectl boxsync connect acme -n backup".to_owned()),
        (Value::Null, lost("CredentialsRejected"), "NeedsAction CredentialsRejected | Connected happened. | Connected acts. | kubectl boxsync connect acme -n backup".to_owned()),
        (suspended.clone(), status(&[("Ready", "True", "Suspended")], &Value::Null), format!("Suspended Suspended | Ready happened. |  | {resume}")),
        (suspended, lost("AppNotAuthorized"), format!("Suspended Suspended | The connection is suspended. Before that: Ready happened. |  | {resume}")),
        (Value::Null, status(&[("Ready", "Unknown", "Syncing")], &Value::Null), "Waiting Syncing | Ready happened. | Ready acts. | -".to_owned()),
    ] {
        assert_eq!(row(&judge(&connection(&spec, &status), &evidence())), expected);
    }
}

#[test]
fn the_command_is_not_part_of_the_action() {
    let command = Some("kubectl boxsync approve acme -n backup");
    for (action, expected) in [
        ("Review them: kubectl boxsync approve acme -n backup.", "Review them."),
        (
            "Use kubectl boxsync approve acme -n backup to approve.",
            "Use kubectl boxsync approve acme -n backup to approve.",
        ),
        ("Ask a Box admin.", "Ask a Box admin."),
        ("", ""),
    ] {
        assert_eq!(without_command(action, command), expected);
        assert_eq!(without_command(action, None), action);
    }
}

#[test]
fn a_list_that_cannot_be_read_is_said_whatever_the_status_says() {
    let synced = json!({ "lastSync": { "startTime": NOW, "completionTime": NOW, "trigger": "Scheduled", "added": 0, "updated": 0, "removed": 0, "revision": 3 } });
    let mut held = synced.clone();
    held["held"] = json!({ "time": "2026-11-22T09:00:00Z", "removals": 250, "total": 1200, "digest": "d" });
    let holding = [("Ready", "True", "RemovalsHeld"), ("Connected", "True", "Connected"), ("Synced", "True", "Synced")];
    let damaged = Evidence { list: ListEvidence::SlicesMissing, ..evidence() };
    for (status, expected) in [
        (
            status(&SYNCED, &synced),
            "Retrying Syncing | The list cannot be read: UserSlices of it were deleted. | A sync publishes it again; by itself the operator notices within the hour. | kubectl boxsync sync acme -n backup --wait",
        ),
        (
            status(&holding, &held),
            "NeedsAction RemovalsHeld | The list cannot be read: UserSlices of it were deleted. | Ready acts. | kubectl boxsync approve acme -n backup",
        ),
        (status(&SYNCED, &Value::Null), "Ready Synced | Ready happened. | Ready acts. | -"),
    ] {
        assert_eq!(row(&judge(&connection(&Value::Null, &status), &damaged)), expected);
    }
}

#[test]
fn a_connection_that_no_operator_takes_up_is_told_after_a_minute() {
    let waiting = status(&[("Ready", "Unknown", "WaitingForOperator")], &Value::Null);
    let connection = connection(&Value::Null, &waiting);
    let at = |now: &str, operator| Evidence { operator, now: now.parse().expect("a time"), ..evidence() };
    for (evidence, expected) in [
        (
            at("2026-11-22T10:01:00Z", OperatorEvidence::Active),
            "Unobserved WaitingForOperator | No operator has processed this yet. |  | -",
        ),
        (
            at("2026-11-22T10:01:01Z", OperatorEvidence::Active),
            "NeedsAction WaitingForOperator | No operator watches namespace backup. | A cluster admin adds it to the namespaces of an operator (chart value watchNamespaces). | -",
        ),
        (
            at("2026-11-22T10:00:01Z", OperatorEvidence::Absent),
            "NeedsAction WaitingForOperator | No operator runs. | A cluster admin starts it, or installs the chart boxsync-operator. | -",
        ),
    ] {
        assert_eq!(row(&judge(&connection, &evidence)), expected);
    }
}

#[test]
fn nothing_says_since_when_a_connection_is_suspended() {
    let suspended = connection(&json!({ "suspend": true }), &status(&SYNCED, &Value::Null));
    assert_eq!(judge(&suspended, &evidence()).since, None);
    let synced = connection(&Value::Null, &status(&SYNCED, &Value::Null));
    assert_eq!(judge(&synced, &evidence()).since.map(|time| time.to_string()), Some("2026-11-22T10:00:00Z".to_owned()));
}
