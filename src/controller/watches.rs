//! The controllers, and the watches that wake them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::{Stream, StreamExt, stream};
use kube::{
    Client, Resource, ResourceExt,
    runtime::{
        Controller,
        controller::Error,
        reflector,
        watcher::{self, Event},
    },
};
use tokio::sync::{
    mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    watch::Sender,
};
use tokio_util::sync::CancellationToken;

use super::{
    connection::{
        self, orphan_slices,
        state::{ConnectionKey, ConnectionStates},
    },
    context::{BoxClientConfig, Context},
    error_backoff::ErrorBackoffs,
    events::Events,
    kube_calls::{KubeClient, KubeError},
    options::ControllerOptions,
    permits::{FinishedLists, PermitPool},
    request::{
        self,
        index::{RequestIndex, RequestKey, connection_key, prune_request, request_key},
    },
    telemetry::ResourceKind,
    unreadable_objects::report_unreadable_connections,
    watch_scopes::{ScopeState, WatchScopes},
    watch_store::{WatchTarget, run_watch},
};
use crate::{
    api::{BoxConnection, UserRoster, UserSyncRequest},
    auth::KeyDecryption,
    metrics::{Metrics, WatchReport},
    runtime::{BackgroundTasks, Clock},
};

/// Between two searches for memory of objects that are gone, which their deletion has freed before.
const PRUNE_INTERVAL: Duration = Duration::from_secs(600);

/// What the controllers need from outside.
pub struct Dependencies {
    pub client: Client,
    /// The namespaces to watch; none: all of them.
    pub namespaces: Vec<String>,
    pub box_client_config: BoxClientConfig,
    pub clock: Clock,
    pub options: ControllerOptions,
    /// Where token refreshes continue; the shutdown waits for them.
    pub background: Arc<BackgroundTasks>,
    pub metrics: Arc<Metrics>,
    /// Receives what the watches have read, at first [`WatchScopes::new`].
    pub scopes: Sender<WatchScopes>,
}

/// Wakes reconciles. The watches wake none before the controllers run: until then nobody takes the keys.
struct WakeSenders {
    connections: UnboundedSender<ConnectionKey>,
    requests: UnboundedSender<RequestKey>,
    started: AtomicBool,
}

impl WakeSenders {
    fn wake_connection(&self, key: ConnectionKey) {
        if self.started.load(Ordering::Relaxed) {
            // The receiver lives as long as the controllers.
            let _ = self.connections.send(key);
        }
    }

    fn wake_request(&self, key: RequestKey) {
        if self.started.load(Ordering::Relaxed) {
            let _ = self.requests.send(key);
        }
    }

    /// Everything that was read before the controllers run is reconciled once.
    fn start(&self, connections: &reflector::Store<BoxConnection>, requests: &reflector::Store<UserSyncRequest>) {
        self.started.store(true, Ordering::Relaxed);
        connections.state().iter().for_each(|c| self.wake_connection(ConnectionKey::from(c.as_ref())));
        requests.state().iter().for_each(|r| self.wake_request(request_key(r)));
    }

    fn wake_requests_of(&self, connection: &ConnectionKey, context: &Context) {
        context.requests.unfinished_requests(connection).iter().for_each(|r| self.wake_request(request_key(r)));
    }
}

