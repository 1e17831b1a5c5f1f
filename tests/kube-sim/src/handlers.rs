//! Request handlers: each verb on the store.

use crate::{
    Call, Verb,
    fault::ClientId,
    object,
    projection::Projection,
    resource::Resource,
    selectors::Selector,
    server::ServerState,
    status_error::StatusError,
    store::{ObjectKey, WriteTime},
    watch::{Watch, WatchOptions, parse_resource_version},
    write::{Update, UpdateTarget, WriteEffect, WriteResult},
};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

/// A response before it is serialized.
pub(crate) enum ApiResponse {
    Object(u16, Value),
    Watch(Box<Watch>),
}

/// A call with its client and its resource.
pub(crate) struct ResolvedRequest {
    pub(crate) caller: ClientId,
    pub(crate) call: Arc<Call>,
    pub(crate) resource: Arc<Resource>,
    /// The resource's index in the store's table.
    pub(crate) index: usize,
}

impl ResolvedRequest {
    pub(crate) fn handle(
        &self,
        state: &mut ServerState,
        now: WriteTime,
    ) -> Result<(ApiResponse, WriteEffect), StatusError> {
        let projection = Projection::from_accept(&self.call.accept);
        let result = match self.call.verb {
            Verb::Get => {
                let found = state.store.get(&self.key());
                let found = found.ok_or_else(|| StatusError::not_found(&self.resource, &self.key().name))?;
                return Ok((ApiResponse::Object(200, projection.render_object(&found)), WriteEffect::Unchanged));
            }
            Verb::List => {
                self.check_list_options()?;
                let selection = self.parse_selector()?;
                let items = state.store.list(self.index, &selection).map(AsRef::as_ref);
                let list = projection.render_list(&self.resource, state.store.history.version(), items);
                return Ok((ApiResponse::Object(200, list), WriteEffect::Unchanged));
            }
            Verb::Watch => {
                let watch = Watch::new(state, self.caller.clone(), self.watch_options(projection)?);
                return Ok((ApiResponse::Watch(Box::new(watch)), WriteEffect::Unchanged));
            }
            Verb::Create => state.store.create(self.index, &self.key().namespace, self.parse_body()?, now)?,
            Verb::Update => {
                let update = Update::Replace(self.parse_body()?);
                state.store.update(self.key(), self.update_target(), update, now)?
            }
            Verb::Patch => {
                if !self.call.content_type.starts_with("application/merge-patch+json") {
                    return Err(StatusError::unsupported_media_type());
                }
                let update = Update::Merge(self.parse_body()?);
                state.store.update(self.key(), self.update_target(), update, now)?
            }
            Verb::Delete => state.store.delete(self.key(), &self.delete_options()?, now)?,
        };
        let WriteResult { object, effect } = result;
        let reply = match (self.call.verb, effect) {
            (Verb::Delete, WriteEffect::Removed) => ApiResponse::Object(200, self.deletion_status(&object)),
            (Verb::Create, _) => ApiResponse::Object(201, projection.render_object(&object)),
            _ => ApiResponse::Object(200, projection.render_object(&object)),
        };
        Ok((reply, effect))
    }

    fn key(&self) -> ObjectKey {
        ObjectKey {
            resource: self.index,
            namespace: self.call.namespace.clone().unwrap_or_default(),
            name: self.call.name.clone().unwrap_or_default(),
        }
    }

    fn update_target(&self) -> UpdateTarget {
        match self.call.subresource {
            Some(_) => UpdateTarget::Status,
            None => UpdateTarget::Main,
        }
    }

    fn parse_body(&self) -> Result<Value, StatusError> {
        serde_json::from_slice(&self.call.body)
            .map_err(|error| StatusError::bad_request(format!("the request body is not valid JSON: {error}")))
    }

    fn parse_selector(&self) -> Result<Selector, StatusError> {
        Selector::new(
            &self.resource,
            self.call.namespace.as_deref(),
            self.call.query_param("fieldSelector"),
            self.call.query_param("labelSelector"),
        )
    }

    /// Lists are never paged and always the most recent version.
    fn check_list_options(&self) -> Result<(), StatusError> {
        if self.call.query_param("continue").is_some() {
            return Err(StatusError::unsupported("continue: lists are never paged"));
        }
        match self.call.query_param("resourceVersionMatch") {
            Some("Exact") => Err(StatusError::unsupported("resourceVersionMatch=Exact")),
            _ => Ok(()),
        }
    }

    fn watch_options(&self, projection: Projection) -> Result<WatchOptions, StatusError> {
        if self.call.query_flag("sendInitialEvents") {
            return Err(StatusError::unsupported("sendInitialEvents"));
        }
        let timeout = self.call.query_param("timeoutSeconds").and_then(|seconds| seconds.parse().ok());
        Ok(WatchOptions {
            index: self.index,
            selection: self.parse_selector()?,
            projection,
            resource_version: parse_resource_version(self.call.query_param("resourceVersion"))?,
            timeout: timeout.map(Duration::from_secs),
            bookmarks: self.call.query_flag("allowWatchBookmarks"),
        })
    }

    fn delete_options(&self) -> Result<Value, StatusError> {
        let options = match self.call.body.is_empty() {
            true => Value::Null,
            false => self.parse_body()?,
        };
        let policy = self.call.query_param("propagationPolicy").or(options["propagationPolicy"].as_str());
        if let Some(policy) = policy.filter(|policy| *policy != "Background") {
            return Err(StatusError::unsupported(&format!("propagationPolicy={policy}")));
        }
        if options["dryRun"].as_array().is_some_and(|stages| !stages.is_empty()) {
            return Err(StatusError::unsupported("dryRun"));
        }
        Ok(options)
    }

    fn deletion_status(&self, object: &Value) -> Value {
        json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
            "details": {
                "name": object::name(object), "group": self.resource.group,
                "kind": self.resource.plural, "uid": object::uid(object),
            },
        })
    }
}
