//! An object of each kind in every state that the operator leaves it in.

use std::sync::{Arc, Mutex};

use box_sim::{Behaviour, Enterprise};
use boxsync::api::BoxConnectionStatus;
use serde_json::{Value, json};

use crate::world::{NAMESPACE, World, condition, pass, secs};

/// What somebody may come upon.
pub(crate) struct State {
    /// A name for files.
    pub(crate) name: &'static str,
    /// What has happened, in a few words.
    pub(crate) what: &'static str,
    pub(crate) object: Value,
}

/// The states of one kind.
pub(crate) struct Album {
    kind: &'static str,
    pub(crate) states: Vec<State>,
    written: Arc<Mutex<Vec<Value>>>,
}

impl Album {
    fn of(kind: &'static str) -> Self {
        Self { kind, states: Vec::new(), written: Arc::default() }
    }

    /// Every object with every status that was written on the way.
    pub(crate) fn written(&self) -> Vec<Value> {
        self.written.lock().expect("nobody panicked").clone()
    }

    /// A world without an operator, in which all that is written is kept.
    fn world(&self) -> World {
        let world = World::new();
        let written = self.written.clone();
        world.kube.on_write(move |_, call| {
            if call.subresource.as_deref() == Some("status") {
                written.lock().expect("nobody panicked").push(call.json());
            }
            None
        });
        world
    }

    fn running(&self) -> World {
        let mut world = self.world();
        world.start();
        world
    }

    /// The object as it is now, without what only the API server needs.
    fn keep(&mut self, world: &World, object: &str, name: &'static str, what: &'static str) {
        let mut object = world.kube.get(self.kind, NAMESPACE, object).expect("the object");
        for field in ["uid", "resourceVersion", "managedFields", "deletionGracePeriodSeconds", "finalizers"] {
            object["metadata"].as_object_mut().expect("metadata").remove(field);
        }
        if let Some(owner) = object.pointer_mut("/metadata/ownerReferences/0/uid") {
            *owner = "00000000-0000-4000-8000-000000000000".into();
        }
        self.states.push(State { name, what, object });
    }

    /// The object once it is being deleted and something still waits for what belongs to it.
    fn keep_deleted(&mut self, world: &World, object: &str, what: &'static str) {
        let foreground = json!(["foregroundDeletion"]);
        world.kube.edit(self.kind, NAMESPACE, object, |o| o["metadata"]["finalizers"] = foreground);
        world.kube.delete(self.kind, NAMESPACE, object);
        self.keep(world, object, "deleted", what);
    }
}

fn ready(status: &BoxConnectionStatus) -> String {
    condition(&status.conditions, "Ready")
}

/// A connection with these fields of the spec.
fn connect(world: &World, name: &str, more: &Value) -> Enterprise {
    let enterprise = world.enterprise(name, 1000);
    world.secret(&enterprise, name);
    world.connection(name, enterprise.id(), more);
    enterprise
}

/// A connection whose list becomes stale soon.
async fn synced(world: &World, name: &str) -> Enterprise {
    let enterprise = connect(world, name, &json!({ "syncInterval": "1h" }));
    world.until(name, |s| ready(s) == "True Synced").await;
    enterprise
}

/// A connection that somebody found out to be lost.
async fn disconnected(world: &World, name: &str) {
    synced(world, name).await.withdraw();
    pass(60).await;
    world.request(name, name);
    world.ended(name).await;
    world.until(name, |s| condition(&s.conditions, "Connected") == "False AppNotAuthorized").await;
}

pub(crate) async fn connections() -> Album {
    let mut album = Album::of("BoxConnection");
    beginnings(&mut album).await;
    passing_trouble(&mut album).await;
    trouble_for_people(&mut album).await;
    held(&mut album).await;
    halted(&mut album).await;
    let world = album.running();
    synced(&world, "acme").await;
    album.keep_deleted(&world, "acme", "It is being deleted");
    album
}

async fn beginnings(album: &mut Album) {
    let mut world = album.world();
    let acme = world.connect("acme", 2500);
    album.keep(&world, "acme", "new", "It is new, and no operator has looked at it");
    acme.latency(secs(2));
    world.start();
    world.until("acme", |s| s.current_sync.is_some()).await;
    album.keep(&world, "acme", "first-sync", "Its first sync runs");
    world.until("acme", |s| ready(s) == "True Synced").await;
    album.keep(&world, "acme", "synced", "Its list is fresh");
    pass(60).await;
    world.request("again", "acme");
    world.until("acme", |s| s.current_sync.is_some()).await;
    album.keep(&world, "acme", "next-sync", "A later sync runs");
    world.ended("again").await;
    world.stop().await;
    world.edit("acme", |c| c["spec"]["syncInterval"] = "12h".into());
    album.keep(&world, "acme", "changed", "Its spec was changed, and no operator has looked at it since");
}

async fn passing_trouble(album: &mut Album) {
    let mut world = album.world();
    connect(&world, "globex", &json!({})).behave(Behaviour::HangsUp);
    world.start();
    world.until("globex", |s| s.failures.is_some()).await;
    album.keep(&world, "globex", "first-attempt-failed", "Its first attempt met trouble that passes");
    synced(&world, "acme").await.behave(Behaviour::HangsUp);
    world.until("acme", |s| s.failures.is_some()).await;
    album.keep(&world, "acme", "last-attempt-failed", "The last attempt failed, its list is still fresh");
    synced(&world, "initech").await.behave(Behaviour::HangsUp);
    world.kube.delete("UserRoster", NAMESPACE, "initech");
    world.until("initech", |s| ready(s) == "False Syncing" && s.failures.is_some()).await;
    album.keep(&world, "initech", "list-deleted", "Somebody deleted its list, and it is fetched anew");
    world.until("acme", |s| ready(s) == "False Stale").await;
    album.keep(&world, "acme", "stale", "Its list is stale, and it is tried again and again");
}

