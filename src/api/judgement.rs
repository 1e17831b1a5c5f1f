//! What is wrong with a connection, since when, who acts, and what to type: one judgement for every view of it. Pure.

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use schemars::JsonSchema;
use serde::Serialize;
use strum::VariantArray;

use super::{
    AuthType, BoxConnection, BoxConnectionStatus, ConditionStatus, ConditionsExt, FailureClass, Reason, quotation,
    split_message,
};

/// A running operator takes up a new connection within seconds.
const PICKUP_TIME: SignedDuration = SignedDuration::from_secs(60);

/// Whether a connection works, and whether it needs action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema, VariantArray)]
pub enum ConnectionHealth {
    Ready,
    /// Somebody must act; `action` says who must do what.
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

/// What a reader of the published list found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListEvidence {
    /// Nobody has looked, or it is not allowed.
    NotRead,
    Complete,
    RosterMissing,
    SlicesMissing,
}

impl ListEvidence {
    /// Why the list cannot be read, in one sentence.
    pub const fn problem(self) -> Option<&'static str> {
        match self {
            ListEvidence::RosterMissing => Some("The list is missing: its UserRoster was deleted."),
            ListEvidence::SlicesMissing => Some("The list cannot be read: UserSlices of it were deleted."),
            ListEvidence::NotRead | ListEvidence::Complete => None,
        }
    }
}

/// Whether an operator runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperatorEvidence {
    /// Its Lease cannot be read.
    Unknown,
    Active,
    Absent,
}

/// What a view knows besides the connection itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evidence {
    pub list: ListEvidence,
    pub operator: OperatorEvidence,
    pub now: Timestamp,
}

impl Evidence {
    /// Of a view that looks at nothing but the connection.
    pub const fn only_status(now: Timestamp) -> Self {
        Self { list: ListEvidence::NotRead, operator: OperatorEvidence::Unknown, now }
    }
}

/// The judgement of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    pub health: ConnectionHealth,
    /// A reason of the conditions.
    pub reason: String,
    /// Since when it is so, as far as it is recorded.
    pub since: Option<Timestamp>,
    /// What happened, in one sentence.
    pub problem: String,
    /// Who does what; empty if nobody has to act.
    pub action: String,
    /// What Box said, or with the reason Internal the API server, word for word.
    pub quotation: Option<String>,
    /// The command that helps.
    pub command: Option<String>,
}

/// Judges a connection.
pub fn judge(connection: &BoxConnection, evidence: &Evidence) -> Judgement {
    let default_status = BoxConnectionStatus::default();
    let status = connection.status.as_ref().unwrap_or(&default_status);
    if status.conditions.is_empty() || status.conditions.reason("Ready") == Some(Reason::WaitingForOperator) {
        return judge_unobserved(connection, evidence);
    }
    let health = health_of(connection.spec.suspend, status);
    let kind = deciding_condition(status, health);
    let found = status.conditions.find_condition(kind);
    let message = found.map_or("", |condition| condition.message.as_str());
    let (problem, action) = split_message(message);
    let reason = found.map(|condition| condition.reason.clone()).unwrap_or_default();
    let held_since = status.held.as_ref().filter(|_| kind == "Ready").map(|held| held.time.0);
    let judgement = Judgement {
        health,
        since: match health {
            // Nothing records when a connection was suspended.
            ConnectionHealth::Suspended => None,
            _ => held_since.or_else(|| found.map(|condition| condition.last_transition_time.0)),
        },
        problem: problem.to_owned(),
        action: action.to_owned(),
        quotation: quotation(message).map(str::to_owned),
        command: helpful_command(connection, &reason),
        reason,
    };
    match evidence.list.problem().filter(|_| status.last_sync.is_some()) {
        Some(damage) => with_damaged_list(connection, judgement, damage),
        None => judgement,
    }
}

