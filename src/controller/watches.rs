//! The watches, and the two controllers that they feed.

use std::{
    fmt::Debug,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use futures::{
    StreamExt,
    stream::{iter, select_all},
};
use k8s_openapi::NamespaceResourceScope;
use kube::{
    Client, Resource, ResourceExt,
    core::{DeserializeGuard, error_boundary::InvalidObject},
    runtime::{
        Controller, WatchStreamExt,
        controller::Error,
        reflector::{self, store::Writer},
        utils::Backoff,
        watcher::{self, Event, watcher},
    },
};
use serde::de::DeserializeOwned;
use tokio::{
    sync::{mpsc::unbounded_channel, watch::Sender},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{
    connection::{
        self, orphan_slices,
        plan_input::RosterPresence,
        state::{ConnectionKey, ConnectionStates},
    },
    context::{BoxClientConfig, Context, connection_key},
    error_backoff::ErrorBackoffs,
    events::Events,
    kube_calls::{KubeClient, KubeError},
    merged_watch::WatchMerger,
    options::ControllerOptions,
    permits::{FinishedLists, PermitPool},
    request,
    telemetry::{ResourceKind, WatchInterrupted},
};
use crate::{
    api::{BoxConnection, UserRoster, UserSyncRequest},
    auth::KeyDecryption,
    metrics::Metrics,
    runtime::{BackgroundTasks, Clock},
};

/// A silent watch is noticed after this time; the server ends each watch regularly before.
const WATCH_TIMEOUT_SECONDS: u32 = 60;
/// Objects per page of an initial list: a page is in memory twice.
const PAGE_SIZE: u32 = 50;
const INITIAL_BACKOFF: Duration = Duration::from_millis(500);
const MAX_BACKOFF: Duration = Duration::from_secs(4);
/// A watch that lasted this long resets its backoff.
const BACKOFF_RESET: Duration = Duration::from_secs(30);
/// Objects queued for a busy controller; a full buffer delays the watch and loses nothing.
const STORE_BUFFER: usize = 1024;

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
    /// Receives the kinds whose initial list is complete.
    pub listed: Sender<Vec<ResourceKind>>,
}

/// Runs both controllers until `stop` is cancelled and their reconciles have ended.
pub async fn run(dependencies: Dependencies, stop: CancellationToken) {
    let Dependencies { client, namespaces, box_client_config, clock, options, background, metrics, listed } =
        dependencies;
    let (wake, woken) = unbounded_channel();
    let (connections, connection_writer) = reflector::store_shared::<BoxConnection>(STORE_BUFFER);
    let (requests, request_writer) = reflector::store_shared::<UserSyncRequest>(STORE_BUFFER);
    let (rosters, roster_writer) = reflector::store_shared::<UserRoster>(STORE_BUFFER);
    let subscribe = "shared store supports subscribing";
    let connection_events = connection_writer.subscribe().expect(subscribe);
    let request_events = request_writer.subscribe().expect(subscribe);
    let connections_of_requests = request_writer.subscribe().expect(subscribe);
    let connections_of_rosters = roster_writer.subscribe().expect(subscribe);
    let context = Arc::new(Context {
        cluster: KubeClient::new(client.clone()),
        events: Events::new(client.clone()),
        box_client_config,
        clock,
        metrics: metrics.clone(),
        permits: PermitPool::new(options.max_concurrent_syncs, wake.clone()),
        finished_lists: FinishedLists::default(),
        key_decryption: KeyDecryption::default(),
        options,
        connections: connections.clone(),
        requests: requests.clone(),
        rosters: rosters.clone(),
        connection_states: ConnectionStates::default(),
        connection_errors: ErrorBackoffs::default(),
        request_errors: ErrorBackoffs::default(),
        run_counter: AtomicU64::new(0),
        stop: stop.clone(),
        background,
    });

    let woken = futures::stream::unfold(woken, |mut woken| async { woken.recv().await.map(|key| (key, woken)) });
    let connection_controller = Controller::for_shared_stream(connection_events, connections.clone())
        .watches_shared_stream(connections_of_requests, |r: Arc<UserSyncRequest>| {
            (!r.is_finished()).then(|| connection_key(&r))
        })
        .watches_shared_stream(connections_of_rosters, |r: Arc<UserRoster>| Some(connection_key_of_roster(&r)))
        .reconcile_on(woken)
        .graceful_shutdown_on(stop.clone().cancelled_owned())
        .run(
            connection::reconcile::reconcile,
            |c, error, context| connection::reconcile::error_policy(&c, error, &context),
            context.clone(),
        )
        .for_each(|result| {
            log_reconcile_result(ResourceKind::Connections, result, |key: &ConnectionKey| {
                context.connection_states.remove_state(key);
                context.connection_errors.reset(key);
                context.permits.cancel_wait(key);
            });
            std::future::ready(())
        });
    let request_controller = Controller::for_shared_stream(request_events, requests)
        .graceful_shutdown_on(stop.clone().cancelled_owned())
        .run(
            request::reconcile::reconcile,
            |r, error, context| request::reconcile::error_policy(&r, error, &context),
            context.clone(),
        )
        .for_each(|result| {
            log_reconcile_result(ResourceKind::Requests, result, |key: &reflector::ObjectRef<UserSyncRequest>| {
                context.request_errors.reset(key);
            });
            std::future::ready(())
        });

    // The controllers' streams do not deliver deletions of rosters.
    let wake_if_roster_missing = |event: &Event<UserRoster>| {
        let wake_connection = |key: ConnectionKey| {
            // The receiver lives as long as the controllers.
            let _ = wake.send(key);
        };
        match event {
            Event::Delete(roster) => wake_connection(connection_key_of_roster(roster)),
            Event::InitDone => {
                let without_roster =
                    connections.state_filter(|c| context.roster_presence(c) == RosterPresence::Missing);
                without_roster.iter().for_each(|c| wake_connection(ConnectionKey::from(c.as_ref())));
            }
            Event::Apply(_) | Event::Init | Event::InitApply(_) => {}
        }
    };
    let observer = |kind| WatchObserver { kind, metrics: &metrics, listed: &listed };
    let watches = async {
        tokio::join!(
            run_watch(&client, &namespaces, connection_writer, observer(ResourceKind::Connections), |_| {}, |_| {}),
            run_watch(&client, &namespaces, request_writer, observer(ResourceKind::Requests), |_| {}, |_| {}),
            run_watch(
                &client,
                &namespaces,
                roster_writer,
                observer(ResourceKind::Rosters),
                prune_roster,
                wake_if_roster_missing
            ),
        )
    };
    let connection_store = connections.clone();
    let _export_guard = metrics.export_connections(move || connection_store.state());
    let controllers = async {
        // A roster that the watch has not delivered yet would look deleted.
        tokio::select! {
            ready = rosters.wait_until_ready() => if ready.is_err() { return },
            () = stop.cancelled() => return,
        }
        tokio::select! {
            _ = async { tokio::join!(connection_controller, request_controller) } => {}
            () = async {
                let _ = context.connections.wait_until_ready().await;
                orphan_slices::find_orphan_slices(&context, &namespaces, &wake).await;
            } => {}
        }
    };
    tokio::select! {
        _ = watches => {}
        () = controllers => {}
    }
}

fn connection_key_of_roster(roster: &UserRoster) -> ConnectionKey {
    ConnectionKey::new(&roster.name_any()).within(&roster.namespace().unwrap_or_default())
}

/// Removes what the cache does not need; it is read from the API server when it is needed.
fn prune_roster(roster: &mut UserRoster) {
    let content = &mut roster.spec;
    content.slices.iter_mut().for_each(|slice| slice.digest = String::new());
    content.journal = Vec::new();
}

/// The backoff of a watch. kube's default grows to half a minute, too long for a request after an outage, and is reset by
/// every attempted list, so that one that always fails is retried without a pause. Here only time resets it.
#[derive(Default)]
struct WatchBackoff {
    last: Option<(Instant, Duration)>,
}

impl Iterator for WatchBackoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let recent = self.last.filter(|(at, pause)| at.elapsed() < *pause + BACKOFF_RESET);
        let delay = recent.map_or(INITIAL_BACKOFF, |(_, pause)| (pause * 2).min(MAX_BACKOFF));
        self.last = Some((Instant::now(), delay));
        Some(delay)
    }
}

