//! The test's own hands in the store: not logged, never delayed, no trouble.
//! They follow the rules of the server and panic with its message where it refuses.

use crate::{
    KubeSim, object,
    refusal::Refusal,
    selection::Selection,
    server::State,
    store::{Key, Moment},
    write::{Effect, Part, Update, Written},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::time::Duration;

/// # Panics
/// All of these: where the server would refuse, and on a kind that it does not serve.
impl KubeSim {
    /// Creates an object; where it names no namespace, in `default`.
    #[track_caller]
    pub fn create(&self, object: impl Serialize) -> Value {
        let object = json(object);
        self.write(|state, now| {
            let key = key_of(state, &object);
            state.store.create(key.resource, &key.namespace, object, now)
        })
    }

    /// Creates the object, or merges it into the one that is there, as the main endpoint does: without its status.
    #[track_caller]
    pub fn apply(&self, object: impl Serialize) -> Value {
        let object = json(object);
        self.write(|state, now| {
            let key = key_of(state, &object);
            match state.store.contains(&key) {
                true => state.store.update(key, Part::Main, Update::Merge(object), now),
                false => state.store.create(key.resource, &key.namespace, object, now),
            }
        })
    }

    /// Changes an object in one step, spec and status alike; admission rules are not asked.
    #[track_caller]
    pub fn edit(&self, kind: &str, namespace: &str, name: &str, change: impl FnOnce(&mut Value)) -> Value {
        let Some(mut object) = self.get(kind, namespace, name) else {
            panic!("there is no {kind} {namespace}/{name} to edit")
        };
        change(&mut object);
        self.write(|state, now| {
            let key = key(state, kind, namespace, name);
            state.store.overwrite(key, object, now)
        })
    }

    /// Deletes an object; with finalizers it stays, marked.
    #[track_caller]
    pub fn delete(&self, kind: &str, namespace: &str, name: &str) {
        self.write(|state, now| {
            let key = key(state, kind, namespace, name);
            state.store.delete(key, &Value::Null, now)
        });
    }

    #[track_caller]
    #[must_use]
    pub fn get(&self, kind: &str, namespace: &str, name: &str) -> Option<Value> {
        let state = self.shared.state();
        let object = state.store.get(&key(&state, kind, namespace, name))?;
        Some((*object).clone())
    }

    /// All objects of a kind, by namespace and name.
    #[track_caller]
    #[must_use]
    pub fn list(&self, kind: &str) -> Vec<Value> {
        let state = self.shared.state();
        let index = index(&state, kind);
        let all = Selection::default();
        let objects = state.store.list(index, &all);
        objects.map(|object| (**object).clone()).collect()
    }

    /// The object as its type.
    #[track_caller]
    #[must_use]
    pub fn object<K>(&self, namespace: &str, name: &str) -> Option<K>
    where
        K: kube::Resource<DynamicType = ()> + DeserializeOwned,
    {
        self.get(&K::kind(&()), namespace, name).map(typed)
    }

    /// All objects of a type, by namespace and name.
    #[track_caller]
    #[must_use]
    pub fn objects<K>(&self) -> Vec<K>
    where
        K: kube::Resource<DynamicType = ()> + DeserializeOwned,
    {
        self.list(&K::kind(&())).into_iter().map(typed).collect()
    }

    /// Waits until the object is there and `holds`, at most for `limit`; a failure prints the object.
    pub async fn until<F>(&self, limit: Duration, kind: &str, namespace: &str, name: &str, holds: F) -> Value
    where
        F: Fn(&Value) -> bool,
    {
        let mut bell = self.shared.listen();
        let wait = async {
            loop {
                bell.borrow_and_update();
                match self.get(kind, namespace, name) {
                    Some(object) if holds(&object) => return object,
                    _ => {
                        // The sender is in `self`, so the channel cannot close.
                        let _ = bell.changed().await;
                    }
                }
            }
        };
        match tokio::time::timeout(limit, wait).await {
            Ok(object) => object,
            Err(_) => {
                let found = self.get(kind, namespace, name).unwrap_or_default();
                panic!("within {limit:?} {kind} {namespace}/{name} did not become what was waited for: {found:#}")
            }
        }
    }

    /// Deletes what has only owners that are gone, again and again until nothing is left to delete. Says how many.
    pub fn collect_garbage(&self) -> usize {
        let now = self.shared.now();
        let mut state = self.shared.state();
        let mut collected = 0;
        loop {
            let mut progress = false;
            for orphan in state.store.orphans() {
                if let Ok(written) = state.store.delete(orphan, &Value::Null, now) {
                    progress |= written.effect != Effect::Nothing;
                    collected += usize::from(written.effect == Effect::Removed);
                }
            }
            if !progress {
                break;
            }
        }
        drop(state);
        self.shared.ring();
        collected
    }

    #[track_caller]
    fn write(&self, write: impl FnOnce(&mut State, Moment) -> Result<Written, Refusal>) -> Value {
        let now = self.shared.now();
        let written = write(&mut self.shared.state(), now);
        match written {
            Ok(written) => {
                self.shared.ring();
                (*written.object).clone()
            }
            Err(refusal) => panic!("the server refused with {}: {}", refusal.code, refusal.message),
        }
    }
}

#[track_caller]
fn json(object: impl Serialize) -> Value {
    match serde_json::to_value(object) {
        Ok(object) => object,
        Err(error) => panic!("the object cannot be written as JSON: {error}"),
    }
}

#[track_caller]
fn typed<K: DeserializeOwned>(object: Value) -> K {
    match serde_json::from_value(object.clone()) {
        Ok(typed) => typed,
        Err(error) => panic!("the stored object is not of the type that was asked for: {error}: {object:#}"),
    }
}

#[track_caller]
fn index(state: &State, kind: &str) -> usize {
    match state.store.of_kind(kind) {
        Some(index) => index,
        None => panic!("the simulated server does not serve the kind {kind:?}"),
    }
}

#[track_caller]
fn key(state: &State, kind: &str, namespace: &str, name: &str) -> Key {
    Key { resource: index(state, kind), namespace: namespace.to_owned(), name: name.to_owned() }
}

#[track_caller]
fn key_of(state: &State, object: &Value) -> Key {
    let kind = object["kind"].as_str().unwrap_or_default();
    let namespaced = state.store.resource(index(state, kind)).namespaced;
    let namespace = match object::namespace(object) {
        "" if namespaced => "default",
        namespace => namespace,
    };
    key(state, kind, namespace, object::name(object))
}
