//! Structured logging to standard error.

use std::{fmt, io::IsTerminal};

use clap::ValueEnum;
use tracing::{field::Field, level_filters::LevelFilter};
use tracing_subscriber::{
    EnvFilter,
    field::MakeExt,
    filter::ParseError,
    fmt::format::{Writer, debug_fn},
};

use crate::text::clean_line;

/// Format of the log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Json,
    Text,
}

/// The filter for the value of `--log`.
pub fn parse_log_filter(value: &str) -> Result<EnvFilter, ParseError> {
    EnvFilter::builder().parse(log_directives(value))
}

/// A single level is the level of the operator's own lines: the libraries never write more than `info`, and kube writes
/// nothing, because the operator logs kube's errors itself and kube's spans would triple the length of every line.
/// Levels by module are taken as they are.
fn log_directives(value: &str) -> String {
    match value.trim().parse::<LevelFilter>() {
        Ok(level) => format!("{},kube=off,boxsync={level}", level.min(LevelFilter::INFO)),
        Err(_) => value.to_owned(),
    }
}

/// Starts logging.
pub fn init_logging(format: LogFormat, filter: EnvFilter) {
    let color = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(color);
    match format {
        LogFormat::Json => log.json().flatten_event(true).with_current_span(true).with_span_list(false).init(),
        LogFormat::Text => log.fmt_fields(debug_fn(write_clean_field).delimited(" ")).init(),
    }
}

/// A person reads the text format in a terminal, which must not obey what others wrote.
fn write_clean_field(writer: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug) -> fmt::Result {
    let value = format!("{value:?}");
    match field.name() {
        "message" => writer.write_str(&clean_line(&value)),
        name => write!(writer, "{name}={}", clean_line(&value)),
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Read, sync::Mutex};

    use super::*;

    #[test]
    fn a_terminal_obeys_nothing_in_a_text_log() {
        let (mut captured, writer) = std::io::pipe().expect("a pipe");
        let log = tracing_subscriber::fmt().with_ansi(false).with_writer(Mutex::new(writer));
        let log = log.fmt_fields(debug_fn(write_clean_field).delimited(" ")).without_time().finish();
        let hostile = "x\u{1b}[2J\u{9b}2J\u{202e}\n\r";
        tracing::subscriber::with_default(log, || {
            tracing::info_span!("run", connection = %hostile)
                .in_scope(|| tracing::info!(error = %hostile, other = ?hostile, "failed: {hostile}"));
        });
        let mut line = String::new();
        captured.read_to_string(&mut line).expect("text");
        assert_eq!(clean_line(line.trim_end_matches('\n')), line.trim_end_matches('\n'));
        assert!(line.contains("failed: x") && line.contains("error=x") && line.contains("connection=x"), "{line}");
    }

    #[test]
    fn a_single_level_is_the_level_of_the_operators_own_lines() {
        assert_eq!(log_directives("debug"), "info,kube=off,boxsync=debug");
        assert_eq!(log_directives("info"), "info,kube=off,boxsync=info");
        assert_eq!(log_directives("warn"), "warn,kube=off,boxsync=warn");
        assert_eq!(log_directives("off"), "off,kube=off,boxsync=off");
    }

    #[test]
    fn levels_by_module_are_taken_as_they_are() {
        assert_eq!(log_directives("info,hyper=debug"), "info,hyper=debug");
        assert!(parse_log_filter("info,hyper=debug").is_ok());
        assert!(parse_log_filter("loud=yes").is_err());
    }
}
