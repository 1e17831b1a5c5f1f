//! A parsed request.

use crate::{status_error::StatusError, store::Store};
use bytes::Bytes;
use http::{Method, header, request::Parts};
use serde_json::Value;

/// The verb of a request, as in RBAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verb {
    Get,
    List,
    Watch,
    Create,
    Update,
    Patch,
    Delete,
}

impl Verb {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
        }
    }

    #[must_use]
    pub const fn is_write(self) -> bool {
        match self {
            Self::Get | Self::List | Self::Watch => false,
            Self::Create | Self::Update | Self::Patch | Self::Delete => true,
        }
    }
}

/// A request that reached the server.
#[derive(Debug, Clone)]
pub struct Call {
    /// The user of the client that sent it.
    pub user: String,
    pub verb: Verb,
    pub group: String,
    /// The plural: `boxconnections`.
    pub resource: String,
    pub subresource: Option<String>,
    pub namespace: Option<String>,
    /// For a create, the name in the body; none if the server generates it.
    pub name: Option<String>,
    pub query: Vec<(String, String)>,
    pub body: Bytes,
    pub(crate) content_type: String,
    pub(crate) accept: String,
}

impl Call {
    /// Whether this is `verb` on `resource`, written as in RBAC rules: `boxconnections/status`.
    #[must_use]
    pub fn matches(&self, verb: Verb, resource: &str) -> bool {
        self.verb == verb && self.full_resource() == resource
    }

    /// `boxconnections` or `boxconnections/status`.
    #[must_use]
    pub fn full_resource(&self) -> String {
        match &self.subresource {
            Some(subresource) => format!("{}/{subresource}", self.resource),
            None => self.resource.clone(),
        }
    }

    /// The body as JSON; null if it is empty or not JSON.
    #[must_use]
    pub fn body_json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    #[must_use]
    pub fn query_param(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(key, value)| key == name && !value.is_empty());
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn query_flag(&self, name: &str) -> bool {
        matches!(self.query_param(name), Some("true" | "1"))
    }

    /// Parses a request; the number is the resource's index in the store's table.
    pub(crate) fn from_http(
        user: &str,
        head: &Parts,
        body: Bytes,
        store: &Store,
    ) -> Result<(Self, usize), StatusError> {
        let path = head.uri.path();
        let resource_path = ResourcePath::parse(path).ok_or_else(|| StatusError::no_such_path(path))?;
        let served = store.find_resource(resource_path.group, resource_path.version, resource_path.plural);
        let index = served.ok_or_else(|| StatusError::no_such_path(path))?;
        let resource = store.resource(index);
        match resource_path.subresource {
            None => {}
            Some("status") if resource.has_status => {}
            Some(_) => return Err(StatusError::no_such_path(path)),
        }
        if resource_path.namespace.is_some() && !resource.namespaced {
            return Err(StatusError::no_such_path(path));
        }
        if resource_path.name.is_some() && resource_path.namespace.is_none() && resource.namespaced {
            return Err(StatusError::no_such_path(path));
        }
        let query: Vec<(String, String)> =
            form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
        let header = |name| {
            let value = head.headers.get(name).and_then(|value| value.to_str().ok());
            value.unwrap_or_default().to_owned()
        };
        let mut call = Self {
            user: user.to_owned(),
            verb: Verb::Get,
            group: resource_path.group.to_owned(),
            resource: resource_path.plural.to_owned(),
            subresource: resource_path.subresource.map(str::to_owned),
            namespace: resource_path.namespace.map(str::to_owned),
            name: resource_path.name.map(str::to_owned),
            query,
            body,
            content_type: header(header::CONTENT_TYPE),
            accept: header(header::ACCEPT),
        };
        call.verb =
            call.verb_for(&head.method).ok_or_else(|| StatusError::method_not_allowed(head.method.as_str(), path))?;
        if call.verb == Verb::Create {
            if call.namespace.is_none() && resource.namespaced {
                return Err(StatusError::no_such_path(path));
            }
            call.name = call.body_json()["metadata"]["name"].as_str().map(str::to_owned);
        }
        if call.query_param("dryRun").is_some() {
            return Err(StatusError::unsupported("dryRun"));
        }
        Ok((call, index))
    }

    fn verb_for(&self, method: &Method) -> Option<Verb> {
        let on_status = self.subresource.is_some();
        match (method.as_str(), self.name.is_some()) {
            ("GET", true) => Some(Verb::Get),
            ("GET", false) if self.query_flag("watch") => Some(Verb::Watch),
            ("GET", false) => Some(Verb::List),
            ("POST", false) => Some(Verb::Create),
            ("PUT", true) => Some(Verb::Update),
            ("PATCH", true) => Some(Verb::Patch),
            ("DELETE", true) if !on_status => Some(Verb::Delete),
            _ => None,
        }
    }
}

/// A parsed path.
struct ResourcePath<'a> {
    group: &'a str,
    version: &'a str,
    namespace: Option<&'a str>,
    plural: &'a str,
    name: Option<&'a str>,
    subresource: Option<&'a str>,
}

impl<'a> ResourcePath<'a> {
    fn parse(path: &'a str) -> Option<Self> {
        let mut parts = path.strip_prefix('/')?.split('/');
        let group = match parts.next()? {
            "api" => "",
            "apis" => parts.next()?,
            _ => return None,
        };
        let version = parts.next()?;
        let rest: Vec<&str> = parts.collect();
        let (namespace, rest) = match rest.as_slice() {
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (Some(*namespace), rest),
            rest => (None, rest),
        };
        let (plural, name, subresource) = match *rest {
            [plural] => (plural, None, None),
            [plural, name] => (plural, Some(name), None),
            [plural, name, subresource] => (plural, Some(name), Some(subresource)),
            _ => return None,
        };
        let all = [Some(version), namespace, Some(plural), name, subresource];
        let is_complete = all.into_iter().flatten().all(|part| !part.is_empty());
        is_complete.then_some(Self { group, version, namespace, plural, name, subresource })
    }
}
