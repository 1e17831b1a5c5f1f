//! The flags of `changes`.

use std::{str::FromStr, time::Duration};

use clap::{Args, ValueEnum};

use crate::cli::{global_args::CLUSTER_FLAGS, output::format::parse_duration};

#[derive(Args, Debug)]
pub(crate) struct ChangesArgs {
    /// The connection
    pub(crate) name: String,
    /// Only revisions published within this time: 7d, 24h, 90m
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) since: Option<Duration>,
    /// Only these revisions: 42, 40..42, 40.., ..42
    #[arg(long, value_name = "A..B", conflicts_with = "since")]
    pub(crate) revision: Option<RevisionRange>,
    /// Only changes of the user with this login or id
    #[arg(long, value_name = "LOGIN|ID")]
    pub(crate) user: Option<String>,
    // The same id as that of the global --user, which has another name here.
    /// The user of the kubeconfig, which is --user in other commands
    #[arg(
        id = "kubeconfig_user",
        long = "kubeconfig-user",
        value_name = "NAME",
        help_heading = CLUSTER_FLAGS
    )]
    kubeconfig_user: Option<String>,
    /// How long new users waited for the list since they were created in Box
    #[arg(long, conflicts_with = "user")]
    pub(crate) latency: bool,
    #[arg(short, long, value_enum, default_value_t = ChangesOutput::Table)]
    pub(crate) output: ChangesOutput,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ChangesOutput {
    Table,
    Json,
    Yaml,
    Jsonl,
}

/// An inclusive range of revisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RevisionRange {
    pub(super) first: i64,
    pub(super) last: i64,
}

impl FromStr for RevisionRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let end = |text: &str, open: i64| if text.is_empty() { Some(open) } else { text.parse().ok() };
        let (first, last) = match text.split_once("..") {
            Some((first, last)) => (end(first, 0), end(last, i64::MAX)),
            None => (text.parse().ok(), text.parse().ok()),
        };
        match (first, last) {
            (Some(first), Some(last)) if text != ".." && first <= last => Ok(Self { first, last }),
            _ => Err(format!("{text:?} is not a revision range: use 42, 40..42, 40.. or ..42")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_may_be_open_at_either_end() {
        for (text, first, last) in [("42", 42, 42), ("40..42", 40, 42), ("40..", 40, i64::MAX), ("..42", 0, 42)] {
            assert_eq!(text.parse(), Ok(RevisionRange { first, last }), "{text}");
        }
        for text in ["", "..", "42..40", "a..b", "1-2"] {
            assert!(text.parse::<RevisionRange>().is_err(), "{text:?}");
        }
    }
}
