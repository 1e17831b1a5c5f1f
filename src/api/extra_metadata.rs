//! Labels and annotations that a cluster demands of every object, beside those that the operator needs itself. Syntax and
//! limits: <https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/>.

use std::{collections::BTreeMap, str::FromStr};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// The limit for a name, and for the value of a label.
const MAX_NAME_BYTES: usize = 63;
const MAX_PREFIX_BYTES: usize = 253;
/// Far below the 256 KiB that Kubernetes allows an object, which others need as well.
const MAX_TEXT_BYTES: usize = 16 << 10;
/// Set by the operator where it is needed.
const OWN_LABEL: &str = "app.kubernetes.io/managed-by";
const OWN_DOMAIN: &str = "boxsync.dev";

/// What every roster, slice and token Secret carries beside the operator's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExtraMetadata {
    pub labels: ExtraLabels,
    pub annotations: ExtraAnnotations,
}

/// `key=value,...`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExtraLabels(BTreeMap<String, String>);

/// `key=value,...`; in a value, `\,` is a comma.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExtraAnnotations(BTreeMap<String, String>);

impl ExtraMetadata {
    /// Sets the labels and annotations, and leaves all others.
    pub fn apply_to(&self, metadata: &mut ObjectMeta) {
        let extend = |existing: &mut Option<BTreeMap<String, String>>, extra: &BTreeMap<String, String>| {
            if !extra.is_empty() {
                existing.get_or_insert_default().extend(extra.clone());
            }
        };
        extend(&mut metadata.labels, &self.labels.0);
        extend(&mut metadata.annotations, &self.annotations.0);
    }
}

impl FromStr for ExtraLabels {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let labels = parse_pairs(text)?;
        let invalid = labels.iter().find(|(_, value)| !value.is_empty() && !is_name(value));
        match invalid {
            Some((key, value)) => Err(format!(
                "{value:?} cannot be the value of label {key}: it takes at most 63 letters, digits, '-', '_' and '.', and begins and ends with a letter or digit"
            )),
            None => Ok(Self(labels)),
        }
    }
}

impl FromStr for ExtraAnnotations {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse_pairs(text).map(Self)
    }
}

fn parse_pairs(text: &str) -> Result<BTreeMap<String, String>, String> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(format!("must have at most {MAX_TEXT_BYTES} bytes"));
    }
    let mut pairs = BTreeMap::new();
    for pair in split_at_commas(text) {
        let Some((key, value)) = pair.split_once('=') else {
            return Err(format!("{pair:?} must be such as owner=identity"));
        };
        let key = key.trim();
        check_key(key)?;
        if pairs.insert(key.to_owned(), value.trim().to_owned()).is_some() {
            return Err(format!("{key} occurs twice"));
        }
    }
    Ok(pairs)
}

fn split_at_commas(text: &str) -> Vec<String> {
    if text.trim().is_empty() {
        return Vec::new();
    }
    let mut parts: Vec<String> = Vec::new();
    for part in text.split(',') {
        match parts.last_mut() {
            Some(last) if last.ends_with('\\') => {
                last.pop();
                last.push(',');
                last.push_str(part);
            }
            _ => parts.push(part.to_owned()),
        }
    }
    parts
}

fn check_key(key: &str) -> Result<(), String> {
    let (prefix, name) = key.split_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
    if !is_name(name) || prefix.is_some_and(|prefix| !is_domain(prefix)) {
        return Err(format!("{key:?} is no key: it must be such as owner or example.com/owner"));
    }
    let own_domain = prefix.is_some_and(|prefix| {
        prefix == OWN_DOMAIN || prefix.strip_suffix(OWN_DOMAIN).is_some_and(|sub| sub.ends_with('.'))
    });
    if own_domain || key == OWN_LABEL {
        return Err(format!("{key} is set by the operator itself"));
    }
    Ok(())
}

fn is_name(text: &str) -> bool {
    text.len() <= MAX_NAME_BYTES
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.ends_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

/// Whether this is a DNS name in lower case.
fn is_domain(text: &str) -> bool {
    let is_alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_part = |part: &str| {
        part.starts_with(is_alphanumeric)
            && part.ends_with(is_alphanumeric)
            && part.chars().all(|c| is_alphanumeric(c) || c == '-')
    };
    text.len() <= MAX_PREFIX_BYTES && text.split('.').all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_and_annotations_are_added_to_those_of_others() {
        let extra = ExtraMetadata {
            labels: "owner=identity, example.com/cost-centre=42,empty=".parse().expect("valid"),
            annotations: r"example.com/contact=Jane\, John <box@acme.com>,note=a=b".parse().expect("valid"),
        };
        let mut metadata = ObjectMeta {
            labels: Some([("owner".to_owned(), "nobody".to_owned()), ("theirs".to_owned(), "kept".to_owned())].into()),
            ..ObjectMeta::default()
        };
        extra.apply_to(&mut metadata);
        let texts = |map: Option<BTreeMap<String, String>>| {
            map.unwrap_or_default().into_iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>()
        };
        assert_eq!(texts(metadata.labels), ["empty=", "example.com/cost-centre=42", "owner=identity", "theirs=kept"]);
        assert_eq!(texts(metadata.annotations), ["example.com/contact=Jane, John <box@acme.com>", "note=a=b"]);
        let mut untouched = ObjectMeta::default();
        ExtraMetadata::default().apply_to(&mut untouched);
        assert_eq!(untouched, ObjectMeta::default());
    }

    #[test]
    fn what_kubernetes_or_the_operator_would_refuse_is_refused_at_the_start() {
        let long = format!("{}=x", "a".repeat(64));
        let many = format!("a={}", "x".repeat(MAX_TEXT_BYTES));
        for (text, why) in [
            ("owner", "must be such as"),
            ("a=b,", "must be such as"),
            ("=b", "is no key"),
            ("a b=c", "is no key"),
            ("-a=c", "is no key"),
            ("Example.com/a=c", "is no key"),
            ("example..com/a=c", "is no key"),
            ("example.com/=c", "is no key"),
            ("a/b/c=d", "is no key"),
            (&long, "is no key"),
            ("a=b,a=c", "a occurs twice"),
            ("boxsync.dev/connection=acme", "set by the operator"),
            ("x.boxsync.dev/y=z", "set by the operator"),
            ("app.kubernetes.io/managed-by=me", "set by the operator"),
            (&many, "at most 16384 bytes"),
        ] {
            for refused in [text.parse::<ExtraLabels>().err(), text.parse::<ExtraAnnotations>().err()] {
                assert!(refused.as_ref().is_some_and(|refused| refused.contains(why)), "{text}: {refused:?}");
            }
        }
        for value in ["a b", "-a", "a/b", &"a".repeat(64)] {
            let text = format!("owner={value}");
            assert!(text.parse::<ExtraLabels>().is_err_and(|why| why.contains("label owner")), "{text}");
            assert!(text.parse::<ExtraAnnotations>().is_ok(), "{text}");
        }
        assert!("notboxsync.dev/a=b,app.kubernetes.io/part-of=box".parse::<ExtraLabels>().is_ok());
    }
}