async fn trouble_for_people(album: &mut Album) {
    let mut world = album.world();
    connect(&world, "initech", &json!({})).withdraw();
    world.start();
    world.until("initech", |s| s.failures.is_some()).await;
    album.keep(&world, "initech", "never-connected", "Box did not let it in, and there never was a list");
    disconnected(&world, "acme").await;
    album.keep(&world, "acme", "disconnected", "Box no longer lets it in; its list stays");
    synced(&world, "globex").await.behave(Behaviour::InsufficientScope);
    world.until("globex", |s| s.failures.is_some()).await;
    album.keep(&world, "globex", "permission-denied", "Its app may no longer list users; its list is still fresh");
    let never = json!({ "schedule": { "cron": "0 20 30 2 *", "timeZone": "UTC" } });
    connect(&world, "hooli", &never);
    world.until("hooli", |s| s.last_sync.is_some()).await;
    album.keep(&world, "hooli", "schedule-invalid", "Its schedule names no time; its list is still fresh");
}

async fn held(album: &mut Album) {
    let world = album.running();
    let acme = synced(&world, "acme").await;
    acme.users().iter().step_by(4).for_each(|user| drop(acme.remove_user(user.id)));
    world.until("acme", |s| ready(s) == "True RemovalsHeld").await;
    album.keep(&world, "acme", "removals-held", "Removals are held, and somebody has to look");
    world.kube.delete("UserRoster", NAMESPACE, "acme");
    world.until("acme", |s| ready(s) == "False RemovalsHeld").await;
    album.keep(&world, "acme", "removals-held-list-deleted", "Removals are held, and somebody deleted its list");
}

async fn halted(album: &mut Album) {
    let mut world = album.running();
    let suspend = |name: &str| world.edit(name, |c| c["spec"]["suspend"] = true.into());
    synced(&world, "acme").await;
    suspend("acme");
    world.until("acme", |s| s.observed_generation == Some(2)).await;
    album.keep(&world, "acme", "suspended", "It is suspended, its list is still fresh");
    connect(&world, "globex", &json!({ "suspend": true }));
    world.until("globex", |s| ready(s) == "Unknown Suspended").await;
    album.keep(&world, "globex", "suspended-new", "It is suspended and never had a list");
    disconnected(&world, "initech").await;
    suspend("initech");
    world.until("initech", |s| s.observed_generation == Some(2)).await;
    album.keep(&world, "initech", "suspended-disconnected", "It is suspended since Box no longer lets it in");
    world.until("acme", |s| ready(s) == "False Stale").await;
    album.keep(&world, "acme", "suspended-stale", "It is suspended, and its list is stale");
    synced(&world, "hooli").await;
    world.stop().await;
    world.rules.paused = true;
    world.start();
    let paused = |s: &BoxConnectionStatus| condition(&s.conditions, "Paused") == "True Paused";
    world.until("hooli", paused).await;
    album.keep(&world, "hooli", "paused", "The operator is paused, its list is still fresh");
    connect(&world, "stark", &json!({}));
    world.until("stark", paused).await;
    album.keep(&world, "stark", "paused-new", "The operator is paused, and there never was a list");
    world.until("hooli", |s| ready(s) == "False Stale").await;
    album.keep(&world, "hooli", "paused-stale", "The operator is paused, and its list is stale");
}

pub(crate) async fn requests() -> Album {
    let mut album = Album::of("UserSyncRequest");
    let mut world = album.world();
    let acme = world.connect("acme", 2500);
    world.request("first", "acme");
    album.keep(&world, "first", "new", "It is new, and no operator has looked at it");
    acme.latency(secs(2));
    world.start();
    world.asked_until("first", |s| s.progress.is_some()).await;
    album.keep(&world, "first", "running", "Its sync runs");
    world.ended("first").await;
    album.keep(&world, "first", "succeeded", "It succeeded");
    acme.latency(secs(0));
    world.request("second", "acme");
    world.asked_until("second", |s| condition(&s.conditions, "Reconciling") == "True CoolingDown").await;
    album.keep(&world, "second", "waiting", "It waits for its turn");
    world.ended("second").await;
    acme.behave(Behaviour::HangsUp);
    pass(60).await;
    world.request("third", "acme");
    world.asked_until("third", |s| s.attempts > 0).await;
    album.keep(&world, "third", "retried", "It met trouble that passes, and is tried again");
    acme.normal();
    world.ended("third").await;
    acme.withdraw();
    pass(60).await;
    world.request("fourth", "acme");
    world.ended("fourth").await;
    album.keep(&world, "fourth", "failed", "It failed");
    world.edit("acme", |c| c["spec"]["suspend"] = true.into());
    world.request("fifth", "acme");
    world.ended("fifth").await;
    album.keep(&world, "fifth", "refused", "It was refused, since its connection is suspended");
    synced(&world, "globex").await;
    world.stop().await;
    world.rules.paused = true;
    world.start();
    world.request("sixth", "globex");
    world.asked_until("sixth", |s| condition(&s.conditions, "Reconciling") == "True Paused").await;
    album.keep(&world, "sixth", "paused", "The operator is paused");
    album.keep_deleted(&world, "sixth", "It is being deleted");
    album
}

pub(crate) async fn rosters() -> Album {
    let mut album = Album::of("UserRoster");
    let world = album.running();
    synced(&world, "acme").await;
    album.keep(&world, "acme", "published", "A list is published");
    album.keep_deleted(&world, "acme", "It is being deleted");
    album
}
