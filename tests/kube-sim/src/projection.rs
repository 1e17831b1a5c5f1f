//! Response forms: complete objects, or only their metadata.

use crate::resource::Resource;
use serde_json::{Value, json};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Projection {
    Full,
    Metadata,
}

impl Projection {
    /// What the client accepts: kube asks for metadata by `application/json;as=PartialObjectMetadata…`.
    pub(crate) fn from_accept(accept: &str) -> Self {
        match accept.contains("as=PartialObjectMetadata") {
            true => Self::Metadata,
            false => Self::Full,
        }
    }

    pub(crate) fn render_object(self, object: &Value) -> Value {
        match self {
            Self::Full => object.clone(),
            Self::Metadata => json!({
                "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"],
            }),
        }
    }

    pub(crate) fn render_list<'a>(
        self,
        resource: &Resource,
        version: u64,
        items: impl Iterator<Item = &'a Value>,
    ) -> Value {
        let (kind, api_version) = match self {
            Self::Full => (format!("{}List", resource.kind), resource.api_version()),
            Self::Metadata => ("PartialObjectMetadataList".into(), "meta.k8s.io/v1".into()),
        };
        json!({
            "kind": kind, "apiVersion": api_version,
            "metadata": {"resourceVersion": version.to_string()},
            "items": items.map(|item| self.render_object(item)).collect::<Vec<_>>(),
        })
    }

    pub(crate) fn render_bookmark(self, resource: &Resource, version: u64) -> Value {
        let (kind, api_version) = match self {
            Self::Full => (resource.kind.clone(), resource.api_version()),
            Self::Metadata => ("PartialObjectMetadata".into(), "meta.k8s.io/v1".into()),
        };
        json!({
            "kind": kind, "apiVersion": api_version,
            "metadata": {"resourceVersion": version.to_string()},
        })
    }
}
