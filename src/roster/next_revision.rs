//! Planning the next roster: the slices to reuse, the slices to write, and the content. Pure.

use std::{collections::HashSet, ops::Range, time::Duration};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{
    chunking::{Chunk, slice_name},
    ownership::Ownership,
    records::{ChangeRecord, RemovedUser, optional_keys},
    removals::{RemovalDecision, to_i64},
};
use crate::{
    api::{
        PreviousRevision, ROSTER_FORMAT_VERSION, RemovalHold, RevisionRecord, RosterChange, RosterContent, SliceRef,
        SliceState, UserCounts,
    },
    user_list::UserList,
};

/// More references than that exceed etcd's limit for one object, together with the other fields of a roster.
pub(super) const MAX_SLICES: usize = 4_000;
const MAX_ROSTER_BYTES: usize = 1_280 * 1024;

/// Where the records of a slice come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SliceSource {
    /// The slice already exists.
    Existing,
    /// These records of the new list, of the held users, the removed users or the changes, depending on the slice's state.
    New(Range<usize>),
    /// A copy of the slice with this name, which has another owner.
    Copy(String),
}

/// A slice of the next roster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PlannedSlice {
    pub(super) slice: SliceRef,
    pub(super) source: SliceSource,
}

/// The published list on which the next revision is based.
pub(super) struct PublishedState<'a> {
    pub(super) content: &'a RosterContent,
    pub(super) ownership: Ownership,
    /// Existing slices that it references and that the connection owns.
    pub(super) reusable: HashSet<&'a str>,
    /// Existing slices that it references, regardless of their owner.
    pub(super) readable: HashSet<&'a str>,
    /// Existing slices that it references and that have no owner.
    pub(super) ownerless: Vec<String>,
}

impl PublishedState<'_> {
    pub(super) fn is_reusable(&self, slice: &str) -> bool {
        self.ownership == Ownership::Owned && self.reusable.contains(slice)
    }
}

/// The connection that owns the list.
pub(super) struct RosterOwner<'a> {
    pub(super) connection: &'a str,
    pub(super) owner_uid: &'a str,
    pub(super) enterprise_id: &'a str,
    pub(super) retention: Option<Duration>,
    /// The last revision in the connection's status.
    pub(super) known_revision: i64,
}

/// The records of the next list except the live ones. `None`: as published.
pub(super) struct ListParts {
    pub(super) held: Option<(UserList, Vec<Chunk>)>,
    pub(super) held_summary: Option<RemovalHold>,
    /// Ids of held users of whom Box did not say whether they are gone.
    pub(super) unconfirmed: Vec<String>,
    pub(super) removed: Option<(Vec<RemovedUser>, Vec<Chunk>)>,
    pub(super) changes: (Vec<ChangeRecord>, Vec<Chunk>),
    pub(super) users: UserCounts,
}

/// What a revision holds, and what it removes of that.
pub(super) struct JournaledHolds {
    /// Users whose removal it begins to hold.
    pub(super) newly_held: i64,
    /// Users whose held removal was approved.
    pub(super) approved: i64,
}

/// The next roster. Slices are renamed later if their names are taken.
pub(super) struct NextRevision {
    pub(super) slices: Vec<PlannedSlice>,
    pub(super) parts: ListParts,
    content: RosterContent,
}

/// Whether a time is older than the retention; `None`: nothing is.
pub(super) fn is_expired(time: Timestamp, retention: Option<Duration>, now: Timestamp) -> bool {
    let age = retention.and_then(|retention| SignedDuration::try_from(retention).ok());
    age.is_some_and(|age| time.duration_until(now) >= age)
}

