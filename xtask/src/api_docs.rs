//! `docs/api.md`: the reference of the API, rendered from the CustomResourceDefinitions.

use std::fmt::Write;

use boxsync::api::crds;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceColumnDefinition, CustomResourceDefinition, CustomResourceDefinitionVersion, JSONSchemaProps,
    JSONSchemaPropsOrArray, ValidationRule,
};
use serde_json::Value;

const INTRO: &str = "\
# API

Every field of every kind, made from the CustomResourceDefinitions (`crds/`); `kubectl explain boxconnection.spec` says the same. What a program may rely on when versions change is in [versioning.md](versioning.md), the reasons of conditions in [reasons.md](reasons.md), how to read a list in [reading.md](reading.md), and every kind as one writes it in [config/samples](../config/samples).

What is quoted is what the API server says to whoever wrote something else. A *time* is RFC 3339 in UTC. Fields without a default are absent where they do not apply, never null.

";

pub(crate) fn render_api_docs() -> String {
    let mut page = String::from(INTRO);
    for crd in crds() {
        let (names, description) = (&crd.spec.names, description(version_schema(crd_version(&crd))));
        let first = description.split_inclusive(". ").next().unwrap_or_default().trim_end();
        let _ = writeln!(page, "* [{}](#{}): {first}", names.kind, names.kind.to_lowercase());
    }
    crds().iter().for_each(|crd| write_kind(&mut page, crd));
    page
}

fn crd_version(crd: &CustomResourceDefinition) -> &CustomResourceDefinitionVersion {
    crd.spec.versions.first().expect("one version")
}

fn version_schema(version: &CustomResourceDefinitionVersion) -> &JSONSchemaProps {
    version.schema.as_ref().and_then(|v| v.open_api_v3_schema.as_ref()).expect("a schema")
}

fn write_kind(page: &mut String, crd: &CustomResourceDefinition) {
    let (names, version) = (&crd.spec.names, crd_version(crd));
    let schema = version_schema(version);
    let _ = write!(page, "\n## {}\n\n{}\n\n", names.kind, description(schema));
    let _ =
        write!(page, "`apiVersion: {}/{}`, namespaced. `kubectl get {}`", crd.spec.group, version.name, names.plural);
    if let Some(short) = names.short_names.as_ref().and_then(|short| short.first()) {
        let _ = write!(page, ", short `{short}`");
    }
    if let Some(category) = names.categories.as_ref().and_then(|all| all.first()) {
        let _ = write!(page, "; one of the kinds of `kubectl get {category}`");
    }
    page.push_str(".\n");
    let selectable: Vec<String> = version
        .selectable_fields
        .iter()
        .flatten()
        .map(|f| format!("`{}`", f.json_path.trim_start_matches('.')))
        .collect();
    if !selectable.is_empty() {
        let _ = write!(page, "\n`--field-selector` takes {}.\n", selectable.join(", "));
    }
    write_rules(page, schema.x_kubernetes_validations.as_deref().unwrap_or_default());
    write_columns(page, version.additional_printer_columns.as_deref().unwrap_or_default());

    let parts: Vec<_> = own_fields(schema).filter(|(name, _)| matches!(name.as_str(), "spec" | "status")).collect();
    if parts.is_empty() {
        write_field_table(page, schema);
    }
    for (name, part) in parts {
        let _ = write!(page, "\n### {} {name}\n\n{}\n", names.kind, description(part));
        if let Some(default) = &part.default {
            let json = serde_json::to_string_pretty(&default.0).expect("a default is JSON");
            let _ = write!(page, "\nOf a new object, until an operator has processed it:\n\n```json\n{json}\n```\n");
        }
        write_rules(page, part.x_kubernetes_validations.as_deref().unwrap_or_default());
        write_field_table(page, part);
    }
}

/// What has to hold for several fields together.
fn write_rules(page: &mut String, rules: &[ValidationRule]) {
    if rules.is_empty() {
        return;
    }
    page.push_str("\nRefused as a whole:\n\n");
    for rule in rules {
        let at = rule.field_path.as_deref().map(|path| format!("`{}`: ", path.trim_start_matches('.')));
        let _ = writeln!(page, "* {}\"{}\"", at.unwrap_or_default(), rule_message(rule));
    }
}

