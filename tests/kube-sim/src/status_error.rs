//! Error responses: `Status` objects with the messages of kube-apiserver 1.37.

use crate::{Call, Verb, resource::Resource};
use serde_json::{Value, json};

/// An error response.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StatusError {
    pub(crate) code: u16,
    pub(crate) message: String,
    reason: &'static str,
    details: Value,
}

impl StatusError {
    pub(crate) fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: Value::Null }
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    pub(crate) fn unsupported(what: &str) -> Self {
        Self::bad_request(format!("kube-sim does not support {what}"))
    }

    pub(crate) fn no_such_path(path: &str) -> Self {
        Self::new(
            404,
            "NotFound",
            format!("the server could not find the requested resource: kube-sim has no resource at {path}"),
        )
    }

    pub(crate) fn method_not_allowed(method: &str, path: &str) -> Self {
        Self::new(405, "MethodNotAllowed", format!("{method} is not supported by kube-sim at {path}"))
    }

    pub(crate) fn unsupported_media_type() -> Self {
        Self::new(
            415,
            "UnsupportedMediaType",
            "the body of the request was in an unknown format - kube-sim accepts patches only as: application/merge-patch+json",
        )
    }

    pub(crate) fn not_found(resource: &Resource, name: &str) -> Self {
        let message = format!("{} \"{name}\" not found", resource.qualified_resource());
        Self::new(404, "NotFound", message).with_details(resource, &resource.plural, name)
    }

    pub(crate) fn already_exists(resource: &Resource, name: &str) -> Self {
        let message = format!("{} \"{name}\" already exists", resource.qualified_resource());
        Self::new(409, "AlreadyExists", message).with_details(resource, &resource.plural, name)
    }

    pub(crate) fn object_modified(resource: &Resource, name: &str) -> Self {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(resource, name, why)
    }

    pub(crate) fn conflict(resource: &Resource, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} \"{name}\": {why}", resource.qualified_resource());
        Self::new(409, "Conflict", message).with_details(resource, &resource.plural, name)
    }

    pub(crate) fn invalid(resource: &Resource, name: &str, why: &str) -> Self {
        let message = format!("{} \"{name}\" is invalid: {why}", resource.qualified_kind());
        Self::new(422, "Invalid", message).with_details(resource, &resource.kind, name)
    }

    pub(crate) fn forbidden(resource: &Resource, call: &Call) -> Self {
        // The name of an object to be created is in the body, which is not read before authorization.
        let name = call.name.as_deref().filter(|_| call.verb != Verb::Create);
        let what = match name {
            Some(name) => format!("{} \"{name}\"", resource.qualified_resource()),
            None => resource.qualified_resource(),
        };
        let scope = match &call.namespace {
            Some(namespace) => format!("in the namespace \"{namespace}\""),
            None => "at the cluster scope".to_owned(),
        };
        let message = format!(
            "{what} is forbidden: User \"{}\" cannot {} resource \"{}\" in API group \"{}\" {scope}",
            call.user,
            call.verb.as_str(),
            call.full_resource(),
            resource.group,
        );
        Self::new(403, "Forbidden", message).with_details(resource, &resource.plural, name.unwrap_or_default())
    }

    pub(crate) fn expired(asked: u64, oldest: u64) -> Self {
        let message = format!("too old resource version: {asked} ({oldest})");
        Self::new(410, "Expired", message)
    }

    pub(crate) fn too_large() -> Self {
        Self::new(500, "", "etcdserver: request is too large")
    }

    /// What the server would say with this code if it had a bad day.
    pub(crate) fn injected(code: u16, resource: &Resource, call: &Call) -> Self {
        let name = call.name.as_deref().unwrap_or_default();
        match code {
            403 => Self::forbidden(resource, call),
            404 => Self::not_found(resource, name),
            409 => Self::object_modified(resource, name),
            410 => Self::new(410, "Expired", "The resourceVersion for the provided list is too old."),
            429 => Self::new(
                429,
                "TooManyRequests",
                "The server has received too many requests and has asked us to try again later",
            ),
            500 => Self::new(500, "InternalError", "Internal error occurred: etcdserver: leader changed"),
            503 => Self::new(503, "ServiceUnavailable", "The server is currently unable to handle the request"),
            504 => Self::new(
                504,
                "Timeout",
                "Timeout: request did not complete within requested timeout - context deadline exceeded",
            ),
            code => Self::new(code, "", format!("kube-sim: injected status {code}")),
        }
    }

    fn with_details(mut self, resource: &Resource, kind: &str, name: &str) -> Self {
        let fields = [("name", name), ("group", resource.group.as_str()), ("kind", kind)];
        self.details = fields
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(key, value)| (key.to_owned(), Value::from(value)))
            .collect();
        self
    }

    pub(crate) fn to_status(&self) -> Value {
        let mut body = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {},
            "status": "Failure", "message": self.message, "code": self.code,
        });
        if !self.reason.is_empty() {
            body["reason"] = self.reason.into();
        }
        if !self.details.is_null() {
            body["details"] = self.details.clone();
        }
        body
    }
}
