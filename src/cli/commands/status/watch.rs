//! `status --watch`: a terminal is redrawn, a pipe gets one line for each connection that changed.

use std::{collections::BTreeMap, time::Duration};

use super::{RenderedReport, StatusArgs, StatusOutput, health::health_label, summary::StatusReport};
use crate::{
    cli::{
        commands::status,
        exit_code::{CliError, ExitStatus},
        io::Io,
        kube_context::KubeContext,
        output::{sink::TerminalControl, styled::Tty},
    },
    text::clean_line,
};

const REFRESH_INTERVAL: Duration = Duration::from_secs(2);

pub(crate) async fn run(args: &StatusArgs, kube: &KubeContext, io: &mut Io<'_>) -> Result<ExitStatus, CliError> {
    if let Some(format @ (StatusOutput::Json | StatusOutput::Yaml)) = args.output {
        let (name, flag) = if format == StatusOutput::Json { ("JSON", "json") } else { ("YAML", "yaml") };
        let message = format!("--watch prints lines, not {name}: leave out one of --watch and -o {flag}.");
        return Err(CliError::usage(message));
    }
    let mut previous: Option<BTreeMap<String, String>> = None;
    loop {
        match status::fetch_report(args, kube, io).await {
            Ok((text, status_report)) => match io.stdout_tty {
                Tty::Interactive => {
                    io.out.control(TerminalControl::ClearScreen)?;
                    if let RenderedReport::Text(text) = &text {
                        io.out.print(text)?;
                    }
                    previous = Some(connection_lines(&status_report));
                }
                Tty::Piped => {
                    let (lines, previous_lines) = (connection_lines(&status_report), previous.unwrap_or_default());
                    let now = io.clock.now();
                    for (name, line) in lines.iter().filter(|(name, line)| previous_lines.get(*name) != Some(line)) {
                        writeln!(io.out, "{now} {name} {}", clean_line(line))?;
                    }
                    for name in previous_lines.keys().filter(|name| !lines.contains_key(*name)) {
                        writeln!(io.out, "{now} {name} deleted")?;
                    }
                    previous = Some(lines);
                }
            },
            // A cluster error does not end a watch that has worked before.
            Err(CliError::Message(ExitStatus::Error, sentence)) if previous.is_some() => {
                writeln!(io.err, "{}", clean_line(&sentence))?;
            }
            Err(error) => return Err(error),
        }
        io.out.flush()?;
        tokio::time::sleep(REFRESH_INTERVAL).await;
    }
}

/// The state of each connection, by its name. Without ages, which change all the time.
fn connection_lines(status_report: &StatusReport) -> BTreeMap<String, String> {
    let lines = status_report.connections.iter().map(|report| {
        let revision = report.revision.map(|r| format!(" revision {r}")).unwrap_or_default();
        (status_report.display_name(report), format!("{}: {}{revision}", health_label(report.health), report.reason))
    });
    lines.collect()
}
