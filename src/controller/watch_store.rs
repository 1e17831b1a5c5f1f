//! Keeps a store in sync with the API server: the watches of one kind, one in each namespace.

use std::{fmt::Debug, time::Duration};

use futures::{
    Stream, StreamExt,
    stream::{self, BoxStream, select_all},
};
use k8s_openapi::NamespaceResourceScope;
use kube::{
    Api, Client, Resource, ResourceExt,
    runtime::{
        WatchStreamExt,
        reflector::store::Writer,
        utils::Backoff,
        watcher::{self, Event, watcher},
    },
};
use tokio::{
    sync::{mpsc::UnboundedSender, watch::Sender},
    time::Instant,
};

use super::{
    kube_calls::KubeClient,
    merged_watch::WatchMerger,
    telemetry::{ResourceKind, WatchInterrupted},
    unreadable_objects::UnreadableObjects,
    watch_health::WatchHealth,
    watch_scopes::{ScopeState, WatchScopes},
};
use crate::{
    api::{DecodeStored, Stored, Unreadable},
    metrics::Metrics,
};

/// A silent watch is noticed after this time; the server ends each watch regularly before.
const WATCH_TIMEOUT_SECONDS: u32 = 60;
/// Objects per page of an initial list: a page is in memory twice.
const PAGE_SIZE: u32 = 50;
const INITIAL_BACKOFF: Duration = Duration::from_millis(500);
const MAX_BACKOFF: Duration = Duration::from_secs(4);
/// While a scope is denied, which takes a person to change.
const MAX_DENIED_BACKOFF: Duration = Duration::from_secs(30);
/// A watch that lasted this long resets its backoff.
const BACKOFF_RESET: Duration = Duration::from_secs(30);

/// Which objects are watched, and where the watches report.
pub(super) struct WatchTarget<'a> {
    pub(super) client: &'a Client,
    /// None: all namespaces.
    pub(super) namespaces: &'a [String],
    pub(super) kind: ResourceKind,
    pub(super) metrics: &'a Metrics,
    pub(super) scopes: &'a Sender<WatchScopes>,
    /// Receives the objects that cannot be read.
    pub(super) unreadable: Option<UnboundedSender<Unreadable>>,
}

/// Keeps a store in sync with the server. `prune` removes what is not needed of an object, and returns whether the object
/// is needed at all; `on_event` hears of everything that the store has applied. Errors are logged, counted and retried.
pub(super) async fn run_watch<K>(
    target: WatchTarget<'_>,
    mut writer: Writer<K>,
    prune: fn(&mut K) -> bool,
    on_event: impl Fn(&Event<K>),
) where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + DecodeStored
        + Send
        + Sync
        + 'static,
{
    let WatchTarget { client, namespaces, kind, metrics, scopes, unreadable } = target;
    let store = writer.as_reader();
    let apis = KubeClient::new(client.clone()).apis_in::<Stored<K>>(namespaces);
    let mut health = WatchHealth::new(apis.len(), Instant::now());
    let mut merger = WatchMerger::new(namespaces, store.clone());
    let skipped = || UnreadableObjects::new(kind, &metrics.unreadable_objects, unreadable.clone());
    let mut skipped: Vec<UnreadableObjects> = apis.iter().map(|_| skipped()).collect();
    let mut states = vec![ScopeState::Waiting; apis.len()];
    let namespace_of = |index: usize| namespaces.get(index).map_or("", String::as_str);
    let watches = apis.into_iter().enumerate();
    let mut events = select_all(watches.map(|(index, api)| scope_events(api).map(move |event| (index, event)).boxed()));
    loop {
        let next_change = health.next_change();
        let received = tokio::select! {
            Some(received) = events.next() => Some(received),
            () = sleep_until_change(next_change) => None,
        };
        let now = Instant::now();
        let mut applied = Vec::new();
        let mut failed = None;
        match received {
            Some((index, Ok(event))) => {
                match event {
                    // The start of a list, which may still fail, and a part of one.
                    Event::Init | Event::InitApply(_) => {}
                    Event::InitDone => health.record_read(index, true, now),
                    Event::Apply(_) | Event::Delete(_) => health.record_read(index, false, now),
                }
                let needed = skipped[index].readable(event, &store).and_then(|event| prune_event(event, prune));
                applied.extend(needed.map(|event| merger.merge(index, event)).unwrap_or_default());
            }
            Some((index, Err(error))) => {
                let consecutive_errors = health.record_error(index, is_denied(&error), now);
                failed = Some((index, consecutive_errors, error));
            }
            None => {}
        }
        let new_states = health.states_at(now);
        if let Some((index, consecutive_errors, error)) = &failed {
            let reported = new_states[*index] == ScopeState::Isolated;
            let (namespace, consecutive_errors) = (namespace_of(*index), *consecutive_errors);
            WatchInterrupted { kind, namespace, consecutive_errors, reported, error }.emit(metrics);
        }
        for (index, (before, after)) in states.iter().zip(&new_states).enumerate().filter(|(_, (b, a))| b != a) {
            let namespace = namespace_of(index);
            scopes.send_modify(|scopes| scopes.set_state(kind, namespace, *after));
            match (before, after) {
                (_, ScopeState::Isolated) => {
                    let error = failed.as_ref().filter(|(failed, ..)| *failed == index).map(|(.., error)| error);
                    let error = error.map_or_else(|| "no complete list yet".to_owned(), ToString::to_string);
                    tracing::warn!(%kind, namespace, error, "cannot read this kind there, continuing with the others");
                    applied.extend(merger.skip_first_list(index));
                }
                (ScopeState::Isolated, _) => tracing::info!(%kind, namespace, "can read this kind there again"),
                (ScopeState::Waiting | ScopeState::Current, _) => {}
            }
        }
        states = new_states;
        for index in health.take_forgotten(now) {
            tracing::warn!(%kind, namespace = namespace_of(index), "forgetting what was read there before");
            applied.extend(merger.forget_objects(index));
        }
        for event in &applied {
            writer.apply_watcher_event(event);
            if let Event::Apply(object) | Event::Delete(object) = event {
                let (namespace, name) = (object.namespace(), object.name_any());
                tracing::debug!(%kind, namespace, name, "watch event");
            }
            on_event(event);
        }
    }
}

