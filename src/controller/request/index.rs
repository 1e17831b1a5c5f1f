//! The requests in memory: unfinished ones by their connection, so that the cost of a reconcile does not grow with the
//! other requests, and of finished ones what their deletion needs.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{
    ResourceExt,
    runtime::{
        reflector::{ObjectRef, Store},
        watcher::Event,
    },
};
use tokio::time::Instant;

use crate::{
    api::{UserSyncRequest, UserSyncRequestStatus},
    controller::connection::state::ConnectionKey,
};

pub(crate) type RequestKey = ObjectRef<UserSyncRequest>;

/// The store of the watch, and which of its requests wait for which connection.
pub(crate) struct RequestIndex {
    store: Store<UserSyncRequest>,
    waiting: Mutex<WaitingRequests>,
}

#[derive(Default)]
struct WaitingRequests {
    by_connection: HashMap<ConnectionKey, HashSet<RequestKey>>,
    connections: HashMap<RequestKey, ConnectionKey>,
    /// Since when the connection of a request has been known to be missing.
    missing_since: HashMap<RequestKey, Instant>,
}

impl RequestIndex {
    pub(crate) fn new(store: Store<UserSyncRequest>) -> Self {
        Self { store, waiting: Mutex::default() }
    }

    /// Follows an event that the store has applied.
    pub(crate) fn apply_event(&self, event: &Event<UserSyncRequest>) {
        let mut waiting = self.lock_waiting();
        match event {
            Event::Apply(request) => waiting.update_request(request),
            Event::Delete(request) => waiting.remove_request(&request_key(request)),
            Event::InitDone => {
                *waiting = WaitingRequests::default();
                self.store.state().iter().for_each(|request| waiting.update_request(request));
            }
            Event::Init | Event::InitApply(_) => {}
        }
    }

    /// The unfinished requests of a connection.
    pub(crate) fn unfinished_requests(&self, connection: &ConnectionKey) -> Vec<Arc<UserSyncRequest>> {
        let keys = self.lock_waiting().by_connection.get(connection).cloned().unwrap_or_default();
        keys.iter().filter_map(|key| self.store.get(key)).collect()
    }

    /// How long the connection of this request has been known to be missing.
    pub(crate) fn connection_missing_for(&self, request: &UserSyncRequest) -> Duration {
        let (mut waiting, key) = (self.lock_waiting(), request_key(request));
        if !waiting.connections.contains_key(&key) {
            return Duration::ZERO;
        }
        waiting.missing_since.entry(key).or_insert_with(Instant::now).elapsed()
    }

    /// The connection of this request exists, or may.
    pub(crate) fn reset_connection_missing(&self, request: &UserSyncRequest) {
        self.lock_waiting().missing_since.remove(&request_key(request));
    }

    pub(crate) fn is_known(&self, key: &RequestKey) -> bool {
        self.store.get(key).is_some()
    }

    /// The number of requests in memory.
    pub(crate) fn request_count(&self) -> usize {
        self.store.len()
    }

    fn lock_waiting(&self) -> MutexGuard<'_, WaitingRequests> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WaitingRequests {
    fn update_request(&mut self, request: &UserSyncRequest) {
        let (key, connection) = (request_key(request), connection_key(request));
        if request.is_finished() || self.connections.get(&key).is_some_and(|before| *before != connection) {
            self.remove_request(&key);
        }
        if !request.is_finished() {
            self.by_connection.entry(connection.clone()).or_default().insert(key.clone());
            self.connections.insert(key, connection);
        }
    }

    fn remove_request(&mut self, key: &RequestKey) {
        self.missing_since.remove(key);
        let Some(connection) = self.connections.remove(key) else { return };
        if let Some(keys) = self.by_connection.get_mut(&connection) {
            keys.remove(key);
            if keys.is_empty() {
                self.by_connection.remove(&connection);
            }
        }
    }
}

/// The connection that a request refers to.
pub(crate) fn connection_key(request: &UserSyncRequest) -> ConnectionKey {
    ObjectRef::new(&request.spec.connection_ref.name).within(&request.namespace().unwrap_or_default())
}

