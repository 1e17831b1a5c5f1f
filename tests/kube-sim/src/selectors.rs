//! Selectors of lists and watches: namespace, fields, labels.

use crate::{object, resource::Resource, status_error::StatusError};
use serde_json::Value;
use std::borrow::Cow;

#[derive(Debug, Default)]
pub(crate) struct Selector {
    namespace: Option<String>,
    fields: Vec<Requirement>,
    labels: Vec<Requirement>,
}

#[derive(Debug)]
struct Requirement {
    key: String,
    operator: Operator,
}

#[derive(Debug)]
enum Operator {
    Equal(String),
    NotEqual(String),
    Exists,
    DoesNotExist,
}

impl Selector {
    pub(crate) fn new(
        resource: &Resource,
        namespace: Option<&str>,
        fields: Option<&str>,
        labels: Option<&str>,
    ) -> Result<Self, StatusError> {
        let fields = parse_requirements(fields)?;
        for Requirement { key, operator: wanted } in &fields {
            let known =
                key == "metadata.name" || key == "metadata.namespace" || resource.selectable_fields.contains(key);
            if !known || matches!(wanted, Operator::Exists | Operator::DoesNotExist) {
                return Err(StatusError::bad_request(format!("field label not supported: {key}")));
            }
        }
        Ok(Self { namespace: namespace.map(str::to_owned), fields, labels: parse_requirements(labels)? })
    }

    pub(crate) fn matches(&self, value: &Value) -> bool {
        let labels = &value["metadata"]["labels"];
        self.namespace.as_deref().is_none_or(|wanted| object::namespace(value) == wanted)
            // A missing field is the empty string to a field selector.
            && self.fields.iter().all(|term| term.matches(Some(field_value(value, &term.key).unwrap_or_default())))
            && self.labels.iter().all(|term| term.matches(labels[&term.key].as_str().map(Cow::Borrowed)))
    }
}

impl Requirement {
    fn matches(&self, found: Option<Cow<'_, str>>) -> bool {
        match &self.operator {
            Operator::Equal(wanted) => found.as_deref() == Some(wanted.as_str()),
            Operator::NotEqual(unwanted) => found.as_deref() != Some(unwanted.as_str()),
            Operator::Exists => found.is_some(),
            Operator::DoesNotExist => found.is_none(),
        }
    }
}

fn field_value<'a>(value: &'a Value, path: &str) -> Option<Cow<'a, str>> {
    match path.split('.').try_fold(value, |value, name| value.get(name))? {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Bool(flag) => Some(Cow::Owned(flag.to_string())),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn parse_requirements(selector: Option<&str>) -> Result<Vec<Requirement>, StatusError> {
    let selector = selector.unwrap_or_default();
    if selector.contains('(') {
        return Err(StatusError::unsupported(&format!("the set-based selector {selector:?}")));
    }
    selector.split(',').map(str::trim).filter(|term| !term.is_empty()).map(parse_requirement).collect()
}

fn parse_requirement(text: &str) -> Result<Requirement, StatusError> {
    let (key, wanted) = if let Some((key, value)) = text.split_once("!=") {
        (key, Operator::NotEqual(value.trim().into()))
    } else if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        (key, Operator::Equal(value.trim().into()))
    } else if let Some(key) = text.strip_prefix('!') {
        (key, Operator::DoesNotExist)
    } else {
        (text, Operator::Exists)
    };
    match key.trim() {
        key if key.is_empty() || key.contains(' ') => {
            Err(StatusError::unsupported(&format!("the selector term {text:?}")))
        }
        key => Ok(Requirement { key: key.into(), operator: wanted }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn selector_matches(fields: &str, labels: &str, value: &Value) -> Result<bool, StatusError> {
        let resource = Resource::custom("g", "v1", "things", "Thing").with_selectable_field(".spec.ref.name");
        Selector::new(&resource, None, Some(fields), Some(labels)).map(|selection| selection.matches(value))
    }

    #[test]
    fn a_selector_matches_objects_that_meet_all_requirements() {
        let value = json!({"metadata": {"name": "a", "labels": {"x": "1"}}, "spec": {"ref": {"name": "r"}}});
        let rows = [
            ("", "", true),
            ("metadata.name=a,spec.ref.name==r", "x=1", true),
            ("metadata.name=a,spec.ref.name!=r", "", false),
            ("metadata.namespace=", "", true),
            ("", "x!=1", false),
            ("", "y!=1", true),
            ("", "x,!y", true),
            ("", "y", false),
        ];
        for (fields, labels, expected) in rows {
            assert_eq!(selector_matches(fields, labels, &value), Ok(expected), "fields {fields:?}, labels {labels:?}");
        }
    }

    #[test]
    fn a_field_that_is_not_selectable_is_rejected() {
        let error = selector_matches("spec.other=1", "", &json!({}));
        assert_eq!(error, Err(StatusError::bad_request("field label not supported: spec.other")));
    }
}
