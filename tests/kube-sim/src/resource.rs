//! Served resources.

use crate::builtin;
use serde::Serialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// A check of the old object (none on create) and the new one; the error is the message.
pub(crate) type ValidationRule = Arc<dyn Fn(Option<&Value>, &Value) -> Result<(), String> + Send + Sync>;

/// A resource that the simulated server serves.
///
/// [`Resource::from_crd`] reads a CRD; [`Resource::custom`] and the `with_…` methods build one manually.
#[derive(Clone)]
pub struct Resource {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) plural: String,
    pub(crate) kind: String,
    pub(crate) namespaced: bool,
    pub(crate) has_status: bool,
    pub(crate) has_generation: bool,
    /// Whether PUT works without a resourceVersion.
    pub(crate) unconditional_update: bool,
    pub(crate) selectable_fields: Vec<String>,
    pub(crate) schema: Value,
    pub(crate) rules: Vec<ValidationRule>,
    /// Type-specific changes to an object before it is stored.
    pub(crate) normalize: fn(&mut Value),
}

impl Resource {
    /// A namespaced custom resource without a status subresource and without a schema.
    #[must_use]
    pub fn custom(group: &str, version: &str, plural: &str, kind: &str) -> Self {
        Self {
            group: group.into(),
            version: version.into(),
            plural: plural.into(),
            kind: kind.into(),
            namespaced: true,
            has_status: false,
            has_generation: true,
            unconditional_update: false,
            selectable_fields: Vec::new(),
            schema: json!({"x-kubernetes-preserve-unknown-fields": true, "properties": {}}),
            rules: Vec::new(),
            normalize: builtin::unchanged,
        }
    }

    /// The stored version of a `CustomResourceDefinition`: names, scope, status subresource, selectable fields, and
    /// the schema's defaults and known fields. Its types and CEL rules are not enforced.
    ///
    /// # Panics
    /// If it is not a CRD with a stored version.
    #[must_use]
    pub fn from_crd(crd: &impl Serialize) -> Self {
        let crd = serde_json::to_value(crd).unwrap_or_default();
        let spec = &crd["spec"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let Some(version) =
            spec["versions"].as_array().and_then(|versions| versions.iter().find(|version| version["storage"] == true))
        else {
            panic!("not a CustomResourceDefinition with a stored version: {crd}")
        };
        let selectable = version["selectableFields"].as_array().into_iter().flatten();
        Self {
            namespaced: spec["scope"] == "Namespaced",
            has_status: version["subresources"]["status"].is_object(),
            selectable_fields: selectable.map(|field| field_label(&text(&field["jsonPath"]))).collect(),
            schema: version["schema"]["openAPIV3Schema"].clone(),
            ..Self::custom(
                &text(&spec["group"]),
                &text(&version["name"]),
                &text(&spec["names"]["plural"]),
                &text(&spec["names"]["kind"]),
            )
        }
    }

    #[must_use]
    pub fn cluster_scoped(self) -> Self {
        Self { namespaced: false, ..self }
    }

    /// With a status subresource.
    #[must_use]
    pub fn with_status_subresource(self) -> Self {
        Self { has_status: true, ..self }
    }

    /// With a status subresource whose default, as a CRD has it, is `status`.
    #[must_use]
    pub fn with_default_status(mut self, status: Value) -> Self {
        self.schema["properties"]["status"] = json!({
            "x-kubernetes-preserve-unknown-fields": true, "default": status,
        });
        self.with_status_subresource()
    }

    /// With a selectable field, as a JSON path like in a CRD: `.spec.connectionRef.name`.
    #[must_use]
    pub fn with_selectable_field(mut self, json_path: &str) -> Self {
        self.selectable_fields.push(field_label(json_path));
        self
    }

    /// With a validation rule whose error rejects a write with 422; the old object is none on create.
    #[must_use]
    pub fn with_rule<F>(mut self, rule: F) -> Self
    where
        F: Fn(Option<&Value>, &Value) -> Result<(), String> + Send + Sync + 'static,
    {
        self.rules.push(Arc::new(rule));
        self
    }

    /// The resource in messages: `userrosters.boxsync.dev`, `secrets`.
    pub(crate) fn qualified_resource(&self) -> String {
        qualified_name(&self.plural, &self.group)
    }

    pub(crate) fn qualified_kind(&self) -> String {
        qualified_name(&self.kind, &self.group)
    }

    pub(crate) fn api_version(&self) -> String {
        match self.group.as_str() {
            "" => self.version.clone(),
            group => format!("{group}/{}", self.version),
        }
    }
}

fn qualified_name(name: &str, group: &str) -> String {
    match group {
        "" => name.to_owned(),
        group => format!("{name}.{group}"),
    }
}

fn field_label(json_path: &str) -> String {
    json_path.trim_start_matches('.').to_owned()
}
