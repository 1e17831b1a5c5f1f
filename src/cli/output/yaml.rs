//! YAML, for those who prefer it to JSON: the same documents. Pure.

use serde::Serialize;

use crate::cli::exit_code::CliError;

/// One document.
pub(crate) fn to_yaml(document: &impl Serialize) -> Result<String, CliError> {
    // By way of JSON, so that both have the same keys and values.
    let value = serde_json::to_value(document)?;
    serde_saphyr::to_string(&value).map_err(|e| CliError::error(format!("cannot write YAML: {e}.")))
}

/// A list of what is JSON already.
pub(crate) fn list_to_yaml<'a>(lines: impl Iterator<Item = &'a str>) -> Result<String, CliError> {
    let values = lines.map(serde_json::from_str).collect::<Result<Vec<serde_json::Value>, _>>()?;
    to_yaml(&values)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

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
