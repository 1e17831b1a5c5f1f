//! The users of one enterprise, sorted by id, and their JSON.
//! Rendered lists are cached until a user changes: a page is then a copy of a byte range, and costs a benchmark little.

use crate::{
    behaviour::{Behaviour, BehaviourSet},
    fields::{FieldSet, UserWriter},
    rng::splitmix64,
    user::{User, generate_user_id},
};
use std::{collections::HashSet, sync::Arc};

enum UserSource {
    Generated(u32),
    Stored(Box<User>),
}

struct UserEntry {
    id: u64,
    source: UserSource,
}

pub(crate) struct UserList {
    seed: u64,
    domain: String,
    /// Whether generated users have tracking codes.
    tracking_codes: bool,
    records: Vec<UserEntry>,
    /// The number of generated users, and of attempts to find an unused id.
    generated: u32,
    id_attempts: u64,
    rendered: Vec<(FieldSet, BehaviourSet, Arc<RenderedUsers>)>,
}

/// Cached renderings.
const MAX_CACHED_RENDERINGS: usize = 3;

impl UserList {
    pub(crate) fn new(seed: u64, domain: String, tracking_codes: bool, users: usize) -> Self {
        let mut list = Self {
            seed,
            domain,
            tracking_codes,
            records: Vec::with_capacity(users),
            generated: 0,
            id_attempts: 0,
            rendered: Vec::new(),
        };
        let mut taken = HashSet::with_capacity(users);
        while list.records.len() < users {
            let id = list.next_id();
            if taken.insert(id) {
                list.records.push(UserEntry { id, source: UserSource::Generated(list.generated) });
                list.generated += 1;
            }
        }
        list.records.sort_unstable_by_key(|record| record.id);
        list
    }

    fn next_id(&mut self) -> u64 {
        self.id_attempts += 1;
        generate_user_id(self.seed, self.id_attempts)
    }

    fn position(&self, id: u64) -> Result<usize, usize> {
        self.records.binary_search_by_key(&id, |record| record.id)
    }

    fn resolve_user(&self, record: &UserEntry) -> User {
        match &record.source {
            UserSource::Generated(n) => self.generate_numbered(*n, record.id),
            UserSource::Stored(user) => User::clone(user),
        }
    }

    fn generate_numbered(&self, n: u32, id: u64) -> User {
        let tracking_codes = match self.tracking_codes {
            true => User::generate_tracking_codes(self.seed, n),
            false => Vec::new(),
        };
        User { tracking_codes, ..User::generate(self.seed, n, id, &self.domain) }
    }

    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    pub(crate) fn all_users(&self) -> Vec<User> {
        self.records.iter().map(|record| self.resolve_user(record)).collect()
    }

    pub(crate) fn get(&self, id: u64) -> Option<User> {
        self.position(id).ok().map(|at| self.resolve_user(&self.records[at]))
    }

    /// A new user with an unused id, not in the list yet.
    pub(crate) fn generate_user(&mut self) -> User {
        let id = loop {
            let id = self.next_id();
            if self.position(id).is_err() {
                break id;
            }
        };
        self.generated += 1;
        self.generate_numbered(self.generated - 1, id)
    }

    /// Adds or replaces the user.
    pub(crate) fn upsert(&mut self, user: User) {
        let record = UserEntry { id: user.id, source: UserSource::Stored(Box::new(user)) };
        match self.position(record.id) {
            Ok(at) => self.records[at] = record,
            Err(at) => self.records.insert(at, record),
        }
        self.rendered.clear();
    }

    pub(crate) fn remove(&mut self, id: u64) -> Option<User> {
        let record = self.records.remove(self.position(id).ok()?);
        self.rendered.clear();
        Some(self.resolve_user(&record))
    }

    /// All users, in listing order.
    pub(crate) fn render_all(&mut self, writer: &UserWriter<'_>) -> Arc<RenderedUsers> {
        let known = self
            .rendered
            .iter()
            .find(|(fields, behaviours, _)| (*fields, *behaviours) == (writer.fields, writer.behaviours));
        if let Some((_, _, rendered)) = known {
            return Arc::clone(rendered);
        }
        let rendered = Arc::new(self.render(writer, |_| true));
        self.rendered.truncate(MAX_CACHED_RENDERINGS - 1);
        self.rendered.insert(0, (writer.fields, writer.behaviours, Arc::clone(&rendered)));
        rendered
    }

    /// Users whose name or login starts with the term, ignoring case.
    pub(crate) fn render_filtered(&self, writer: &UserWriter<'_>, term: &str) -> RenderedUsers {
        let term = term.to_lowercase();
        self.render(writer, |user| {
            user.name.to_lowercase().starts_with(&term) || user.login.to_lowercase().starts_with(&term)
        })
    }

    fn render(&self, writer: &UserWriter<'_>, keep: impl Fn(&User) -> bool) -> RenderedUsers {
        let shuffled = writer.behaviours.contains(Behaviour::ShuffledOrder);
        let mut order: Vec<(u64, &UserEntry)> = self
            .records
            .iter()
            .map(|record| (if shuffled { splitmix64(record.id) } else { record.id }, record))
            .collect();
        if shuffled {
            order.sort_unstable_by_key(|(key, _)| *key);
        }
        let mut rendered = RenderedUsers::default();
        let stale = writer.behaviours.contains(Behaviour::StaleReplica);
        for (at, (key, record)) in order.into_iter().enumerate() {
            if stale && at % 20 == 19 {
                continue;
            }
            let user = self.resolve_user(record);
            if !keep(&user) {
                continue;
            }
            if !rendered.keys.is_empty() {
                rendered.bytes.push(b',');
            }
            writer.write_user(&user, &mut rendered.bytes);
            rendered.keys.push(key);
            rendered.end_offsets.push(rendered.bytes.len());
        }
        rendered
    }
}

/// Users as comma-separated JSON, so that any range of them is the content of an array.
#[derive(Default)]
pub(crate) struct RenderedUsers {
    /// The sort key, ascending.
    keys: Vec<u64>,
    end_offsets: Vec<usize>,
    bytes: Vec<u8>,
}

impl RenderedUsers {
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(crate) fn key_at(&self, at: usize) -> u64 {
        self.keys[at]
    }

    /// The first position after this key.
    pub(crate) fn position_after(&self, key: u64) -> usize {
        self.keys.partition_point(|known| *known <= key)
    }

    pub(crate) fn byte_range(&self, from: usize, to: usize) -> &[u8] {
        if from >= to {
            return &[];
        }
        let start = if from == 0 { 0 } else { self.end_offsets[from - 1] + 1 };
        &self.bytes[start..self.end_offsets[to - 1]]
    }
}
