//! An object of each kind in every state that the operator leaves it in.

use std::sync::{Arc, Mutex};

use box_sim::{Behaviour, Enterprise};
use boxsync::api::BoxConnectionStatus;
use serde_json::{Value, json};

use crate::env::{NAMESPACE, SimEnv, format_condition, secs, sleep_secs};

/// What somebody may come upon.
pub(crate) struct ObjectState {
    /// A name for files.
    pub(crate) name: &'static str,
    /// What has happened, in a few words.
    pub(crate) description: &'static str,
    pub(crate) object: Value,
}

/// The states of one kind.
pub(crate) struct RecordedStates {
    kind: &'static str,
    pub(crate) states: Vec<ObjectState>,
    status_writes: Arc<Mutex<Vec<Value>>>,
}

impl RecordedStates {
    fn for_kind(kind: &'static str) -> Self {
        Self { kind, states: Vec::new(), status_writes: Arc::default() }
    }

    /// Every object with every status that was written on the way.
    pub(crate) fn status_writes(&self) -> Vec<Value> {
        self.status_writes.lock().expect("nobody panicked").clone()
    }

    /// A world without an operator, in which all that is written is kept.
    fn new_env(&self) -> SimEnv {
        let env = SimEnv::new();
        let status_writes = self.status_writes.clone();
        env.kube.on_write(move |_, call| {
            if call.subresource.as_deref() == Some("status") {
                status_writes.lock().expect("nobody panicked").push(call.body_json());
            }
            None
        });
        env
    }

    fn running_env(&self) -> SimEnv {
        let mut env = self.new_env();
        env.spawn_operator();
        env
    }

    /// The object as it is now, without what only the API server needs.
    fn capture(&mut self, world: &SimEnv, object: &str, name: &'static str, description: &'static str) {
        let mut object = world.kube.get(self.kind, NAMESPACE, object).expect("the object");
        for field in ["uid", "resourceVersion", "managedFields", "deletionGracePeriodSeconds", "finalizers"] {
            object["metadata"].as_object_mut().expect("metadata").remove(field);
        }
        if let Some(owner) = object.pointer_mut("/metadata/ownerReferences/0/uid") {
            *owner = "00000000-0000-4000-8000-000000000000".into();
        }
        self.states.push(ObjectState { name, description, object });
    }

    /// The object once it is being deleted and something still waits for what belongs to it.
    fn capture_deleted(&mut self, world: &SimEnv, object: &str, description: &'static str) {
        let foreground = json!(["foregroundDeletion"]);
        world.kube.edit(self.kind, NAMESPACE, object, |o| o["metadata"]["finalizers"] = foreground);
        world.kube.delete(self.kind, NAMESPACE, object);
        self.capture(world, object, "deleted", description);
    }
}

fn ready_condition(status: &BoxConnectionStatus) -> String {
    format_condition(&status.conditions, "Ready")
}

/// A connection with these fields of the spec.
fn connect_with_spec(world: &SimEnv, name: &str, extra_spec: &Value) -> Enterprise {
    let enterprise = world.add_enterprise(name, 1000);
    world.apply_credentials(&enterprise, name);
    world.apply_connection(name, enterprise.id(), extra_spec);
    enterprise
}

/// A connection whose list becomes stale soon.
async fn synced_connection(world: &SimEnv, name: &str) -> Enterprise {
    let enterprise = connect_with_spec(world, name, &json!({ "syncInterval": "1h" }));
    world.wait_for_connection(name, |s| ready_condition(s) == "True Synced").await;
    enterprise
}

/// A connection that somebody found out to be lost.
async fn disconnected_connection(world: &SimEnv, name: &str) {
    synced_connection(world, name).await.deauthorize_app();
    sleep_secs(60).await;
    world.create_request(name, name);
    world.wait_until_finished(name).await;
    world.wait_for_connection(name, |s| format_condition(&s.conditions, "Connected") == "False AppNotAuthorized").await;
}

pub(crate) async fn record_connection_states() -> RecordedStates {
    let mut recorded = RecordedStates::for_kind("BoxConnection");
    record_new_and_synced_states(&mut recorded).await;
    record_transient_failures(&mut recorded).await;
    record_failures_needing_action(&mut recorded).await;
    record_held_removals(&mut recorded).await;
    record_suspended_and_paused(&mut recorded).await;
    let world = recorded.running_env();
    synced_connection(&world, "acme").await;
    recorded.capture_deleted(&world, "acme", "It is being deleted");
    recorded
}

