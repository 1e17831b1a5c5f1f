//! The users of one enterprise, sorted by id, and their JSON.
//! What was rendered once is kept until a user changes: a page is then a copy of one stretch of memory, and the simulator costs a benchmark next to nothing.

use crate::{
    behaviour::{Behaviour, Behaviours},
    dice::mix,
    fields::{FieldSet, Writer},
    user::{User, made_up_id},
};
use std::{collections::HashSet, sync::Arc};

enum Who {
    MadeUp(u32),
    Edited(Box<User>),
}

struct Record {
    id: u64,
    who: Who,
}

pub(crate) struct List {
    seed: u64,
    domain: String,
    records: Vec<Record>,
    /// How many users were ever made up, and how often an id was thrown for them.
    made: u32,
    throws: u64,
    rendered: Vec<(FieldSet, Behaviours, Arc<Rendered>)>,
}

/// Different ways to ask that are kept rendered at a time.
const KEPT: usize = 3;

impl List {
    pub(crate) fn new(seed: u64, domain: String, users: usize) -> Self {
        let mut list =
            Self { seed, domain, records: Vec::with_capacity(users), made: 0, throws: 0, rendered: Vec::new() };
        let mut taken = HashSet::with_capacity(users);
        while list.records.len() < users {
            let id = list.throw();
            if taken.insert(id) {
                list.records.push(Record { id, who: Who::MadeUp(list.made) });
                list.made += 1;
            }
        }
        list.records.sort_unstable_by_key(|record| record.id);
        list
    }

    fn throw(&mut self) -> u64 {
        self.throws += 1;
        made_up_id(self.seed, self.throws)
    }

    fn at(&self, id: u64) -> Result<usize, usize> {
        self.records.binary_search_by_key(&id, |record| record.id)
    }

    fn user(&self, record: &Record) -> User {
        match &record.who {
            Who::MadeUp(n) => User::made_up(self.seed, *n, record.id, &self.domain),
            Who::Edited(user) => User::clone(user),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    pub(crate) fn users(&self) -> Vec<User> {
        self.records.iter().map(|record| self.user(record)).collect()
    }

    pub(crate) fn get(&self, id: u64) -> Option<User> {
        self.at(id).ok().map(|at| self.user(&self.records[at]))
    }

    /// A user who is not in the list yet, with an id that nobody has.
    pub(crate) fn make_up(&mut self) -> User {
        let id = loop {
            let id = self.throw();
            if self.at(id).is_err() {
                break id;
            }
        };
        self.made += 1;
        User::made_up(self.seed, self.made - 1, id, &self.domain)
    }

    /// Adds the user, or replaces the one with this id.
    pub(crate) fn put(&mut self, user: User) {
        let record = Record { id: user.id, who: Who::Edited(Box::new(user)) };
        match self.at(record.id) {
            Ok(at) => self.records[at] = record,
            Err(at) => self.records.insert(at, record),
        }
        self.rendered.clear();
    }

    pub(crate) fn remove(&mut self, id: u64) -> Option<User> {
        let record = self.records.remove(self.at(id).ok()?);
        self.rendered.clear();
        Some(self.user(&record))
    }

    /// Everybody, in the order of a walk.
    pub(crate) fn everybody(&mut self, writer: &Writer<'_>) -> Arc<Rendered> {
        let known = self
            .rendered
            .iter()
            .find(|(fields, behaviours, _)| (*fields, *behaviours) == (writer.fields, writer.behaviours));
        if let Some((_, _, rendered)) = known {
            return Arc::clone(rendered);
        }
        let rendered = Arc::new(self.render(writer, |_| true));
        self.rendered.truncate(KEPT - 1);
        self.rendered.insert(0, (writer.fields, writer.behaviours, Arc::clone(&rendered)));
        rendered
    }

    /// Those whose name or login begins with the term, whatever its case.
    pub(crate) fn filtered(&self, writer: &Writer<'_>, term: &str) -> Rendered {
        let term = term.to_lowercase();
        self.render(writer, |user| {
            user.name.to_lowercase().starts_with(&term) || user.login.to_lowercase().starts_with(&term)
        })
    }

    fn render(&self, writer: &Writer<'_>, keep: impl Fn(&User) -> bool) -> Rendered {
        let shuffled = writer.behaviours.has(Behaviour::ShuffledOrder);
        let mut order: Vec<(u64, &Record)> =
            self.records.iter().map(|record| (if shuffled { mix(record.id) } else { record.id }, record)).collect();
        if shuffled {
            order.sort_unstable_by_key(|(key, _)| *key);
        }
        let mut rendered = Rendered::default();
        for (key, record) in order {
            let user = self.user(record);
            if !keep(&user) {
                continue;
            }
            if !rendered.keys.is_empty() {
                rendered.bytes.push(b',');
            }
            writer.write(&user, &mut rendered.bytes);
            rendered.keys.push(key);
            rendered.ends.push(rendered.bytes.len());
        }
        rendered
    }
}

/// Users as JSON, one after the other with commas between, so that any stretch of them is the inside of an array.
#[derive(Default)]
pub(crate) struct Rendered {
    /// What the walk is ordered by, ascending.
    keys: Vec<u64>,
    ends: Vec<usize>,
    bytes: Vec<u8>,
}

impl Rendered {
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(crate) fn key(&self, at: usize) -> u64 {
        self.keys[at]
    }

    /// The first position behind this key.
    pub(crate) fn behind(&self, key: u64) -> usize {
        self.keys.partition_point(|known| *known <= key)
    }

    pub(crate) fn stretch(&self, from: usize, to: usize) -> &[u8] {
        if from >= to {
            return &[];
        }
        let start = if from == 0 { 0 } else { self.ends[from - 1] + 1 };
        &self.bytes[start..self.ends[to - 1]]
    }
}
