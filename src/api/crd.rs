//! The CustomResourceDefinitions as the cluster gets them.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::{Value, json};

use super::{BoxConnection, Reason, UserRoster, UserSlice, UserSyncRequest};

/// All of them. The status defaults say that nobody has looked yet: without them a brand-new object would count as
/// current for those who wait by observedGeneration and conditions (kstatus).
pub fn crds() -> Vec<CustomResourceDefinition> {
    let connection = json!({
        "observedGeneration": -1,
        "conditions": [{
            "type": "Ready",
            "status": "Unknown",
            "reason": Reason::WaitingForOperator.as_str(),
            "message": "No operator has looked at this connection yet. Check that it runs and watches this namespace.",
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

/// All of them as one YAML stream.
pub fn crds_yaml() -> Result<String, serde_saphyr::ser::Error> {
    crds().iter().map(|crd| Ok(format!("---\n{}", serde_saphyr::to_string(crd)?))).collect()
}

/// `crd` with that default of its status, if it has one, and without `nullable`: what is absent is absent, never null.
fn normalize_crd(crd: CustomResourceDefinition, status: Option<&Value>) -> CustomResourceDefinition {
    let mut crd = json!(crd);
    strip_nullable(&mut crd);
    join_description_lines(&mut crd);
    let fields = &mut crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"];
    if let Some(default) = status {
        fields["status"]["default"] = default.clone();
    }
    // For a rule on the name to say where it failed.
    fields["metadata"] = json!({ "type": "object", "properties": { "name": { "type": "string" } } });
    serde_json::from_value(crd).expect("a CustomResourceDefinition with a default is one")
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

/// Makes each description one line: where a doc comment broke its lines says nothing, and `kubectl explain` would
/// break there too.
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
