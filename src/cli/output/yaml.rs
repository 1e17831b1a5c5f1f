//! YAML, for those who prefer it to JSON: the same documents. Pure.

use serde::{Serialize, Serializer};
use serde_json::Value;
use serde_saphyr::DoubleQuoted;

use crate::{cli::exit_code::CliError, text::is_unprintable};

/// One document.
pub(crate) fn to_yaml(document: &impl Serialize) -> Result<String, CliError> {
    // By way of JSON, so that both have the same keys and values.
    let value = serde_json::to_value(document)?;
    serde_saphyr::to_string(&Quoted(&value)).map_err(|e| CliError::error(format!("cannot write YAML: {e}.")))
}

/// A JSON value whose strings stand between double quotes if a character of theirs must be escaped.
struct Quoted<'a>(&'a Value);

impl Serialize for Quoted<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::String(text) if text.contains(is_unprintable) => DoubleQuoted(text).serialize(serializer),
            Value::Array(items) => serializer.collect_seq(items.iter().map(Quoted)),
            Value::Object(fields) => serializer.collect_map(fields.iter().map(|(key, value)| (key, Quoted(value)))),
            other => other.serialize(serializer),
        }
    }
}

/// A list of what is JSON already.
pub(crate) fn list_to_yaml<'a>(lines: impl Iterator<Item = &'a str>) -> Result<String, CliError> {
    let values = lines.map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
    to_yaml(&values)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        cli::output::{sink::Output, styled::ColorMode},
        text::is_unprintable,
    };

    #[test]
    fn each_unprintable_character_is_read_back_and_not_printed() {
        for hostile in
            (0..=0x2_ffff).chain(0xe_0000..=0xe_1000).filter_map(char::from_u32).filter(|c| is_unprintable(*c))
        {
            for text in [
                hostile.to_string(),
                format!("a{hostile}b"),
                format!("a b{hostile}"),
                format!("- a: \\{hostile}\n\"b'"),
            ] {
                let document = json!([{ "name": text, "list": [text] }]);
                let mut bytes = Vec::new();
                let yaml = to_yaml(&document).expect("YAML");
                Output::new(&mut bytes, ColorMode::Plain).print_json(&yaml).expect("memory");
                let printed = String::from_utf8(bytes).expect("text");
                assert_eq!(serde_saphyr::from_str::<Value>(&printed).ok(), Some(document), "{hostile:?}: {printed}");
                assert!(!printed.replace('\n', "").contains(is_unprintable), "{printed:?}");
            }
        }
    }

    #[test]
    fn yaml_is_read_back_as_the_same_document() {
        let document = json!({
            "id": "0012", "login": "no", "name": "a: \u{1b}[2J # \u{202e}\n- b", "empty": [], "none": null, "count": 7,
            "nested": [{"at": "2026-11-22T23:59:45Z"}, true, 1.5, ""],
        });
        let yaml = to_yaml(&document).expect("YAML");
        assert_eq!(serde_saphyr::from_str::<Value>(&yaml).expect("YAML"), document, "{yaml}");
        assert!(!yaml.contains('\u{1b}'), "{yaml}");
        assert_eq!(
            list_to_yaml(["{\"id\":\"1\"}", "{\"id\":\"2\"}"].into_iter()).expect("YAML"),
            "- id: \"1\"\n- id: \"2\"\n"
        );
        assert_eq!(list_to_yaml([].into_iter()).expect("YAML").trim(), "[]");
    }
}
