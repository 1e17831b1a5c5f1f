//! Accessors of stored objects: JSON objects whose `metadata` is an object too.

use crate::{resource::Resource, status_error::StatusError};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;
use serde_json::{Value, json};

pub(crate) fn name(object: &Value) -> &str {
    metadata_text(object, "name")
}

pub(crate) fn namespace(object: &Value) -> &str {
    metadata_text(object, "namespace")
}

pub(crate) fn uid(object: &Value) -> &str {
    metadata_text(object, "uid")
}

pub(crate) fn resource_version(object: &Value) -> &str {
    metadata_text(object, "resourceVersion")
}

pub(crate) fn is_being_deleted(object: &Value) -> bool {
    !metadata_text(object, "deletionTimestamp").is_empty()
}

pub(crate) fn finalizers(object: &Value) -> &[Value] {
    object["metadata"]["finalizers"].as_array().map_or(&[], Vec::as_slice)
}

fn metadata_text<'a>(object: &'a Value, field: &str) -> &'a str {
    object["metadata"][field].as_str().unwrap_or_default()
}

/// Sets a field of the metadata; null removes it.
pub(crate) fn set_metadata(object: &mut Value, field: &str, value: Value) {
    if let Some(metadata) = object["metadata"].as_object_mut() {
        match value {
            Value::Null => metadata.remove(field),
            value => metadata.insert(field.to_owned(), value),
        };
    }
}

/// Sets a field of the object; null removes it.
pub(crate) fn set_field(object: &mut Value, field: &str, value: Value) {
    if let Some(fields) = object.as_object_mut() {
        match value {
            Value::Null => fields.remove(field),
            value => fields.insert(field.to_owned(), value),
        };
    }
}

/// Kubernetes' timestamps have whole seconds.
pub(crate) fn format_timestamp(time: Timestamp) -> Value {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string().into()
}

/// Checks that a request body is an object of this resource, so that other code can index it.
pub(crate) fn check_type(object: &mut Value, resource: &Resource) -> Result<(), StatusError> {
    let unrecognized = |why: &str| {
        let kind = &resource.kind;
        StatusError::bad_request(format!("the object provided is unrecognized (must be of type {kind}): {why}"))
    };
    let Some(fields) = object.as_object_mut() else {
        return Err(unrecognized("it is not a JSON object"));
    };
    let metadata = fields.entry("metadata").or_insert_with(|| json!({}));
    if metadata.is_null() {
        *metadata = json!({});
    }
    if let Err(error) = ObjectMeta::deserialize(&*metadata) {
        return Err(unrecognized(&format!("its metadata cannot be read: {error}")));
    }
    let expected = [("kind", resource.kind.clone()), ("apiVersion", resource.api_version())];
    for (field, expected) in expected {
        match object[field].as_str() {
            Some(found) if found == expected => {}
            Some(found) => return Err(unrecognized(&format!("its {field} is {found:?}, not {expected:?}"))),
            None => {
                let field = if field == "kind" { "Kind" } else { field };
                return Err(unrecognized(&format!("Object '{field}' is missing")));
            }
        }
    }
    Ok(())
}

/// Metadata of another shape than ObjectMeta, as the result of a patch.
pub(crate) fn check_patched_metadata(patched: &Value) -> Result<(), StatusError> {
    match patched.get("metadata").map(ObjectMeta::deserialize) {
        Some(Err(error)) => {
            let message = format!(" \"\" is invalid: patch: Invalid value: {patched}: {error}");
            Err(StatusError::new(422, "Invalid", message))
        }
        Some(Ok(_)) | None => Ok(()),
    }
}

/// A lowercase RFC 1123 subdomain.
pub(crate) fn check_name(name: &str, resource: &Resource) -> Result<(), StatusError> {
    let is_alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let label = |label: &str| {
        label.bytes().all(|byte| is_alphanumeric(byte) || byte == b'-')
            && label.bytes().next().is_some_and(is_alphanumeric)
            && label.bytes().last().is_some_and(is_alphanumeric)
    };
    let problem = if name.is_empty() {
        "metadata.name: Required value: name or generateName is required".to_owned()
    } else if name.len() > 253 {
        format!("metadata.name: Invalid value: \"{name}\": must be no more than 253 characters")
    } else if !name.split('.').all(label) {
        format!(
            "metadata.name: Invalid value: \"{name}\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character"
        )
    } else {
        return Ok(());
    };
    Err(StatusError::invalid(resource, name, &problem))
}

/// RFC 7386.
pub(crate) fn merge_patch(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let Some(fields) = target.as_object_mut() else {
        return;
    };
    for (name, value) in patch {
        if value.is_null() {
            fields.remove(&name);
        } else {
            merge_patch(fields.entry(name).or_insert(Value::Null), value);
        }
    }
}
