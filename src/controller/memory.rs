//! What this process remembers of its connections. Nothing depends on its being kept: it is gone with the process,
//! and the next one finds out again.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{ResourceExt, runtime::reflector::ObjectRef};
use tokio::time::Instant;

use super::{
    observe::{Recall, status_of},
    schedule::probe_interval,
    vault::Dead,
};
use crate::{
    api::{AuthType, BoxConnection},
    boxapi::Session,
    roster::Present,
};

/// So long a slice that nobody names stays, for whoever reads an older list or publishes a new one.
const UNNAMED: Duration = Duration::from_secs(15 * 60);

pub(super) type Key = ObjectRef<BoxConnection>;

/// An object as log lines name it.
pub(super) fn named<K: ResourceExt>(object: &K) -> String {
    format!("{}/{}", object.namespace().unwrap_or_default(), object.name_any())
}

/// Which credentials: a Secret's content, by a digest that never leaves this process, and the names it goes by. Labels
/// and annotations are no content.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) method: AuthType,
    pub(super) secret_name: String,
    /// `None`: there is no such Secret.
    pub(super) content: Option<String>,
}

/// A session, and what it was made of.
#[derive(Clone)]
pub(super) struct Held {
    pub(super) version: Version,
    /// The Secret's when its content was read.
    pub(super) resource_version: String,
    pub(super) client_id: String,
    pub(super) session: Session,
}

/// What is remembered of one connection.
pub(super) struct Memory {
    uid: String,
    pub(super) looked_at: Option<Instant>,
    pub(super) seen: Option<Version>,
    pub(super) tried_at: Option<Instant>,
    pub(super) tried: Option<Version>,
    pub(super) listed_at: Option<Instant>,
    pub(super) probe_at: Instant,
    /// Until when Box, which named the time, is left alone, whether or not the status says so.
    pub(super) allowed_at: Option<Instant>,
    /// The session that Box last accepted.
    pub(super) session: Option<Held>,
    /// The version that Box refused while an older one still works; told once.
    pub(super) refused: Option<Version>,
    /// The refresh token that Box refused last.
    pub(super) dead: Dead,
    /// The requests that a run in this process answers now.
    pub(super) running: Option<Vec<String>>,
    /// Whether the roster is known to be there, until the watch shows it.
    pub(super) published: bool,
    /// Slices that nobody names, and since when they were seen.
    unnamed: HashMap<Present, Instant>,
    failure: Option<(Time, Instant)>,
}

#[derive(Default)]
pub(super) struct Memories(Mutex<HashMap<Key, Memory>>);

impl Memories {
    /// Looks into the memory of a connection, which begins when it is first looked into and again under a new UID.
    pub(super) fn of<T>(&self, connection: &BoxConnection, probes: Duration, look: impl FnOnce(&mut Memory) -> T) -> T {
        let uid = connection.uid().unwrap_or_default();
        let mut memories = self.lock();
        let memory = memories.entry(Key::from(connection)).or_insert_with(|| Memory::new(&uid, probes));
        if memory.uid != uid {
            *memory = Memory::new(&uid, probes);
        }
        look(memory)
    }

    /// Looks into the memory of a connection of which there may be none.
    pub(super) fn peek<T>(&self, key: &Key, look: impl FnOnce(&Memory) -> T) -> Option<T> {
        self.lock().get(key).map(look)
    }

    pub(super) fn forget(&self, key: &Key) {
        self.lock().remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Memory>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    fn new(uid: &str, probes: Duration) -> Self {
        Self {
            uid: uid.to_owned(),
            looked_at: None,
            seen: None,
            tried_at: None,
            tried: None,
            listed_at: None,
            probe_at: Instant::now() + probe_interval(uid, probes),
            allowed_at: None,
            session: None,
            refused: None,
            dead: Dead::default(),
            running: None,
            published: false,
            unnamed: HashMap::new(),
            failure: None,
        }
    }

    /// Takes note of what is seen now, and tells what is remembered as spans of time.
    pub(super) fn recall(&mut self, connection: &BoxConnection) -> Recall {
        let now = Instant::now();
        let failed = status_of(connection).failures.as_ref().map(|f| f.last_time.clone());
        self.failure = match (self.failure.take(), failed) {
            (Some((noted, since)), Some(last)) if noted == last => Some((noted, since)),
            (_, last) => last.map(|last| (last, now)),
        };
        Recall {
            since_look: self.looked_at.map(|t| now - t),
            secret_changed: self.seen.is_some() && self.seen != self.tried,
            since_try: self.tried_at.map(|t| now - t),
            since_listing: self.listed_at.map(|t| now - t),
            since_failure: self.failure.as_ref().map(|(_, t)| now - *t).unwrap_or_default(),
            until_probe: self.probe_at - now,
            until_allowed: self.allowed_at.map(|t| t - now).unwrap_or_default(),
            published: self.published,
            until_sweep: self.unnamed.values().min().map(|seen| (*seen + UNNAMED) - now),
        }
    }

    /// These slices are there and nobody names them; others that were seen before are named now, or gone.
    pub(super) fn unnamed(&mut self, slices: impl IntoIterator<Item = Present>) {
        let now = Instant::now();
        self.unnamed = slices
            .into_iter()
            .map(|s| (self.unnamed.get(&s).copied().unwrap_or(now), s))
            .map(|(t, s)| (s, t))
            .collect();
    }

    /// Which of them have been there for so long that nobody reads or publishes them any more.
    pub(super) fn due_to_be_swept(&self) -> HashSet<Present> {
        self.unnamed.iter().filter(|(_, seen)| seen.elapsed() >= UNNAMED).map(|(s, _)| s.clone()).collect()
    }

    /// The Secret was read.
    pub(super) fn look(&mut self, version: &Version) {
        self.looked_at = Some(Instant::now());
        self.seen = Some(version.clone());
    }

    /// Box was asked to let these credentials in.
    pub(super) fn try_with(&mut self, version: &Version) {
        self.tried_at = Some(Instant::now());
        self.tried = Some(version.clone());
    }

    /// Box let us in or kept us out: the next probe is a whole interval away.
    pub(super) fn probed(&mut self, probes: Duration) {
        self.probe_at = Instant::now() + probe_interval(&self.uid, probes);
    }
}
