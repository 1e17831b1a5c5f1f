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
use std::{fmt, sync::Arc, time::Duration};

/// A response before it is serialized.
pub(crate) enum ApiResponse {
    Object(u16, Value),
    Watch(Box<Watch>),
}

/// Where the next page of a list begins.
struct PageToken {
    version: u64,
    namespace: String,
    name: String,
}

impl PageToken {
    fn parse(text: &str) -> Result<Self, StatusError> {
        let mut parts = text.splitn(3, '/').map(str::to_owned);
        let version = parts.next().and_then(|version| version.parse().ok());
        match (version, parts.next(), parts.next()) {
            (Some(version), Some(namespace), Some(name)) => Ok(Self { version, namespace, name }),
            _ => Err(StatusError::bad_request(format!("continue key is not valid: {text}"))),
        }
    }
}

impl fmt::Display for PageToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.version, self.namespace, self.name)
    }
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
                return Ok((ApiResponse::Object(200, self.list_page(state, projection)?), WriteEffect::Unchanged));
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

    /// The most recent version of a list, or a page of it. All pages name the version of the first one, and hold the
    /// objects as they are when the page is read: a watch from that version brings whatever changed between them.
    fn list_page(&self, state: &ServerState, projection: Projection) -> Result<Value, StatusError> {
        if self.call.query_param("resourceVersionMatch") == Some("Exact") {
            return Err(StatusError::unsupported("resourceVersionMatch=Exact"));
        }
        let limit = self.call.query_param("limit").and_then(|limit| limit.parse().ok()).filter(|limit| *limit > 0);
        let token = self.call.query_param("continue").map(PageToken::parse).transpose()?;
        let selection = self.parse_selector()?;
        let after = token.as_ref().map(|token| (token.namespace.as_str(), token.name.as_str()));
        let mut items: Vec<&Value> = state
            .store
            .list(self.index, &selection)
            .map(AsRef::as_ref)
            .filter(|item| after.is_none_or(|after| (object::namespace(item), object::name(item)) > after))
            .collect();
        let version = token.as_ref().map_or_else(|| state.store.history.version(), |token| token.version);
        let remaining = items.split_off(limit.unwrap_or(items.len()).min(items.len()));
        let last = items.last().filter(|_| !remaining.is_empty());
        let next = last.map(|last| PageToken {
            version,
            namespace: object::namespace(last).to_owned(),
            name: object::name(last).to_owned(),
        });
        let mut list = projection.render_list(&self.resource, version, items.into_iter());
        if let Some(next) = next {
            list["metadata"]["continue"] = next.to_string().into();
        }
        Ok(list)
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
        let mut options = options;
        if let Some(policy) = self.call.query_param("propagationPolicy") {
            options = json!({ "propagationPolicy": policy, "preconditions": options["preconditions"] });
        }
        if options["propagationPolicy"] == "Orphan" {
            return Err(StatusError::unsupported("propagationPolicy=Orphan"));
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
