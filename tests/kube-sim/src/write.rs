//! Create, replace, patch and delete, as in kube-apiserver 1.37.

use crate::{
    object, schema,
    status_error::StatusError,
    store::{ObjectKey, Store, WriteTime},
    validation,
};
use serde_json::Value;
use std::sync::Arc;

/// etcd's limit of a request.
const MAX_OBJECT_BYTES: usize = 1_572_864;

/// Of an object whose dependents are deleted first.
pub(crate) const FOREGROUND_FINALIZER: &str = "foregroundDeletion";

/// The endpoint of an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UpdateTarget {
    Main,
    Status,
}

pub(crate) enum Update {
    Replace(Value),
    Merge(Value),
}

/// The result of a write.
pub(crate) struct WriteResult {
    pub(crate) object: Arc<Value>,
    pub(crate) effect: WriteEffect,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WriteEffect {
    Unchanged,
    Stored,
    Removed,
}

impl Store {
    pub(crate) fn create(
        &mut self,
        index: usize,
        namespace: &str,
        mut body: Value,
        now: WriteTime,
    ) -> Result<WriteResult, StatusError> {
        let resource = self.resource(index);
        object::check_type(&mut body, &resource)?;
        validation::set_namespace(&mut body, namespace)?;
        if !object::resource_version(&body).is_empty() {
            let message = "resourceVersion should not be set on objects to be created";
            return Err(StatusError::new(500, "", message));
        }
        self.generate_name(index, &mut body);
        let name = object::name(&body).to_owned();
        object::check_name(&name, &resource)?;

        self.last_uid += 1;
        let uid = format!("{:08x}-0000-4000-8000-{:012x}", self.last_uid, self.last_uid);
        object::set_metadata(&mut body, "uid", uid.into());
        object::set_metadata(&mut body, "creationTimestamp", object::format_timestamp(now.wall));
        let generation = if resource.has_generation { 1.into() } else { Value::Null };
        object::set_metadata(&mut body, "generation", generation);
        for field in ["deletionTimestamp", "deletionGracePeriodSeconds", "resourceVersion", "managedFields"] {
            object::set_metadata(&mut body, field, Value::Null);
        }
        if resource.has_status {
            object::set_field(&mut body, "status", Value::Null);
        }
        (resource.normalize)(&mut body);
        schema::prune_and_default_object(&mut body, &resource.schema);
        validation::validate(&resource, None, &body)?;

        let key = ObjectKey { resource: index, namespace: namespace.to_owned(), name };
        if self.contains(&key) {
            return Err(StatusError::already_exists(&resource, &key.name));
        }
        let has_default_status = resource.has_status && !body["status"].is_null();
        let created = self.persist(key.clone(), body, now)?;
        if has_default_status {
            self.mark_default_status_unstored(key);
        }
        Ok(created)
    }

    pub(crate) fn update(
        &mut self,
        key: ObjectKey,
        part: UpdateTarget,
        update: Update,
        now: WriteTime,
    ) -> Result<WriteResult, StatusError> {
        let resource = self.resource(key.resource);
        let mut update = update;
        if let Update::Replace(body) = &mut update {
            validation::check_identity(body, &key, &resource)?;
        }
        let old = self.get(&key).ok_or_else(|| StatusError::not_found(&resource, &key.name))?;
        let requested = match update {
            Update::Replace(body) => {
                validation::check_replace_uid(&body, &old, &resource)?;
                body
            }
            Update::Merge(patch) => {
                let mut patched = (*old).clone();
                object::merge_patch(&mut patched, patch);
                object::check_patched_metadata(&patched)?;
                validation::check_identity(&mut patched, &key, &resource)?;
                patched
            }
        };
        validation::check_version(&requested, &old, &resource)?;

        let mut new = match part {
            UpdateTarget::Main => validation::apply_main_update(requested, &old, &resource)?,
            UpdateTarget::Status => validation::apply_status_update(&requested, &old),
        };
        (resource.normalize)(&mut new);
        schema::prune_and_default_object(&mut new, &resource.schema);
        object::set_metadata(&mut new, "resourceVersion", object::resource_version(&old).into());
        validation::update_generation(&mut new, &old, &resource);
        validation::validate(&resource, Some(&old), &new)?;

        if object::is_being_deleted(&new) && object::finalizers(&new).is_empty() {
            return Ok(self.persist_removal(key, new, now));
        }
        if new == *old && !self.is_default_status_unstored(&key) {
            return Ok(WriteResult { object: old, effect: WriteEffect::Unchanged });
        }
        self.persist(key, new, now)
    }

