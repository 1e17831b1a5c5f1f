//! The objects and how they are read. How they are written stands in `write.rs`.
//! Invariant: no IO, no clock of its own; who calls says what time it is.

use crate::{
    builtin,
    history::{Change, History},
    object,
    resource::Resource,
    selectors::Selector,
};
use jiff::Timestamp;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tokio::time::Instant;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ObjectKey {
    pub(crate) resource: usize,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

/// When a write happens: on the wall, and for the watches.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WriteTime {
    pub(crate) wall: Timestamp,
    pub(crate) monotonic: Instant,
}

pub(crate) struct Store {
    resources: Vec<Arc<Resource>>,
    objects: BTreeMap<ObjectKey, Arc<Value>>,
    pub(crate) history: History,
    pub(crate) last_uid: u64,
}

impl Store {
    pub(crate) fn new(resources: impl IntoIterator<Item = Resource>) -> Self {
        Self {
            resources: resources.into_iter().chain(builtin::builtin_resources()).map(Arc::new).collect(),
            objects: BTreeMap::new(),
            history: History::default(),
            last_uid: 0,
        }
    }

    pub(crate) fn resource(&self, index: usize) -> Arc<Resource> {
        self.resources[index].clone()
    }

    pub(crate) fn find_resource(&self, group: &str, version: &str, plural: &str) -> Option<usize> {
        let served = |r: &Arc<Resource>| r.group == group && r.version == version && r.plural == plural;
        self.resources.iter().position(served)
    }

    pub(crate) fn find_kind(&self, kind: &str) -> Option<usize> {
        self.resources.iter().position(|resource| resource.kind == kind)
    }

    pub(crate) fn get(&self, key: &ObjectKey) -> Option<Arc<Value>> {
        self.objects.get(key).cloned()
    }

    pub(crate) fn list<'a>(&'a self, resource: usize, selection: &'a Selector) -> impl Iterator<Item = &'a Arc<Value>> {
        let start = ObjectKey { resource, namespace: String::new(), name: String::new() };
        self.objects
            .range(start..)
            .take_while(move |(key, _)| key.resource == resource)
            .map(|(_, object)| object)
            .filter(|object| selection.matches(object))
    }

    pub(crate) fn contains(&self, key: &ObjectKey) -> bool {
        self.objects.contains_key(key)
    }

    /// Objects whose owners, all of a kind that is served here, are all gone.
    pub(crate) fn orphans(&self) -> Vec<ObjectKey> {
        let existing_uids: BTreeSet<&str> = self.objects.values().map(|object| object::uid(object)).collect();
        let is_gone = |owner: &Value| {
            owner["kind"].as_str().is_some_and(|kind| self.find_kind(kind).is_some())
                && !owner["uid"].as_str().is_some_and(|uid| existing_uids.contains(uid))
        };
        let orphan = |object: &Value| {
            let owners = object["metadata"]["ownerReferences"].as_array();
            owners.is_some_and(|owners| !owners.is_empty() && owners.iter().all(is_gone))
        };
        let keys = self.objects.iter().filter(|(_, object)| orphan(object));
        keys.map(|(key, _)| key.clone()).collect()
    }

    /// Stores the object under the next resource version.
    pub(crate) fn insert(&mut self, key: ObjectKey, mut object: Value, tick: Instant) -> Arc<Value> {
        let version = self.history.version() + 1;
        object::set_metadata(&mut object, "resourceVersion", version.to_string().into());
        let object = Arc::new(object);
        self.history.record(Change {
            resource: key.resource,
            old: self.get(&key),
            new: Some(object.clone()),
            at: tick,
        });
        self.objects.insert(key, object.clone());
        object
    }

    /// Removes the object, which takes a resource version as well.
    pub(crate) fn remove(&mut self, key: ObjectKey, tick: Instant) {
        self.history.record(Change { resource: key.resource, old: self.objects.remove(&key), new: None, at: tick });
    }
}
