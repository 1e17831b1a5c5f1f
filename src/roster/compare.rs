//! What is different between a new list and the published one. Pure.
//!
//! Only slices that differ are compared: a user who is in an unchanged slice is unchanged, since ids are unique. So this
//! finds exactly what comparing everything would.

use std::iter::Peekable;
use std::ops::Range;

use super::cut::Cut;
use super::line::{Changed, User};
use super::{Builder, List, by_id};

/// Beyond so many a revision's changes are counted, not told one by one.
const MOST_LINES: usize = 10_000;

/// The changes of a revision, one by one as long as they are few.
#[derive(Debug, Default)]
pub(super) struct Record {
    lines: Vec<Changed>,
    overflown: bool,
}

impl Record {
    /// A record that only counts.
    pub(super) fn none() -> Self {
        Self { lines: Vec::new(), overflown: true }
    }

    pub(super) fn note(&mut self, line: impl FnOnce() -> Changed) {
        if self.overflown {
            return;
        }
        if self.lines.len() == MOST_LINES {
            *self = Self::none();
            return;
        }
        self.lines.push(line());
    }

    /// The lines sorted by id; none where there were too many.
    pub(super) fn finish(mut self) -> Vec<Changed> {
        self.lines.sort_by(|a, b| by_id(&a.id, &b.id).then(a.op.cmp(&b.op)));
        self.lines
    }
}

/// A comparison under way: fed with the published slices that the new list does not have, in their order.
pub(super) struct Comparison<'a, I: Iterator<Item = usize>> {
    list: &'a List,
    fresh: Peekable<I>,
    found: Compared,
    vanished: Builder,
}

/// What a comparison found.
pub(super) struct Compared {
    /// Places in the new list of users whom no slice had.
    pub(super) added: Vec<u32>,
    pub(super) updated: i64,
    /// Users of the slices who are not in the new list.
    pub(super) vanished: List,
    pub(super) record: Record,
}

/// Places of the new list that are in none of the published slices.
pub(super) fn fresh<'a>(cuts: &'a [Cut], published: impl Fn(&str) -> bool + 'a) -> impl Iterator<Item = usize> + 'a {
    let ranges = cuts.iter().filter(move |cut| !published(&cut.digest)).map(|cut| cut.range.clone());
    ranges.flat_map(|range: Range<usize>| range)
}

impl<'a, I: Iterator<Item = usize>> Comparison<'a, I> {
    pub(super) fn new(list: &'a List, fresh: I, record: Record) -> Self {
        let found = Compared { added: Vec::new(), updated: 0, vanished: Builder::default().finish(), record };
        Self { list, fresh: fresh.peekable(), found, vanished: Builder::default() }
    }

    /// The users of the next published slice.
    pub(super) fn published(&mut self, users: &[User<'_>]) {
        let mut vanished = Vec::new();
        for old in users {
            while let Some(at) = self.fresh.next_if(|at| by_id(self.list.id_at(*at), &old.id).is_lt()) {
                self.found.added.push(place(at));
            }
            match self.fresh.next_if(|at| self.list.id_at(*at) == old.id) {
                Some(at) => {
                    let (from, to) = (old.entry(), self.list.get(at));
                    if from != to {
                        self.found.updated += 1;
                        self.found.record.note(|| Changed::updated(from, to));
                    }
                }
                None => vanished.push(old.entry()),
            }
        }
        self.vanished.push_page(vanished);
    }

    pub(super) fn finish(mut self) -> Compared {
        self.found.added.extend(self.fresh.map(place));
        Compared { vanished: self.vanished.finish(), ..self.found }
    }
}

/// A place takes four bytes: of a first list everybody is added.
fn place(at: usize) -> u32 {
    u32::try_from(at).expect("a list that is published has fewer users")
}
