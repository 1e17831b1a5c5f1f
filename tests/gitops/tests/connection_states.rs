//! Objects of each kind in every state that the operator can leave them in.

use std::sync::{Arc, Mutex};

use box_sim::{Behaviour, Enterprise};
use boxsync::api::BoxConnectionStatus;
use serde_json::{Value, json};

use crate::env::{NAMESPACE, SimEnv, format_condition, secs, sleep_secs};

/// An object in one state.
pub(crate) struct ObjectState {
    /// File name of the test data.
    pub(crate) name: &'static str,
    /// Short description, shown in docs/gitops.md.
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

    /// Every object with every status that was written.
    pub(crate) fn status_writes(&self) -> Vec<Value> {
        self.status_writes.lock().expect("not poisoned").clone()
    }

    /// An environment without an operator that records every status write.
    fn new_env(&self) -> SimEnv {
        let env = SimEnv::new();
        let status_writes = self.status_writes.clone();
        env.kube.on_write(move |_, call| {
            if call.subresource.as_deref() == Some("status") {
                status_writes.lock().expect("not poisoned").push(call.body_json());
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

    /// Records the current object without server-side metadata.
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

    /// Records the object while it is being deleted and a finalizer is still set.
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

/// Applies a connection whose list becomes stale soon.
async fn synced_connection(world: &SimEnv, name: &str) -> Enterprise {
    let enterprise = world.connect_with_spec(name, 1000, &json!({ "syncInterval": "1h" }));
    world.wait_until_ready(name).await;
    enterprise
}

/// Lets a request find that the connection is disconnected.
async fn disconnected_connection(world: &SimEnv, name: &str) {
    synced_connection(world, name).await.deauthorize_app();
    sleep_secs(60).await;
    world.run_request(name, name).await;
    world.wait_for_condition(name, "Connected", "False AppNotAuthorized").await;
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
    recorded.capture(&world, "acme", "new", "New, not reconciled yet");
    acme.set_latency(secs(2));
    world.spawn_operator();
    world.wait_for_connection("acme", |s| s.current_sync.is_some()).await;
    recorded.capture(&world, "acme", "first-sync", "First sync running");
    world.wait_until_ready("acme").await;
    recorded.capture(&world, "acme", "synced", "List fresh");
    sleep_secs(60).await;
    world.create_request("again", "acme");
    world.wait_for_connection("acme", |s| s.current_sync.is_some()).await;
    recorded.capture(&world, "acme", "next-sync", "Later sync running");
    world.wait_until_finished("again").await;
    world.stop_operator().await;
    world.edit_connection("acme", |c| c["spec"]["syncInterval"] = "12h".into());
    recorded.capture(&world, "acme", "changed", "Spec changed, not reconciled yet");
}

async fn record_transient_failures(recorded: &mut RecordedStates) {
    let mut world = recorded.new_env();
    world.connect_enterprise("globex", 1000).enable_behaviour(Behaviour::ClosesConnection);
    world.spawn_operator();
    world.wait_for_connection("globex", |s| s.failures.is_some()).await;
    recorded.capture(&world, "globex", "first-attempt-failed", "First sync failed, retrying");
    synced_connection(&world, "acme").await.enable_behaviour(Behaviour::ClosesConnection);
    world.wait_for_connection("acme", |s| s.failures.is_some()).await;
    recorded.capture(&world, "acme", "last-attempt-failed", "Last attempt failed, list still fresh");
    synced_connection(&world, "initech").await.enable_behaviour(Behaviour::ClosesConnection);
    world.kube.delete("UserRoster", NAMESPACE, "initech");
    world.wait_for_connection("initech", |s| ready_condition(s) == "False Syncing" && s.failures.is_some()).await;
    recorded.capture(&world, "initech", "list-deleted", "Roster deleted, being fetched again");
    world.wait_for_condition("acme", "Ready", "False Stale").await;
    recorded.capture(&world, "acme", "stale", "List stale, retrying");
}

async fn record_failures_needing_action(recorded: &mut RecordedStates) {
    let mut world = recorded.new_env();
    world.connect_enterprise("initech", 1000).deauthorize_app();
    world.spawn_operator();
    world.wait_for_connection("initech", |s| s.failures.is_some()).await;
    recorded.capture(&world, "initech", "never-connected", "Never connected, no list");
    disconnected_connection(&world, "acme").await;
    recorded.capture(&world, "acme", "disconnected", "Disconnected, last list stays");
    synced_connection(&world, "globex").await.enable_behaviour(Behaviour::InsufficientScope);
    world.wait_for_connection("globex", |s| s.failures.is_some()).await;
    recorded.capture(&world, "globex", "permission-denied", "App no longer permitted to list users, list still fresh");
    let never = json!({ "schedule": { "cron": "0 20 30 2 *", "timeZone": "UTC" } });
    world.connect_with_spec("hooli", 1000, &never);
    world.wait_until_synced("hooli").await;
    recorded.capture(&world, "hooli", "schedule-invalid", "Schedule never occurs, list still fresh");
}

async fn record_held_removals(recorded: &mut RecordedStates) {
    let world = recorded.running_env();
    let acme = synced_connection(&world, "acme").await;
    acme.users().iter().step_by(4).for_each(|user| drop(acme.remove_user(user.id)));
    world.wait_for_condition("acme", "Ready", "True RemovalsHeld").await;
    recorded.capture(&world, "acme", "removals-held", "Removals held, approval needed");
    world.kube.delete("UserRoster", NAMESPACE, "acme");
    world.wait_for_condition("acme", "Ready", "False RemovalsHeld").await;
    recorded.capture(&world, "acme", "removals-held-list-deleted", "Removals held, roster deleted");
}

async fn record_suspended_and_paused(recorded: &mut RecordedStates) {
    let mut world = recorded.running_env();
    let suspend = |name: &str| world.edit_connection(name, |c| c["spec"]["suspend"] = true.into());
    synced_connection(&world, "acme").await;
    suspend("acme");
    world.wait_for_connection("acme", |s| s.observed_generation == Some(2)).await;
    recorded.capture(&world, "acme", "suspended", "Suspended, list still fresh");
    world.connect_with_spec("globex", 1000, &json!({ "suspend": true }));
    world.wait_for_condition("globex", "Ready", "Unknown Suspended").await;
    recorded.capture(&world, "globex", "suspended-new", "Suspended, no list");
    disconnected_connection(&world, "initech").await;
    suspend("initech");
    world.wait_for_connection("initech", |s| s.observed_generation == Some(2)).await;
    recorded.capture(&world, "initech", "suspended-disconnected", "Suspended while disconnected");
    world.wait_for_condition("acme", "Ready", "False Stale").await;
    recorded.capture(&world, "acme", "suspended-stale", "Suspended, list stale");
    synced_connection(&world, "hooli").await;
    world.stop_operator().await;
    world.options.paused = true;
    world.spawn_operator();
    let paused = |s: &BoxConnectionStatus| format_condition(&s.conditions, "Paused") == "True Paused";
    world.wait_for_connection("hooli", paused).await;
    recorded.capture(&world, "hooli", "paused", "Operator paused, list still fresh");
    world.connect_enterprise("stark", 1000);
    world.wait_for_connection("stark", paused).await;
    recorded.capture(&world, "stark", "paused-new", "Operator paused, no list");
    world.wait_for_condition("hooli", "Ready", "False Stale").await;
    recorded.capture(&world, "hooli", "paused-stale", "Operator paused, list stale");
}

pub(crate) async fn record_request_states() -> RecordedStates {
    let mut recorded = RecordedStates::for_kind("UserSyncRequest");
    let mut world = recorded.new_env();
    let acme = world.connect_enterprise("acme", 2500);
    world.create_request("first", "acme");
    recorded.capture(&world, "first", "new", "New, not reconciled yet");
    acme.set_latency(secs(2));
    world.spawn_operator();
    world.wait_for_request("first", |s| s.progress.is_some()).await;
    recorded.capture(&world, "first", "running", "Sync running");
    world.wait_until_finished("first").await;
    recorded.capture(&world, "first", "succeeded", "Succeeded");
    acme.set_latency(secs(0));
    world.create_request("second", "acme");
    world.wait_for_request("second", |s| format_condition(&s.conditions, "Reconciling") == "True CoolingDown").await;
    recorded.capture(&world, "second", "waiting", "Waiting (CoolingDown)");
    world.wait_until_finished("second").await;
    acme.enable_behaviour(Behaviour::ClosesConnection);
    sleep_secs(60).await;
    world.create_request("third", "acme");
    world.wait_for_request("third", |s| s.attempts > 0).await;
    recorded.capture(&world, "third", "retried", "Failed once, retrying");
    acme.reset_behaviours();
    world.wait_until_finished("third").await;
    acme.deauthorize_app();
    sleep_secs(60).await;
    world.run_request("fourth", "acme").await;
    recorded.capture(&world, "fourth", "failed", "Failed");
    world.edit_connection("acme", |c| c["spec"]["suspend"] = true.into());
    world.run_request("fifth", "acme").await;
    recorded.capture(&world, "fifth", "refused", "Rejected: connection suspended");
    synced_connection(&world, "globex").await;
    world.stop_operator().await;
    world.options.paused = true;
    world.spawn_operator();
    world.create_request("sixth", "globex");
    world.wait_for_request("sixth", |s| format_condition(&s.conditions, "Reconciling") == "True Paused").await;
    recorded.capture(&world, "sixth", "paused", "Operator paused");
    recorded.capture_deleted(&world, "sixth", "It is being deleted");
    recorded
}

pub(crate) async fn record_roster_states() -> RecordedStates {
    let mut recorded = RecordedStates::for_kind("UserRoster");
    let world = recorded.running_env();
    synced_connection(&world, "acme").await;
    recorded.capture(&world, "acme", "published", "List published");
    recorded.capture_deleted(&world, "acme", "It is being deleted");
    recorded
}