/// # Errors
/// The number of slices that the revision needs, if one roster cannot reference that many.
pub(super) fn plan_revision(
    roster_owner: &RosterOwner<'_>,
    published: Option<&PublishedState<'_>>,
    live: &[Chunk],
    parts: ListParts,
    change: RosterChange,
    holds: JournaledHolds,
    now: Timestamp,
) -> Result<NextRevision, usize> {
    let plan_chunks = |state, chunks: &[Chunk]| {
        chunks.iter().map(|chunk| plan_chunk(roster_owner, published, state, chunk)).collect::<Vec<_>>()
    };
    let plan_existing = |state| published.map(|c| plan_existing_slices(roster_owner, c, state)).unwrap_or_default();
    let changes = plan_chunks(SliceState::Changes, &parts.changes.1);
    let revision = published.map_or(0, |c| c.content.revision).max(roster_owner.known_revision) + 1;
    let has_changes = change.added + change.updated + change.removed + holds.newly_held > 0 || !changes.is_empty();
    let mut journal = published.map(|c| carry_over_journal(roster_owner, c, now)).unwrap_or_default();
    if has_changes {
        let entry = RevisionRecord {
            revision,
            time: Time(now),
            added: change.added,
            updated: change.updated,
            removed: change.removed,
            held: holds.newly_held,
            approved: holds.approved,
            mass_changes: change.mass_changes.clone(),
            requested_by: change.requested_by.clone(),
            slices: changes.iter().map(|planned| planned.slice.name.clone()).collect(),
        };
        journal.insert(0, entry);
    }
    let mut slices = plan_chunks(SliceState::Live, live);
    slices.extend(
        parts.held.as_ref().map_or_else(|| plan_existing(SliceState::Held), |h| plan_chunks(SliceState::Held, &h.1)),
    );
    slices.extend(
        parts
            .removed
            .as_ref()
            .map_or_else(|| plan_existing(SliceState::Removed), |r| plan_chunks(SliceState::Removed, &r.1)),
    );
    // Those of a newer version are kept as they are.
    let mut others: Vec<SliceState> = Vec::new();
    for state in published.iter().flat_map(|c| &c.content.slices).map(|slice| slice.state) {
        if matches!(state, SliceState::Other(_)) && !others.contains(&state) {
            others.push(state);
        }
    }
    slices.extend(others.into_iter().flat_map(plan_existing));
    // The same change as an earlier one has the same slice.
    let recurs = |old: &PlannedSlice| changes.iter().any(|new| new.slice.name == old.slice.name);
    let old_changes: Vec<_> = plan_existing(SliceState::Changes).into_iter().filter(|old| !recurs(old)).collect();
    slices.extend(
        changes.into_iter().chain(old_changes).filter(|p| journal.iter().any(|e| e.slices.contains(&p.slice.name))),
    );

    let previous_revision = |c: &PublishedState<'_>| {
        let dropped = c.content.slices.iter().map(|s| s.name.clone()).chain(c.ownerless.iter().cloned());
        let referenced: HashSet<&str> = slices.iter().map(|p| p.slice.name.as_str()).collect();
        let mut dropped: Vec<String> = dropped.filter(|name| !referenced.contains(name.as_str())).collect();
        dropped.sort_unstable();
        dropped.dedup();
        PreviousRevision { revision: c.content.revision, slices: dropped }
    };
    let oldest = match &parts.removed {
        Some((removed, _)) => removed.iter().map(|user| user.removed_at).min().map(Time),
        None => published.and_then(|c| c.content.oldest_removed_at.clone()),
    };
    let removed = slices.iter().filter(|p| p.slice.state == SliceState::Removed).map(|p| p.slice.count).sum();
    let content = RosterContent {
        format: ROSTER_FORMAT_VERSION,
        enterprise_id: roster_owner.enterprise_id.to_owned(),
        revision,
        revision_time: Time(now),
        users: UserCounts { removed, ..parts.users },
        slice_count: 0,
        slices: Vec::new(),
        oldest_removed_at: oldest.filter(|_| removed > 0),
        held: parts.held_summary.clone(),
        unconfirmed: parts.unconfirmed.clone(),
        previous: published.map(previous_revision),
        change,
        journal,
        swept_at: published.and_then(|c| c.content.swept_at.clone()),
        fence: published.and_then(|c| c.content.fence),
        optional_keys: optional_keys(),
    };
    trim_journal(NextRevision { slices, parts, content })
}

impl NextRevision {
    /// Whether it differs from the published revision.
    pub(super) fn differs_from(&self, published: Option<&PublishedState<'_>>) -> bool {
        published.is_none_or(|c| {
            let slices = self.slices.iter().map(|p| &p.slice);
            c.ownership != Ownership::Owned
                || c.content.format != ROSTER_FORMAT_VERSION
                || c.content.held != self.content.held
                || c.content.unconfirmed != self.content.unconfirmed
                || !slices.eq(&c.content.slices)
        })
    }

    /// The roster with the final names of its slices.
    pub(super) fn roster_content(&self) -> RosterContent {
        let slices: Vec<SliceRef> = self.slices.iter().map(|p| p.slice.clone()).collect();
        RosterContent { slice_count: to_i64(slices.len()), slices, ..self.content.clone() }
    }