/// The connection's `Ready` says otherwise until the operator has looked, which it does every hour.
fn with_damaged_list(connection: &BoxConnection, judgement: Judgement, damage: &str) -> Judgement {
    match judgement.health {
        ConnectionHealth::NeedsAction => {
            let action = if judgement.action.is_empty() { judgement.problem } else { judgement.action };
            Judgement { problem: damage.to_owned(), action, quotation: None, ..judgement }
        }
        ConnectionHealth::Suspended => Judgement { problem: damage.to_owned(), ..judgement },
        ConnectionHealth::Ready
        | ConnectionHealth::Retrying
        | ConnectionHealth::Waiting
        | ConnectionHealth::Unobserved => Judgement {
            health: ConnectionHealth::Retrying,
            reason: Reason::Syncing.as_str().to_owned(),
            since: None,
            problem: damage.to_owned(),
            action: "A sync publishes it again; by itself the operator notices within the hour.".to_owned(),
            quotation: None,
            command: Some(sync_command(connection)),
        },
    }
}

fn judge_unobserved(connection: &BoxConnection, evidence: &Evidence) -> Judgement {
    let created = connection.metadata.creation_timestamp.as_ref().map(|time| time.0);
    let overdue = created.is_some_and(|created| created.duration_until(evidence.now) > PICKUP_TIME);
    let namespace = connection.namespace().unwrap_or_default();
    let (health, problem, action) = match (evidence.operator, overdue) {
        (OperatorEvidence::Absent, _) => (
            ConnectionHealth::NeedsAction,
            "No operator runs.".to_owned(),
            "A cluster admin starts it, or installs the chart boxsync-operator.".to_owned(),
        ),
        (OperatorEvidence::Active | OperatorEvidence::Unknown, true) => (
            ConnectionHealth::NeedsAction,
            format!("No operator watches namespace {namespace}."),
            "A cluster admin adds it to the namespaces of an operator (chart value watchNamespaces).".to_owned(),
        ),
        (OperatorEvidence::Active | OperatorEvidence::Unknown, false) => {
            (ConnectionHealth::Unobserved, format!("{}.", Reason::WaitingForOperator.summary()), String::new())
        }
    };
    Judgement {
        health,
        reason: Reason::WaitingForOperator.as_str().to_owned(),
        since: created.filter(|_| health == ConnectionHealth::NeedsAction),
        problem,
        action,
        quotation: None,
        command: None,
    }
}

