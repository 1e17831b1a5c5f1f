//! The watches and the two controllers that they feed.

use std::{fmt::Debug, sync::Arc, time::Duration};

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
    cluster::{Cluster, Trouble},
    connection,
    context::{BoxSide, Context, Rules, connection_of},
    events::Events,
    happening::{Kind, WatchInterrupted},
    leftovers,
    memory::{Key, Memories},
    merged::Merged,
    observe::List,
    places::Places,
    request,
};
use crate::{
    api::{BoxConnection, UserRoster, UserSyncRequest},
    metrics::Metrics,
    runtime::{Clock, Shelter},
};

/// A watch that has gone silent is noticed after this; the server ends each in good order before.
const WATCH_TIMEOUT_SECONDS: u32 = 60;
/// Objects of one page of a first list: what is read at once is in memory twice.
const PAGE: u32 = 50;
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(4);
/// A watch that held for so long begins with the first pause again.
const QUIET: Duration = Duration::from_secs(30);
/// Objects that wait for a controller that is busy; a full buffer holds back the watch, and loses nothing.
const BUFFER: usize = 1024;

/// What the controllers need from outside.
pub struct Deps {
    pub client: Client,
    /// The namespaces to look into; none: all of them.
    pub namespaces: Vec<String>,
    pub box_side: BoxSide,
    pub clock: Clock,
    pub rules: Rules,
    /// Where renewals of tokens go on; whoever ends the process waits for them.
    pub shelter: Arc<Shelter>,
    pub metrics: Arc<Metrics>,
    /// Is told of the kinds whose first list is complete.
    pub listed: Sender<Vec<Kind>>,
}

/// Runs both controllers until `stop` is cancelled and their reconciles have ended.
pub async fn run(deps: Deps, stop: CancellationToken) {
    let Deps { client, namespaces, box_side, clock, rules, shelter, metrics, listed } = deps;
    let (wake, woken) = unbounded_channel();
    let (connections, connection_writer) = reflector::store_shared::<BoxConnection>(BUFFER);
    let (requests, request_writer) = reflector::store_shared::<UserSyncRequest>(BUFFER);
    let (rosters, roster_writer) = reflector::store_shared::<UserRoster>(BUFFER);
    let subscribe = "a shared store can be subscribed to";
    let connection_events = connection_writer.subscribe().expect(subscribe);
    let request_events = request_writer.subscribe().expect(subscribe);
    let connections_of_requests = request_writer.subscribe().expect(subscribe);
    let connections_of_rosters = roster_writer.subscribe().expect(subscribe);
    let context = Arc::new(Context {
        cluster: Cluster::new(client.clone()),
        events: Events::new(client.clone()),
        box_side,
        clock,
        metrics: metrics.clone(),
        places: Places::new(rules.max_concurrent_syncs, wake.clone()),
        rules,
        connections: connections.clone(),
        requests: requests.clone(),
        rosters: rosters.clone(),
        memories: Memories::default(),
        stop: stop.clone(),
        shelter,
    });

    let woken = futures::stream::unfold(woken, |mut woken| async { woken.recv().await.map(|key| (key, woken)) });
    let connection_controller = Controller::for_shared_stream(connection_events, connections.clone())
        .watches_shared_stream(connections_of_requests, |r: Arc<UserSyncRequest>| {
            (!r.finished()).then(|| connection_of(&r))
        })
        .watches_shared_stream(connections_of_rosters, |r: Arc<UserRoster>| Some(connection_named_as(&r)))
        .reconcile_on(woken)
        .graceful_shutdown_on(stop.clone().cancelled_owned())
        .run(
            connection::reconcile,
            |c, trouble, context| connection::after_trouble(&c, trouble, &context),
            context.clone(),
        )
        .for_each(|result| {
            settled(Kind::Connections, result, |key: &Key| {
                context.memories.forget(key);
                context.places.leave(key);
            });
            std::future::ready(())
        });
    let request_controller = Controller::for_shared_stream(request_events, requests)
        .graceful_shutdown_on(stop.clone().cancelled_owned())
        .run(request::reconcile, |r, trouble, context| request::after_trouble(&r, trouble, &context), context.clone())
        .for_each(|result| {
            settled(Kind::Requests, result, |_: &reflector::ObjectRef<UserSyncRequest>| {});
            std::future::ready(())
        });

    // A deleted roster is an event that the controllers' streams do not bring.
    let wake_where_gone = |event: &Event<UserRoster>| {
        let gone = |key: Key| {
            // The receiver is gone only when the controllers are.
            let _ = wake.send(key);
        };
        match event {
            Event::Delete(roster) => gone(connection_named_as(roster)),
            Event::InitDone => {
                let lost = connections.state_filter(|c| context.list(c) == List::Gone);
                lost.iter().for_each(|c| gone(Key::from(c.as_ref())));
            }
            Event::Apply(_) | Event::Init | Event::InitApply(_) => {}
        }
    };
    let heard = |kind| Heard { kind, metrics: &metrics, listed: &listed };
    let watches = async {
        tokio::join!(
            watch(&client, &namespaces, connection_writer, heard(Kind::Connections), |_| {}, |_| {}),
            watch(&client, &namespaces, request_writer, heard(Kind::Requests), |_| {}, |_| {}),
            watch(&client, &namespaces, roster_writer, heard(Kind::Rosters), names_only, wake_where_gone),
        )
    };
    let shown = connections.clone();
    let _following = metrics.follow(move || shown.state());
    let controllers = async {
        // A roster that the watch has not brought yet would look like one that is gone.
        tokio::select! {
            ready = rosters.wait_until_ready() => if ready.is_err() { return },
            () = stop.cancelled() => return,
        }
        tokio::select! {
            _ = async { tokio::join!(connection_controller, request_controller) } => {}
            () = async {
                let _ = context.connections.wait_until_ready().await;
                leftovers::look(&context, &namespaces, &wake).await;
            } => {}
        }
    };
    tokio::select! {
        _ = watches => {}
        () = controllers => {}
    }
}

