//! Reads a list, and waits for one that does not exist or is too old.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::{
    args::UsersArgs,
    read_error::{count_held, explain_read_error},
};
use crate::{
    api::{BoxConnection, RemovalHold, SliceState},
    cli::{
        commands::held_removals::status_hold,
        errors,
        exit_code::{CliError, ExitStatus},
        io::Io,
        kube_context::KubeContext,
        output::format::{format_age, format_duration},
    },
    kube_client::KubeError,
    roster::{self, ReadError, RosterSnapshot},
};

const POLL_INTERVAL: Duration = Duration::from_secs(3);

/// Why an attempt to read a list failed.
struct ReadFailure {
    error: CliError,
    /// Whether it may pass without a change of the command or of the caller's rights.
    may_pass: bool,
}

/// Reads the list. The error says what happens next.
pub(crate) async fn read_list(
    kube: &KubeContext,
    name: &str,
    states: &[SliceState],
    now: Timestamp,
) -> Result<RosterSnapshot, CliError> {
    try_read(kube, name, states, now).await.map_err(|failure| failure.error)
}

/// Reads a list that is not older than `--max-age`. With `--wait`, one that is missing, damaged or too old is waited for, and
/// so is a connection that does not exist yet.
pub(super) async fn read_or_wait(
    args: &UsersArgs,
    states: &[SliceState],
    kube: &KubeContext,
    io: &mut Io<'_>,
) -> Result<RosterSnapshot, CliError> {
    let (start, limit) = (Instant::now(), args.wait.unwrap_or_default());
    let mut told = false;
    loop {
        let ReadFailure { error, may_pass } = match try_read_fresh(args, states, kube, io.clock.now()).await {
            Ok(snapshot) => return Ok(snapshot),
            Err(failure) => failure,
        };
        let left = limit.saturating_sub(start.elapsed());
        if !may_pass || left.is_zero() {
            return Err(error);
        }
        if let CliError::Message(_, message) = &error
            && !told
        {
            let limit = SignedDuration::try_from(limit).unwrap_or(SignedDuration::MAX);
            writeln!(io.err, "waiting up to {}: {message}", format_duration(limit))?;
            told = true;
        }
        tokio::time::sleep(left.min(POLL_INTERVAL)).await;
    }
}

async fn try_read_fresh(
    args: &UsersArgs,
    states: &[SliceState],
    kube: &KubeContext,
    now: Timestamp,
) -> Result<RosterSnapshot, ReadFailure> {
    let name = &args.name;
    if let Some(limit) = args.max_age {
        let connection = match kube.find_connection(name).await {
            Ok(connection) => connection,
            Err(error) => {
                let may_pass = error.is_unavailable() || matches!(error, KubeError::NotFound | KubeError::UnknownKind);
                return Err(ReadFailure { error: kube.explain_missing_connection(name, error).await, may_pass });
            }
        };
        check_age(&connection, limit, name, kube, now).map_err(|error| ReadFailure { error, may_pass: true })?;
    }
    let read = try_read(kube, name, states, now).await;
    match (read, args.held) {
        // The connection says how many are held, whatever became of the list.
        (Err(ReadFailure { error: CliError::Message(exit, error), may_pass }), true) => {
            let named = read_hold(kube, name).await.map_or_else(
                || error.clone(),
                |hold| {
                    let held = count_held(&hold);
                    let rest = error.replace(&format!("{held} "), "");
                    format!("{held} The list cannot name them: {rest}")
                },
            );
            Err(ReadFailure { error: CliError::Message(exit, named), may_pass })
        }
        (read, _) => read,
    }
}

async fn try_read(
    kube: &KubeContext,
    name: &str,
    states: &[SliceState],
    now: Timestamp,
) -> Result<RosterSnapshot, ReadFailure> {
    match roster::read_snapshot(&kube.roster_store(name), states, None).await {
        Ok(snapshot) => Ok(snapshot),
        Err(error) => {
            let may_pass = match &error {
                ReadError::NoRoster | ReadError::Incomplete { .. } => true,
                ReadError::NewerFormat { .. } => false,
                ReadError::Kube(error) => error.is_unavailable() || *error == KubeError::UnknownKind,
            };
            Err(ReadFailure { error: explain_read_error(&error, states, kube, name, now).await, may_pass })
        }
    }
}

/// The hold of the connection. The caller may have access to lists but not to connections.
pub(super) async fn read_hold(kube: &KubeContext, name: &str) -> Option<RemovalHold> {
    status_hold(&kube.find_connection(name).await.ok()?).cloned()
}

/// Compares the age of the list with `--max-age`.
///
/// # Errors
/// The list is older, or its connection cannot be read.
pub(crate) async fn check_max_age(
    name: &str,
    limit: Duration,
    kube: &KubeContext,
    now: Timestamp,
) -> Result<(), CliError> {
    check_age(&kube.get_connection(name).await?, limit, name, kube, now)
}

/// The age of a list is in the connection: a sync without changes writes no list.
fn check_age(
    connection: &BoxConnection,
    limit: Duration,
    name: &str,
    kube: &KubeContext,
    now: Timestamp,
) -> Result<(), CliError> {
    let namespace = &kube.namespace;
    let Some(last) = connection.status.as_ref().and_then(|status| status.last_sync.as_ref()) else {
        return Err(errors::list_read_error(&ReadError::NoRoster, name, namespace));
    };
    let time = last.completion_time.0;
    let limit = SignedDuration::try_from(limit).unwrap_or(SignedDuration::MAX);
    if time.duration_until(now) <= limit {
        return Ok(());
    }
    let (age, limit) = (format_age(time, now), format_duration(limit));
    Err(CliError::Message(
        ExitStatus::ListTooOld,
        format!(
            "the list of {name} is from {time}: it is {age} old, the limit is {limit}. Fetch a new one with kubectl boxsync sync {name} -n {namespace} --wait."
        ),
    ))
}
