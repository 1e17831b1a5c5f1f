//! The last status of a connection from the operator, and its next check. Pure.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    api::{
        BoxConnection, BoxConnectionStatus, ConditionStatus, ConditionsExt, ConnectionHealth, Evidence, ListEvidence,
        Reason, SyncFailures,
    },
    auth::reconnect_interval,
    cli::{
        commands::status::{
            health::{ConnectionReport, format_planned_time},
            leader::LeaderStatus,
            summary,
        },
        output::{
            format::{format_age, format_number, format_relative_time},
            styled::StyledText,
        },
    },
};

/// The connection as the operator last reported it.
#[derive(Serialize, JsonSchema)]
pub(crate) struct LastStatus {
    operator: LeaderStatus,
    connection: ConnectionReport,
    /// `status.conditions` of the BoxConnection.
    conditions: Vec<Condition>,
    /// `status.failures` of the BoxConnection; absent if the last attempt succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    failures: Option<SyncFailures>,
    #[serde(skip)]
    status: BoxConnectionStatus,
    #[serde(skip)]
    now: Timestamp,
}

impl LastStatus {
    pub(crate) fn new(operator: LeaderStatus, connection: &BoxConnection, list: ListEvidence, now: Timestamp) -> Self {
        let status = connection.status.clone().unwrap_or_default();
        let (conditions, failures) = (status.conditions.clone(), status.failures.clone());
        let evidence = Evidence { list, operator: operator.evidence(), now };
        Self { operator, connection: ConnectionReport::new(connection, &evidence), conditions, failures, status, now }
    }

    pub(crate) fn render_last_status(&self) -> StyledText {
        let Self { operator, connection, conditions, failures, status, now } = self;
        let mut text = operator.status_line(*now);
        text.newline().append(summary::render_connection(connection, Some(status), *now));
        for condition in ["Connected", "Ready", "Synced"].iter().filter_map(|kind| conditions.find_condition(kind)) {
            let Condition { type_, status, reason, last_transition_time, .. } = condition;
            text.text(&format!("  {type_:<9}  {status} · {reason}"));
            // The condition that the CRD sets by default has no transition time.
            if *reason != Reason::WaitingForOperator.as_str() {
                text.text(&format!(" · for {}", format_age(last_transition_time.0, *now)));
            }
            text.newline();
        }
        if let Some(SyncFailures { reason, count, last_time, .. }) = failures {
            let last = format_relative_time(last_time.0, *now);
            text.line(&format!("  failures   {} consecutive, last {last} · {reason}", format_number(*count)));
        }
        text
    }

    /// No operator works on the connection, and what to do about it.
    pub(crate) fn unwatched(&self) -> Option<(&str, &str)> {
        let ConnectionReport { health, reason, problem, action, .. } = &self.connection;
        let unobserved = *health == ConnectionHealth::NeedsAction && *reason == Reason::WaitingForOperator.as_str();
        unobserved.then_some((problem, action))
    }

    /// What the operator knows of a problem, with what to do: it comes before what this terminal found.
    pub(crate) fn verdict(&self) -> Option<String> {
        let ConnectionReport { health, problem, action, command, .. } = &self.connection;
        let command = command.as_deref().unwrap_or_default();
        let with_command = |text: &str| match command {
            "" => text.to_owned(),
            command => format!("{} ({command}).", text.trim_end_matches('.')),
        };
        match health {
            ConnectionHealth::Ready | ConnectionHealth::Unobserved => None,
            ConnectionHealth::Suspended => Some(with_command("none while it is suspended; resume it")),
            ConnectionHealth::NeedsAction | ConnectionHealth::Retrying | ConnectionHealth::Waiting
                if !action.is_empty() =>
            {
                Some(with_command(action))
            }
            ConnectionHealth::Waiting => None,
            ConnectionHealth::Retrying => Some(format!("none at first. {problem} It is tried again: {command}.")),
            ConnectionHealth::NeedsAction => Some(with_command(problem)),
        }
    }

    /// When the operator checks the connection again.
    pub(crate) fn next_check_message(&self) -> String {
        let Self { operator, connection, status, now, .. } = self;
        match operator {
            LeaderStatus::NoLease { .. } | LeaderStatus::Expired { .. } => {
                return "No leader: nothing is checked until there is one.".to_owned();
            }
            LeaderStatus::Active { .. } | LeaderStatus::Unconfirmed { .. } | LeaderStatus::Unknown { .. } => {}
        }
        if self.unwatched().is_some() {
            return "Nothing is checked until an operator watches the namespace.".to_owned();
        }
        if connection.paused_since.is_some() {
            return "The operator is paused: nothing is checked until it runs without --paused.".to_owned();
        }
        if connection.health == ConnectionHealth::Suspended {
            return "The connection is suspended: the operator resumes when spec.suspend is false.".to_owned();
        }
        if status.conditions.has_status("Connected", ConditionStatus::False) {
            let disconnected_at =
                status.conditions.find_condition("Connected").map_or(*now, |c| c.last_transition_time.0);
            let every = match reconnect_interval(disconnected_at.duration_until(*now)).as_secs() / 60 {
                1 => "every minute now, every 15 minutes later".to_owned(),
                minutes @ ..15 => format!("every {minutes} minutes now, every 15 minutes later"),
                minutes => format!("every {minutes} minutes"),
            };
            return format!(
                "The operator checks the Secret every minute and tries changes at once; it retries Box {every}, and syncs as soon as sign-in succeeds."
            );
        }
        let retry = status.failures.as_ref().and_then(|f| f.retry_time.as_ref());
        match (retry, connection.next_sync_time) {
            (Some(time), _) => format!("The operator's next attempt: {}.", format_planned_time(time.0, *now)),
            (None, Some(next)) => format!(
                "The operator's next sync: {}; in between it checks the connection about every hour.",
                format_planned_time(next, *now)
            ),
            (None, None) if connection.reason == Reason::ScheduleInvalid.as_str() => {
                "There is no next sync until spec.schedule is corrected; the connection is checked about every hour."
                    .to_owned()
            }
            (None, None) => "The operator will check it as soon as possible.".to_owned(),
        }
    }
}