/// Runs both controllers until `stop` is cancelled and their reconciles have ended.
pub async fn run(dependencies: Dependencies, stop: CancellationToken) {
    let Dependencies { client, namespaces, box_client_config, clock, options, background, metrics, scopes } =
        dependencies;
    let (unreadable, unreadable_connections) = unbounded_channel();
    let (wake_connections, woken_connections) = unbounded_channel();
    let (wake_requests, woken_requests) = unbounded_channel();
    let wake =
        WakeSenders { connections: wake_connections.clone(), requests: wake_requests, started: AtomicBool::new(false) };
    let (connections, connection_writer) = reflector::store::<BoxConnection>();
    let (requests, request_writer) = reflector::store::<UserSyncRequest>();
    let (rosters, roster_writer) = reflector::store::<UserRoster>();
    let context = Arc::new(Context {
        cluster: KubeClient::new(client.clone()),
        events: Events::new(client.clone()),
        box_client_config,
        clock,
        metrics: metrics.clone(),
        permits: PermitPool::new(options.max_concurrent_syncs, wake_connections.clone(), metrics.clone()),
        finished_lists: FinishedLists::default(),
        key_decryption: KeyDecryption::default(),
        options,
        connections: connections.clone(),
        requests: RequestIndex::new(requests.clone()),
        rosters: rosters.clone(),
        scopes: scopes.subscribe(),
        connection_states: ConnectionStates::default(),
        connection_errors: ErrorBackoffs::default(),
        request_errors: ErrorBackoffs::default(),
        run_counter: AtomicU64::new(0),
        stop: stop.clone(),
        background,
    });

    // The keys come from the watches below: a stream of objects would not deliver deletions.
    let connection_controller = Controller::for_stream(stream::pending(), connections.clone())
        .reconcile_on(received_keys(woken_connections))
        .graceful_shutdown_on(stop.clone().cancelled_owned())
        .run(
            connection::reconcile::reconcile,
            |c, error, context| connection::reconcile::error_policy(&c, error, &context),
            context.clone(),
        )
        .for_each(|result| {
            log_reconcile_result(ResourceKind::Connections, result, |key| context.forget_connection(key));
            std::future::ready(())
        });
    let request_controller = Controller::for_stream(stream::pending(), requests.clone())
        .reconcile_on(received_keys(woken_requests))
        .graceful_shutdown_on(stop.clone().cancelled_owned())
        .run(
            request::reconcile::reconcile,
            |r, error, context| request::reconcile::error_policy(&r, error, &context),
            context.clone(),
        )
        .for_each(|result| {
            log_reconcile_result(ResourceKind::Requests, result, |key| context.request_errors.reset(key));
            std::future::ready(())
        });

    let on_connection = |event: &Event<BoxConnection>| {
        let (Event::Apply(connection) | Event::Delete(connection)) = event else { return };
        let key = ConnectionKey::from(connection);
        let gone = matches!(event, Event::Delete(_)) || connection.metadata.deletion_timestamp.is_some();
        if gone {
            wake.wake_requests_of(&key, &context);
        }
        wake.wake_connection(key);
    };
    let on_request = |event: &Event<UserSyncRequest>| {
        context.requests.apply_event(event);
        let (Event::Apply(request) | Event::Delete(request)) = event else { return };
        wake.wake_request(request_key(request));
        if matches!(event, Event::Apply(_)) && !request.is_finished() {
            wake.wake_connection(connection_key(request));
        }
    };
    let on_roster = |event: &Event<UserRoster>| {
        if let Event::Apply(roster) | Event::Delete(roster) = event {
            wake.wake_connection(connection_key_of_roster(roster));
        }
    };
    let target = |kind| WatchTarget {
        client: &client,
        namespaces: &namespaces,
        kind,
        metrics: &metrics,
        scopes: &scopes,
        unreadable: (kind == ResourceKind::Connections).then(|| unreadable.clone()),
    };
    let watches = async {
        tokio::join!(
            run_watch(target(ResourceKind::Connections), connection_writer, |_| true, on_connection),
            run_watch(target(ResourceKind::Requests), request_writer, prune_request, on_request),
            run_watch(target(ResourceKind::Rosters), roster_writer, prune_roster, on_roster),
        )
    };
    let (listed_connections, reporting_context, reported_scopes) =
        (connections.clone(), context.clone(), scopes.subscribe());
    let report_watches = move || WatchReport {
        readable: readable_scopes(&reported_scopes.borrow()),
        cache_sizes: reporting_context.cache_sizes(),
    };
    let _export_guard = metrics.export_leader_series(move || listed_connections.state(), report_watches);
    let controllers = async {
        // What the watches have not delivered yet would look deleted. A namespace that cannot be read is not awaited.
        let all_listed = async {
            tokio::join!(connections.wait_until_ready(), requests.wait_until_ready(), rosters.wait_until_ready())
        };
        tokio::select! {
            _ = all_listed => {}
            () = stop.cancelled() => return,
        }
        wake.start(&connections, &requests);
        tokio::select! {
            _ = async { tokio::join!(connection_controller, request_controller) } => {}
            () = report_unreadable_connections(&context, unreadable_connections) => {}
            () = orphan_slices::find_orphan_slices(&context, &namespaces, &wake_connections) => {}
            () = wake_recovered(&context, &scopes, &wake) => {}
            () = prune_regularly(&context) => {}
        }
    };
    tokio::select! {
        _ = watches => {}
        () = controllers => {}
    }
}

