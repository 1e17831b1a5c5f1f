//! Direct access of tests to the store: not logged, never delayed, without injected faults.
//! The server's rules apply; an error is a panic with the server's message.

use crate::{
    KubeSim, object,
    selectors::Selector,
    server::ServerState,
    status_error::StatusError,
    store::{ObjectKey, WriteTime},
    write::{FOREGROUND_FINALIZER, Update, UpdateTarget, WriteEffect, WriteResult},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::time::Duration;

/// # Panics
/// All methods: if the server rejects the operation, or does not serve the kind.
impl KubeSim {
    /// Creates an object; without a namespace in its metadata, in `default`.
    #[track_caller]
    pub fn create(&self, object: impl Serialize) -> Value {
        let object = to_json(object);
        self.write_with(|state, now| {
            let key = key_for_object(state, &object);
            state.store.create(key.resource, &key.namespace, object, now)
        })
    }

    /// Creates the object, or merges it into the existing one as the main endpoint does: without its status.
    #[track_caller]
    pub fn apply(&self, object: impl Serialize) -> Value {
        let object = to_json(object);
        self.write_with(|state, now| {
            let key = key_for_object(state, &object);
            match state.store.contains(&key) {
                true => state.store.update(key, UpdateTarget::Main, Update::Merge(object), now),
                false => state.store.create(key.resource, &key.namespace, object, now),
            }
        })
    }

    /// Changes spec and status of an object in one step, without validation rules.
    #[track_caller]
    pub fn edit(&self, kind: &str, namespace: &str, name: &str, change: impl FnOnce(&mut Value)) -> Value {
        let Some(mut object) = self.get(kind, namespace, name) else {
            panic!("cannot edit {kind} {namespace}/{name}: not found")
        };
        change(&mut object);
        self.write_with(|state, now| {
            let key = object_key(state, kind, namespace, name);
            state.store.overwrite(key, object, now)
        })
    }

    /// Deletes an object; with finalizers it is only marked for deletion.
    #[track_caller]
    pub fn delete(&self, kind: &str, namespace: &str, name: &str) {
        self.write_with(|state, now| {
            let key = object_key(state, kind, namespace, name);
            state.store.delete(key, &Value::Null, now)
        });
    }

    /// Deletes an object in the foreground: it exists until [`collect_garbage`](Self::collect_garbage) has deleted its
    /// dependents.
    #[track_caller]
    pub fn delete_foreground(&self, kind: &str, namespace: &str, name: &str) {
        self.write_with(|state, now| {
            let key = object_key(state, kind, namespace, name);
            state.store.delete(key, &json!({ "propagationPolicy": "Foreground" }), now)
        });
    }

    #[track_caller]
    #[must_use]
    pub fn get(&self, kind: &str, namespace: &str, name: &str) -> Option<Value> {
        let state = self.server.lock_state();
        let object = state.store.get(&object_key(&state, kind, namespace, name))?;
        Some((*object).clone())
    }

    /// All objects of a kind, by namespace and name.
    #[track_caller]
    #[must_use]
    pub fn list(&self, kind: &str) -> Vec<Value> {
        let state = self.server.lock_state();
        let index = resource_index(&state, kind);
        let all = Selector::default();
        let objects = state.store.list(index, &all);
        objects.map(|object| (**object).clone()).collect()
    }

    /// Shows all objects of a kind to the visitor, by namespace and name, without copying them. The visitor must not call
    /// the simulation.
    #[track_caller]
    pub fn visit(&self, kind: &str, mut visitor: impl FnMut(&Value)) {
        let state = self.server.lock_state();
        let index = resource_index(&state, kind);
        state.store.list(index, &Selector::default()).for_each(|object| visitor(object));
    }

    /// The object as its type.
    #[track_caller]
    #[must_use]
    pub fn object<K>(&self, namespace: &str, name: &str) -> Option<K>
    where
        K: kube::Resource<DynamicType = ()> + DeserializeOwned,
    {
        self.get(&K::kind(&()), namespace, name).map(deserialize_object)
    }

    /// All objects of a type, by namespace and name.
    #[track_caller]
    #[must_use]
    pub fn objects<K>(&self) -> Vec<K>
    where
        K: kube::Resource<DynamicType = ()> + DeserializeOwned,
    {
        self.list(&K::kind(&())).into_iter().map(deserialize_object).collect()
    }

    /// Waits at most `limit` until the object exists and meets the condition; a timeout prints the object.
    pub async fn wait_until<F>(&self, limit: Duration, kind: &str, namespace: &str, name: &str, condition: F) -> Value
    where
        F: Fn(&Value) -> bool,
    {
        let mut changes = self.server.subscribe();
        let wait = async {
            loop {
                changes.borrow_and_update();
                match self.get(kind, namespace, name) {
                    Some(object) if condition(&object) => return object,
                    _ => {
                        // The sender is in `self`, so the channel cannot close.
                        let _ = changes.changed().await;
                    }
                }
            }
        };
        match tokio::time::timeout(limit, wait).await {
            Ok(object) => object,
            Err(_) => {
                let found = self.get(kind, namespace, name).unwrap_or_default();
                panic!("timed out after {limit:?} waiting for {kind} {namespace}/{name}; last state: {found:#}")
            }
        }
    }

    /// Deletes objects whose owners are all deleted, and the dependents of those that are deleted in the foreground, until
    /// there are none left. Returns the number of deleted objects.
    pub fn collect_garbage(&self) -> usize {
        let now = self.server.write_time();
        let mut state = self.server.lock_state();
        let mut collected = 0;
        loop {
            let mut progress = false;
            for orphan in state.store.orphans() {
                if let Ok(written) = state.store.delete(orphan, &Value::Null, now) {
                    progress |= written.effect != WriteEffect::Unchanged;
                    collected += usize::from(written.effect == WriteEffect::Removed);
                }
            }
            for (owner, dependents, held) in state.store.foreground_deletions() {
                for dependent in dependents {
                    if let Ok(written) = state.store.delete(dependent, &Value::Null, now) {
                        progress |= written.effect != WriteEffect::Unchanged;
                        collected += usize::from(written.effect == WriteEffect::Removed);
                    }
                }
                if !held && let Some(object) = state.store.get(&owner) {
                    let others = object::finalizers(&object).iter().filter(|f| *f != FOREGROUND_FINALIZER);
                    let patch = json!({ "metadata": { "finalizers": others.collect::<Vec<_>>() } });
                    let written = state.store.update(owner, UpdateTarget::Main, Update::Merge(patch), now);
                    progress |= written.is_ok_and(|written| written.effect != WriteEffect::Unchanged);
                }
            }
            if !progress {
                break;
            }
        }
        drop(state);
        self.server.notify_watchers();
        collected
    }

    #[track_caller]
    fn write_with(&self, write: impl FnOnce(&mut ServerState, WriteTime) -> Result<WriteResult, StatusError>) -> Value {
        let now = self.server.write_time();
        let written = write(&mut self.server.lock_state(), now);
        match written {
            Ok(written) => {
                self.server.notify_watchers();
                (*written.object).clone()
            }
            Err(error) => panic!("the server returned {}: {}", error.code, error.message),
        }
    }
}

#[track_caller]
fn to_json(object: impl Serialize) -> Value {
    match serde_json::to_value(object) {
        Ok(object) => object,
        Err(error) => panic!("the object cannot be serialized to JSON: {error}"),
    }
}

#[track_caller]
fn deserialize_object<K: DeserializeOwned>(object: Value) -> K {
    match serde_json::from_value(object.clone()) {
        Ok(typed) => typed,
        Err(error) => panic!("the stored object does not match the requested type: {error}: {object:#}"),
    }
}

#[track_caller]
fn resource_index(state: &ServerState, kind: &str) -> usize {
    match state.store.find_kind(kind) {
        Some(index) => index,
        None => panic!("kube-sim does not serve the kind {kind:?}"),
    }
}

#[track_caller]
fn object_key(state: &ServerState, kind: &str, namespace: &str, name: &str) -> ObjectKey {
    ObjectKey { resource: resource_index(state, kind), namespace: namespace.to_owned(), name: name.to_owned() }
}

#[track_caller]
fn key_for_object(state: &ServerState, object: &Value) -> ObjectKey {
    let kind = object["kind"].as_str().unwrap_or_default();
    let namespaced = state.store.resource(resource_index(state, kind)).namespaced;
    let namespace = match object::namespace(object) {
        "" if namespaced => "default",
        namespace => namespace,
    };
    object_key(state, kind, namespace, object::name(object))
}
