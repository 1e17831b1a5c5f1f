//! `changes`: what became of the list, revision by revision.

use std::{fmt::Write as _, str::FromStr};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{
    desk::{Desk, Ink},
    exit::{Exit, Stop},
    flags::{ChangesFlags, ChangesOutput},
    listing,
    record::{Line, Revision, revisions},
    site::Site,
    table::shown,
    trouble::{self, Right},
    users::unread,
    words::{asked, changed, minute, number},
};
use crate::{
    api::{JournalEntry, SliceState},
    roster::{self, Changed, Op, ReadError},
};

/// A range of revisions, both ends in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Revisions {
    first: i64,
    last: i64,
}

impl FromStr for Revisions {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let end = |text: &str, open: i64| if text.is_empty() { Some(open) } else { text.parse().ok() };
        let (first, last) = match text.split_once("..") {
            Some((first, last)) => (end(first, 0), end(last, i64::MAX)),
            None => (text.parse().ok(), text.parse().ok()),
        };
        match (first, last) {
            (Some(first), Some(last)) if text != ".." && first <= last => Ok(Self { first, last }),
            _ => Err(format!("{text:?} is no range of revisions: write 42, 40..42, 40.. or ..42")),
        }
    }
}

/// Which entries of the journal are meant.
struct Span {
    since: Option<Timestamp>,
    revisions: Option<Revisions>,
}

impl Span {
    fn takes(&self, entry: &JournalEntry) -> bool {
        self.since.is_none_or(|since| entry.time.0 >= since)
            && self.revisions.is_none_or(|r| (r.first..=r.last).contains(&entry.revision))
    }
}

pub(super) async fn run(flags: &ChangesFlags, site: &Site, desk: &mut Desk<'_>) -> Result<Exit, Stop> {
    let since = flags.since.map(|length| {
        let length = SignedDuration::try_from(length).unwrap_or(SignedDuration::MAX);
        desk.clock.now().saturating_sub(length).unwrap_or(Timestamp::MIN)
    });
    let span = Span { since, revisions: flags.revision };
    let store = site.store(&flags.name);
    let roster =
        store.roster().await.map_err(|t| trouble::told(&t, &Right::to("get", "userrosters", &site.namespace)))?;
    let Some(roster) = roster else { return Err(unread(&ReadError::NoRoster, site, &flags.name).await) };
    let meant = roster.spec.journal.iter().filter(|entry| span.takes(entry));
    let only: Vec<String> = meant.flat_map(|entry| entry.slices.iter().cloned()).collect();
    let read = roster::read(&store, &[SliceState::Changes], Some(&only)).await;
    let snapshot = read.map_err(|e| trouble::unread(&e, &flags.name, &site.namespace))?;
    // One published since then was not asked for.
    let last = roster.spec.revision;
    let told = revisions(&snapshot, Some(&only))?.into_iter();
    let told: Vec<Revision<'_>> = told.filter(|r| span.takes(r.entry) && r.entry.revision <= last).collect();
    let told = of(told, flags.user.as_deref());
    if told.is_empty() && flags.output == ChangesOutput::Table {
        writeln!(desk.err, "{}", none(&snapshot.roster.spec.journal, &flags.name))?;
    }
    match flags.output {
        ChangesOutput::Table => desk.out.write_all(text(&told, flags.user.as_deref(), desk.ink).as_bytes())?,
        ChangesOutput::Json => {
            let entries: Vec<String> = told.iter().map(|r| json_of(r).to_string()).collect();
            listing::array(desk.out, entries.iter().map(String::as_str))?;
        }
        ChangesOutput::Jsonl => {
            for (revision, line) in told.iter().flat_map(|r| r.lines.iter().flatten().map(move |line| (r, line))) {
                writeln!(desk.out, "{}", json_line(revision.entry, line))?;
            }
        }
    }
    Ok(Exit::Fine)
}

