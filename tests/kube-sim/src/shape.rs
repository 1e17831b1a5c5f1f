//! The forms in which objects are answered: whole, or their metadata alone.

use crate::resource::Resource;
use serde_json::{Value, json};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Whole,
    Metadata,
}

impl Shape {
    /// What the client accepts: kube asks for metadata by `application/json;as=PartialObjectMetadata…`.
    pub(crate) fn accepted(accept: &str) -> Self {
        match accept.contains("as=PartialObjectMetadata") {
            true => Self::Metadata,
            false => Self::Whole,
        }
    }

    pub(crate) fn object(self, object: &Value) -> Value {
        match self {
            Self::Whole => object.clone(),
            Self::Metadata => json!({
                "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"],
            }),
        }
    }

    pub(crate) fn list<'a>(self, resource: &Resource, version: u64, items: impl Iterator<Item = &'a Value>) -> Value {
        let (kind, api_version) = match self {
            Self::Whole => (format!("{}List", resource.kind), resource.api_version()),
            Self::Metadata => ("PartialObjectMetadataList".into(), "meta.k8s.io/v1".into()),
        };
        json!({
            "kind": kind, "apiVersion": api_version,
            "metadata": {"resourceVersion": version.to_string()},
            "items": items.map(|item| self.object(item)).collect::<Vec<_>>(),
        })
    }

    pub(crate) fn bookmark(self, resource: &Resource, version: u64) -> Value {
        let (kind, api_version) = match self {
            Self::Whole => (resource.kind.clone(), resource.api_version()),
            Self::Metadata => ("PartialObjectMetadata".into(), "meta.k8s.io/v1".into()),
        };
        json!({
            "kind": kind, "apiVersion": api_version,
            "metadata": {"resourceVersion": version.to_string()},
        })
    }
}
