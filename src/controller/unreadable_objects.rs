//! Objects in a watch that this version cannot read: they are left out of the store and counted, and a connection says so
//! on itself.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use kube::{
    Resource, ResourceExt,
    api::DynamicObject,
    runtime::{
        reflector::{ObjectRef, Store},
        watcher::Event,
    },
};
use prometheus_client::metrics::gauge::Gauge;
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

use super::{context::Context, kube_calls::KubeError, telemetry::ResourceKind};
use crate::{
    api::{ConditionStatus, Reason, Stored, Unreadable, new_condition},
    text::clamp_text,
};

const RETRY_INTERVAL: Duration = Duration::from_secs(60);
const MAX_ERROR_CHARS: usize = 200;

/// The unreadable objects of one watch.
pub(super) struct UnreadableObjects {
    kind: ResourceKind,
    gauge: Gauge,
    /// Receives each unreadable connection.
    report: Option<UnboundedSender<Unreadable>>,
    /// By namespace and name.
    names: HashSet<(String, String)>,
}

impl UnreadableObjects {
    pub(super) fn new(kind: ResourceKind, gauge: &Gauge, report: Option<UnboundedSender<Unreadable>>) -> Self {
        Self { kind, gauge: gauge.clone(), report, names: HashSet::new() }
    }

    /// The event, if its object can be read. The deletion of one that cannot is that of the version in the store.
    pub(super) fn readable<K>(&mut self, event: Event<Stored<K>>, store: &Store<K>) -> Option<Event<K>>
    where
        K: Resource<DynamicType = ()> + Clone + 'static,
    {
        match event {
            Event::Init => {
                self.gauge.dec_by(count(&self.names));
                self.names.clear();
                Some(Event::Init)
            }
            Event::InitApply(stored) => self.read(stored).map(Event::InitApply),
            Event::InitDone => Some(Event::InitDone),
            Event::Apply(stored) => self.read(stored).map(Event::Apply),
            Event::Delete(stored) => {
                let (namespace, name) = stored_key(&stored);
                let key = ObjectRef::new(&name).within(&namespace);
                self.forget(&(namespace, name));
                let known = || store.get(&key).map(|object| object.as_ref().clone());
                stored.0.ok().or_else(known).map(Event::Delete)
            }
        }
    }

    fn read<K: ResourceExt>(&mut self, stored: Stored<K>) -> Option<K> {
        let key = stored_key(&stored);
        let unreadable = match stored.0 {
            Ok(object) => {
                self.forget(&key);
                return Some(object);
            }
            Err(unreadable) => unreadable,
        };
        let (kind, namespace, name) = (self.kind, &key.0, &key.1);
        let error = clamp_text(&unreadable.error, MAX_ERROR_CHARS);
        tracing::error!(%kind, namespace, name, error, "skipping an object that cannot be read");
        if self.names.insert(key) {
            self.gauge.inc();
        }
        if let Some(report) = &self.report {
            // The receiver lives as long as the controllers.
            let _ = report.send(unreadable);
        }
        None
    }

    fn forget(&mut self, key: &(String, String)) {
        if self.names.remove(key) {
            self.gauge.dec();
        }
    }
}

impl Drop for UnreadableObjects {
    fn drop(&mut self) {
        self.gauge.dec_by(count(&self.names));
    }
}

fn count(names: &HashSet<(String, String)>) -> i64 {
    i64::try_from(names.len()).unwrap_or(i64::MAX)
}

fn stored_key<K: ResourceExt>(stored: &Stored<K>) -> (String, String) {
    (stored.namespace().unwrap_or_default(), stored.name_any())
}

/// Writes on each unreadable connection that it cannot be read. One that cannot be written is tried again every minute.
pub(super) async fn report_unreadable_connections(context: &Context, mut received: UnboundedReceiver<Unreadable>) {
    let mut waiting = HashMap::new();
    let mut retry = tokio::time::interval(RETRY_INTERVAL);
    loop {
        tokio::select! {
            next = received.recv() => match next.map(|unreadable| unreadable_connection(context, &unreadable)) {
                None => return,
                Some(Err(_) | Ok(None)) => {}
                Some(Ok(Some(connection))) => {
                    let key = (connection.namespace(), connection.name_any());
                    waiting.remove(&key);
                    if !write_reported(context, &connection).await {
                        waiting.insert(key, connection);
                    }
                }
            },
            _ = retry.tick() => {
                let mut left = HashMap::new();
                for (key, connection) in waiting.drain() {
                    if !write_reported(context, &connection).await {
                        left.insert(key, connection);
                    }
                }
                waiting = left;
            }
        }
    }
}

/// The connection with a condition that says why it cannot be read; `None` if it has that already.
fn unreadable_connection(context: &Context, unreadable: &Unreadable) -> serde_json::Result<Option<DynamicObject>> {
    let mut object = unreadable.object.clone();
    let message = format!(
        "This version of the operator cannot read the connection, which is not synced: {}. A cluster admin must run the newer version of the operator again, or remove the new fields.",
        clamp_text(&unreadable.error, MAX_ERROR_CHARS)
    );
    let generation = object["metadata"]["generation"].as_i64().unwrap_or_default();
    let (status, reason) = (ConditionStatus::False, Reason::VersionSkew);
    let mut ready = json!(new_condition("Ready", status, reason, message, generation, context.current_time()));
    let mut conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    if let Some(known) = conditions.iter_mut().find(|condition| condition["type"] == "Ready") {
        if known["status"] == ready["status"] {
            ready["lastTransitionTime"] = known["lastTransitionTime"].clone();
        }
        if *known == ready {
            return Ok(None);
        }
        *known = ready;
    } else {
        conditions.push(ready);
    }
    if !object["status"].is_object() {
        object["status"] = json!({});
    }
    object["status"]["conditions"] = Value::Array(conditions);
    serde_json::from_value(object).map(Some)
}

/// Whether nothing is left to write: the condition was accepted, or the connection has changed and is read again.
async fn write_reported(context: &Context, connection: &DynamicObject) -> bool {
    match context.cluster.replace_unreadable_status(connection).await {
        Ok(()) | Err(KubeError::Conflict | KubeError::NotFound) => true,
        Err(error) => {
            let (namespace, name) = (connection.namespace(), connection.name_any());
            tracing::warn!(namespace, connection = name, %error, "the connection cannot be marked as unreadable");
            false
        }
    }
}
