//! The objects and how they are read; `write.rs` holds the writes.
//! Invariant: no IO and no clock; the caller passes the time.

use crate::{
    builtin,
    history::{Change, History},
    object,
    resource::Resource,
    selectors::Selector,
    write::FOREGROUND_FINALIZER,
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

/// The time of a write: wall time for the object, monotonic time for the watches.
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
    /// Created objects whose default status was not written yet: kube-apiserver adds it when it reads the object, so
    /// that the first update is stored even if it changes nothing.
    default_status_unstored: BTreeSet<ObjectKey>,
}

impl Store {
    pub(crate) fn new(resources: impl IntoIterator<Item = Resource>) -> Self {
        Self {
            resources: resources.into_iter().chain(builtin::builtin_resources()).map(Arc::new).collect(),
            objects: BTreeMap::new(),
            history: History::default(),
            last_uid: 0,
            default_status_unstored: BTreeSet::new(),
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

    /// Objects with owners of which none exists. Owners of a kind that is not served here count as existing.
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

    /// Objects that are deleted in the foreground, each with its dependents, and whether any of these holds it up.
    pub(crate) fn foreground_deletions(&self) -> Vec<(ObjectKey, Vec<ObjectKey>, bool)> {
        let deleted = self.objects.iter().filter(|(_, object)| {
            object::is_being_deleted(object) && object::finalizers(object).iter().any(|f| f == FOREGROUND_FINALIZER)
        });
        let with_dependents = deleted.map(|(key, object)| {
            let owner = |dependent: &Value| {
                let owners = dependent["metadata"]["ownerReferences"].as_array();
                owners.and_then(|owners| owners.iter().find(|o| o["uid"] == object::uid(object))).cloned()
            };
            let dependents: Vec<_> = self.objects.iter().filter_map(|(k, d)| Some((k.clone(), owner(d)?))).collect();
            let held = dependents.iter().any(|(_, owner)| owner["blockOwnerDeletion"] == true);
            (key.clone(), dependents.into_iter().map(|(key, _)| key).collect(), held)
        });
        with_dependents.collect()
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
        self.default_status_unstored.remove(&key);
        self.objects.insert(key, object.clone());
        object
    }

    pub(crate) fn mark_default_status_unstored(&mut self, key: ObjectKey) {
        self.default_status_unstored.insert(key);
    }

    pub(crate) fn is_default_status_unstored(&self, key: &ObjectKey) -> bool {
        self.default_status_unstored.contains(key)
    }

    /// Removes the object, which takes a resource version as well.
    pub(crate) fn remove(&mut self, key: ObjectKey, tick: Instant) {
        self.default_status_unstored.remove(&key);
        self.history.record(Change { resource: key.resource, old: self.objects.remove(&key), new: None, at: tick });
    }
}
