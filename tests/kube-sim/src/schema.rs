//! Pruning and defaulting by a structural schema.
//! Types, bounds and CEL are not checked; the tests on a real API server cover them.

use serde_json::{Map, Value};

/// Prunes and defaults `value` in place.
pub(crate) fn prune_and_default(value: &mut Value, schema: &Value) {
    match value {
        Value::Object(fields) => prune_and_default_fields(fields, schema),
        Value::Array(items) => {
            if let Some(schema) = schema.get("items") {
                items.iter_mut().for_each(|item| prune_and_default(item, schema));
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The root object, whose type and metadata are not part of the schema.
pub(crate) fn prune_and_default_object(object: &mut Value, schema: &Value) {
    let preserved: Vec<(&str, Value)> = ["apiVersion", "kind", "metadata"]
        .into_iter()
        .filter_map(|key| Some((key, object.get_mut(key)?.take())))
        .collect();
    prune_and_default(object, schema);
    for (key, value) in preserved {
        object[key] = value;
    }
}

fn prune_and_default_fields(fields: &mut Map<String, Value>, schema: &Value) {
    let known = schema.get("properties").and_then(Value::as_object);
    let others = schema.get("additionalProperties").filter(|others| !others.is_boolean());
    let preserves_unknown = others.is_some()
        || is_true(schema, "additionalProperties")
        || is_true(schema, "x-kubernetes-preserve-unknown-fields");
    fields.retain(|name, _| preserves_unknown || known.is_some_and(|known| known.contains_key(name)));

    for (name, schema) in known.into_iter().flatten() {
        // A null that is not nullable counts as absent, so that the default applies.
        if fields.get(name).is_some_and(Value::is_null) && !is_true(schema, "nullable") {
            fields.remove(name);
        }
        if let (None, Some(default)) = (fields.get(name), schema.get("default")) {
            fields.insert(name.clone(), default.clone());
        }
    }
    for (name, value) in fields.iter_mut() {
        if let Some(schema) = known.and_then(|known| known.get(name)).or(others) {
            prune_and_default(value, schema);
        }
    }
}

fn is_true(schema: &Value, key: &str) -> bool {
    schema.get(key) == Some(&Value::Bool(true))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pruned_and_defaulted(mut value: Value, schema: Value) -> Value {
        prune_and_default_object(&mut value, &schema);
        value
    }

    #[test]
    fn defaults_fill_what_is_missing_or_null_at_every_depth() {
        let schema = json!({"type": "object", "properties": {
            "spec": {"type": "object", "properties": {
                "every": {"type": "string", "default": "24h"},
                "list": {"type": "array", "items": {"properties": {"n": {"default": 1}}}},
            }},
            "status": {"type": "object", "default": {}, "properties": {"phase": {"default": "Pending"}}},
        }});
        let given = json!({"spec": {"every": null, "list": [{}, {"n": 2}]}});
        let expected = json!({"spec": {"every": "24h", "list": [{"n": 1}, {"n": 2}]}, "status": {"phase": "Pending"}});
        assert_eq!(pruned_and_defaulted(given, schema), expected);
    }

    #[test]
    fn unknown_fields_are_pruned_unless_the_schema_keeps_them() {
        let schema = json!({"type": "object", "properties": {
            "spec": {"properties": {"a": {}}},
            "free": {"x-kubernetes-preserve-unknown-fields": true},
            "map": {"additionalProperties": {"type": "string"}},
        }});
        let given = json!({"metadata": {"name": "x"}, "spec": {"a": 1, "b": 2}, "free": {"c": 3}, "map": {"d": "4"}});
        let expected = json!({"metadata": {"name": "x"}, "spec": {"a": 1}, "free": {"c": 3}, "map": {"d": "4"}});
        assert_eq!(pruned_and_defaulted(given, schema), expected);
    }
}
