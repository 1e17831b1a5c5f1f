//! `sync --expect-file`: looks for logins in the list, and syncs again while some are missing and there is time.

use std::{collections::HashSet, time::Duration};

use jiff::SignedDuration;
use kube::ResourceExt;

use super::{
    desk::Desk,
    exit::{Exit, Stop},
    record::parsed,
    site::Site,
    sync::{create, pause},
    trouble,
    wait::{self, Awaited},
    words::{length, many},
};
use crate::{
    api::BoxConnection,
    roster::{self, LIST, Snapshot, User},
};

/// The logins of a file: one a line, each once.
pub(super) fn logins(text: &str) -> Vec<String> {
    let mut seen = HashSet::new();
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    lines.filter(|login| !login.is_empty() && seen.insert(login.to_lowercase())).map(str::to_owned).collect()
}

pub(super) async fn run(
    expected: &[String],
    connection: &BoxConnection,
    timeout: Duration,
    site: &Site,
    desk: &mut Desk<'_>,
) -> Result<Exit, Stop> {
    if expected.is_empty() {
        return Err(Stop::usage("the file names no logins: write one a line."));
    }
    let name = connection.name_any();
    let start = desk.clock.now();
    let mut tries = 0;
    loop {
        let left = timeout.saturating_sub(start.duration_until(desk.clock.now()).unsigned_abs());
        let request = create(site, connection, None).await?;
        match wait::all(vec![Awaited::new(connection, request)], left, site, desk).await? {
            Exit::Fine => tries += 1,
            other => return Ok(other),
        }
        let snapshot = roster::read(&site.store(&name), LIST, None).await;
        let snapshot = snapshot.map_err(|e| trouble::unread(&e, &name, &site.namespace))?;
        let missing = missing(&snapshot, expected)?;
        let found = many(i64::try_from(expected.len()).unwrap_or(i64::MAX), "expected login");
        if missing.is_empty() {
            writeln!(desk.out, "{name}: all of {found} in the list")?;
            return Ok(Exit::Fine);
        }
        let again = pause(tries);
        let passed = start.duration_until(desk.clock.now());
        let limit = SignedDuration::try_from(timeout).unwrap_or(SignedDuration::MAX);
        let wait = SignedDuration::try_from(again).unwrap_or(SignedDuration::MAX);
        if passed + wait >= limit {
            for login in &missing {
                writeln!(desk.out, "{login}")?;
            }
            return Err(Stop::Told(
                Exit::Missing,
                format!(
                    "{} of {found} not in the list of {name} after {}: named above. See kubectl boxsync why {name} LOGIN -n {}.",
                    missing.len(),
                    length(passed),
                    site.namespace
                ),
            ));
        }
        writeln!(
            desk.out,
            "{name}: {} of {found} not there yet, looking again in {} s",
            missing.len(),
            again.as_secs()
        )?;
        desk.out.flush()?;
        tokio::time::sleep(again).await;
    }
}

/// Those who are not in the list, in the order of the file.
fn missing<'e>(snapshot: &Snapshot, expected: &'e [String]) -> Result<Vec<&'e str>, Stop> {
    let lower: Vec<String> = expected.iter().map(|login| login.to_lowercase()).collect();
    let mut wanted: HashSet<&str> = lower.iter().map(String::as_str).collect();
    for line in LIST.iter().flat_map(|state| snapshot.lines(*state)) {
        let user: User<'_> = parsed(line)?;
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
            logins("# hired in May\nann@acme.com # desk 4\n\n  Bob@acme.com\r\nbob@acme.com\n"),
            ["ann@acme.com", "Bob@acme.com"]
        );
    }
}
