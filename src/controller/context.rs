//! What the controllers work with, made once.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use kube::{
    ResourceExt,
    runtime::reflector::{ObjectRef, Store},
};
use tokio_util::sync::CancellationToken;

use super::{
    cluster::Cluster,
    events::Events,
    happening::BoxCalled,
    memory::{Key, Memories, Memory, named},
    observe::{List, Observed},
    places::Places,
    vault::Vault,
};
use crate::{
    api::{BoxConnection, UserRoster, UserSyncRequest},
    boxapi::{BaseUrl, Caps, Credentials, Listener, Session, Transport},
    metrics::Metrics,
    roster,
    runtime::{Clock, Shelter},
};

/// What an operator's flags say of the controllers.
#[derive(Clone, Debug)]
pub struct Rules {
    /// How many connections may work with Box at once; scheduled work takes all places but one.
    pub max_concurrent_syncs: usize,
    /// Between the end of one listing of a connection and the start of the next.
    pub min_sync_gap: Duration,
    /// Between two probes of a connection.
    pub probe_interval: Duration,
    /// Whether tokens of users (OAuth 2.0) are renewed, which takes the right to write Secrets.
    pub oauth: bool,
    /// The longest time by which the syncs of a schedule begin before the time that it names.
    pub schedule_spread: Duration,
    /// Box is not asked at all.
    pub paused: bool,
}

/// Box, as far as it is the same for all connections.
#[derive(Clone)]
pub struct BoxSide {
    pub transport: Transport,
    pub base: BaseUrl,
    pub caps: Caps,
}

pub(super) struct Context {
    pub(super) cluster: Cluster,
    pub(super) events: Events,
    pub(super) box_side: BoxSide,
    pub(super) clock: Clock,
    pub(super) metrics: Arc<Metrics>,
    pub(super) rules: Rules,
    pub(super) connections: Store<BoxConnection>,
    pub(super) requests: Store<UserSyncRequest>,
    pub(super) rosters: Store<UserRoster>,
    pub(super) memories: Memories,
    pub(super) places: Arc<Places<Key>>,
    pub(super) stop: CancellationToken,
    pub(super) shelter: Arc<Shelter>,
}

impl Context {
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) fn recall<T>(&self, connection: &BoxConnection, look: impl FnOnce(&mut Memory) -> T) -> T {
        self.memories.of(connection, self.rules.probe_interval, look)
    }

    /// The connection as given, and beside it what the watches know and what is remembered.
    pub(super) fn observe(&self, connection: Arc<BoxConnection>) -> Observed {
        let (roster, requests) = (self.known_roster(&connection), self.known_requests(&connection));
        self.observed(connection, roster, requests)
    }

    /// All of it as given, with what is remembered.
    pub(super) fn observed(
        &self,
        connection: Arc<BoxConnection>,
        roster: Option<Arc<UserRoster>>,
        requests: Vec<Arc<UserSyncRequest>>,
    ) -> Observed {
        let recall = self.recall(&connection, |memory| memory.recall(&connection));
        Observed::new(connection, roster, requests, recall)
    }

    /// Whether the published list is there, as far as this process knows.
    pub(super) fn list(&self, connection: &BoxConnection) -> List {
        let there = self.known_roster(connection).is_some() || self.recall(connection, |memory| memory.published);
        if there { List::Kept } else { List::without_roster(connection) }
    }

    /// The roster of the connection's name, as the watch knows it: without digests and journal.
    fn known_roster(&self, connection: &BoxConnection) -> Option<Arc<UserRoster>> {
        let key = ObjectRef::new(&connection.name_any()).within(&connection.namespace().unwrap_or_default());
        let known = self.rosters.get(&key);
        if known.is_some() {
            self.recall(connection, |memory| memory.published = false);
        }
        known
    }

    pub(super) fn store(&self, connection: &BoxConnection) -> roster::Store {
        let namespace = connection.namespace().unwrap_or_default();
        roster::Store::new(self.cluster.clone(), &namespace, &connection.name_any())
    }

    /// The requests of a connection, as the watch knows them at this moment.
    fn known_requests(&self, connection: &BoxConnection) -> Vec<Arc<UserSyncRequest>> {
        let (namespace, name) = (connection.namespace(), connection.name_any());
        self.requests.state_filter(|r| r.namespace() == namespace && r.spec.connection_ref.name == name)
    }

    pub(super) fn known_connection(&self, key: &Key) -> Option<Arc<BoxConnection>> {
        self.connections.get(key)
    }

    /// Who counts a connection's calls to Box.
    pub(super) fn listener(&self, connection: &BoxConnection) -> Listener {
        let (metrics, connection) = (self.metrics.clone(), named(connection));
        Arc::new(move |call| BoxCalled { connection: &connection, call }.tell(&metrics))
    }

    pub(super) fn session(&self, connection: &BoxConnection, credentials: Credentials) -> Session {
        let clock = self.clock.clone();
        let credentials = match credentials.seed().cloned() {
            Some(seed) => {
                let dead = self.recall(connection, |memory| memory.dead.clone());
                let vault = Vault::new(self.cluster.clone(), connection, seed, dead, &self.shelter);
                credentials.kept_by(Arc::new(vault))
            }
            None => credentials,
        };
        Session::new(
            self.box_side.transport.clone(),
            self.box_side.base.clone(),
            credentials,
            connection.spec.enterprise_id.clone(),
            Arc::new(move || clock.now()),
        )
    }
}

/// The connection that a request speaks of.
pub(super) fn connection_of(request: &UserSyncRequest) -> Key {
    ObjectRef::new(&request.spec.connection_ref.name).within(&request.namespace().unwrap_or_default())
}
