//! Structured logging to standard error.

use std::io::IsTerminal;

use clap::ValueEnum;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{EnvFilter, filter::ParseError};

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
        LogFormat::Text => log.init(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
