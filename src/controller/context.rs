//! Shared dependencies and state of the controllers.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use jiff::Timestamp;
use kube::{
    ResourceExt,
    runtime::reflector::{ObjectRef, Store},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    connection::{
        plan_input::{PlanInput, RosterPresence},
        state::{ConnectionKey, ConnectionState, ConnectionStates, log_name},
    },
    error_backoff::ErrorBackoffs,
    events::Events,
    kube_calls::KubeClient,
    oauth::token_store::SecretTokenStore,
    options::ControllerOptions,
    permits::{FinishedLists, PermitPool},
    request::index::RequestIndex,
    telemetry::{BoxCallEnded, ResourceKind},
    watch_scopes::WatchScopes,
};
use crate::{
    api::{BoxConnection, UserRoster, UserSyncRequest},
    auth::{FailureContext, KeyDecryption},
    box_client::{BaseUrl, CallObserver, Credentials, Limits, SpawnFn, TokenSource, Transport},
    metrics::Metrics,
    roster,
    runtime::{BackgroundTasks, Clock},
};

/// The client configuration for Box that all connections share.
#[derive(Clone)]
pub struct BoxClientConfig {
    pub transport: Transport,
    pub base_url: BaseUrl,
    pub limits: Limits,
}

pub(crate) struct Context {
    pub(super) cluster: KubeClient,
    pub(super) events: Events,
    pub(super) box_client_config: BoxClientConfig,
    pub(super) clock: Clock,
    pub(super) metrics: Arc<Metrics>,
    pub(super) options: ControllerOptions,
    pub(super) connections: Store<BoxConnection>,
    pub(super) requests: RequestIndex,
    pub(super) rosters: Store<UserRoster>,
    pub(super) scopes: watch::Receiver<WatchScopes>,
    pub(super) connection_states: ConnectionStates,
    pub(super) connection_errors: ErrorBackoffs<BoxConnection>,
    pub(super) request_errors: ErrorBackoffs<UserSyncRequest>,
    /// How many reconciles of connections have begun, which numbers them in the log.
    pub(super) run_counter: AtomicU64,
    pub(super) permits: Arc<PermitPool>,
    pub(super) finished_lists: FinishedLists,
    pub(super) key_decryption: KeyDecryption,
    pub(super) stop: CancellationToken,
    pub(super) background: Arc<BackgroundTasks>,
}

impl Context {
    pub(super) fn current_time(&self) -> Timestamp {
        self.clock.now()
    }

