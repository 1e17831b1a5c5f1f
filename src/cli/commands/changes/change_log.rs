//! The change log: the roster's journal with the change records of its slices. Pure.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;

use crate::{
    api::{RevisionRecord, SliceState},
    cli::exit_code::CliError,
    roster::{ChangeRecord, RosterSnapshot},
};

/// The changes of one revision.
pub(crate) struct RevisionChanges<'a> {
    pub(crate) entry: &'a RevisionRecord,
    /// `None` if there were too many to list, or if they are no longer retained.
    pub(crate) changes: Option<Vec<ChangeLine<'a>>>,
}

/// A change: the published line, and its parsed content.
pub(crate) struct ChangeLine<'a> {
    pub(crate) json: &'a str,
    pub(crate) change: ChangeRecord,
}

impl ChangeLine<'_> {
    /// Whether it concerns this user, by id, login or previous login.
    pub(crate) fn concerns_user(&self, user: &str) -> bool {
        let ChangeRecord { op: _, id, login, fields } = &self.change;
        let previous_login = fields.get("login").and_then(|[from, _]| from.as_str());
        id == user || same_login(login, user) || previous_login.is_some_and(|login| same_login(login, user))
    }
}

/// Compares two logins ignoring case.
pub(crate) fn same_login(login: &str, other: &str) -> bool {
    login.eq_ignore_ascii_case(other) || login.to_lowercase() == other.to_lowercase()
}

/// Parses a line. Its digest was verified, so an error means that another version of the operator wrote it.
pub(crate) fn parse_record<'a, T: Deserialize<'a>>(line: &'a str) -> Result<T, CliError> {
    serde_json::from_str(line).map_err(|_| {
        CliError::error("the list contains a record that this plugin cannot parse. Use a plugin of the same version as the operator.")
    })
}

/// The revisions of a snapshot, newest first. `slice_names`: the slices of changes that were read; `None` for all.
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

/// `status: active → inactive`, and so on; of objects the members that changed: `trackingCodes.department: Sales → IT`.
pub(crate) fn format_field_changes(changed: &ChangeRecord) -> String {
    let changes = changed.fields.iter().flat_map(|(field, [from, to])| match (from, to) {
        (Value::Object(_), _) | (_, Value::Object(_)) => format_member_changes(field, from, to),
        _ => vec![format!("{field}: {} → {}", format_value(from), format_value(to))],
    });
    changes.collect::<Vec<_>>().join(", ")
}

/// `from` and `to` are objects, or one of them is null.
fn format_member_changes(field: &str, from: &Value, to: &Value) -> Vec<String> {
    let names: BTreeSet<&String> = [from, to].into_iter().filter_map(Value::as_object).flat_map(|o| o.keys()).collect();
    let changed = names.into_iter().filter(|name| from.get(name) != to.get(name));
    let value = |object: &Value, name: &str| format_value(object.get(name).unwrap_or(&Value::Null));
    changed.map(|name| format!("{field}.{name}: {} → {}", value(from, name), value(to, name))).collect()
}

fn format_value(value: &Value) -> String {
    match value {
        Value::String(text) if text.is_empty() => "(none)".to_owned(),
        Value::String(text) => text.clone(),
        Value::Null => "(none)".to_owned(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}
