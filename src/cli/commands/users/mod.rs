//! `users`: the published list, or those of it that are meant.

pub(crate) mod filter;
pub(crate) mod output;

use std::time::Duration;

use jiff::SignedDuration;

use super::changes::change_log::parse_record;
use crate::{
    api::SliceState,
    cli::{
        args::{UsersArgs, UsersOutput},
        errors,
        exit_code::{CliError, ExitStatus},
        io::Io,
        kube_context::KubeContext,
        output::format::{format_age, format_duration},
    },
    roster::{self, LIST_STATES, PublishedUser, RemovedUser, RosterSnapshot},
};
use filter::UserFilter;
use output::{OutputRow, RemovedRow, UserRow};

pub(crate) async fn run(args: &UsersArgs, kube: &KubeContext, io: &mut Io<'_>) -> Result<ExitStatus, CliError> {
    if let Some(limit) = args.max_age {
        check_max_age(&args.name, limit, kube, io).await?;
    }
    let states = match (args.removed, args.held) {
        (true, _) => &[SliceState::Removed][..],
        (false, true) => &[SliceState::Held],
        (false, false) => LIST_STATES,
    };
    let snapshot = read_list(kube, &args.name, states).await?;
    let filter = UserFilter::from_args(args);
    if args.removed {
        let rows: Vec<RemovedRow<'_>> = matching_removed_users(&snapshot, &filter)?;
        return print_rows(&rows, args.output, io);
    }
    let rows = matching_users(&snapshot, states, &filter)?;
    print_rows(&rows, args.output, io)
}

/// Reads the list; where there is none, says whether there is a connection at all.
pub(crate) async fn read_list(
    kube: &KubeContext,
    name: &str,
    states: &[SliceState],
) -> Result<RosterSnapshot, CliError> {
    match roster::read_snapshot(&kube.roster_store(name), states, None).await {
        Ok(snapshot) => Ok(snapshot),
        Err(error) => Err(explain_read_error(&error, kube, name).await),
    }
}

/// Why a list could not be read. Who may read lists need not be allowed to read connections.
pub(crate) async fn explain_read_error(error: &roster::ReadError, kube: &KubeContext, name: &str) -> CliError {
    let missing = match error {
        roster::ReadError::NoRoster => kube.check_connection_exists(name).await.err(),
        roster::ReadError::Incomplete { .. } | roster::ReadError::NewerFormat { .. } | roster::ReadError::Kube(_) => {
            None
        }
    };
    missing.unwrap_or_else(|| errors::list_read_error(error, name, &kube.namespace))
}

fn matching_users<'a>(
    snapshot: &'a RosterSnapshot,
    states: &[SliceState],
    filter: &UserFilter,
) -> Result<Vec<UserRow<'a>>, CliError> {
    let mut rows = Vec::new();
    for state in states {
        for json in snapshot.record_lines(*state) {
            let user: PublishedUser<'_> = parse_record(json)?;
            if filter.matches(&user) {
                rows.push(UserRow { json, user, state: *state });
            }
        }
    }
    Ok(rows)
}

fn matching_removed_users<'a>(
    snapshot: &'a RosterSnapshot,
    filter: &UserFilter,
) -> Result<Vec<RemovedRow<'a>>, CliError> {
    let mut rows = Vec::new();
    for json in snapshot.record_lines(SliceState::Removed) {
        let user: RemovedUser = parse_record(json)?;
        if filter.matches_removed(&user) {
            rows.push(RemovedRow { json, user });
        }
    }
    Ok(rows)
}

fn print_rows<R: OutputRow>(rows: &[R], output: UsersOutput, io: &mut Io<'_>) -> Result<ExitStatus, CliError> {
    match output {
        UsersOutput::Table | UsersOutput::Wide if rows.is_empty() => {
            writeln!(io.err, "No users found. Look for near matches with kubectl boxsync why.")?;
        }
        UsersOutput::Table
        | UsersOutput::Wide
        | UsersOutput::Json
        | UsersOutput::Jsonl
        | UsersOutput::Csv
        | UsersOutput::Name => output::write_rows(io.out, rows, output)?,
    }
    Ok(ExitStatus::Success)
}

/// How fresh a list is stands in the connection: a sync that finds nothing new writes no list.
async fn check_max_age(name: &str, limit: Duration, kube: &KubeContext, io: &Io<'_>) -> Result<(), CliError> {
    let connection = kube.get_connection(name).await?;
    let Some(last) = connection.status.and_then(|s| s.last_sync) else {
        return Err(errors::list_read_error(&roster::ReadError::NoRoster, name, &kube.namespace));
    };
    let (time, now) = (last.completion_time.0, io.clock.now());
    let limit = SignedDuration::try_from(limit).unwrap_or(SignedDuration::MAX);
    if time.duration_until(now) <= limit {
        return Ok(());
    }
    let (age, limit) = (format_age(time, now), format_duration(limit));
    let namespace = &kube.namespace;
    Err(CliError::Message(
        ExitStatus::ListTooOld,
        format!(
            "the list of {name} is of {time}, {age} old, and may be {limit}. Fetch a new one with kubectl boxsync sync {name} -n {namespace} --wait."
        ),
    ))
}
