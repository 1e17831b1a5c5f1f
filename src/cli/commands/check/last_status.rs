//! What the operator last saw of a connection, and when it looks again. Pure.

use std::fmt::Write;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use serde::Serialize;

use crate::{
    api::{BoxConnection, BoxConnectionStatus, ConditionStatus, ConditionsExt, Reason, SyncFailures},
    auth::reconnect_interval,
    cli::{
        commands::status::{
            health::{ConnectionHealth, ConnectionReport},
            leader::LeaderStatus,
            summary,
        },
        io::ColorMode,
        output::format::{format_age, format_number, format_relative_time, format_time},
    },
};

#[derive(Serialize)]
pub(crate) struct LastStatus {
    operator: LeaderStatus,
    connection: ConnectionReport,
    conditions: Vec<Condition>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failures: Option<SyncFailures>,
    #[serde(skip)]
    status: BoxConnectionStatus,
    #[serde(skip)]
    now: Timestamp,
}

impl LastStatus {
    pub(crate) fn new(operator: LeaderStatus, connection: &BoxConnection, now: Timestamp) -> Self {
        let status = connection.status.clone().unwrap_or_default();
        let (conditions, failures) = (status.conditions.clone(), status.failures.clone());
        Self { operator, connection: ConnectionReport::from_connection(connection), conditions, failures, status, now }
    }

    pub(crate) fn render_last_status(&self, color: ColorMode) -> String {
        let Self { operator, connection, conditions, failures, status, now } = self;
        let mut text = format!("{}\n", color.bold("What the operator last saw"));
        let _ = writeln!(text, "{}", operator.status_line(color, *now));
        text.push_str(&summary::render_connection(connection, Some(status), color, *now));
        for condition in ["Connected", "Ready", "Synced"].iter().filter_map(|kind| conditions.find_condition(kind)) {
            let Condition { type_, status, reason, last_transition_time, .. } = condition;
            let _ = write!(text, "  {type_:<9}  {status} · {reason}");
            // What the API server puts in for a new connection has no time of its own.
            if *reason != Reason::WaitingForOperator.as_str() {
                let _ = write!(text, " · for {}", format_age(last_transition_time.0, *now));
            }
            text.push('\n');
        }
        if let Some(SyncFailures { reason, count, last_time, .. }) = failures {
            let last = format_relative_time(last_time.0, *now);
            let _ = writeln!(text, "  failures   {} in a row · the last {last} · {reason}", format_number(*count));
        }
        text
    }

    fn is_ready(&self) -> bool {
        match self.connection.health {
            ConnectionHealth::Ready => true,
            ConnectionHealth::NeedsAction
            | ConnectionHealth::Retrying
            | ConnectionHealth::Waiting
            | ConnectionHealth::Suspended
            | ConnectionHealth::Unobserved => false,
        }
    }

    /// What is said where nothing is found to be wrong from here.
    pub(crate) fn no_action_message(&self) -> String {
        let ConnectionReport { name, namespace, reason, .. } = &self.connection;
        if self.is_ready() {
            return "Nothing to do.".to_owned();
        }
        if self.connection.held.is_some() {
            return format!(
                "What to do: nothing in Box. Removals are held: look who they are with kubectl boxsync users {name} -n {namespace} --held."
            );
        }
        format!(
            "What to do: nothing that shows from here. To have the operator look at once: kubectl boxsync sync {name} -n {namespace} --wait. If it goes on saying {reason}, what differs is the place where it runs: its network, proxy and clock."
        )
    }

    /// When the operator looks again.
    pub(crate) fn next_check_message(&self) -> String {
        let Self { operator, connection, status, now, .. } = self;
        match operator {
            LeaderStatus::NoLease { .. } | LeaderStatus::Expired { .. } => {
                return "No operator leads: it is looked at again once one does.".to_owned();
            }
            LeaderStatus::Active { .. } | LeaderStatus::Unknown { .. } => {}
        }
        if connection.health == ConnectionHealth::Suspended {
            return "The connection is suspended: the operator looks again once spec.suspend is false.".to_owned();
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
                "The operator looks at the Secret every minute and tries new content at once; it asks Box {every}, and syncs as soon as Box lets it in."
            );
        }
        let retry = status.failures.as_ref().and_then(|f| f.retry_time.as_ref());
        match (retry, connection.next_sync_time) {
            (Some(time), _) => {
                format!("The operator tries again at {} ({}).", format_time(time.0), format_relative_time(time.0, *now))
            }
            (None, Some(next)) => format!(
                "The operator syncs again at {} ({}); in between it checks the connection about every hour.",
                format_time(next),
                format_relative_time(next, *now)
            ),
            (None, None) => "The operator looks at it as soon as it can.".to_owned(),
        }
    }
}

/// The failure that holds a connection up, and since when: what is wrong with the connection before what is wrong with
/// its list.
pub(crate) fn root_failure(connection: &BoxConnection) -> Option<(Reason, Timestamp)> {
    let conditions = &connection.status.as_ref()?.conditions;
    let broken =
        ["Connected", "Synced"].into_iter().find(|kind| conditions.has_status(kind, ConditionStatus::False))?;
    Some((conditions.reason(broken)?, conditions.find_condition(broken)?.last_transition_time.0))
}

/// The client id of the app that the operator signed in with, where it got as far.
pub(crate) fn signed_in_client_id(connection: &BoxConnection) -> Option<String> {
    let app = connection.status.as_ref()?.app.as_ref()?;
    Some(app.client_id.clone()).filter(|id| !id.is_empty())
}

/// The name of the connection and its namespace, as flags have them.
pub(crate) fn connection_args(connection: &BoxConnection) -> String {
    format!("{} -n {}", connection.name_any(), connection.namespace().unwrap_or_default())
}
