//! The flags of `users`.

use std::{path::PathBuf, str::FromStr, time::Duration};

use clap::{Args, ValueEnum};

use super::shard::Shard;
use crate::cli::output::format::parse_duration;

#[derive(Args, Debug)]
pub(crate) struct UsersArgs {
    /// The connection
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) filter: UserFilterArgs,
    /// Only users who are missing from Box and whose removal is held
    #[arg(long)]
    pub(crate) held: bool,
    /// Removed users
    #[arg(long, conflicts_with_all = ["role", "app", "no_app", "tracking_code", "held"])]
    pub(crate) removed: bool,
    /// Fail if the list is older
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) max_age: Option<Duration>,
    /// Fail if fewer users match; with --out 1 by default
    #[arg(long, value_name = "N")]
    pub(crate) min_users: Option<u64>,
    /// Wait for a list that is missing, damaged or older than --max-age
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) wait: Option<Duration>,
    /// Only this part of the users, from 0/N to N-1/N. The id alone decides which, so that whoever joins moves nobody else
    #[arg(long, value_name = "I/N")]
    pub(crate) shard: Option<Shard>,
    /// Write a file instead. It is replaced as a whole: if anything fails, it is as it was, or not there
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// With -o csv: the texts exactly as they are. By default control characters are replaced, and an apostrophe marks what
    /// a spreadsheet would take for a formula as text
    #[arg(long)]
    pub(crate) raw: bool,
    #[arg(short, long, value_enum, default_value_t = UsersOutput::Table)]
    pub(crate) output: UsersOutput,
}

// The flags that narrow a list, in `users` and `coverage`.
#[derive(Args, Debug, Default)]
pub(crate) struct UserFilterArgs {
    /// Only users with this status in Box: active, inactive, cannot_delete_edit, cannot_delete_edit_upload, or
    /// restricted for the last two
    #[arg(long, value_name = "STATUS", value_delimiter = ',')]
    pub(crate) status: Vec<String>,
    /// Only users with this role in Box: admin, coadmin, user
    #[arg(long, value_name = "ROLE", value_delimiter = ',')]
    pub(crate) role: Vec<String>,
    /// Only app users
    #[arg(long, conflicts_with = "no_app")]
    pub(crate) app: bool,
    /// Exclude app users
    #[arg(long)]
    pub(crate) no_app: bool,
    /// Only users whose tracking code of this name has exactly this value; NAME= for users without it. Given again with
    /// the same name, any of the values matches; with another name, both must match
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) tracking_code: Vec<TrackingCode>,
    /// Only users with this text in login, name or id
    #[arg(long, value_name = "TEXT")]
    pub(crate) search: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum UsersOutput {
    Table,
    Wide,
    Json,
    Yaml,
    Jsonl,
    Csv,
    /// Logins, one a line; the id of a user without a login
    Name,
    /// Ids, one a line
    Id,
}

/// `NAME=VALUE`, as on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TrackingCode {
    pub(crate) name: String,
    pub(crate) value: String,
}

impl FromStr for TrackingCode {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok(Self { name: name.to_owned(), value: value.to_owned() }),
            _ => Err("write NAME=VALUE, such as department=Sales"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tracking_code_is_split_at_its_first_equals_sign() {
        let code = |name: &str, value: &str| Ok(TrackingCode { name: name.to_owned(), value: value.to_owned() });
        for (text, expected) in [
            ("department=Sales", code("department", "Sales")),
            ("cost centre=4711=a", code("cost centre", "4711=a")),
            ("department=", code("department", "")),
            (" a = b ", code(" a ", " b ")),
        ] {
            assert_eq!(text.parse(), expected, "{text}");
        }
        for text in ["department", "=Sales", "=", ""] {
            assert!(text.parse::<TrackingCode>().is_err(), "{text:?}");
        }
    }
}
