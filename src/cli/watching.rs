//! `status --watch`: on a terminal the picture as it is, in a pipe a line for each connection that changed.

use std::{collections::BTreeMap, time::Duration};

use super::{
    desk::{Desk, Seat},
    exit::{Exit, Stop},
    flags::{StatusFlags, StatusOutput},
    overview::Overview,
    site::Site,
    status,
};

const PAUSE: Duration = Duration::from_secs(2);
/// To the upper left corner, and everything below away.
const FROM_THE_TOP: &str = "\x1b[H\x1b[J";

pub(super) async fn run(flags: &StatusFlags, site: &Site, desk: &mut Desk<'_>) -> Result<Exit, Stop> {
    if flags.output == Some(StatusOutput::Json) {
        return Err(Stop::usage("--watch prints lines, not JSON: leave out one of --watch and -o json."));
    }
    let mut before: Option<BTreeMap<String, String>> = None;
    loop {
        match status::told(flags, site, desk).await {
            Ok((text, overview)) => match desk.reader {
                Seat::Person => {
                    write!(desk.out, "{FROM_THE_TOP}{text}")?;
                    before = Some(lines(&overview));
                }
                Seat::Program => {
                    let (lines, old) = (lines(&overview), before.unwrap_or_default());
                    let now = desk.clock.now();
                    for (name, line) in lines.iter().filter(|(name, line)| old.get(*name) != Some(line)) {
                        writeln!(desk.out, "{now} {name} {line}")?;
                    }
                    for name in old.keys().filter(|name| !lines.contains_key(*name)) {
                        writeln!(desk.out, "{now} {name} gone")?;
                    }
                    before = Some(lines);
                }
            },
            // What has been watched for hours is worth another look.
            Err(Stop::Told(Exit::Trouble, sentence)) if before.is_some() => {
                writeln!(desk.err, "{sentence}")?;
            }
            Err(stop) => return Err(stop),
        }
        desk.out.flush()?;
        tokio::time::sleep(PAUSE).await;
    }
}

/// What is told of each connection, by its name. Ages are left out: they change all the time.
fn lines(overview: &Overview) -> BTreeMap<String, String> {
    let told = overview.connections.iter().map(|report| {
        let revision = report.revision.map(|r| format!(" revision {r}")).unwrap_or_default();
        (overview.name(report), format!("{}: {}{revision}", report.standing.words(), report.reason))
    });
    told.collect()
}