fn connection_named_as(roster: &UserRoster) -> Key {
    Key::new(&roster.name_any()).within(&roster.namespace().unwrap_or_default())
}

/// Of a roster that is only watched: which slices it names, not what they hold. The rest is read when it is needed.
fn names_only(roster: &mut UserRoster) {
    let content = &mut roster.spec;
    content.slices.iter_mut().for_each(|slice| slice.digest = String::new());
    content.journal = Vec::new();
}

/// How long a watch waits before it begins again. kube's own pauses grow to half a minute, too long for somebody who asks
/// for a sync after an outage; and they begin anew with every list that is tried, so that one that always fails is tried
/// all the time. Here only time makes them short again.
#[derive(Default)]
struct Pauses {
    last: Option<(Instant, Duration)>,
}

impl Iterator for Pauses {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let recent = self.last.filter(|(at, pause)| at.elapsed() < *pause + QUIET);
        let pause = recent.map_or(FIRST_PAUSE, |(_, pause)| (pause * 2).min(LONGEST_PAUSE));
        self.last = Some((Instant::now(), pause));
        Some(pause)
    }
}

impl Backoff for Pauses {
    fn reset(&mut self) {}
}

/// What is watched, and who hears of it.
struct Heard<'a> {
    kind: Kind,
    metrics: &'a Metrics,
    listed: &'a Sender<Vec<Kind>>,
}

/// Keeps a store like the server, whatever happens to the watches; trouble is told and counted, and passes.
async fn watch<K>(
    client: &Client,
    namespaces: &[String],
    writer: Writer<K>,
    heard: Heard<'_>,
    slim: fn(&mut K),
    seen: impl Fn(&Event<K>),
) where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + Sync
        + 'static,
{
    let Heard { kind, metrics, listed } = heard;
    let mut in_a_row = 0_u64;
    let mut merged = Merged::new(namespaces, writer.as_reader());
    let watches = Cluster::new(client.clone()).apis::<DeserializeGuard<K>>(namespaces).into_iter().enumerate();
    let watches = watches.map(|(place, api)| {
        watcher(api, watcher::Config::default().timeout(WATCH_TIMEOUT_SECONDS).page_size(PAGE))
            .backoff(Pauses::default())
            .filter_map(|event| std::future::ready(event.map(|event| readable(event, kind)).transpose()))
            .map(move |event| (place, event))
            .boxed()
    });
    select_all(watches)
        .flat_map(move |(place, event)| {
            let told = match event {
                Ok(event) => merged.tell(place, event).into_iter().map(Ok).collect(),
                Err(error) => vec![Err(error)],
            };
            iter(told)
        })
        .modify(move |object| {
            object.managed_fields_mut().clear();
            slim(object);
        })
        .reflect_shared(writer)
        .for_each(|event| {
            match event {
                // The beginning of a list, which may yet fail.
                Ok(Event::Init) => {}
                Ok(event) => {
                    in_a_row = 0;
                    if matches!(event, Event::InitDone) && !listed.borrow().contains(&kind) {
                        listed.send_modify(|kinds| kinds.push(kind));
                    }
                    seen(&event);
                }
                Err(error) => {
                    in_a_row += 1;
                    WatchInterrupted { kind, in_a_row, error: &error }.tell(metrics);
                }
            }
            std::future::ready(())
        })
        .await;
}

/// An object that cannot be read, since another version of its kind wrote it, is its own trouble and not the watch's.
fn readable<K>(event: Event<DeserializeGuard<K>>, kind: Kind) -> Option<Event<K>> {
    let read = |object: DeserializeGuard<K>| match object.0 {
        Ok(object) => Some(object),
        Err(InvalidObject { error, metadata }) => {
            let (namespace, name) = (metadata.namespace, metadata.name);
            tracing::error!(%kind, namespace, name, error, "an object cannot be read and is passed over");
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

type Reconciled<K> =
    Result<(reflector::ObjectRef<K>, kube::runtime::controller::Action), Error<Trouble, watcher::Error>>;

/// What a controller says of one reconcile. Reconciles tell their own trouble.
fn settled<K>(kind: Kind, result: Reconciled<K>, gone: impl Fn(&reflector::ObjectRef<K>))
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    match result {
        Ok(_) | Err(Error::ReconcilerFailed(..)) => {}
        Err(Error::ObjectNotFound(key)) => gone(&key.into_kind_unchecked(())),
        Err(error @ (Error::QueueError(_) | Error::RunnerError(_))) => {
            tracing::error!(%kind, %error, "the controller stumbled")
        }
    }
}
