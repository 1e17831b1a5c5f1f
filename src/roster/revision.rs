//! The next roster: which slices stay, which are written, and what the revision says of itself. Pure.

use std::{collections::HashSet, ops::Range, time::Duration};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::List;
use super::cut::{Cut, name};
use super::line::{Changed, Gone};
use super::resolve::{Resolved, count};
use crate::api::{Change, FORMAT, Held, JournalEntry, Previous, RosterContent, SliceRef, SliceState, UserCounts};

/// More than etcd takes, together with all that else stands in a roster.
pub(super) const MOST_SLICES: usize = 4_000;
const MOST_BYTES: usize = 1_280 * 1024;

/// Where the lines of a slice come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// It is there already.
    Kept,
    /// These lines of the new list, of those who are held or gone, or of the changes, as the slice's state says.
    Lines(Range<usize>),
    /// The slice of this name, which another owner had.
    Copy(String),
}

/// A slice of the next roster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) slice: SliceRef,
    pub(super) source: Source,
}

/// The published list that the next one follows.
pub(super) struct Current<'a> {
    pub(super) content: &'a RosterContent,
    /// Whether it is ours, and not one to be adopted.
    pub(super) ours: bool,
    /// Slices that it names and that are there under our connection.
    pub(super) reusable: HashSet<&'a str>,
    /// Slices that are there at all.
    pub(super) readable: HashSet<&'a str>,
    /// Slices that are there, belong to nobody, and that the adopted roster named.
    pub(super) ownerless: Vec<String>,
}

/// Whose list it is.
pub(super) struct Whose<'a> {
    pub(super) connection: &'a str,
    pub(super) owner: &'a str,
    pub(super) enterprise_id: &'a str,
    pub(super) retention: Duration,
    /// The last revision that the connection's status knows of.
    pub(super) known_revision: i64,
}

/// The lines of the next list beside the live ones. `None`: as they are published.
pub(super) struct Parts {
    pub(super) held: Option<(List, Vec<Cut>)>,
    pub(super) held_told: Option<Held>,
    pub(super) removed: Option<(Vec<Gone>, Vec<Cut>)>,
    pub(super) changes: (Vec<Changed>, Vec<Cut>),
    pub(super) users: UserCounts,
}

/// The next roster, whose slices are named as far as their names are free.
pub(super) struct Next {
    pub(super) pieces: Vec<Piece>,
    pub(super) parts: Parts,
    content: RosterContent,
}

/// Whether a time has outlived the retention.
pub(super) fn outlived(time: Timestamp, retention: Duration, now: Timestamp) -> bool {
    let age = SignedDuration::try_from(retention).unwrap_or(SignedDuration::MAX);
    time.duration_until(now) >= age
}

/// # Errors
/// How many slices it would take, where these are more than a roster can name.
pub(super) fn next(
    whose: &Whose<'_>,
    current: Option<&Current<'_>>,
    live: &[Cut],
    parts: Parts,
    change: Change,
    newly_held: i64,
    now: Timestamp,
) -> Result<Next, usize> {
    let written = |state, cuts: &[Cut]| cuts.iter().map(|cut| written(whose, current, state, cut)).collect::<Vec<_>>();
    let kept = |state| current.map(|c| kept(whose, c, state)).unwrap_or_default();
    let changes = written(SliceState::Changes, &parts.changes.1);
    let revision = current.map_or(0, |c| c.content.revision).max(whose.known_revision) + 1;
    let told = change.added + change.updated + change.removed + newly_held > 0 || !changes.is_empty();
    let mut journal = current.map(|c| journal(whose, c, now)).unwrap_or_default();
    if told {
        let entry = JournalEntry {
            revision,
            time: Time(now),
            added: change.added,
            updated: change.updated,
            removed: change.removed,
            held: newly_held,
            requested_by: change.requested_by.clone(),
            slices: changes.iter().map(|piece| piece.slice.name.clone()).collect(),
        };
        journal.insert(0, entry);
    }
    let mut pieces = written(SliceState::Live, live);
    pieces.extend(parts.held.as_ref().map_or_else(|| kept(SliceState::Held), |h| written(SliceState::Held, &h.1)));
    pieces.extend(
        parts.removed.as_ref().map_or_else(|| kept(SliceState::Removed), |r| written(SliceState::Removed, &r.1)),
    );
    let old_changes = kept(SliceState::Changes);
    pieces.extend(
        changes.into_iter().chain(old_changes).filter(|p| journal.iter().any(|e| e.slices.contains(&p.slice.name))),
    );

    let gone = |c: &Current<'_>| {
        let dropped = c.content.slices.iter().map(|s| s.name.clone()).chain(c.ownerless.iter().cloned());
        let named: HashSet<&str> = pieces.iter().map(|p| p.slice.name.as_str()).collect();
        let mut dropped: Vec<String> = dropped.filter(|name| !named.contains(name.as_str())).collect();
        dropped.sort_unstable();
        dropped.dedup();
        Previous { revision: c.content.revision, slices: dropped }
    };
    let oldest = match &parts.removed {
        Some((removed, _)) => removed.iter().map(|gone| gone.removed_at).min().map(Time),
        None => current.and_then(|c| c.content.oldest_removed_at.clone()),
    };
    let removed = pieces.iter().filter(|p| p.slice.state == SliceState::Removed).map(|p| p.slice.count).sum();
    let content = RosterContent {
        format: FORMAT,
        enterprise_id: whose.enterprise_id.to_owned(),
        revision,
        revision_time: Time(now),
        users: UserCounts { removed, ..parts.users },
        slice_count: 0,
        slices: Vec::new(),
        oldest_removed_at: oldest.filter(|_| removed > 0),
        held: parts.held_told.clone(),
        previous: current.map(gone),
        change,
        journal,
        swept_at: current.and_then(|c| c.content.swept_at.clone()),
    };
    fitted(Next { pieces, parts, content })
}