fn health_of(suspend: bool, status: &BoxConnectionStatus) -> ConnectionHealth {
    if suspend {
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

/// The condition that explains the health: that of the cause, because Ready says no more than that the list is stale.
fn deciding_condition(status: &BoxConnectionStatus, health: ConnectionHealth) -> &'static str {
    let broken =
        ["Connected", "Synced"].into_iter().find(|kind| status.conditions.has_status(kind, ConditionStatus::False));
    match health {
        // An invalid schedule sets neither Connected nor Synced to False.
        ConnectionHealth::NeedsAction
            if broken.is_none() && status.conditions.has_status("Stalled", ConditionStatus::True) =>
        {
            "Stalled"
        }
        // A passing failure does not hide that somebody must decide about removals.
        ConnectionHealth::NeedsAction if status.held.is_some() && broken == Some("Synced") => {
            let stalled = status.conditions.has_status("Stalled", ConditionStatus::True);
            if stalled { "Synced" } else { "Ready" }
        }
        ConnectionHealth::NeedsAction | ConnectionHealth::Retrying => broken.unwrap_or("Ready"),
        ConnectionHealth::Ready
        | ConnectionHealth::Waiting
        | ConnectionHealth::Suspended
        | ConnectionHealth::Unobserved => "Ready",
    }
}

/// The command that makes the operator try now.
pub fn sync_command(connection: &BoxConnection) -> String {
    plugin_command("sync", connection) + " --wait"
}

/// A command of the plugin for this connection.
pub fn plugin_command(verb: &str, connection: &BoxConnection) -> String {
    format!("kubectl boxsync {verb} {} -n {}", connection.name_any(), connection.namespace().unwrap_or_default())
}

/// The command that helps with this reason.
fn helpful_command(connection: &BoxConnection, reason: &str) -> Option<String> {
    let reason = Reason::parse(reason)?;
    let (name, namespace) = (connection.name_any(), connection.namespace().unwrap_or_default());
    let by_user = connection.spec.auth.selected_method().is_some_and(|(method, _)| method == AuthType::Oauth2);
    if connection.spec.suspend {
        return Some(format!(
            "kubectl patch boxconnection {name} -n {namespace} --type merge -p '{{\"spec\":{{\"suspend\":false}}}}'"
        ));
    }
    match reason {
        Reason::RemovalsHeld => Some(plugin_command("approve", connection)),
        Reason::AppNotAuthorized | Reason::AccessBlocked | Reason::PermissionDenied => {
            Some(plugin_command("handover", connection))
        }
        Reason::AuthorizationExpired | Reason::EnterpriseMismatch if !by_user => {
            Some(plugin_command("handover", connection))
        }
        Reason::AuthorizationExpired
        | Reason::EnterpriseMismatch
        | Reason::RestoredTokens
        | Reason::CredentialsMissing
        | Reason::CredentialsInvalid
        | Reason::CredentialsRejected => Some(plugin_command("connect", connection)),
        Reason::ScheduleInvalid => Some(format!("kubectl edit boxconnection {name} -n {namespace}")),
        _ => match reason.failure_class() {
            FailureClass::Transient | FailureClass::Suspect | FailureClass::Stalled => Some(sync_command(connection)),
            FailureClass::Neutral | FailureClass::Disconnected | FailureClass::RequestRejected => None,
        },
    }
}

#[cfg(test)]
mod tests {
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
        let failing =
            json!({ "failures": { "reason": "RateLimited", "count": 1, "lastTime": "2026-11-22T10:00:00Z" } });
        let lost = |reason| {
            status(
                &[("Ready", "False", reason), ("Connected", "False", reason), ("Stalled", "True", reason)],
                &Value::Null,
            )
        };
        let limited = [
            ("Ready", "True", "LastAttemptFailed"),
            ("Connected", "True", "Connected"),
            ("Synced", "False", "RateLimited"),
        ];
        let holding =
            [("Ready", "True", "RemovalsHeld"), ("Connected", "True", "Connected"), ("Synced", "True", "Synced")];
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
            (suspended.clone(), status(&[("Ready", "True", "Suspended")], &Value::Null), format!("Suspended Suspended | Ready happened. | Ready acts. | {resume}")),
            (suspended, lost("AppNotAuthorized"), format!("Suspended AppNotAuthorized | Ready happened. | Ready acts. | {resume}")),
            (Value::Null, status(&[("Ready", "Unknown", "Syncing")], &Value::Null), "Waiting Syncing | Ready happened. | Ready acts. | -".to_owned()),
        ] {
            assert_eq!(row(&judge(&connection(&spec, &status), &evidence())), expected);
        }
    }

    #[test]
    fn a_list_that_cannot_be_read_is_said_whatever_the_status_says() {
        let synced = json!({ "lastSync": { "startTime": NOW, "completionTime": NOW, "trigger": "Scheduled", "added": 0, "updated": 0, "removed": 0, "revision": 3 } });
        let mut held = synced.clone();
        held["held"] = json!({ "time": "2026-11-22T09:00:00Z", "removals": 250, "total": 1200, "digest": "d" });
        let holding =
            [("Ready", "True", "RemovalsHeld"), ("Connected", "True", "Connected"), ("Synced", "True", "Synced")];
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
        assert_eq!(
            judge(&synced, &evidence()).since.map(|time| time.to_string()),
            Some("2026-11-22T10:00:00Z".to_owned())
        );
    }
}
