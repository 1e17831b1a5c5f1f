//! The checks of a write, each as in kube-apiserver 1.37.

use crate::{object, resource::Resource, status_error::StatusError, store::ObjectKey};
use serde_json::Value;

pub(crate) fn set_namespace(body: &mut Value, namespace: &str) -> Result<(), StatusError> {
    if !object::namespace(body).is_empty() && object::namespace(body) != namespace {
        let message = "the namespace of the provided object does not match the namespace sent on the request";
        return Err(StatusError::bad_request(message));
    }
    let namespace = if namespace.is_empty() { Value::Null } else { namespace.into() };
    object::set_metadata(body, "namespace", namespace);
    Ok(())
}

pub(crate) fn check_identity(body: &mut Value, key: &ObjectKey, resource: &Resource) -> Result<(), StatusError> {
    object::check_type(body, resource)?;
    set_namespace(body, &key.namespace)?;
    match object::name(body) {
        "" => {
            let message =
                format!("the name of the object ({} based on URL) was undeterminable: name must be provided", key.name);
            return Err(StatusError::bad_request(message));
        }
        name if name == key.name => {}
        name => {
            let message = format!("the name of the object ({name}) does not match the name on the URL ({})", key.name);
            return Err(StatusError::bad_request(message));
        }
    }
    Ok(())
}

/// PUT checks the UID first, at both endpoints. A patch does not: at the main endpoint validation rejects another UID,
/// and at the status endpoint it is ignored, so it is not a precondition there.
pub(crate) fn check_replace_uid(body: &Value, old: &Value, resource: &Resource) -> Result<(), StatusError> {
    let (wanted, found) = (object::uid(body), object::uid(old));
    if wanted.is_empty() || wanted == found {
        return Ok(());
    }
    let why = format!("Precondition failed: UID in precondition: {wanted}, UID in object meta: {found}");
    Err(StatusError::conflict(resource, object::name(old), &why))
}

pub(crate) fn check_version(wanted: &Value, old: &Value, resource: &Resource) -> Result<(), StatusError> {
    match object::resource_version(wanted) {
        "" if resource.unconditional_update => Ok(()),
        "" => {
            let why = "metadata.resourceVersion: Invalid value: 0: must be specified for an update";
            Err(StatusError::invalid(resource, object::name(old), why))
        }
        version if version == object::resource_version(old) => Ok(()),
        _ => Err(StatusError::object_modified(resource, object::name(old))),
    }
}

pub(crate) fn apply_main_update(mut new: Value, old: &Value, resource: &Resource) -> Result<Value, StatusError> {
    let invalid = |why: &str| Err(StatusError::invalid(resource, object::name(old), why));
    match object::uid(&new) {
        "" => object::set_metadata(&mut new, "uid", object::uid(old).into()),
        uid if uid == object::uid(old) => {}
        uid => return invalid(&format!("metadata.uid: Invalid value: \"{uid}\": field is immutable")),
    }
    let added = object::finalizers(&new).iter().find(|finalizer| !object::finalizers(old).contains(finalizer));
    if let (true, Some(added)) = (object::is_being_deleted(old), added) {
        return invalid(&format!(
            "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{{{added}}}"
        ));
    }
    for field in ["creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation"] {
        object::set_metadata(&mut new, field, old["metadata"][field].clone());
    }
    object::set_metadata(&mut new, "managedFields", Value::Null);
    if resource.has_status {
        object::set_field(&mut new, "status", old["status"].clone());
    }
    Ok(new)
}

/// Takes only the status; all other fields, metadata included, are ignored.
pub(crate) fn apply_status_update(wanted: &Value, old: &Value) -> Value {
    let mut new = old.clone();
    object::set_field(&mut new, "status", wanted["status"].clone());
    new
}

pub(crate) fn update_generation(new: &mut Value, old: &Value, resource: &Resource) {
    let counts = |field: &str| field != "metadata" && !(resource.has_status && field == "status");
    let holds = |all: &Value, some: &Value| {
        let mut fields = some.as_object().into_iter().flatten().filter(|(field, _)| counts(field));
        fields.all(|(field, value)| all.get(field) == Some(value))
    };
    object::set_metadata(new, "generation", old["metadata"]["generation"].clone());
    if !(holds(new, old) && holds(old, new)) {
        bump_generation(new, resource);
    }
}

pub(crate) fn bump_generation(object: &mut Value, resource: &Resource) {
    if resource.has_generation {
        let generation = object["metadata"]["generation"].as_u64().unwrap_or_default();
        object::set_metadata(object, "generation", (generation + 1).into());
    }
}

pub(crate) fn check_preconditions(wanted: &Value, old: &Value, resource: &Resource) -> Result<(), StatusError> {
    let conditions = [
        ("UID", &wanted["uid"], object::uid(old), "deleted and then recreated"),
        ("ResourceVersion", &wanted["resourceVersion"], object::resource_version(old), "modified"),
    ];
    for (what, wanted, found, guess) in conditions {
        if let Some(wanted) = wanted.as_str().filter(|wanted| *wanted != found) {
            let why = format!(
                "the {what} in the precondition ({wanted}) does not match the {what} in record ({found}). The object might have been {guess}"
            );
            return Err(StatusError::conflict(resource, object::name(old), &why));
        }
    }
    Ok(())
}

pub(crate) fn validate(resource: &Resource, old: Option<&Value>, new: &Value) -> Result<(), StatusError> {
    let refused = |why: String| StatusError::invalid(resource, object::name(new), &why);
    resource.rules.iter().try_for_each(|rule| rule(old, new).map_err(refused))
}