    /// Renames a slice whose name is taken.
    pub(super) fn rename_slice(&mut self, at: usize, name: String) {
        let slice = &mut self.slices[at].slice;
        let entries = self.content.journal.iter_mut().flat_map(|entry| entry.slices.iter_mut());
        entries.filter(|named| **named == slice.name).for_each(|named| named.clone_from(&name));
        slice.name = name;
    }
}

/// Removes the oldest journal entries until the roster is small enough.
fn trim_journal(mut next: NextRevision) -> Result<NextRevision, usize> {
    loop {
        let fits = serde_json::to_vec(&next.roster_content()).is_ok_and(|json| json.len() <= MAX_ROSTER_BYTES);
        if fits && next.slices.len() <= MAX_SLICES {
            return Ok(next);
        }
        let Some(oldest) = next.content.journal.pop() else { return Err(next.slices.len()) };
        let journal = &next.content.journal;
        let is_dropped =
            |name: &String| oldest.slices.contains(name) && !journal.iter().any(|e| e.slices.contains(name));
        next.slices.retain(|planned| !is_dropped(&planned.slice.name));
    }
}

/// The slice for a chunk: the published slice with the same content, or a new one.
fn plan_chunk(
    roster_owner: &RosterOwner<'_>,
    published: Option<&PublishedState<'_>>,
    state: SliceState,
    chunk: &Chunk,
) -> PlannedSlice {
    let existing = published.and_then(|c| {
        let same_digest = c.content.slices.iter().find(|s| s.state == state && s.digest == chunk.digest);
        same_digest.filter(|s| c.is_reusable(&s.name)).map(|s| s.name.clone())
    });
    let (name, source) = match existing {
        Some(name) => (name, SliceSource::Existing),
        None => {
            let name = slice_name(roster_owner.connection, roster_owner.owner_uid, state.as_str(), &chunk.digest, "");
            (name, SliceSource::New(chunk.range.clone()))
        }
    };
    PlannedSlice { slice: SliceRef { name, count: chunk.record_count(), digest: chunk.digest.clone(), state }, source }
}

/// The published slices of a state, unchanged; missing slices are left out.
fn plan_existing_slices(
    roster_owner: &RosterOwner<'_>,
    published: &PublishedState<'_>,
    state: SliceState,
) -> Vec<PlannedSlice> {
    let slices = published.content.slices.iter().filter(|s| s.state == state);
    let planned = slices.filter_map(|slice| {
        if published.is_reusable(&slice.name) {
            return Some(PlannedSlice { slice: slice.clone(), source: SliceSource::Existing });
        }
        published.readable.contains(slice.name.as_str()).then(|| PlannedSlice {
            slice: SliceRef { name: copied_slice_name(roster_owner, slice), ..slice.clone() },
            source: SliceSource::Copy(slice.name.clone()),
        })
    });
    planned.collect()
}

fn copied_slice_name(roster_owner: &RosterOwner<'_>, slice: &SliceRef) -> String {
    slice_name(roster_owner.connection, roster_owner.owner_uid, slice.state.as_str(), &slice.digest, "")
}

/// The journal entries within the retention, with the final names of their slices.
fn carry_over_journal(
    roster_owner: &RosterOwner<'_>,
    published: &PublishedState<'_>,
    now: Timestamp,
) -> Vec<RevisionRecord> {
    let existing = plan_existing_slices(roster_owner, published, SliceState::Changes);
    let renamed = |old: &String| {
        existing.iter().find_map(|planned| match &planned.source {
            SliceSource::Copy(from) => (from == old).then(|| planned.slice.name.clone()),
            SliceSource::Existing | SliceSource::New(_) => (planned.slice.name == *old).then(|| old.clone()),
        })
    };
    let entries =
        published.content.journal.iter().filter(|entry| !is_expired(entry.time.0, roster_owner.retention, now));
    let entries = entries.map(|entry| RevisionRecord {
        // An incomplete list of changes is dropped.
        slices: entry.slices.iter().map(renamed).collect::<Option<_>>().unwrap_or_default(),
        ..entry.clone()
    });
    entries.collect()
}

/// The change with its counts filled in.
pub(super) fn with_counts(change: &RosterChange, decision: &RemovalDecision) -> RosterChange {
    RosterChange {
        added: decision.added_count,
        updated: decision.updated,
        removed: decision.removed_count,
        approved: decision.approved.clone(),
        mass_changes: decision.mass_changes.clone(),
        ..change.clone()
    }
}
