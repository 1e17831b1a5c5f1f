//! `users`: prints the published list, filtered.

pub(crate) mod args;
pub(crate) mod filter;
mod nobody;
pub(crate) mod output;
pub(crate) mod read_error;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::{changes::change_log::parse_record, held_removals::status_hold};
use crate::{
    api::{RemovalHold, SliceState},
    cli::{
        errors,
        exit_code::{CliError, ExitStatus},
        io::Io,
        kube_context::KubeContext,
        output::format::{format_age, format_duration},
    },
    roster::{self, LIST_STATES, PublishedUser, RemovedUser, RosterSnapshot},
};
use args::{UsersArgs, UsersOutput};
use filter::{UnknownWords, UserFilter};
use nobody::explain_nobody;
use output::{OutputRow, OutputUser};
use read_error::{count_held, explain_read_error};

pub(crate) async fn run(args: &UsersArgs, kube: &KubeContext, io: &mut Io<'_>) -> Result<ExitStatus, CliError> {
    if let Some(limit) = args.max_age {
        check_max_age(&args.name, limit, kube, io).await?;
    }
    let states = match (args.removed, args.held) {
        (true, _) => &[SliceState::Removed][..],
        (false, true) => &[SliceState::Held],
        (false, false) => LIST_STATES,
    };
    let snapshot = match read_list(kube, &args.name, states, io.clock.now()).await {
        // The connection says how many are held, whatever became of the list.
        Err(CliError::Message(exit, error)) if args.held => {
            let named = read_hold(kube, &args.name).await.map_or_else(
                || error.clone(),
                |hold| {
                    let held = count_held(&hold);
                    let rest = error.replace(&format!("{held} "), "");
                    format!("{held} The list cannot name them: {rest}")
                },
            );
            return Err(CliError::Message(exit, named));
        }
        read => read?,
    };
    if args.held {
        check_held(&snapshot, args, kube, io).await?;
    }
    match args.removed {
        true => print_matching::<RemovedUser>(&snapshot, states, args, kube, io),
        false => print_matching::<PublishedUser<'_>>(&snapshot, states, args, kube, io),
    }
}

/// The hold of the connection. The caller may have access to lists but not to connections.
async fn read_hold(kube: &KubeContext, name: &str) -> Option<RemovalHold> {
    status_hold(&kube.get_connection(name).await.ok()?).cloned()
}

/// Compares the held users of the list with those of the connection.
///
/// # Errors
/// Removals are held, and the list names nobody.
async fn check_held(
    snapshot: &RosterSnapshot,
    args: &UsersArgs,
    kube: &KubeContext,
    io: &mut Io<'_>,
) -> Result<(), CliError> {
    let Some(hold) = read_hold(kube, &args.name).await else { return Ok(()) };
    let (name, namespace) = (&args.name, &kube.namespace);
    let revision = snapshot.roster.spec.revision;
    match &snapshot.roster.spec.held {
        Some(listed) if listed.digest == hold.digest => Ok(()),
        Some(_) => Ok(writeln!(
            io.err,
            "note: the list (revision {revision}) is older than the removals that are held now. {}",
            count_held(&hold)
        )?),
        None => Err(CliError::error(format!(
            "{} The list (revision {revision}) cannot name them. If they were really removed: kubectl boxsync approve {name} -n {namespace}.",
            count_held(&hold)
        ))),
    }
}

/// Reads the list. The error says what happens next.
pub(crate) async fn read_list(
    kube: &KubeContext,
    name: &str,
    states: &[SliceState],
    now: Timestamp,
) -> Result<RosterSnapshot, CliError> {
    match roster::read_snapshot(&kube.roster_store(name), states, None).await {
        Ok(snapshot) => Ok(snapshot),
        Err(error) => Err(explain_read_error(&error, states, kube, name, now).await),
    }
}

/// Prints the users in these slices that match the filter.
fn print_matching<'a, U: OutputUser + Deserialize<'a>>(
    snapshot: &'a RosterSnapshot,
    states: &[SliceState],
    args: &UsersArgs,
    kube: &KubeContext,
    io: &mut Io<'_>,
) -> Result<ExitStatus, CliError> {
    let filter = UserFilter::from_args(&args.filter);
    let mut unknown_words = UnknownWords::in_args(&args.filter);
    let mut rows: Vec<OutputRow<'a, U>> = Vec::new();
    for &state in states {
        for json in snapshot.record_lines(state) {
            let user: U = parse_record(json)?;
            unknown_words.observe(&user);
            if user.matches(&filter) {
                rows.push(OutputRow { json, user, state });
            }
        }
    }
    unknown_words.check()?;
    if rows.is_empty() && matches!(args.output, UsersOutput::Table | UsersOutput::Wide) {
        let lines = states.iter().flat_map(|state| snapshot.record_lines(*state));
        let all: Vec<U> = lines.map(parse_record).collect::<Result<_, CliError>>()?;
        writeln!(io.err, "{}", explain_nobody(&all, args, &kube.namespace))?;
    } else {
        output::write_rows(&mut io.out, &rows, args)?;
    }
    Ok(ExitStatus::Success)
}

/// The age of a list is in the connection: a sync without changes writes no list.
pub(crate) async fn check_max_age(
    name: &str,
    limit: Duration,
    kube: &KubeContext,
    io: &Io<'_>,
) -> Result<(), CliError> {
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
            "the list of {name} is from {time}: it is {age} old, the limit is {limit}. Fetch a new one with kubectl boxsync sync {name} -n {namespace} --wait."
        ),
    ))
}
