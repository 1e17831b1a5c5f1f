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
    memory::{Key, Memories, Memory},
    observe::Observed,
    places::Places,
};
use crate::{
    api::{BoxConnection, UserSyncRequest},
    boxapi::{BaseUrl, Caps, Credentials, Session, Transport},
    runtime::Clock,
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
    pub(super) rules: Rules,
    pub(super) connections: Store<BoxConnection>,
    pub(super) requests: Store<UserSyncRequest>,
    pub(super) memories: Memories,
    pub(super) places: Arc<Places<Key>>,
    pub(super) stop: CancellationToken,
}

impl Context {
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) fn recall<T>(&self, connection: &BoxConnection, look: impl FnOnce(&mut Memory) -> T) -> T {
        self.memories.of(connection, self.rules.probe_interval, look)
    }

    /// The connection and its requests, with what is remembered of it.
    pub(super) fn observe(&self, connection: Arc<BoxConnection>, requests: Vec<Arc<UserSyncRequest>>) -> Observed {
        let recall = self.recall(&connection, |memory| memory.recall(&connection));
        Observed::new(connection, requests, recall)
    }

    /// The requests of a connection, as the watch knows them at this moment.
    pub(super) fn known_requests(&self, connection: &BoxConnection) -> Vec<Arc<UserSyncRequest>> {
        let (namespace, name) = (connection.namespace(), connection.name_any());
        self.requests.state_filter(|r| r.namespace() == namespace && r.spec.connection_ref.name == name)
    }

    pub(super) fn known_connection(&self, key: &Key) -> Option<Arc<BoxConnection>> {
        self.connections.get(key)
    }

    pub(super) fn session(&self, connection: &BoxConnection, credentials: Credentials) -> Session {
        let clock = self.clock.clone();
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
