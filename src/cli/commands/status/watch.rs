//! `status --watch`: on a terminal the picture as it is, in a pipe a line for each connection that changed.

use std::{collections::BTreeMap, time::Duration};

use super::summary::StatusReport;
use crate::cli::{
    args::{StatusArgs, StatusOutput},
    commands::status,
    exit_code::{CliError, ExitStatus},
    io::{Io, Tty},
    kube_context::KubeContext,
};

const REFRESH_INTERVAL: Duration = Duration::from_secs(2);
/// To the upper left corner, and everything below away.
const CLEAR_SCREEN: &str = "\x1b[H\x1b[J";

pub(crate) async fn run(args: &StatusArgs, kube: &KubeContext, io: &mut Io<'_>) -> Result<ExitStatus, CliError> {
    if args.output == Some(StatusOutput::Json) {
        return Err(CliError::usage("--watch prints lines, not JSON: leave out one of --watch and -o json."));
    }
    let mut previous: Option<BTreeMap<String, String>> = None;
    loop {
        match status::fetch_report(args, kube, io).await {
            Ok((text, status_report)) => match io.stdout_tty {
                Tty::Interactive => {
                    write!(io.out, "{CLEAR_SCREEN}{text}")?;
                    previous = Some(connection_lines(&status_report));
                }
                Tty::Piped => {
                    let (lines, previous_lines) = (connection_lines(&status_report), previous.unwrap_or_default());
                    let now = io.clock.now();
                    for (name, line) in lines.iter().filter(|(name, line)| previous_lines.get(*name) != Some(line)) {
                        writeln!(io.out, "{now} {name} {line}")?;
                    }
                    for name in previous_lines.keys().filter(|name| !lines.contains_key(*name)) {
                        writeln!(io.out, "{now} {name} gone")?;
                    }
                    previous = Some(lines);
                }
            },
            // What has been watched for hours is worth another look.
            Err(CliError::Message(ExitStatus::Error, sentence)) if previous.is_some() => {
                writeln!(io.err, "{sentence}")?;
            }
            Err(error) => return Err(error),
        }
        io.out.flush()?;
        tokio::time::sleep(REFRESH_INTERVAL).await;
    }
}

/// What is told of each connection, by its name. Ages are left out: they change all the time.
fn connection_lines(status_report: &StatusReport) -> BTreeMap<String, String> {
    let lines = status_report.connections.iter().map(|report| {
        let revision = report.revision.map(|r| format!(" revision {r}")).unwrap_or_default();
        (status_report.display_name(report), format!("{}: {}{revision}", report.health.label(), report.reason))
    });
    lines.collect()
}
