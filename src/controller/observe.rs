//! What a decision may depend on, as plain values.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use kube::ResourceExt;

use crate::api::{BoxConnection, BoxConnectionStatus, Conditions, State, UserSyncRequest};

/// A connection, its unfinished requests and what this process remembers. Nothing in it can do IO.
#[derive(Clone, Debug)]
pub(super) struct Observed {
    pub(super) connection: Arc<BoxConnection>,
    /// Unfinished requests of this connection, oldest first.
    pub(super) requests: Vec<Arc<UserSyncRequest>>,
    pub(super) recall: Recall,
}

/// What this process remembers of a connection, as spans measured on a clock that never jumps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Recall {
    /// Since the Secret's version was last read.
    pub(super) since_look: Option<Duration>,
    /// Whether the Secret as last seen is another than the one last tried.
    pub(super) secret_changed: bool,
    /// Since Box was last asked to let us in.
    pub(super) since_try: Option<Duration>,
    /// Since the last listing ended.
    pub(super) since_listing: Option<Duration>,
    /// Since `status.failures`, as it stands, was first seen by this process.
    pub(super) since_failure: Duration,
    /// Until the next probe.
    pub(super) until_probe: Duration,
    /// Until Box, which named the time, may be asked again; beside what the status says, which knows only of attempts.
    pub(super) until_allowed: Duration,
}

impl Observed {
    pub(super) fn new(connection: Arc<BoxConnection>, mut requests: Vec<Arc<UserSyncRequest>>, recall: Recall) -> Self {
        requests.retain(|r| !r.finished() && r.metadata.deletion_timestamp.is_none());
        requests.sort_by_cached_key(|r| (r.creation_timestamp().map(|t| t.0), r.name_any()));
        Self { connection, requests, recall }
    }

    pub(super) fn uid(&self) -> &str {
        self.connection.metadata.uid.as_deref().unwrap_or_default()
    }

    pub(super) fn status(&self) -> &BoxConnectionStatus {
        status_of(&self.connection)
    }

    pub(super) fn disconnected(&self) -> bool {
        self.status().conditions.is("Connected", State::False)
    }

    /// When the connection was lost; meaningful only while it is.
    pub(super) fn lost_at(&self) -> Option<Timestamp> {
        self.status().conditions.of("Connected").map(|c| c.last_transition_time.0)
    }

    /// The value of the annotation that asks for a sync, unless it was acted on.
    pub(super) fn annotation(&self) -> Option<&str> {
        let value = self.connection.annotations().get(crate::api::REQUESTED_AT)?;
        (self.status().last_handled_request.as_ref() != Some(value)).then_some(value)
    }

    /// Whether the spec names other credentials than those that Box last accepted, in a generation not tried yet.
    pub(super) fn auth_changed(&self) -> bool {
        generation_unobserved(&self.connection) && auth_differs(&self.connection)
    }
}

pub(super) fn status_of(connection: &BoxConnection) -> &BoxConnectionStatus {
    const EMPTY: &BoxConnectionStatus = &BoxConnectionStatus {
        observed_generation: None,
        conditions: Vec::new(),
        enterprise: None,
        account: None,
        app: None,
        users: None,
        last_sync: None,
        current_sync: None,
        next_sync_time: None,
        stale_time: None,
        failures: None,
        history: Vec::new(),
        credentials: None,
        last_handled_request: None,
    };
    connection.status.as_ref().unwrap_or(EMPTY)
}

pub(super) fn generation_unobserved(connection: &BoxConnection) -> bool {
    status_of(connection).observed_generation != connection.metadata.generation
}

pub(super) fn auth_differs(connection: &BoxConnection) -> bool {
    let accepted = status_of(connection).credentials.as_ref().map(|c| (c.method, c.secret_name.as_str()));
    accepted.is_none() || accepted != connection.spec.auth.chosen()
}