/// What tells of this user, where one is meant.
fn of<'a>(revisions: Vec<Revision<'a>>, user: Option<&str>) -> Vec<Revision<'a>> {
    let Some(who) = user else { return revisions };
    let only = |Revision { entry, lines }: Revision<'a>| {
        let lines = lines.map(|lines| lines.into_iter().filter(|line| line.is_of(who)).collect::<Vec<_>>());
        Revision { entry, lines }
    };
    let told = |revision: &Revision<'a>| revision.lines.as_ref().is_none_or(|lines| !lines.is_empty());
    revisions.into_iter().map(only).filter(told).collect()
}

fn none(journal: &[JournalEntry], name: &str) -> String {
    match journal.last() {
        Some(first) => format!(
            "No changes found. The record of {name} begins with revision {} of {}.",
            first.revision,
            minute(first.time.0)
        ),
        None => format!("No changes found: the record of {name} is empty."),
    }
}

fn text(told: &[Revision<'_>], user: Option<&str>, ink: Ink) -> String {
    let mut text = String::new();
    for Revision { entry, lines } in told {
        let numbers = changed(entry.added, entry.updated, entry.removed);
        let title =
            format!("revision {} · {} · {numbers} · {} held", entry.revision, minute(entry.time.0), number(entry.held));
        let title = title + &asked(" · ", &entry.requested_by);
        let _ = writeln!(text, "{}", ink.bold(&shown(title.into())));
        match lines {
            Some(lines) => lines.iter().for_each(|line| push(&mut text, &line.changed, ink)),
            None if entry.revision == 1 => text.push_str("  (the first list)\n"),
            None if user.is_some() => text.push_str("  (too many to tell one by one: it may have been among them)\n"),
            None => text.push_str("  (too many to tell one by one)\n"),
        }
    }
    text
}

fn push(text: &mut String, changed: &Changed, ink: Ink) {
    let login = shown(changed.login.as_str().into());
    match changed.op {
        Op::Added => text.push_str(&ink.green(&format!("  + {login}"))),
        Op::Updated => {
            let _ = write!(text, "  ~ {login}  {}", differences(changed));
        }
        Op::Removed => text.push_str(&ink.red(&format!("  - {login}"))),
        Op::Returned => text.push_str(&ink.green(&format!("  ↩ {login} (back)"))),
        Op::Held => text.push_str(&ink.yellow(&format!("  ? {login} (held)"))),
    }
    text.push('\n');
}

/// `status: active → inactive`, and so on.
pub(super) fn differences(changed: &Changed) -> String {
    let told = changed.fields.iter().map(|(field, [from, to])| format!("{field}: {} → {}", value(from), value(to)));
    shown(told.collect::<Vec<_>>().join(", ").into()).into_owned()
}

fn value(value: &Value) -> String {
    match value {
        Value::String(text) if text.is_empty() => "(none)".to_owned(),
        Value::String(text) => text.clone(),
        Value::Null => "(none)".to_owned(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

fn json_of(Revision { entry, lines }: &Revision<'_>) -> Value {
    json!({
        "revision": entry.revision,
        "time": entry.time,
        "added": entry.added,
        "updated": entry.updated,
        "removed": entry.removed,
        "held": entry.held,
        "requestedBy": entry.requested_by,
        "changes": lines.as_ref().map(|lines| lines.iter().map(|l| json!(l.changed)).collect::<Vec<_>>()),
    })
}

/// The line as it is published, behind its revision and time.
fn json_line(entry: &JournalEntry, line: &Line<'_>) -> String {
    let rest = line.line.strip_prefix('{').unwrap_or(line.line);
    format!("{{\"revision\":{},\"time\":\"{}\",{rest}", entry.revision, entry.time.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_may_be_open_at_either_end() {
        for (text, first, last) in [("42", 42, 42), ("40..42", 40, 42), ("40..", 40, i64::MAX), ("..42", 0, 42)] {
            assert_eq!(text.parse(), Ok(Revisions { first, last }), "{text}");
        }
        for text in ["", "..", "42..40", "a..b", "1-2"] {
            assert!(text.parse::<Revisions>().is_err(), "{text:?}");
        }
    }
}
