//! `changes --latency`: how long new users waited for the list. Pure.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    args::ChangesOutput,
    change_log::{RevisionChanges, parse_record},
};
use crate::{
    cli::{
        commands::users::output::{write_json_array, write_json_line},
        exit_code::CliError,
        io::Io,
        output::{
            format::{display_login, format_duration, format_time, pluralize},
            table::{Column, write_table},
            yaml::to_yaml,
        },
    },
    roster::{ChangeOp, LIST_STATES, PublishedUser, RosterSnapshot, visibility_delay},
};

/// A new user in the output of `kubectl boxsync changes --latency -o json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NewUser {
    /// Box's id of the user: a string of digits.
    id: String,
    login: String,
    /// When the user was created in Box.
    #[schemars(with = "String", extend("format" = "date-time"))]
    created_at: Timestamp,
    /// When the first revision with the user was published.
    #[schemars(with = "String", extend("format" = "date-time"))]
    listed_at: Timestamp,
    revision: i64,
    /// From one to the other.
    waited_seconds: u64,
}

/// The new users of these revisions who are still in the list and did not return, newest first.
pub(super) fn find_new_users(changes: &[RevisionChanges<'_>], list: &RosterSnapshot) -> Result<Vec<NewUser>, CliError> {
    let mut created: HashMap<String, Option<Timestamp>> = HashMap::new();
    for revision in changes {
        for line in revision.changes.iter().flatten().filter(|line| line.change.op == ChangeOp::Added) {
            created.insert(line.change.id.clone(), None);
        }
    }
    for line in LIST_STATES.iter().flat_map(|state| list.record_lines(*state)) {
        let user: PublishedUser<'_> = parse_record(line)?;
        if let Some(created_at) = created.get_mut(&*user.id) {
            *created_at = user.created_at;
        }
    }
    let mut new_users = Vec::new();
    for RevisionChanges { entry, changes } in changes {
        let added = changes.iter().flatten().map(|line| &line.change).filter(|change| change.op == ChangeOp::Added);
        for change in added {
            let (created_at, listed_at) = (created.get(&change.id).copied().flatten(), entry.time.0);
            let Some((created_at, delay)) = created_at.zip(visibility_delay(created_at, listed_at)) else { continue };
            new_users.push(NewUser {
                id: change.id.clone(),
                login: change.login.clone(),
                created_at,
                listed_at,
                revision: entry.revision,
                waited_seconds: delay.as_secs(),
            });
        }
    }
    Ok(new_users)
}

pub(super) fn write_new_users(new_users: &[NewUser], output: ChangesOutput, io: &mut Io<'_>) -> Result<(), CliError> {
    let json = || new_users.iter().map(serde_json::to_string).collect::<Result<Vec<String>, _>>();
    match output {
        ChangesOutput::Table if new_users.is_empty() => {}
        ChangesOutput::Table => write_table(&mut io.out, &columns(), new_users)?,
        ChangesOutput::Json => write_json_array(&mut io.out, json()?.iter().map(String::as_str))?,
        ChangesOutput::Jsonl => json()?.iter().try_for_each(|line| write_json_line(&mut io.out, line))?,
        ChangesOutput::Yaml => io.out.print_json(&to_yaml(&new_users)?)?,
    }
    if output == ChangesOutput::Table {
        writeln!(io.out, "{}", summarize(new_users))?;
    }
    Ok(())
}

fn columns() -> [Column<NewUser>; 5] {
    [
        Column { title: "LOGIN", cell: |user| display_login(&user.login, &user.id) },
        Column { title: "CREATED", cell: |user| format_time(user.created_at).into() },
        Column { title: "LISTED", cell: |user| format_time(user.listed_at).into() },
        Column { title: "REVISION", cell: |user| user.revision.to_string().into() },
        Column { title: "WAITED", cell: |user| format_wait(user.waited_seconds).into() },
    ]
}

fn format_wait(seconds: u64) -> String {
    format_duration(SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX)))
}

fn summarize(new_users: &[NewUser]) -> String {
    let mut waits: Vec<u64> = new_users.iter().map(|user| user.waited_seconds).collect();
    waits.sort_unstable();
    let Some(longest) = waits.last() else {
        return "No user who was created within 7 days before is new in these revisions.".to_owned();
    };
    // The smallest wait that so many of a hundred did not exceed.
    let percentile = |percent: usize| format_wait(waits[(waits.len() * percent).div_ceil(100).saturating_sub(1)]);
    format!(
        "{}: half of them waited {} at most, 95 % {}, the longest {}.",
        pluralize(i64::try_from(waits.len()).unwrap_or(i64::MAX), "new user"),
        percentile(50),
        percentile(95),
        format_wait(*longest)
    )
}