impl Next {
    /// Whether it differs from what is published.
    pub(super) fn revises(&self, current: Option<&Current<'_>>) -> bool {
        current.is_none_or(|c| {
            let slices = self.pieces.iter().map(|p| &p.slice);
            !c.ours
                || c.content.format != FORMAT
                || c.content.held != self.content.held
                || !slices.eq(&c.content.slices)
        })
    }

    /// The roster, with the slices as they were named in the end.
    pub(super) fn content(&self) -> RosterContent {
        let slices: Vec<SliceRef> = self.pieces.iter().map(|p| p.slice.clone()).collect();
        RosterContent { slice_count: count(slices.len()), slices, ..self.content.clone() }
    }

    /// Gives a slice another name, since the one it had is taken.
    pub(super) fn rename(&mut self, at: usize, name: String) {
        let slice = &mut self.pieces[at].slice;
        let entries = self.content.journal.iter_mut().flat_map(|entry| entry.slices.iter_mut());
        entries.filter(|named| **named == slice.name).for_each(|named| named.clone_from(&name));
        slice.name = name;
    }
}

/// The oldest entries of the journal give way until the roster is small enough.
fn fitted(mut next: Next) -> Result<Next, usize> {
    loop {
        let small = serde_json::to_vec(&next.content()).is_ok_and(|json| json.len() <= MOST_BYTES);
        if small && next.pieces.len() <= MOST_SLICES {
            return Ok(next);
        }
        let Some(oldest) = next.content.journal.pop() else { return Err(next.pieces.len()) };
        next.pieces.retain(|piece| !oldest.slices.contains(&piece.slice.name));
    }
}

/// A slice of these lines: the published one that holds the same, or a new one.
fn written(whose: &Whose<'_>, current: Option<&Current<'_>>, state: SliceState, cut: &Cut) -> Piece {
    let same = current.and_then(|c| {
        let published = c.content.slices.iter().find(|s| s.state == state && s.digest == cut.digest);
        published.filter(|s| c.ours && c.reusable.contains(s.name.as_str())).map(|s| s.name.clone())
    });
    let (name, source) = match same {
        Some(name) => (name, Source::Kept),
        None => {
            let name = name(whose.connection, whose.owner, state.as_str(), &cut.digest, "");
            (name, Source::Lines(cut.range.clone()))
        }
    };
    Piece { slice: SliceRef { name, count: cut.count(), digest: cut.digest.clone(), state }, source }
}

/// The published slices of a state, as they are; those that are lost are left out.
fn kept(whose: &Whose<'_>, current: &Current<'_>, state: SliceState) -> Vec<Piece> {
    let slices = current.content.slices.iter().filter(|s| s.state == state);
    let pieces = slices.filter_map(|slice| {
        if current.ours && current.reusable.contains(slice.name.as_str()) {
            return Some(Piece { slice: slice.clone(), source: Source::Kept });
        }
        current.readable.contains(slice.name.as_str()).then(|| Piece {
            slice: SliceRef { name: copied(whose, slice), ..slice.clone() },
            source: Source::Copy(slice.name.clone()),
        })
    });
    pieces.collect()
}

fn copied(whose: &Whose<'_>, slice: &SliceRef) -> String {
    name(whose.connection, whose.owner, slice.state.as_str(), &slice.digest, "")
}

/// What is still remembered of earlier revisions, with the slices that are still there, under the names they get.
fn journal(whose: &Whose<'_>, current: &Current<'_>, now: Timestamp) -> Vec<JournalEntry> {
    let kept = kept(whose, current, SliceState::Changes);
    let renamed = |old: &String| {
        kept.iter().find_map(|piece| match &piece.source {
            Source::Copy(from) => (from == old).then(|| piece.slice.name.clone()),
            Source::Kept | Source::Lines(_) => (piece.slice.name == *old).then(|| old.clone()),
        })
    };
    let entries = current.content.journal.iter().filter(|entry| !outlived(entry.time.0, whose.retention, now));
    let entries = entries.map(|entry| JournalEntry {
        // Told whole or not at all.
        slices: entry.slices.iter().map(renamed).collect::<Option<_>>().unwrap_or_default(),
        ..entry.clone()
    });
    entries.collect()
}

/// The change as the roster tells it.
pub(super) fn told(change: &Change, resolved: &Resolved) -> Change {
    Change {
        added: resolved.added_count,
        updated: resolved.updated,
        removed: resolved.removed_count,
        approved: resolved.approved.clone(),
        ..change.clone()
    }
}
