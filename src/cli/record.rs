//! The record of changes: the journal, and the lines that tell it. Pure.

use serde::Deserialize;

use super::exit::Stop;
use crate::{
    api::{JournalEntry, SliceState},
    roster::{Changed, Snapshot},
};

/// What one revision changed.
pub(super) struct Revision<'a> {
    pub(super) entry: &'a JournalEntry,
    /// Line by line; `None` where there were too many to tell, or they are no longer there.
    pub(super) lines: Option<Vec<Line<'a>>>,
}

/// A change, as it is published and what it says.
pub(super) struct Line<'a> {
    pub(super) line: &'a str,
    pub(super) changed: Changed,
}

impl Line<'_> {
    /// Whether it tells of this user: by id, login, or the login of before.
    pub(super) fn is_of(&self, who: &str) -> bool {
        let Changed { op: _, id, login, fields } = &self.changed;
        let before = fields.get("login").and_then(|[from, _]| from.as_str());
        id == who || same(login, who) || before.is_some_and(|login| same(login, who))
    }
}

/// Whether two logins are the same one.
pub(super) fn same(login: &str, other: &str) -> bool {
    login.eq_ignore_ascii_case(other) || login.to_lowercase() == other.to_lowercase()
}

/// What a line says. Its digest was right, so an operator wrote it; another one than this plugin knows, perhaps.
pub(super) fn parsed<'a, T: Deserialize<'a>>(line: &'a str) -> Result<T, Stop> {
    serde_json::from_str(line).map_err(|_| {
        Stop::trouble("the list holds a line that this plugin does not understand. Install the plugin that fits the operator: kubectl krew upgrade boxsync.")
    })
}

/// The revisions of a snapshot of which `only` these slices of changes were read, newest first.
pub(super) fn revisions<'a>(snapshot: &'a Snapshot, only: Option<&[String]>) -> Result<Vec<Revision<'a>>, Stop> {
    let roster = &snapshot.roster.spec;
    let named = roster.slices.iter().filter(|slice| slice.state == SliceState::Changes);
    let named = named.filter(|slice| only.is_none_or(|only| only.contains(&slice.name)));
    let read = snapshot.slices.iter().filter(|(state, _)| *state == SliceState::Changes);
    let data: std::collections::HashMap<&str, &str> =
        named.zip(read).map(|(slice, (_, data))| (slice.name.as_str(), data.as_str())).collect();
    roster
        .journal
        .iter()
        .map(|entry| {
            let there = entry.slices.iter().map(|name| data.get(name.as_str()).copied());
            let lines = match there.collect::<Option<Vec<&str>>>() {
                Some(slices) if !slices.is_empty() => Some(lines(&slices)?),
                Some(_) | None => None,
            };
            Ok(Revision { entry, lines })
        })
        .collect()
}

fn lines<'a>(slices: &[&'a str]) -> Result<Vec<Line<'a>>, Stop> {
    slices.iter().flat_map(|data| data.lines()).map(|line| Ok(Line { line, changed: parsed(line)? })).collect()
}
