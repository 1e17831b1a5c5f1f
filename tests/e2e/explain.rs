//! `kubectl explain`: every field has a description.

use harness::eventually;
use http::Request;
use serde_json::Value;

use crate::env::{SHORT_TIMEOUT, shared_plane};

const KINDS: &[&str] = &["dev.boxsync.v1alpha1.BoxConnection", "dev.boxsync.v1alpha1.UserSyncRequest"];

#[tokio::test]
async fn every_field_of_every_kind_is_explained() {
    let client = shared_plane().await.admin_client().await.expect("client");
    // What `kubectl explain` reads.
    let read = async || {
        let request =
            Request::get("/openapi/v3/apis/boxsync.dev/v1alpha1").body(Vec::new()).map_err(|e| e.to_string())?;
        let document: Value = client.request(request).await.map_err(|e| e.to_string())?;
        let known = document["components"]["schemas"].as_object().filter(|known| known.contains_key(KINDS[1]));
        known.cloned().ok_or_else(|| "a schema is missing".to_owned())
    };
    let schemas = eventually("both kinds are published", SHORT_TIMEOUT, read).await;
    let mut field_count = 0;
    for kind in KINDS {
        field_count += check_schema(kind, &schemas[*kind], true);
    }
    assert!(field_count > 80, "only {field_count} fields");
}

/// Checks a schema and everything below it; returns the number of fields.
fn check_schema(path: &str, schema: &Value, root: bool) -> usize {
    let description = schema["description"].as_str().unwrap_or_default();
    assert!(description.len() > 5 && description.ends_with('.'), "{path}: {description:?}");
    assert!(
        !description.contains("Auto-generated") && !description.contains("::") && !description.contains("[`"),
        "{path}: {description}"
    );
    let mut field_count = 1;
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        // Described by the API server.
        let is_metadata = root && ["apiVersion", "kind", "metadata"].contains(&name.as_str());
        let listed = path.ends_with(".conditions[]");
        if is_metadata || listed {
            continue;
        }
        let path = format!("{path}.{name}");
        assert!(field["nullable"].is_null(), "{path} may be null");
        let format = field["format"].as_str().unwrap_or_default();
        match field["type"].as_str() {
            Some("string") => assert!(["", "date-time"].contains(&format), "{path}: {format}"),
            Some("integer") => assert!(["int32", "int64"].contains(&format), "{path}: {format}"),
            Some("boolean" | "object" | "array") => assert_eq!(format, "", "{path}"),
            other => panic!("{path}: {other:?}"),
        }
        if name.ends_with("Time") {
            assert_eq!(format, "date-time", "{path}");
        }
        field_count += check_schema(&path, field, false);
        if field["items"]["properties"].is_object() {
            assert!(!field["x-kubernetes-list-type"].is_null(), "{path} has no list type");
            field_count += check_schema(&format!("{path}[]"), &field["items"], false);
        }
    }
    field_count
}