    /// A number for the log lines of one reconcile.
    pub(super) fn next_run_id(&self) -> u64 {
        self.run_counter.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(super) fn with_state<T>(&self, connection: &BoxConnection, f: impl FnOnce(&mut ConnectionState) -> T) -> T {
        self.connection_states.with_state(connection, self.options.probe_interval, f)
    }

    /// The given connection with the cached objects and the in-memory state.
    pub(super) fn cached_plan_input(&self, connection: Arc<BoxConnection>) -> PlanInput {
        let roster = self.cached_roster(&connection);
        let requests = self.requests.unfinished_requests(&ConnectionKey::from(connection.as_ref()));
        let mut input = self.plan_input(connection, roster, requests);
        input.state.published |= !self.rosters_are_current(&input.connection);
        input
    }

    /// The given objects with the in-memory state.
    pub(super) fn plan_input(
        &self,
        connection: Arc<BoxConnection>,
        roster: Option<Arc<UserRoster>>,
        requests: Vec<Arc<UserSyncRequest>>,
    ) -> PlanInput {
        let connection = self.with_unwritten_status(connection);
        let (requests, view) =
            self.with_state(&connection, |state| (state.without_deferred(requests), state.view(&connection)));
        PlanInput::new(connection, roster, requests, view)
    }

    /// The connection with the status that it should have, where the API server refuses to store that.
    pub(super) fn with_unwritten_status(&self, connection: Arc<BoxConnection>) -> Arc<BoxConnection> {
        let status = self.with_state(&connection, |state| {
            let unwritten = state.unwritten_status.as_ref()?;
            unwritten.instead_of(connection.status.as_ref()).cloned()
        });
        match status {
            Some(status) => Arc::new(BoxConnection { status: Some(status), ..connection.as_ref().clone() }),
            None => connection,
        }
    }

    /// Whether the published list exists, as far as this process knows.
    pub(super) fn roster_presence(&self, connection: &BoxConnection) -> RosterPresence {
        let cached = self.cached_roster(connection).is_some() || !self.rosters_are_current(connection);
        let (published, slices_missing) = self.with_state(connection, |state| (state.published, state.slices_missing));
        if cached || published {
            RosterPresence::with_roster(slices_missing)
        } else {
            RosterPresence::without_roster(connection)
        }
    }

    /// The cached roster of the connection's name, without digests and journal.
    fn cached_roster(&self, connection: &BoxConnection) -> Option<Arc<UserRoster>> {
        let key = ObjectRef::new(&connection.name_any()).within(&connection.namespace().unwrap_or_default());
        let cached = self.rosters.get(&key);
        if cached.is_some() {
            self.with_state(connection, |state| state.published = false);
        }
        cached
    }

    pub(super) fn roster_store(&self, connection: &BoxConnection) -> roster::Store {
        let namespace = connection.namespace().unwrap_or_default();
        roster::Store::new(self.cluster.clone(), &namespace, &connection.name_any())
            .with_extra_metadata(&self.options.extra_metadata)
    }

    /// Whether a roster of this connection's namespace that is not cached does not exist.
    fn rosters_are_current(&self, connection: &BoxConnection) -> bool {
        self.scopes.borrow().is_current(ResourceKind::Rosters, &connection.namespace().unwrap_or_default())
    }

    pub(super) fn cached_connection(&self, key: &ConnectionKey) -> Option<Arc<BoxConnection>> {
        self.connections.get(key)
    }

    /// Frees what is held in memory for a connection that is deleted: its session and credentials among others.
    pub(super) fn forget_connection(&self, key: &ConnectionKey) {
        self.connection_states.remove_state(key);
        self.connection_errors.reset(key);
        self.permits.cancel_wait(key);
    }

    /// Frees what is held for objects that are not cached any more.
    pub(super) fn prune_memory(&self) {
        let held =
            self.connection_states.known_connections().into_iter().chain(self.connection_errors.failing_objects());
        held.filter(|key| self.connections.get(key).is_none()).for_each(|key| self.forget_connection(&key));
        let failing = self.request_errors.failing_objects();
        failing.iter().filter(|key| !self.requests.is_known(key)).for_each(|key| self.request_errors.reset(key));
    }

    /// The number of entries of each cache.
    pub(super) fn cache_sizes(&self) -> Vec<(&'static str, usize)> {
        vec![
            (ResourceKind::Connections.as_str(), self.connections.len()),
            (ResourceKind::Requests.as_str(), self.requests.request_count()),
            (ResourceKind::Rosters.as_str(), self.rosters.len()),
            ("connectionstates", self.connection_states.known_connections().len()),
            (
                "reconcileerrors",
                self.connection_errors.failing_objects().len() + self.request_errors.failing_objects().len(),
            ),
            ("permitqueue", self.permits.queue_length()),
        ]
    }

    /// Logs and counts a connection's calls to Box.
    pub(super) fn call_observer(&self, connection: &BoxConnection) -> CallObserver {
        let (metrics, connection) = (self.metrics.clone(), log_name(connection));
        Arc::new(move |call| BoxCallEnded { connection: &connection, call }.emit(&metrics))
    }

    pub(super) fn token_source(&self, connection: &BoxConnection, credentials: Credentials) -> TokenSource {
        let initial_token = credentials.initial_refresh_token().cloned();
        let token_source = TokenSource::new(
            self.box_client_config.transport.clone(),
            self.box_client_config.base_url.clone(),
            credentials,
            FailureContext::for_connection(connection).token_subject(),
            self.clock.to_fn(),
        );
        let Some(initial_token) = initial_token else { return token_source };
        let rejected_token = self.with_state(connection, |state| state.rejected_token.clone());
        let token_store = SecretTokenStore::new(self.cluster.clone(), connection, initial_token, rejected_token)
            .with_extra_metadata(&self.options.extra_metadata);
        let background = Arc::downgrade(&self.background);
        let spawn: SpawnFn = Arc::new(move |task| {
            // Without an owner the process is about to exit, and the waiting caller gets `Error::Cancelled`.
            if let Some(background) = background.upgrade() {
                background.spawn_task(task);
            }
        });
        token_source.with_token_store(Arc::new(token_store), spawn)
    }
}
