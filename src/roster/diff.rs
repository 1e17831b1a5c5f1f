//! The differences between a new list and the published one. Pure.
//!
//! Only slices that differ are compared. Ids are unique, so a user in an unchanged slice is unchanged, and the result is
//! the same as that of a full comparison.

use std::iter::Peekable;
use std::ops::Range;

use super::{
    chunking::Chunk,
    records::{ChangeRecord, KnownKeys, PublishedUser},
};
use crate::user_list::{User, UserList, UserListBuilder, UserStatus, compare_ids};

/// Above this number the changes of a revision are only counted.
pub const MAX_CHANGE_RECORDS: usize = 10_000;

/// The changes of a revision, as long as they are few enough to be recorded one by one.
#[derive(Debug, Default)]
pub(super) struct ChangeLog {
    records: Vec<ChangeRecord>,
    overflowed: bool,
}

impl ChangeLog {
    /// A log that records nothing.
    pub(super) fn disabled() -> Self {
        Self { records: Vec::new(), overflowed: true }
    }

    pub(super) fn push_with(&mut self, record: impl FnOnce() -> ChangeRecord) {
        if self.overflowed {
            return;
        }
        if self.records.len() == MAX_CHANGE_RECORDS {
            *self = Self::disabled();
            return;
        }
        self.records.push(record());
    }

    /// The records sorted by id; empty if there were too many.
    pub(super) fn into_sorted(mut self) -> Vec<ChangeRecord> {
        self.records.sort_by(|a, b| compare_ids(&a.id, &b.id).then(a.op.cmp(&b.op)));
        self.records
    }
}

/// An incremental comparison, fed with the published slices that the new list does not contain, in order.
pub(super) struct Differ<'a, I: Iterator<Item = usize>> {
    list: &'a UserList,
    known: KnownKeys,
    unpublished: Peekable<I>,
    diff: Diff,
    vanished: UserListBuilder,
}

/// The result of a comparison.
pub(super) struct Diff {
    /// Indices in the new list of users that were in no slice.
    pub(super) added: Vec<u32>,
    pub(super) updates: UpdateCounts,
    /// Users in the slices that are not in the new list.
    pub(super) vanished: UserList,
    pub(super) change_log: ChangeLog,
}

/// Users in the slices that the new list contains with other fields.
#[derive(Debug, Default)]
pub(super) struct UpdateCounts {
    pub(super) updated: i64,
    /// How many of them left the status active.
    pub(super) deactivated: i64,
    /// How many of them have another login.
    pub(super) login_changed: i64,
    /// How many of them do not have a tracking code any more that they had, whatever its value.
    pub(super) tracking_code_lost: i64,
}

impl UpdateCounts {
    fn count(&mut self, from: &User<'_>, to: &User<'_>) {
        self.updated += 1;
        self.deactivated += i64::from(from.status == UserStatus::Active && to.status != UserStatus::Active);
        self.login_changed += i64::from(from.login.to_lowercase() != to.login.to_lowercase());
        let lost = |name: &str| to.tracking_codes.pairs().all(|(other, _)| other != name);
        self.tracking_code_lost += i64::from(from.tracking_codes.pairs().any(|(name, _)| lost(name)));
    }
}

/// Indices in the new list that are in none of the published slices.
pub(super) fn unpublished_indices<'a>(
    chunks: &'a [Chunk],
    published: impl Fn(&str) -> bool + 'a,
) -> impl Iterator<Item = usize> + 'a {
    let ranges = chunks.iter().filter(move |chunk| !published(&chunk.digest)).map(|chunk| chunk.range.clone());
    ranges.flat_map(|range: Range<usize>| range)
}

impl<'a, I: Iterator<Item = usize>> Differ<'a, I> {
    pub(super) fn new(list: &'a UserList, known: KnownKeys, unpublished: I, change_log: ChangeLog) -> Self {
        let updates = UpdateCounts::default();
        let diff = Diff { added: Vec::new(), updates, vanished: UserListBuilder::default().build(), change_log };
        Self { list, known, unpublished: unpublished.peekable(), diff, vanished: UserListBuilder::default() }
    }

    /// Compares the users of the next published slice.
    pub(super) fn compare_slice(&mut self, users: &[PublishedUser<'_>]) {
        let mut vanished = Vec::new();
        for old in users {
            while let Some(at) = self.unpublished.next_if(|at| compare_ids(self.list.id_at(*at), &old.id).is_lt()) {
                self.diff.added.push(to_u32_index(at));
            }
            match self.unpublished.next_if(|at| self.list.id_at(*at) == old.id) {
                Some(at) => {
                    let to = self.list.user_at(at);
                    let from = self.known.comparable(old.as_user(), &to);
                    if from != to {
                        self.diff.updates.count(&from, &to);
                        self.diff.change_log.push_with(|| ChangeRecord::user_updated(from, to));
                    }
                }
                None => vanished.push(old.as_user()),
            }
        }
        self.vanished.push_users(vanished);
    }

    pub(super) fn into_diff(mut self) -> Diff {
        self.diff.added.extend(self.unpublished.map(to_u32_index));
        Diff { vanished: self.vanished.build(), ..self.diff }
    }
}

/// Indices take four bytes, since all users of a first list are added.
fn to_u32_index(at: usize) -> u32 {
    u32::try_from(at).expect("user count fits in u32")
}