fn received_keys<K: Send + 'static>(receiver: UnboundedReceiver<K>) -> impl Stream<Item = K> + Send + 'static {
    stream::unfold(receiver, |mut receiver| async { receiver.recv().await.map(|key| (key, receiver)) })
}

/// Wakes the connections of a namespace in which something can be read again: what looked unknown may be missing now, and
/// what failed may work.
async fn wake_recovered(context: &Context, scopes: &Sender<WatchScopes>, wake: &WakeSenders) {
    let mut changes = scopes.subscribe();
    let mut before = changes.borrow_and_update().clone();
    // The sender lives longer.
    while changes.changed().await.is_ok() {
        let after = changes.borrow_and_update().clone();
        let recovered = after.recovered_since(&before);
        let is_recovered = |connection: &BoxConnection| {
            let namespace = connection.namespace().unwrap_or_default();
            recovered.iter().any(|recovered| recovered.is_empty() || *recovered == namespace)
        };
        let connections = context.connections.state_filter(is_recovered);
        connections.iter().for_each(|c| wake.wake_connection(ConnectionKey::from(c.as_ref())));
        before = after;
    }
}

async fn prune_regularly(context: &Context) {
    loop {
        tokio::time::sleep(PRUNE_INTERVAL).await;
        context.prune_memory();
    }
}

/// Whether each namespace and kind can be read; not those that are still awaited.
fn readable_scopes(scopes: &WatchScopes) -> Vec<(String, &'static str, bool)> {
    let known = scopes.states().filter(|(.., state)| *state != ScopeState::Waiting);
    known.map(|(namespace, kind, state)| (namespace.to_owned(), kind.as_str(), state == ScopeState::Current)).collect()
}

fn connection_key_of_roster(roster: &UserRoster) -> ConnectionKey {
    ConnectionKey::new(&roster.name_any()).within(&roster.namespace().unwrap_or_default())
}

/// Removes what the cache does not need; it is read from the API server when it is needed.
fn prune_roster(roster: &mut UserRoster) -> bool {
    let content = &mut roster.spec;
    content.slices.iter_mut().for_each(|slice| slice.digest = String::new());
    content.journal = Vec::new();
    true
}

type ReconcileResult<K> =
    Result<(reflector::ObjectRef<K>, kube::runtime::controller::Action), Error<KubeError, watcher::Error>>;

/// Handles the result of a reconcile. Reconciles log their own errors.
fn log_reconcile_result<K>(
    kind: ResourceKind,
    result: ReconcileResult<K>,
    on_deleted: impl Fn(&reflector::ObjectRef<K>),
) where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    match result {
        Ok(_) | Err(Error::ReconcilerFailed(..)) => {}
        Err(Error::ObjectNotFound(key)) => on_deleted(&key.into_kind_unchecked(())),
        Err(error @ (Error::QueueError(_) | Error::RunnerError(_))) => {
            tracing::error!(%kind, %error, "controller error");
        }
    }
}