impl Backoff for WatchBackoff {
    fn reset(&mut self) {}
}

/// The kind of a watch, and where its events are reported.
struct WatchObserver<'a> {
    kind: ResourceKind,
    metrics: &'a Metrics,
    listed: &'a Sender<Vec<ResourceKind>>,
}

/// Keeps a store in sync with the server. Errors are logged, counted and retried.
async fn run_watch<K>(
    client: &Client,
    namespaces: &[String],
    writer: Writer<K>,
    observer: WatchObserver<'_>,
    prune: fn(&mut K),
    on_event: impl Fn(&Event<K>),
) where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + Sync
        + 'static,
{
    let WatchObserver { kind, metrics, listed } = observer;
    let mut consecutive_errors = 0_u64;
    let mut merger = WatchMerger::new(namespaces, writer.as_reader());
    let watches = KubeClient::new(client.clone()).apis_in::<DeserializeGuard<K>>(namespaces).into_iter().enumerate();
    let watches = watches.map(|(index, api)| {
        watcher(api, watcher::Config::default().timeout(WATCH_TIMEOUT_SECONDS).page_size(PAGE_SIZE))
            .backoff(WatchBackoff::default())
            .filter_map(|event| std::future::ready(event.map(|event| skip_unreadable(event, kind)).transpose()))
            .map(move |event| (index, event))
            .boxed()
    });
    select_all(watches)
        .flat_map(move |(index, event)| {
            let events = match event {
                Ok(event) => merger.merge(index, event).into_iter().map(Ok).collect(),
                Err(error) => vec![Err(error)],
            };
            iter(events)
        })
        .modify(move |object| {
            object.managed_fields_mut().clear();
            prune(object);
        })
        .reflect_shared(writer)
        .for_each(|event| {
            match event {
                // The start of a list, which may still fail.
                Ok(Event::Init) => {}
                Ok(event) => {
                    consecutive_errors = 0;
                    if matches!(event, Event::InitDone) && !listed.borrow().contains(&kind) {
                        listed.send_modify(|kinds| kinds.push(kind));
                    }
                    on_event(&event);
                }
                Err(error) => {
                    consecutive_errors += 1;
                    WatchInterrupted { kind, consecutive_errors, error: &error }.emit(metrics);
                }
            }
            std::future::ready(())
        })
        .await;
}

/// An object that cannot be parsed, because another version of the kind wrote it, is skipped; the watch goes on.
fn skip_unreadable<K>(event: Event<DeserializeGuard<K>>, kind: ResourceKind) -> Option<Event<K>> {
    let read = |object: DeserializeGuard<K>| match object.0 {
        Ok(object) => Some(object),
        Err(InvalidObject { error, metadata }) => {
            let (namespace, name) = (metadata.namespace, metadata.name);
            tracing::error!(%kind, namespace, name, error, "skipping an object that cannot be parsed");
            None
        }
    };
    match event {
        Event::Apply(object) => read(object).map(Event::Apply),
        Event::Delete(object) => read(object).map(Event::Delete),
        Event::InitApply(object) => read(object).map(Event::InitApply),
        Event::Init => Some(Event::Init),
        Event::InitDone => Some(Event::InitDone),
    }
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
