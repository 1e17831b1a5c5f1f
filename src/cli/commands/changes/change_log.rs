//! The record of changes: the journal, and the lines that tell it. Pure.

use serde::Deserialize;

use crate::{
    api::{RevisionRecord, SliceState},
    cli::exit_code::CliError,
    roster::{ChangeRecord, RosterSnapshot},
};

/// What one revision changed.
pub(crate) struct RevisionChanges<'a> {
    pub(crate) entry: &'a RevisionRecord,
    /// Line by line; `None` where there were too many to tell, or they are no longer there.
    pub(crate) changes: Option<Vec<ChangeLine<'a>>>,
}

/// A change, as it is published and what it says.
pub(crate) struct ChangeLine<'a> {
    pub(crate) json: &'a str,
    pub(crate) change: ChangeRecord,
}

impl ChangeLine<'_> {
    /// Whether it tells of this user: by id, login, or the login of before.
    pub(crate) fn concerns_user(&self, user: &str) -> bool {
        let ChangeRecord { op: _, id, login, fields } = &self.change;
        let previous_login = fields.get("login").and_then(|[from, _]| from.as_str());
        id == user || same_login(login, user) || previous_login.is_some_and(|login| same_login(login, user))
    }
}

/// Whether two logins are the same one.
pub(crate) fn same_login(login: &str, other: &str) -> bool {
    login.eq_ignore_ascii_case(other) || login.to_lowercase() == other.to_lowercase()
}

/// What a line says. Its digest was right, so an operator wrote it; another one than this plugin knows, perhaps.
pub(crate) fn parse_record<'a, T: Deserialize<'a>>(line: &'a str) -> Result<T, CliError> {
    serde_json::from_str(line).map_err(|_| {
        CliError::error("the list holds a line that this plugin does not understand. Install the plugin that fits the operator: kubectl krew upgrade boxsync.")
    })
}

/// The revisions of a snapshot of which `only` these slices of changes were read, newest first.
pub(crate) fn collect_revisions<'a>(
    snapshot: &'a RosterSnapshot,
    slice_names: Option<&[String]>,
) -> Result<Vec<RevisionChanges<'a>>, CliError> {
    let roster = &snapshot.roster.spec;
    let change_slices = roster.slices.iter().filter(|slice| slice.state == SliceState::Changes);
    let change_slices = change_slices.filter(|slice| slice_names.is_none_or(|only| only.contains(&slice.name)));
    let read = snapshot.slices.iter().filter(|(state, _)| *state == SliceState::Changes);
    let data: std::collections::HashMap<&str, &str> =
        change_slices.zip(read).map(|(slice, (_, data))| (slice.name.as_str(), data.as_str())).collect();
    roster
        .journal
        .iter()
        .map(|entry| {
            let slice_data = entry.slices.iter().map(|name| data.get(name.as_str()).copied());
            let changes = match slice_data.collect::<Option<Vec<&str>>>() {
                Some(slices) if !slices.is_empty() => Some(parse_changes(&slices)?),
                Some(_) | None => None,
            };
            Ok(RevisionChanges { entry, changes })
        })
        .collect()
}

fn parse_changes<'a>(slices: &[&'a str]) -> Result<Vec<ChangeLine<'a>>, CliError> {
    slices
        .iter()
        .flat_map(|data| data.lines())
        .map(|json| Ok(ChangeLine { json, change: parse_record(json)? }))
        .collect()
}
