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
    let command = helpful_command(connection, &reason);
    let held_since = status.held.as_ref().filter(|_| kind == "Ready").map(|held| held.time.0);
    let judgement = Judgement {
        health,
        since: match health {
            // Nothing records when a connection was suspended.
            ConnectionHealth::Suspended => None,
            _ => held_since.or_else(|| found.map(|condition| condition.last_transition_time.0)),
        },
        problem: problem.to_owned(),
        action: without_command(action, command.as_deref()),
        quotation: quotation(message).map(str::to_owned),
        command,
        reason,
    };
    let judgement = if health == ConnectionHealth::Suspended { while_suspended(judgement) } else { judgement };
    match evidence.list.problem().filter(|_| status.last_sync.is_some()) {
        Some(damage) => with_damaged_list(connection, judgement, damage),
        None => judgement,
    }
}

/// Nobody has to act on what was wrong before; it is told all the same.
fn while_suspended(judgement: Judgement) -> Judgement {
    let suspended = Reason::Suspended.as_str();
    let problem = match judgement.reason == suspended {
        true => judgement.problem,
        false => format!("{}. Before that: {}", Reason::Suspended.summary(), judgement.problem),
    };
    Judgement { reason: suspended.to_owned(), problem, action: String::new(), quotation: None, ..judgement }
}

/// The action without the command at its end, which every view shows by itself.
fn without_command(action: &str, command: Option<&str>) -> String {
    let sentence = action.strip_suffix('.').unwrap_or(action);
    match command.and_then(|command| sentence.strip_suffix(command)) {
        Some(rest) => format!("{}.", rest.trim_end_matches([' ', ':'])),
        None => action.to_owned(),
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
#[path = "judgement_tests.rs"]
mod tests;