async fn sleep_until_change(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// The events of one watch, which starts again after every error. After a denial it starts with a list: what was missed
/// may be gone from the server's history.
fn scope_events<K>(api: Api<Stored<K>>) -> impl Stream<Item = watcher::Result<Event<Stored<K>>>>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DecodeStored + Send + 'static,
{
    let start = move || -> BoxStream<'static, watcher::Result<Event<Stored<K>>>> {
        let config = watcher::Config::default().timeout(WATCH_TIMEOUT_SECONDS).page_size(PAGE_SIZE);
        watcher(api.clone(), config).backoff(WatchBackoff::up_to(MAX_BACKOFF)).boxed()
    };
    let initial = (start(), WatchBackoff::up_to(MAX_DENIED_BACKOFF), None);
    stream::unfold((initial, start), |((mut events, mut denied, pause), start)| async move {
        if let Some(pause) = pause {
            tokio::time::sleep(pause).await;
            events = start();
        }
        let event = events.next().await?;
        let pause = event.as_ref().err().filter(|error| is_denied(error)).and_then(|_| denied.next());
        Some((event, ((events, denied, pause), start)))
    })
}

/// Whether the API server denies the right to read.
fn is_denied(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchFailed(kube::Error::Api(status))
        | watcher::Error::WatchError(status) => status.is_forbidden(),
        _ => false,
    }
}

/// The backoff of a watch. kube's default grows to half a minute, too long for a request after an outage, and is reset by
/// every attempted list, so that one that always fails is retried without a pause. Here only time resets it.
struct WatchBackoff {
    max: Duration,
    last: Option<(Instant, Duration)>,
}

impl WatchBackoff {
    fn up_to(max: Duration) -> Self {
        Self { max, last: None }
    }
}

impl Iterator for WatchBackoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let recent = self.last.filter(|(at, pause)| at.elapsed() < *pause + BACKOFF_RESET);
        let delay = recent.map_or(INITIAL_BACKOFF, |(_, pause)| (pause * 2).min(self.max));
        self.last = Some((Instant::now(), delay));
        Some(delay)
    }
}

impl Backoff for WatchBackoff {
    fn reset(&mut self) {}
}

/// An object that is not needed is deleted for the store.
fn prune_event<K: Resource>(event: Event<K>, prune: fn(&mut K) -> bool) -> Option<Event<K>> {
    let needed = |object: &mut K| {
        object.meta_mut().managed_fields = None;
        prune(object)
    };
    match event {
        Event::Apply(mut object) => {
            Some(if needed(&mut object) { Event::Apply(object) } else { Event::Delete(object) })
        }
        Event::InitApply(mut object) => needed(&mut object).then(|| Event::InitApply(object)),
        Event::Delete(_) | Event::Init | Event::InitDone => Some(event),
    }
}
