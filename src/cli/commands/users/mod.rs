//! `users`: prints the published list, filtered, or writes it into a file.

pub(crate) mod args;
pub(crate) mod filter;
mod list_reader;
mod nobody;
mod out_file;
pub(crate) mod output;
pub(crate) mod read_error;
mod shard;

use std::path::Path;

use serde::Deserialize;

use super::changes::change_log::parse_record;
use crate::{
    api::SliceState,
    cli::{
        exit_code::{CliError, ExitStatus},
        io::Io,
        kube_context::KubeContext,
        output::{
            format::{format_number, pluralize},
            sink::Output,
            styled::ColorMode,
        },
    },
    roster::{LIST_STATES, PublishedUser, RemovedUser, RosterSnapshot},
};
use args::{UsersArgs, UsersOutput};
use filter::{UnknownWords, UserFilter};
use nobody::explain_nobody;
use out_file::OutFile;
use output::{OutputRow, OutputUser};
use read_error::count_held;

pub(crate) use list_reader::{check_max_age, read_list};

pub(crate) async fn run(args: &UsersArgs, kube: &KubeContext, io: &mut Io<'_>) -> Result<ExitStatus, CliError> {
    let file = args.out.as_deref().filter(|path| *path != Path::new("-")).map(OutFile::new).transpose()?;
    let states = match (args.removed, args.held) {
        (true, _) => &[SliceState::Removed][..],
        (false, true) => &[SliceState::Held],
        (false, false) => LIST_STATES,
    };
    let snapshot = list_reader::read_or_wait(args, states, kube, io).await?;
    if args.held {
        check_held(&snapshot, args, kube, io).await?;
    }
    match args.removed {
        true => write_matching::<RemovedUser>(&snapshot, states, args, file.as_ref(), kube, io),
        false => write_matching::<PublishedUser<'_>>(&snapshot, states, args, file.as_ref(), kube, io),
    }
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
    let Some(hold) = list_reader::read_hold(kube, &args.name).await else { return Ok(()) };
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

/// Writes the users in these slices that match the filter.
fn write_matching<'a, U: OutputUser + Deserialize<'a>>(
    snapshot: &'a RosterSnapshot,
    states: &[SliceState],
    args: &UsersArgs,
    file: Option<&OutFile>,
    kube: &KubeContext,
    io: &mut Io<'_>,
) -> Result<ExitStatus, CliError> {
    let filter = UserFilter::from_args(&args.filter);
    let mut unknown_words = UnknownWords::in_args(&args.filter);
    if args.held {
        unknown_words.ignore_codes();
    }
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
    let why_nobody = || -> Result<String, CliError> {
        let lines = states.iter().flat_map(|state| snapshot.record_lines(*state));
        let all: Vec<U> = lines.map(parse_record).collect::<Result<_, CliError>>()?;
        Ok(explain_nobody(&all, args, &kube.namespace))
    };
    let matching = rows.len() as u64;
    let least = args.min_users.unwrap_or(u64::from(file.is_some()));
    if matching < least {
        let why = if rows.is_empty() { why_nobody()? } else { describe_too_few(matching, snapshot, args) };
        let rule = match args.min_users {
            Some(least) => format!("--min-users asks for {} at least.", format_number(signed(least))),
            None => "A file with nobody needs --min-users 0.".to_owned(),
        };
        let unchanged = file.map(|file| format!(" {} was not written.", file.name())).unwrap_or_default();
        return Err(CliError::Message(ExitStatus::TooFewUsers, format!("{why} {rule}{unchanged}")));
    }
    if let Some(shard) = args.shard {
        rows.retain(|row| shard.contains(row.user.id()));
    }
    if let Some(file) = file {
        file.replace(|out| output::write_rows(&mut Output::new(out, ColorMode::Plain), &rows, args))?;
        writeln!(io.err, "{}", describe_file(file, rows.len() as u64, matching, snapshot, args))?;
    } else if matching == 0 && matches!(args.output, UsersOutput::Table | UsersOutput::Wide) {
        writeln!(io.err, "{}", why_nobody()?)?;
    } else {
        output::write_rows(&mut io.out, &rows, args)?;
    }
    Ok(ExitStatus::Success)
}

fn describe_too_few(matching: u64, snapshot: &RosterSnapshot, args: &UsersArgs) -> String {
    let revision = format_number(snapshot.roster.spec.revision);
    format!("only {} of {} (revision {revision}) match.", pluralize(signed(matching), "user"), args.name)
}

/// What the file holds.
fn describe_file(file: &OutFile, written: u64, matching: u64, snapshot: &RosterSnapshot, args: &UsersArgs) -> String {
    let users = match args.shard {
        Some(shard) => {
            format!("{} of {} (shard {shard})", format_number(signed(written)), pluralize(signed(matching), "user"))
        }
        None => pluralize(signed(written), "user"),
    };
    format!(
        "Wrote {users} of {}, revision {}, to {}.",
        args.name,
        format_number(snapshot.roster.spec.revision),
        file.name()
    )
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