async fn record_new_and_synced_states(recorded: &mut RecordedStates) {
    let mut world = recorded.new_env();
    let acme = world.connect_enterprise("acme", 2500);
    recorded.capture(&world, "acme", "new", "It is new, and no operator has looked at it");
    acme.set_latency(secs(2));
    world.spawn_operator();
    world.wait_for_connection("acme", |s| s.current_sync.is_some()).await;
    recorded.capture(&world, "acme", "first-sync", "Its first sync runs");
    world.wait_for_connection("acme", |s| ready_condition(s) == "True Synced").await;
    recorded.capture(&world, "acme", "synced", "Its list is fresh");
    sleep_secs(60).await;
    world.create_request("again", "acme");
    world.wait_for_connection("acme", |s| s.current_sync.is_some()).await;
    recorded.capture(&world, "acme", "next-sync", "A later sync runs");
    world.wait_until_finished("again").await;
    world.stop_operator().await;
    world.edit_connection("acme", |c| c["spec"]["syncInterval"] = "12h".into());
    recorded.capture(&world, "acme", "changed", "Its spec was changed, and no operator has looked at it since");
}

async fn record_transient_failures(recorded: &mut RecordedStates) {
    let mut world = recorded.new_env();
    connect_with_spec(&world, "globex", &json!({})).enable_behaviour(Behaviour::ClosesConnection);
    world.spawn_operator();
    world.wait_for_connection("globex", |s| s.failures.is_some()).await;
    recorded.capture(&world, "globex", "first-attempt-failed", "Its first attempt met trouble that passes");
    synced_connection(&world, "acme").await.enable_behaviour(Behaviour::ClosesConnection);
    world.wait_for_connection("acme", |s| s.failures.is_some()).await;
    recorded.capture(&world, "acme", "last-attempt-failed", "The last attempt failed, its list is still fresh");
    synced_connection(&world, "initech").await.enable_behaviour(Behaviour::ClosesConnection);
    world.kube.delete("UserRoster", NAMESPACE, "initech");
    world.wait_for_connection("initech", |s| ready_condition(s) == "False Syncing" && s.failures.is_some()).await;
    recorded.capture(&world, "initech", "list-deleted", "Somebody deleted its list, and it is fetched anew");
    world.wait_for_connection("acme", |s| ready_condition(s) == "False Stale").await;
    recorded.capture(&world, "acme", "stale", "Its list is stale, and it is tried again and again");
}

async fn record_failures_needing_action(recorded: &mut RecordedStates) {
    let mut world = recorded.new_env();
    connect_with_spec(&world, "initech", &json!({})).deauthorize_app();
    world.spawn_operator();
    world.wait_for_connection("initech", |s| s.failures.is_some()).await;
    recorded.capture(&world, "initech", "never-connected", "Box did not let it in, and there never was a list");
    disconnected_connection(&world, "acme").await;
    recorded.capture(&world, "acme", "disconnected", "Box no longer lets it in; its list stays");
    synced_connection(&world, "globex").await.enable_behaviour(Behaviour::InsufficientScope);
    world.wait_for_connection("globex", |s| s.failures.is_some()).await;
    recorded.capture(
        &world,
        "globex",
        "permission-denied",
        "Its app may no longer list users; its list is still fresh",
    );
    let never = json!({ "schedule": { "cron": "0 20 30 2 *", "timeZone": "UTC" } });
    connect_with_spec(&world, "hooli", &never);
    world.wait_for_connection("hooli", |s| s.last_sync.is_some()).await;
    recorded.capture(&world, "hooli", "schedule-invalid", "Its schedule names no time; its list is still fresh");
}

async fn record_held_removals(recorded: &mut RecordedStates) {
    let world = recorded.running_env();
    let acme = synced_connection(&world, "acme").await;
    acme.users().iter().step_by(4).for_each(|user| drop(acme.remove_user(user.id)));
    world.wait_for_connection("acme", |s| ready_condition(s) == "True RemovalsHeld").await;
    recorded.capture(&world, "acme", "removals-held", "Removals are held, and somebody has to look");
    world.kube.delete("UserRoster", NAMESPACE, "acme");
    world.wait_for_connection("acme", |s| ready_condition(s) == "False RemovalsHeld").await;
    recorded.capture(&world, "acme", "removals-held-list-deleted", "Removals are held, and somebody deleted its list");
}

