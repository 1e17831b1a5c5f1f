//! `users`: the published list, or those of it that are meant.

use std::time::Duration;

use jiff::SignedDuration;

use super::{
    desk::Desk,
    exit::{Exit, Stop},
    filter::Filter,
    flags::{UsersFlags, UsersOutput},
    listing::{self, Left, Listed, Row},
    record::parsed,
    site::Site,
    trouble,
    words::{age, length},
};
use crate::{
    api::SliceState,
    roster::{self, Gone, LIST, Snapshot, User},
};

pub(super) async fn run(flags: &UsersFlags, site: &Site, desk: &mut Desk<'_>) -> Result<Exit, Stop> {
    if let Some(limit) = flags.max_age {
        fresh(&flags.name, limit, site, desk).await?;
    }
    let states = match (flags.removed, flags.held) {
        (true, _) => &[SliceState::Removed][..],
        (false, true) => &[SliceState::Held],
        (false, false) => LIST,
    };
    let snapshot = read(site, &flags.name, states).await?;
    let filter = Filter::of(flags);
    if flags.removed {
        let rows: Vec<Left<'_>> = left(&snapshot, &filter)?;
        return print(&rows, flags.output, desk);
    }
    let rows = listed(&snapshot, states, &filter)?;
    print(&rows, flags.output, desk)
}

/// Reads the list; where there is none, says whether there is a connection at all.
pub(super) async fn read(site: &Site, name: &str, states: &[SliceState]) -> Result<Snapshot, Stop> {
    match roster::read(&site.store(name), states, None).await {
        Ok(snapshot) => Ok(snapshot),
        Err(error) => Err(unread(&error, site, name).await),
    }
}

/// Why a list could not be read. Who may read lists need not be allowed to read connections.
pub(super) async fn unread(error: &roster::ReadError, site: &Site, name: &str) -> Stop {
    let missing = match error {
        roster::ReadError::NoRoster => site.has(name).await.err(),
        roster::ReadError::Broken { .. } | roster::ReadError::NewerFormat { .. } | roster::ReadError::Trouble(_) => {
            None
        }
    };
    missing.unwrap_or_else(|| trouble::unread(error, name, &site.namespace))
}

fn listed<'a>(snapshot: &'a Snapshot, states: &[SliceState], filter: &Filter) -> Result<Vec<Listed<'a>>, Stop> {
    let mut rows = Vec::new();
    for state in states {
        for line in snapshot.lines(*state) {
            let user: User<'_> = parsed(line)?;
            if filter.takes(&user) {
                rows.push(Listed { line, user, state: *state });
            }
        }
    }
    Ok(rows)
}

fn left<'a>(snapshot: &'a Snapshot, filter: &Filter) -> Result<Vec<Left<'a>>, Stop> {
    let mut rows = Vec::new();
    for line in snapshot.lines(SliceState::Removed) {
        let gone: Gone = parsed(line)?;
        if filter.takes_gone(&gone) {
            rows.push(Left { line, gone });
        }
    }
    Ok(rows)
}

fn print<R: Row>(rows: &[R], output: UsersOutput, desk: &mut Desk<'_>) -> Result<Exit, Stop> {
    match output {
        UsersOutput::Table | UsersOutput::Wide if rows.is_empty() => {
            writeln!(desk.err, "No users found. Look for near matches with kubectl boxsync why.")?;
        }
        UsersOutput::Table
        | UsersOutput::Wide
        | UsersOutput::Json
        | UsersOutput::Jsonl
        | UsersOutput::Csv
        | UsersOutput::Name => listing::write(desk.out, rows, output)?,
    }
    Ok(Exit::Fine)
}

/// How fresh a list is stands in the connection: a sync that finds nothing new writes no list.
async fn fresh(name: &str, limit: Duration, site: &Site, desk: &Desk<'_>) -> Result<(), Stop> {
    let connection = site.connection(name).await?;
    let Some(last) = connection.status.and_then(|s| s.last_sync) else {
        return Err(trouble::unread(&roster::ReadError::NoRoster, name, &site.namespace));
    };
    let (time, now) = (last.completion_time.0, desk.clock.now());
    let limit = SignedDuration::try_from(limit).unwrap_or(SignedDuration::MAX);
    if time.duration_until(now) <= limit {
        return Ok(());
    }
    let (age, limit) = (age(time, now), length(limit));
    let namespace = &site.namespace;
    Err(Stop::Told(
        Exit::TooOld,
        format!(
            "the list of {name} is of {time}, {age} old, and may be {limit}. Fetch a new one with kubectl boxsync sync {name} -n {namespace} --wait."
        ),
    ))
}