fn write_columns(page: &mut String, columns: &[CustomResourceColumnDefinition]) {
    page.push_str("\n| column | is | meaning |\n| --- | --- | --- |\n");
    for column in columns {
        let wide = if column.priority.is_some_and(|priority| priority > 0) { " (`-o wide`)" } else { "" };
        let meaning = column.description.as_deref().unwrap_or("Since when the object exists");
        let path = escape_cell(&column.json_path);
        let _ = writeln!(page, "| `{}`{wide} | `{path}` | {} |", column.name.to_uppercase(), escape_cell(meaning));
    }
}

fn write_field_table(page: &mut String, object: &JSONSchemaProps) {
    page.push_str("\n| field | type | default | meaning |\n| --- | --- | --- | --- |\n");
    write_field_rows(page, "", object);
}

/// The fields of an object, those that are required first, each followed by its own.
fn write_field_rows(page: &mut String, path: &str, object: &JSONSchemaProps) {
    let required = object.required.as_deref().unwrap_or_default();
    let mut fields: Vec<_> = own_fields(object).collect();
    fields.sort_by_key(|(name, _)| !required.contains(name));
    for (name, field) in fields {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let default = match &field.default {
            Some(default) => format!("`{}`", yaml_value(&default.0)),
            None if required.contains(name) => "required".to_owned(),
            None => String::new(),
        };
        let _ = writeln!(
            page,
            "| `{path}` | {} | {default} | {} |",
            type_name(field),
            escape_cell(&field_description(field))
        );
        match &field.items {
            // Kubernetes' own.
            _ if name == "conditions" => {}
            Some(JSONSchemaPropsOrArray::Schema(item)) => write_field_rows(page, &format!("{path}[]"), item),
            Some(JSONSchemaPropsOrArray::Schemas(_)) | None => write_field_rows(page, &path, field),
        }
    }
}

/// What an object always has is Kubernetes' own.
fn own_fields(object: &JSONSchemaProps) -> impl Iterator<Item = (&String, &JSONSchemaProps)> {
    object.properties.iter().flatten().filter(|(name, _)| *name != "metadata")
}

fn type_name(field: &JSONSchemaProps) -> String {
    match (field.type_.as_deref(), field.format.as_deref(), &field.items) {
        (Some("string"), Some("date-time"), _) => "time".to_owned(),
        (Some("array"), _, Some(JSONSchemaPropsOrArray::Schema(item))) => match item.type_.as_deref() {
            Some("object") if item.properties.as_ref().is_some_and(|p| p.contains_key("lastTransitionTime")) => {
                "list of [conditions](reasons.md)".to_owned()
            }
            _ => format!("list of {}s", type_name(item)),
        },
        (Some(kind), _, _) => kind.to_owned(),
        (None, _, _) => "any".to_owned(),
    }
}

/// What it is, and what the API server takes, as far as the schema says it.
fn field_description(field: &JSONSchemaProps) -> String {
    let mut meaning = description(field).to_owned();
    let values: Vec<String> = field.enum_.iter().flatten().map(|w| format!("`{}`", yaml_value(&w.0))).collect();
    if !values.is_empty() {
        let _ = write!(meaning, " One of {}.", values.join(", "));
    }
    let range = match (field.minimum, field.maximum) {
        (Some(least), Some(most)) => Some(format!("From {least} to {most}.")),
        (Some(least), None) => Some(format!("At least {least}.")),
        (None, Some(most)) => Some(format!("At most {most}.")),
        (None, None) => None,
    };
    let length = field.max_length.map(|most| format!("At most {most} characters."));
    for limit in range.into_iter().chain(length) {
        let _ = write!(meaning, " {limit}");
    }
    for rule in field.x_kubernetes_validations.iter().flatten() {
        let _ = write!(meaning, " \"{}\".", rule_message(rule));
    }
    meaning
}

fn description(schema: &JSONSchemaProps) -> &str {
    schema.description.as_deref().expect("a description")
}

/// A value as one writes it in YAML.
fn yaml_value(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn rule_message(rule: &ValidationRule) -> &str {
    rule.message.as_deref().expect("a rule with a message")
}

fn escape_cell(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;")
}