async fn record_suspended_and_paused(recorded: &mut RecordedStates) {
    let mut world = recorded.running_env();
    let suspend = |name: &str| world.edit_connection(name, |c| c["spec"]["suspend"] = true.into());
    synced_connection(&world, "acme").await;
    suspend("acme");
    world.wait_for_connection("acme", |s| s.observed_generation == Some(2)).await;
    recorded.capture(&world, "acme", "suspended", "It is suspended, its list is still fresh");
    connect_with_spec(&world, "globex", &json!({ "suspend": true }));
    world.wait_for_connection("globex", |s| ready_condition(s) == "Unknown Suspended").await;
    recorded.capture(&world, "globex", "suspended-new", "It is suspended and never had a list");
    disconnected_connection(&world, "initech").await;
    suspend("initech");
    world.wait_for_connection("initech", |s| s.observed_generation == Some(2)).await;
    recorded.capture(&world, "initech", "suspended-disconnected", "It is suspended since Box no longer lets it in");
    world.wait_for_connection("acme", |s| ready_condition(s) == "False Stale").await;
    recorded.capture(&world, "acme", "suspended-stale", "It is suspended, and its list is stale");
    synced_connection(&world, "hooli").await;
    world.stop_operator().await;
    world.rules.paused = true;
    world.spawn_operator();
    let paused = |s: &BoxConnectionStatus| format_condition(&s.conditions, "Paused") == "True Paused";
    world.wait_for_connection("hooli", paused).await;
    recorded.capture(&world, "hooli", "paused", "The operator is paused, its list is still fresh");
    connect_with_spec(&world, "stark", &json!({}));
    world.wait_for_connection("stark", paused).await;
    recorded.capture(&world, "stark", "paused-new", "The operator is paused, and there never was a list");
    world.wait_for_connection("hooli", |s| ready_condition(s) == "False Stale").await;
    recorded.capture(&world, "hooli", "paused-stale", "The operator is paused, and its list is stale");
}

pub(crate) async fn record_request_states() -> RecordedStates {
    let mut recorded = RecordedStates::for_kind("UserSyncRequest");
    let mut world = recorded.new_env();
    let acme = world.connect_enterprise("acme", 2500);
    world.create_request("first", "acme");
    recorded.capture(&world, "first", "new", "It is new, and no operator has looked at it");
    acme.set_latency(secs(2));
    world.spawn_operator();
    world.wait_for_request("first", |s| s.progress.is_some()).await;
    recorded.capture(&world, "first", "running", "Its sync runs");
    world.wait_until_finished("first").await;
    recorded.capture(&world, "first", "succeeded", "It succeeded");
    acme.set_latency(secs(0));
    world.create_request("second", "acme");
    world.wait_for_request("second", |s| format_condition(&s.conditions, "Reconciling") == "True CoolingDown").await;
    recorded.capture(&world, "second", "waiting", "It waits for its turn");
    world.wait_until_finished("second").await;
    acme.enable_behaviour(Behaviour::ClosesConnection);
    sleep_secs(60).await;
    world.create_request("third", "acme");
    world.wait_for_request("third", |s| s.attempts > 0).await;
    recorded.capture(&world, "third", "retried", "It met trouble that passes, and is tried again");
    acme.reset_behaviours();
    world.wait_until_finished("third").await;
    acme.deauthorize_app();
    sleep_secs(60).await;
    world.create_request("fourth", "acme");
    world.wait_until_finished("fourth").await;
    recorded.capture(&world, "fourth", "failed", "It failed");
    world.edit_connection("acme", |c| c["spec"]["suspend"] = true.into());
    world.create_request("fifth", "acme");
    world.wait_until_finished("fifth").await;
    recorded.capture(&world, "fifth", "refused", "It was refused, since its connection is suspended");
    synced_connection(&world, "globex").await;
    world.stop_operator().await;
    world.rules.paused = true;
    world.spawn_operator();
    world.create_request("sixth", "globex");
    world.wait_for_request("sixth", |s| format_condition(&s.conditions, "Reconciling") == "True Paused").await;
    recorded.capture(&world, "sixth", "paused", "The operator is paused");
    recorded.capture_deleted(&world, "sixth", "It is being deleted");
    recorded
}

pub(crate) async fn record_roster_states() -> RecordedStates {
    let mut recorded = RecordedStates::for_kind("UserRoster");
    let world = recorded.running_env();
    synced_connection(&world, "acme").await;
    recorded.capture(&world, "acme", "published", "A list is published");
    recorded.capture_deleted(&world, "acme", "It is being deleted");
    recorded
}