/// Without UID and version, which an `ObjectRef` of an object would hold.
pub(crate) fn request_key(request: &UserSyncRequest) -> RequestKey {
    ObjectRef::new(&request.name_any()).within(&request.namespace().unwrap_or_default())
}

/// Keeps of a request what this process needs. Returns whether it needs anything: of a finished one, what its deletion
/// needs, if it is to be deleted.
pub(crate) fn prune_request(request: &mut UserSyncRequest) -> bool {
    if !request.is_finished() {
        return true;
    }
    let metadata = std::mem::take(&mut request.metadata);
    request.metadata = ObjectMeta {
        name: metadata.name,
        namespace: metadata.namespace,
        uid: metadata.uid,
        resource_version: metadata.resource_version,
        ..ObjectMeta::default()
    };
    request.spec.approve_removals = None;
    request.status = request.status.take().map(|status| UserSyncRequestStatus {
        phase: status.phase,
        completion_time: status.completion_time,
        ..UserSyncRequestStatus::default()
    });
    request.spec.ttl_seconds_after_finished.is_some()
}

#[cfg(test)]
mod tests {
    use kube::runtime::reflector;
    use serde_json::json;

    use super::*;

    fn request(name: &str, connection: &str, phase: &str) -> UserSyncRequest {
        let metadata = json!({ "namespace": "backup", "name": name, "labels": { "a": "b" } });
        let spec = json!({ "connectionRef": { "name": connection } });
        serde_json::from_value(json!({ "metadata": metadata, "spec": spec, "status": { "phase": phase } }))
            .expect("a request")
    }

    fn names_of(index: &RequestIndex, connection: &str) -> Vec<String> {
        let key = ObjectRef::new(connection).within("backup");
        let mut names: Vec<String> = index.unfinished_requests(&key).iter().map(|r| r.name_any()).collect();
        names.sort();
        names
    }

    #[test]
    fn requests_are_found_by_their_connection_while_they_are_unfinished() {
        let (store, mut writer) = reflector::store();
        let index = RequestIndex::new(store);
        let mut apply = |event| {
            writer.apply_watcher_event(&event);
            index.apply_event(&event);
        };
        [Event::Init, Event::InitApply(request("a", "acme", "Pending")), Event::InitDone]
            .into_iter()
            .for_each(&mut apply);
        apply(Event::Apply(request("b", "acme", "Running")));
        apply(Event::Apply(request("c", "globex", "Pending")));
        assert_eq!(
            (names_of(&index, "acme"), names_of(&index, "globex")),
            (vec!["a".into(), "b".into()], vec!["c".into()])
        );
        apply(Event::Apply(request("a", "acme", "Failed")));
        apply(Event::Apply(request("c", "acme", "Pending")));
        assert_eq!((names_of(&index, "acme"), names_of(&index, "globex")), (vec!["b".into(), "c".into()], Vec::new()));
        apply(Event::Delete(request("b", "acme", "Running")));
        apply(Event::Delete(request("c", "acme", "Pending")));
        assert!(index.lock_waiting().by_connection.is_empty() && index.lock_waiting().connections.is_empty());
    }

    #[test]
    fn finished_requests_of_others_are_not_looked_at() {
        let (store, mut writer) = reflector::store();
        let index = RequestIndex::new(store);
        for n in 0..8_000 {
            let event = Event::Apply(request(&format!("r{n}"), &format!("c{}", n % 100), "Succeeded"));
            writer.apply_watcher_event(&event);
            index.apply_event(&event);
        }
        assert!(index.lock_waiting().by_connection.is_empty() && index.lock_waiting().connections.is_empty());
    }

    #[test]
    fn a_finished_request_is_kept_for_its_deletion_only() {
        let mut waiting = request("a", "acme", "Pending");
        assert!(prune_request(&mut waiting) && waiting.metadata.labels.is_some());
        let mut finished = request("a", "acme", "Failed");
        assert!(!prune_request(&mut finished));
        finished.spec.ttl_seconds_after_finished = Some(60);
        assert!(prune_request(&mut finished) && finished.is_finished() && finished.metadata.labels.is_none());
    }
}
