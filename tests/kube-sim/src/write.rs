//! The rules of writing: what kube-apiserver 1.37 does on create, replace, patch and delete.

use crate::{
    object,
    refusal::Refusal,
    rules, schema,
    store::{Key, Moment, Store},
};
use serde_json::Value;
use std::sync::Arc;

/// etcd refuses more than this.
const MAX_BYTES: usize = 1_572_864;

/// Which endpoint was written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Main,
    Status,
}

pub(crate) enum Update {
    Replace(Value),
    Merge(Value),
}

/// What a write came to.
pub(crate) struct Written {
    pub(crate) object: Arc<Value>,
    pub(crate) effect: Effect,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    Nothing,
    Stored,
    Removed,
}

impl Store {
    pub(crate) fn create(
        &mut self,
        index: usize,
        namespace: &str,
        mut body: Value,
        now: Moment,
    ) -> Result<Written, Refusal> {
        let resource = self.resource(index);
        object::check_type(&mut body, &resource)?;
        rules::place(&mut body, namespace)?;
        if !object::version(&body).is_empty() {
            let message = "resourceVersion should not be set on objects to be created";
            return Err(Refusal::new(500, "", message));
        }
        self.generate_name(index, &mut body);
        let name = object::name(&body).to_owned();
        object::check_name(&name, &resource)?;

        self.uids += 1;
        let uid = format!("{:08x}-0000-4000-8000-{:012x}", self.uids, self.uids);
        object::set_meta(&mut body, "uid", uid.into());
        object::set_meta(&mut body, "creationTimestamp", object::seconds(now.wall));
        let generation = if resource.counts_generations { 1.into() } else { Value::Null };
        object::set_meta(&mut body, "generation", generation);
        for field in ["deletionTimestamp", "deletionGracePeriodSeconds", "resourceVersion", "managedFields"] {
            object::set_meta(&mut body, field, Value::Null);
        }
        if resource.has_status {
            object::set(&mut body, "status", Value::Null);
        }
        (resource.tidy)(&mut body);
        schema::conform_root(&mut body, &resource.schema);
        rules::admit(&resource, None, &body)?;

        let key = Key { resource: index, namespace: namespace.to_owned(), name };
        if self.contains(&key) {
            return Err(Refusal::already_exists(&resource, &key.name));
        }
        self.stored(key, body, now)
    }

    pub(crate) fn update(&mut self, key: Key, part: Part, update: Update, now: Moment) -> Result<Written, Refusal> {
        let resource = self.resource(key.resource);
        let old = self.get(&key).ok_or_else(|| Refusal::not_found(&resource, &key.name))?;
        let wanted = match update {
            Update::Replace(mut body) => {
                rules::check_identity(&mut body, &key, &resource)?;
                rules::check_uid_of_put(&body, &old, &resource)?;
                body
            }
            Update::Merge(patch) => {
                let mut patched = (*old).clone();
                object::merge(&mut patched, patch);
                rules::check_identity(&mut patched, &key, &resource)?;
                patched
            }
        };
        rules::check_version(&wanted, &old, &resource)?;

        let mut new = match part {
            Part::Main => rules::main_part(wanted, &old, &resource)?,
            Part::Status => rules::status_part(&wanted, &old),
        };
        (resource.tidy)(&mut new);
        schema::conform_root(&mut new, &resource.schema);
        object::set_meta(&mut new, "resourceVersion", object::version(&old).into());
        rules::count_generation(&mut new, &old, &resource);
        rules::admit(&resource, Some(&old), &new)?;

        if object::is_being_deleted(&new) && object::finalizers(&new).is_empty() {
            return Ok(self.removed(key, new, now));
        }
        if new == *old {
            return Ok(Written { object: old, effect: Effect::Nothing });
        }
        self.stored(key, new, now)
    }

    /// What no endpoint allows, and a test may: the whole object at once, status included.
    pub(crate) fn overwrite(&mut self, key: Key, mut new: Value, now: Moment) -> Result<Written, Refusal> {
        let resource = self.resource(key.resource);
        let old = self.get(&key).ok_or_else(|| Refusal::not_found(&resource, &key.name))?;
        rules::check_identity(&mut new, &key, &resource)?;
        (resource.tidy)(&mut new);
        schema::conform_root(&mut new, &resource.schema);
        object::set_meta(&mut new, "uid", object::uid(&old).into());
        rules::count_generation(&mut new, &old, &resource);
        if new == *old {
            return Ok(Written { object: old, effect: Effect::Nothing });
        }
        self.stored(key, new, now)
    }

    /// `options` are DeleteOptions, or null.
    pub(crate) fn delete(&mut self, key: Key, options: &Value, now: Moment) -> Result<Written, Refusal> {
        let resource = self.resource(key.resource);
        let old = self.get(&key).ok_or_else(|| Refusal::not_found(&resource, &key.name))?;
        rules::check_preconditions(&options["preconditions"], &old, &resource)?;
        if object::finalizers(&old).is_empty() {
            let last = (*old).clone();
            return Ok(self.removed(key, last, now));
        }
        if object::is_being_deleted(&old) {
            return Ok(Written { object: old, effect: Effect::Nothing });
        }
        let mut new = (*old).clone();
        object::set_meta(&mut new, "deletionTimestamp", object::seconds(now.wall));
        object::set_meta(&mut new, "deletionGracePeriodSeconds", 0.into());
        rules::bump_generation(&mut new, &resource);
        self.stored(key, new, now)
    }

    fn stored(&mut self, key: Key, object: Value, now: Moment) -> Result<Written, Refusal> {
        if serde_json::to_vec(&object).map_or(true, |bytes| bytes.len() > MAX_BYTES) {
            return Err(Refusal::too_large());
        }
        let object = self.record(key, object, now.tick);
        Ok(Written { object, effect: Effect::Stored })
    }

    fn removed(&mut self, key: Key, last: Value, now: Moment) -> Written {
        self.forget(key, now.tick);
        Written { object: Arc::new(last), effect: Effect::Removed }
    }

    fn generate_name(&self, resource: usize, body: &mut Value) {
        const LETTERS: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
        let prefix = body["metadata"]["generateName"].as_str().unwrap_or_default().to_owned();
        if prefix.is_empty() || !object::name(body).is_empty() {
            return;
        }
        let namespace = object::namespace(body).to_owned();
        for attempt in 0.. {
            // Spread over the letters, so that names do not look sorted; the same in every run.
            let mut seed = (self.history.version() + attempt).wrapping_mul(7_919_317);
            let suffix: String = (0..5)
                .map(|_| {
                    let letter = LETTERS[(seed % 27) as usize];
                    seed /= 27;
                    char::from(letter)
                })
                .collect();
            let name = format!("{prefix}{suffix}");
            let key = Key { resource, namespace: namespace.clone(), name };
            if !self.contains(&key) {
                object::set_meta(body, "name", key.name.into());
                return;
            }
        }
    }
}