    /// For tests only, no endpoint allows it: replaces the whole object, status included.
    pub(crate) fn overwrite(
        &mut self,
        key: ObjectKey,
        mut new: Value,
        now: WriteTime,
    ) -> Result<WriteResult, StatusError> {
        let resource = self.resource(key.resource);
        let old = self.get(&key).ok_or_else(|| StatusError::not_found(&resource, &key.name))?;
        validation::check_identity(&mut new, &key, &resource)?;
        (resource.normalize)(&mut new);
        schema::prune_and_default_object(&mut new, &resource.schema);
        object::set_metadata(&mut new, "uid", object::uid(&old).into());
        validation::update_generation(&mut new, &old, &resource);
        if new == *old {
            return Ok(WriteResult { object: old, effect: WriteEffect::Unchanged });
        }
        self.persist(key, new, now)
    }

    /// `options` are DeleteOptions, or null.
    pub(crate) fn delete(
        &mut self,
        key: ObjectKey,
        options: &Value,
        now: WriteTime,
    ) -> Result<WriteResult, StatusError> {
        let resource = self.resource(key.resource);
        let old = self.get(&key).ok_or_else(|| StatusError::not_found(&resource, &key.name))?;
        validation::check_preconditions(&options["preconditions"], &old, &resource)?;
        let foreground = options["propagationPolicy"] == "Foreground";
        if object::finalizers(&old).is_empty() && !foreground {
            let last = (*old).clone();
            return Ok(self.persist_removal(key, last, now));
        }
        if object::is_being_deleted(&old) {
            return Ok(WriteResult { object: old, effect: WriteEffect::Unchanged });
        }
        let mut new = (*old).clone();
        object::set_metadata(&mut new, "deletionTimestamp", object::format_timestamp(now.wall));
        object::set_metadata(&mut new, "deletionGracePeriodSeconds", 0.into());
        if foreground {
            let finalizers = object::finalizers(&old).iter().cloned().chain([FOREGROUND_FINALIZER.into()]).collect();
            object::set_metadata(&mut new, "finalizers", Value::Array(finalizers));
        }
        validation::bump_generation(&mut new, &resource);
        self.persist(key, new, now)
    }

    fn persist(&mut self, key: ObjectKey, object: Value, now: WriteTime) -> Result<WriteResult, StatusError> {
        if serde_json::to_vec(&object).map_or(true, |bytes| bytes.len() > MAX_OBJECT_BYTES) {
            return Err(StatusError::too_large());
        }
        let object = self.insert(key, object, now.monotonic);
        Ok(WriteResult { object, effect: WriteEffect::Stored })
    }

    fn persist_removal(&mut self, key: ObjectKey, last: Value, now: WriteTime) -> WriteResult {
        self.remove(key, now.monotonic);
        WriteResult { object: Arc::new(last), effect: WriteEffect::Removed }
    }

    fn generate_name(&self, resource: usize, body: &mut Value) {
        const LETTERS: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
        let prefix = body["metadata"]["generateName"].as_str().unwrap_or_default().to_owned();
        if prefix.is_empty() || !object::name(body).is_empty() {
            return;
        }
        let namespace = object::namespace(body).to_owned();
        for attempt in 0.. {
            // Spread over the letters, so that names do not look sorted; deterministic.
            let mut seed = (self.history.version() + attempt).wrapping_mul(7_919_317);
            let suffix: String = (0..5)
                .map(|_| {
                    let letter = LETTERS[(seed % 27) as usize];
                    seed /= 27;
                    char::from(letter)
                })
                .collect();
            let name = format!("{prefix}{suffix}");
            let key = ObjectKey { resource, namespace: namespace.clone(), name };
            if !self.contains(&key) {
                object::set_metadata(body, "name", key.name.into());
                return;
            }
        }
    }
}
