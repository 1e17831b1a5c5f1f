//! Why a list cannot be read, and what really happens next: that depends on its connection.

use jiff::Timestamp;

use crate::{
    api::{BoxConnection, ConnectionHealth, Evidence, FailureClass, Reason, RemovalHold, SliceState, judge},
    cli::{
        commands::held_removals::status_hold,
        errors,
        exit_code::{CliError, ExitStatus},
        kube_context::KubeContext,
        output::format::{format_number, pluralize},
    },
    roster::{LIST_STATES, ReadError},
};

/// Why a list cannot be read. The caller may have access to lists but not to connections. `states`: what was read.
pub(crate) async fn explain_read_error(
    error: &ReadError,
    states: &[SliceState],
    kube: &KubeContext,
    name: &str,
    now: Timestamp,
) -> CliError {
    if matches!(error, ReadError::NoRoster)
        && let Err(missing) = kube.check_connection_exists(name).await
    {
        return missing;
    }
    let connection = match error {
        ReadError::NoRoster | ReadError::Incomplete { .. } => kube.get_connection(name).await.ok(),
        ReadError::NewerFormat { .. } | ReadError::Kube(_) => None,
    };
    connection
        .and_then(|connection| explain_damage(error, states, &connection, name, &kube.namespace, now))
        .unwrap_or_else(|| errors::list_read_error(error, name, &kube.namespace))
}

/// The error for a list that was published and is gone, in whole or in part.
fn explain_damage(
    error: &ReadError,
    states: &[SliceState],
    connection: &BoxConnection,
    name: &str,
    namespace: &str,
    now: Timestamp,
) -> Option<CliError> {
    connection.status.as_ref()?.last_sync.as_ref()?;
    let (exit, what) = match error {
        ReadError::NoRoster => (
            ExitStatus::NoList,
            format!("the list of {name} is missing: its UserRoster was deleted (that is not an empty list)."),
        ),
        ReadError::Incomplete { revision } => (
            ExitStatus::Error,
            format!(
                "the list of {name} is incomplete: slices of revision {} are missing or damaged.",
                format_number(*revision)
            ),
        ),
        ReadError::NewerFormat { .. } | ReadError::Kube(_) => return None,
    };
    // A sync drops removed users and changes whose slices are lost; it needs only the users to compare them.
    let needs_users = matches!(error, ReadError::NoRoster) || states.iter().any(|state| LIST_STATES.contains(state));
    let next = next_step(connection, name, namespace, needs_users, now);
    Some(CliError::Message(exit, format!("{what} {next}")))
}

fn next_step(connection: &BoxConnection, name: &str, namespace: &str, needs_users: bool, now: Timestamp) -> String {
    let evidence = Evidence::only_status(now);
    let judgement = judge(connection, &evidence);
    let hold = status_hold(connection);
    let publish = format!("A sync publishes it again: kubectl boxsync sync {name} -n {namespace} --wait.");
    match (judgement.health, hold) {
        (ConnectionHealth::Suspended, _) => format!(
            "The connection is suspended: no sync publishes it again until it is resumed with {}",
            judgement.command.unwrap_or_default()
        ),
        (ConnectionHealth::NeedsAction, Some(hold)) if !prevents_syncs(&judgement.reason) => match needs_users {
            true => format!(
                "{} While they are held, a sync cannot publish it again without knowing who they are. Restore the list from a backup, or, if these users were really removed: kubectl boxsync approve {name} -n {namespace}.",
                count_held(hold)
            ),
            false => publish,
        },
        (ConnectionHealth::NeedsAction, _) => {
            let command = judgement.command.map(|command| format!(" {command}")).unwrap_or_default();
            format!("No sync can publish it again now. {} {}{command}", judgement.problem, judgement.action)
        }
        (
            ConnectionHealth::Ready
            | ConnectionHealth::Retrying
            | ConnectionHealth::Waiting
            | ConnectionHealth::Unobserved,
            _,
        ) => publish,
    }
}

/// Whether somebody must act on something else than held removals before a list can be fetched.
fn prevents_syncs(reason: &str) -> bool {
    Reason::parse(reason).is_some_and(|reason| match reason.failure_class() {
        FailureClass::Disconnected => true,
        FailureClass::Stalled => reason != Reason::RemovalsHeld,
        FailureClass::Neutral | FailureClass::Transient | FailureClass::Suspect | FailureClass::RequestRejected => {
            false
        }
    })
}

/// How many removals are held.
pub(super) fn count_held(hold: &RemovalHold) -> String {
    format!("Removals of {} of {} are held.", format_number(hold.removals), pluralize(hold.total, "user"))
}
