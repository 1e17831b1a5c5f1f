//! Which objects a list or a watch is about: namespace, field selector, label selector.

use crate::{object, refusal::Refusal, resource::Resource};
use serde_json::Value;
use std::borrow::Cow;

#[derive(Debug, Default)]
pub(crate) struct Selection {
    namespace: Option<String>,
    fields: Vec<Term>,
    labels: Vec<Term>,
}

#[derive(Debug)]
struct Term {
    key: String,
    wanted: Wanted,
}

#[derive(Debug)]
enum Wanted {
    Equal(String),
    NotEqual(String),
    Present,
    Absent,
}

impl Selection {
    pub(crate) fn new(
        resource: &Resource,
        namespace: Option<&str>,
        fields: Option<&str>,
        labels: Option<&str>,
    ) -> Result<Self, Refusal> {
        let fields = terms(fields)?;
        for Term { key, wanted } in &fields {
            let known = key == "metadata.name" || key == "metadata.namespace" || resource.selectable.contains(key);
            if !known || matches!(wanted, Wanted::Present | Wanted::Absent) {
                return Err(Refusal::bad_request(format!("field label not supported: {key}")));
            }
        }
        Ok(Self { namespace: namespace.map(str::to_owned), fields, labels: terms(labels)? })
    }

    pub(crate) fn admits(&self, value: &Value) -> bool {
        let labels = &value["metadata"]["labels"];
        self.namespace.as_deref().is_none_or(|wanted| object::namespace(value) == wanted)
            // A field that is not there is the empty string to a field selector.
            && self.fields.iter().all(|term| term.admits(Some(field(value, &term.key).unwrap_or_default())))
            && self.labels.iter().all(|term| term.admits(labels[&term.key].as_str().map(Cow::Borrowed)))
    }
}

impl Term {
    fn admits(&self, found: Option<Cow<'_, str>>) -> bool {
        match &self.wanted {
            Wanted::Equal(wanted) => found.as_deref() == Some(wanted.as_str()),
            Wanted::NotEqual(unwanted) => found.as_deref() != Some(unwanted.as_str()),
            Wanted::Present => found.is_some(),
            Wanted::Absent => found.is_none(),
        }
    }
}

fn field<'a>(value: &'a Value, path: &str) -> Option<Cow<'a, str>> {
    match path.split('.').try_fold(value, |value, name| value.get(name))? {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Bool(flag) => Some(Cow::Owned(flag.to_string())),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn terms(selector: Option<&str>) -> Result<Vec<Term>, Refusal> {
    let selector = selector.unwrap_or_default();
    if selector.contains('(') {
        return Err(Refusal::unsupported(&format!("the set-based selector {selector:?}")));
    }
    selector.split(',').map(str::trim).filter(|term| !term.is_empty()).map(term).collect()
}

fn term(text: &str) -> Result<Term, Refusal> {
    let (key, wanted) = if let Some((key, value)) = text.split_once("!=") {
        (key, Wanted::NotEqual(value.trim().into()))
    } else if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        (key, Wanted::Equal(value.trim().into()))
    } else if let Some(key) = text.strip_prefix('!') {
        (key, Wanted::Absent)
    } else {
        (text, Wanted::Present)
    };
    match key.trim() {
        key if key.is_empty() || key.contains(' ') => Err(Refusal::unsupported(&format!("the selector term {text:?}"))),
        key => Ok(Term { key: key.into(), wanted }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn admits(fields: &str, labels: &str, value: &Value) -> Result<bool, Refusal> {
        let resource = Resource::custom("g", "v1", "things", "Thing").with_selectable(".spec.ref.name");
        Selection::new(&resource, None, Some(fields), Some(labels)).map(|selection| selection.admits(value))
    }

    #[test]
    fn a_selector_admits_what_meets_all_its_terms() {
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
            assert_eq!(admits(fields, labels, &value), Ok(expected), "fields {fields:?}, labels {labels:?}");
        }
    }

    #[test]
    fn a_field_that_is_not_selectable_is_refused_by_name() {
        let refusal = admits("spec.other=1", "", &json!({}));
        assert_eq!(refusal, Err(Refusal::bad_request("field label not supported: spec.other")));
    }
}
