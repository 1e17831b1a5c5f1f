//! The built-in resources that every simulated server serves: secrets, events, leases.

use crate::Resource;
use k8s_openapi::ByteString;
use serde_json::{Value, json};

pub(crate) fn builtin_resources() -> [Resource; 3] {
    [
        Resource {
            unconditional_update: true,
            normalize: normalize_secret,
            ..builtin_resource("", "v1", "secrets", "Secret", &["type"])
        },
        Resource {
            unconditional_update: true,
            ..builtin_resource(
                "events.k8s.io",
                "v1",
                "events",
                "Event",
                &["reason", "type", "regarding.kind", "regarding.namespace", "regarding.name", "regarding.uid"],
            )
        },
        builtin_resource("coordination.k8s.io", "v1", "leases", "Lease", &[]),
    ]
}

pub(crate) fn unchanged(_: &mut Value) {}

fn builtin_resource(group: &str, version: &str, plural: &str, kind: &str, selectable: &[&str]) -> Resource {
    Resource {
        has_generation: false,
        selectable_fields: selectable.iter().copied().map(str::to_owned).collect(),
        ..Resource::custom(group, version, plural, kind)
    }
}

/// `stringData` is write-only and ends up in `data`.
fn normalize_secret(secret: &mut Value) {
    let strings = secret.as_object_mut().and_then(|fields| fields.remove("stringData"));
    for (key, text) in strings.iter().filter_map(Value::as_object).flatten() {
        let bytes = ByteString(text.as_str().unwrap_or_default().as_bytes().to_vec());
        if !secret["data"].is_object() {
            secret["data"] = json!({});
        }
        secret["data"][key] = serde_json::to_value(bytes).unwrap_or_default();
    }
    if secret["type"].is_null() {
        secret["type"] = "Opaque".into();
    }
}
