//! The generated CustomResourceDefinitions.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::{Value, json};

use super::{BoxConnection, Reason, UserRoster, UserSlice, UserSyncRequest};

/// All CustomResourceDefinitions. The default status says that no operator has processed the object: without it, tools
/// that wait for observedGeneration and conditions (kstatus) would consider a new object current.
pub fn crds() -> Vec<CustomResourceDefinition> {
    let connection = json!({
        "observedGeneration": -1,
        "conditions": [{
            "type": "Ready",
            "status": "Unknown",
            "reason": Reason::WaitingForOperator.as_str(),
            "message": "No operator has processed this connection yet. Check that the operator is running and watches this namespace.",
            "lastTransitionTime": "1970-01-01T00:00:00Z",
        }],
    });
    let request = json!({ "observedGeneration": -1, "phase": "Pending" });
    vec![
        normalize_crd(BoxConnection::crd(), Some(&connection)),
        normalize_crd(UserRoster::crd(), None),
        normalize_crd(UserSlice::crd(), None),
        normalize_crd(UserSyncRequest::crd(), Some(&request)),
    ]
}

/// All CustomResourceDefinitions as one YAML stream.
pub fn crds_yaml() -> Result<String, serde_saphyr::ser::Error> {
    crds().iter().map(|crd| Ok(format!("---\n{}", serde_saphyr::to_string(crd)?))).collect()
}

/// Sets the default status, if any, and removes `nullable`: optional fields are absent, never null.
fn normalize_crd(crd: CustomResourceDefinition, status: Option<&Value>) -> CustomResourceDefinition {
    let mut crd = json!(crd);
    strip_nullable(&mut crd);
    join_description_lines(&mut crd);
    let fields = &mut crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"];
    if let Some(default) = status {
        fields["status"]["default"] = default.clone();
    }
    // Needed by validation rules whose fieldPath is the name.
    fields["metadata"] = json!({ "type": "object", "properties": { "name": { "type": "string" } } });
    serde_json::from_value(crd).expect("valid CustomResourceDefinition")
}

fn strip_nullable(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            members.retain(|key, value| !(key == "nullable" && value.is_boolean()));
            members.values_mut().for_each(strip_nullable);
        }
        Value::Array(items) => items.iter_mut().for_each(strip_nullable),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Joins the lines of each description: the line breaks of a doc comment have no meaning, but `kubectl explain` would
/// print them.
fn join_description_lines(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            for (key, value) in members {
                match value {
                    Value::String(text) if key == "description" => *text = text.replace('\n', " "),
                    other => join_description_lines(other),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(join_description_lines),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
