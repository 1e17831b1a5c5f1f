//! What a request that got through is answered: its verb on the store.

use crate::{
    Call, Verb,
    fault::Caller,
    object,
    refusal::Refusal,
    resource::Resource,
    selection::Selection,
    server::State,
    shape::Shape,
    store::{Key, Moment},
    watching::{Wanted, Watch, since},
    write::{Effect, Part, Update, Written},
};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

/// What is to be answered, before it is bytes.
pub(crate) enum Reply {
    Object(u16, Value),
    Watch(Box<Watch>),
}

/// A call, who made it, and the resource it is about.
pub(crate) struct Order {
    pub(crate) caller: Caller,
    pub(crate) call: Arc<Call>,
    pub(crate) resource: Arc<Resource>,
    /// The resource's place in the store's table.
    pub(crate) index: usize,
}

impl Order {
    pub(crate) fn answer(&self, state: &mut State, now: Moment) -> Result<(Reply, Effect), Refusal> {
        let shape = Shape::accepted(&self.call.accept);
        let written = match self.call.verb {
            Verb::Get => {
                let found = state.store.get(&self.key());
                let found = found.ok_or_else(|| Refusal::not_found(&self.resource, &self.key().name))?;
                return Ok((Reply::Object(200, shape.object(&found)), Effect::Nothing));
            }
            Verb::List => {
                self.check_list()?;
                let selection = self.selection()?;
                let items = state.store.list(self.index, &selection).map(AsRef::as_ref);
                let list = shape.list(&self.resource, state.store.history.version(), items);
                return Ok((Reply::Object(200, list), Effect::Nothing));
            }
            Verb::Watch => {
                let watch = Watch::open(state, self.caller.clone(), self.wanted(shape)?);
                return Ok((Reply::Watch(Box::new(watch)), Effect::Nothing));
            }
            Verb::Create => state.store.create(self.index, &self.key().namespace, self.body()?, now)?,
            Verb::Update => {
                let update = Update::Replace(self.body()?);
                state.store.update(self.key(), self.part(), update, now)?
            }
            Verb::Patch => {
                if !self.call.content_type.starts_with("application/merge-patch+json") {
                    return Err(Refusal::media_type());
                }
                let update = Update::Merge(self.body()?);
                state.store.update(self.key(), self.part(), update, now)?
            }
            Verb::Delete => state.store.delete(self.key(), &self.delete_options()?, now)?,
        };
        let Written { object, effect } = written;
        let reply = match (self.call.verb, effect) {
            (Verb::Delete, Effect::Removed) => Reply::Object(200, self.deleted(&object)),
            (Verb::Create, _) => Reply::Object(201, shape.object(&object)),
            _ => Reply::Object(200, shape.object(&object)),
        };
        Ok((reply, effect))
    }

    fn key(&self) -> Key {
        Key {
            resource: self.index,
            namespace: self.call.namespace.clone().unwrap_or_default(),
            name: self.call.name.clone().unwrap_or_default(),
        }
    }

    fn part(&self) -> Part {
        match self.call.subresource {
            Some(_) => Part::Status,
            None => Part::Main,
        }
    }

    fn body(&self) -> Result<Value, Refusal> {
        serde_json::from_slice(&self.call.body)
            .map_err(|error| Refusal::bad_request(format!("the body of the request is no JSON: {error}")))
    }

    fn selection(&self) -> Result<Selection, Refusal> {
        Selection::new(
            &self.resource,
            self.call.namespace.as_deref(),
            self.call.parameter("fieldSelector"),
            self.call.parameter("labelSelector"),
        )
    }

    /// Every list is whole and the most recent one.
    fn check_list(&self) -> Result<(), Refusal> {
        if self.call.parameter("continue").is_some() {
            return Err(Refusal::unsupported("continue: it answers every list whole"));
        }
        match self.call.parameter("resourceVersionMatch") {
            Some("Exact") => Err(Refusal::unsupported("resourceVersionMatch=Exact")),
            _ => Ok(()),
        }
    }

    fn wanted(&self, shape: Shape) -> Result<Wanted, Refusal> {
        if self.call.flag("sendInitialEvents") {
            return Err(Refusal::unsupported("sendInitialEvents"));
        }
        let timeout = self.call.parameter("timeoutSeconds").and_then(|seconds| seconds.parse().ok());
        Ok(Wanted {
            index: self.index,
            selection: self.selection()?,
            shape,
            since: since(self.call.parameter("resourceVersion"))?,
            timeout: timeout.map(Duration::from_secs),
            bookmarks: self.call.flag("allowWatchBookmarks"),
        })
    }

    fn delete_options(&self) -> Result<Value, Refusal> {
        let options = match self.call.body.is_empty() {
            true => Value::Null,
            false => self.body()?,
        };
        let policy = self.call.parameter("propagationPolicy").or(options["propagationPolicy"].as_str());
        if let Some(policy) = policy.filter(|policy| *policy != "Background") {
            return Err(Refusal::unsupported(&format!("propagationPolicy={policy}")));
        }
        if options["dryRun"].as_array().is_some_and(|stages| !stages.is_empty()) {
            return Err(Refusal::unsupported("dryRun"));
        }
        Ok(options)
    }

    fn deleted(&self, object: &Value) -> Value {
        json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
            "details": {
                "name": object::name(object), "group": self.resource.group,
                "kind": self.resource.plural, "uid": object::uid(object),
            },
        })
    }
}
