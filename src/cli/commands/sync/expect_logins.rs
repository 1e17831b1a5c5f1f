//! `sync --expect-file`: syncs again until the expected logins are in the list, or until the timeout.

use std::{collections::HashSet, time::Duration};

use jiff::SignedDuration;
use kube::ResourceExt;

use super::{
    create_request, retry_delay,
    wait::{self, PendingRequest},
};
use crate::{
    api::BoxConnection,
    cli::{
        commands::{changes::change_log::parse_record, users},
        exit_code::{CliError, ExitStatus},
        io::Io,
        kube_context::KubeContext,
        output::format::{format_duration, pluralize},
    },
    roster::{LIST_STATES, PublishedUser, RosterSnapshot},
};

/// The logins of a file, one per line, without duplicates.
pub(crate) fn parse_logins(text: &str) -> Vec<String> {
    let mut seen = HashSet::new();
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    lines.filter(|login| !login.is_empty() && seen.insert(login.to_lowercase())).map(str::to_owned).collect()
}

pub(crate) async fn run(
    expected: &[String],
    connection: &BoxConnection,
    timeout: Duration,
    kube: &KubeContext,
    io: &mut Io<'_>,
) -> Result<ExitStatus, CliError> {
    if expected.is_empty() {
        return Err(CliError::usage("the file contains no logins: write one per line."));
    }
    let name = connection.name_any();
    let start = io.clock.now();
    let mut attempts = 0;
    loop {
        let remaining = timeout.saturating_sub(start.duration_until(io.clock.now()).unsigned_abs());
        let request = create_request(kube, connection, None).await?;
        match wait::wait_for_all(vec![PendingRequest::new(connection, request, kube)], remaining, io).await? {
            ExitStatus::Success => attempts += 1,
            other => return Ok(other),
        }
        let snapshot = users::read_list(kube, &name, LIST_STATES, io.clock.now()).await?;
        let missing = missing_logins(&snapshot, expected)?;
        let found = pluralize(i64::try_from(expected.len()).unwrap_or(i64::MAX), "expected login");
        if missing.is_empty() {
            writeln!(io.out, "{name}: all {found} are in the list")?;
            return Ok(ExitStatus::Success);
        }
        let delay = retry_delay(attempts);
        let elapsed = start.duration_until(io.clock.now());
        let limit = SignedDuration::try_from(timeout).unwrap_or(SignedDuration::MAX);
        let wait = SignedDuration::try_from(delay).unwrap_or(SignedDuration::MAX);
        if elapsed + wait >= limit {
            for login in &missing {
                writeln!(io.out, "{login}")?;
            }
            return Err(CliError::Message(
                ExitStatus::MissingLogins,
                format!(
                    "{} of {found} are not in the list of {name} after {} (printed above). See kubectl boxsync why {name} LOGIN -n {}.",
                    missing.len(),
                    format_duration(elapsed),
                    kube.namespace
                ),
            ));
        }
        writeln!(io.out, "{name}: {} of {found} missing, syncing again in {} s", missing.len(), delay.as_secs())?;
        io.out.flush()?;
        tokio::time::sleep(delay).await;
    }
}

/// The logins that are not in the list, in the order of the file.
fn missing_logins<'e>(snapshot: &RosterSnapshot, expected: &'e [String]) -> Result<Vec<&'e str>, CliError> {
    let lower: Vec<String> = expected.iter().map(|login| login.to_lowercase()).collect();
    let mut wanted: HashSet<&str> = lower.iter().map(String::as_str).collect();
    for line in LIST_STATES.iter().flat_map(|state| snapshot.record_lines(*state)) {
        let user: PublishedUser<'_> = parse_record(line)?;
        wanted.remove(user.login.to_lowercase().as_str());
    }
    let pairs = expected.iter().zip(&lower);
    Ok(pairs.filter(|(_, lower)| wanted.contains(lower.as_str())).map(|(login, _)| login.as_str()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_logins_may_have_comments_blanks_and_repetitions() {
        assert_eq!(
            parse_logins("# hired in May\nann@acme.com # room 4\n\n  Bob@acme.com\r\nbob@acme.com\n"),
            ["ann@acme.com", "Bob@acme.com"]
        );
    }
}
