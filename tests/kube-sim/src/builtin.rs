//! The built-in resources that every simulated server serves: secrets, events, leases.

use crate::Resource;
use k8s_openapi::ByteString;
use serde_json::{Value, json};

pub(crate) fn all() -> [Resource; 3] {
    [
        Resource { unconditional_update: true, tidy: tidy_secret, ..builtin("", "v1", "secrets", "Secret", &["type"]) },
        Resource {
            unconditional_update: true,
            ..builtin(
                "events.k8s.io",
                "v1",
                "events",
                "Event",
                &["reason", "type", "regarding.kind", "regarding.namespace", "regarding.name", "regarding.uid"],
            )
        },
        builtin("coordination.k8s.io", "v1", "leases", "Lease", &[]),
    ]
}

pub(crate) fn as_it_is(_: &mut Value) {}

fn builtin(group: &str, version: &str, plural: &str, kind: &str, selectable: &[&str]) -> Resource {
    Resource {
        counts_generations: false,
        selectable: selectable.iter().copied().map(str::to_owned).collect(),
        ..Resource::custom(group, version, plural, kind)
    }
}

/// `stringData` is write-only and ends up in `data`.
fn tidy_secret(secret: &mut Value) {
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
