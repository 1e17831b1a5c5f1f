//! JSON of Box with texts that are not Unicode: half a surrogate pair (`\ud83d`), or bytes that are not UTF-8. Each becomes
//! U+FFFD; one name must not stop the sync of an enterprise.

use std::borrow::Cow;

/// The result of `parse` for the body; if that fails because of such a text, for the repaired body.
pub(super) fn parse_leniently<T>(
    body: &[u8],
    parse: impl Fn(&str) -> Result<T, serde_json::Error>,
) -> Result<T, serde_json::Error> {
    let text = String::from_utf8_lossy(body);
    match parse(&text) {
        Err(error) if !error.is_data() => match replace_lone_surrogates(&text) {
            Cow::Owned(repaired) => parse(&repaired),
            Cow::Borrowed(_) => Err(error),
        },
        parsed => parsed,
    }
}

/// The text with `\ufffd` for each escape of half a surrogate pair.
fn replace_lone_surrogates(json: &str) -> Cow<'_, str> {
    let mut repaired = String::new();
    let (mut copied, mut at) = (0, 0);
    let bytes = json.as_bytes();
    while let Some(backslash) = bytes.get(at..).and_then(|rest| rest.iter().position(|byte| *byte == b'\\')) {
        at += backslash;
        let unit = escaped_unit(bytes, at);
        let is_pair = unit.is_some_and(is_high_surrogate) && escaped_unit(bytes, at + 6).is_some_and(is_low_surrogate);
        match unit {
            Some(_) if is_pair => at += 12,
            Some(unit) if is_high_surrogate(unit) || is_low_surrogate(unit) => {
                repaired.push_str(&json[copied..at]);
                repaired.push_str("\\ufffd");
                at += 6;
                copied = at;
            }
            Some(_) => at += 6,
            None => at += 2,
        }
    }
    if copied == 0 {
        return Cow::Borrowed(json);
    }
    repaired.push_str(&json[copied..]);
    Cow::Owned(repaired)
}

/// The UTF-16 unit of an escape `\uXXXX` at this position.
fn escaped_unit(bytes: &[u8], at: usize) -> Option<u16> {
    let digits = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

fn is_high_surrogate(unit: u16) -> bool {
    (0xd800..0xdc00).contains(&unit)
}

fn is_low_surrogate(unit: u16) -> bool {
    (0xdc00..0xe000).contains(&unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: &[u8]) -> Option<String> {
        parse_leniently(body, |json| serde_json::from_str(json)).ok()
    }

    #[test]
    fn half_a_surrogate_pair_and_other_bytes_become_replacement_characters() {
        for (json, expected) in [
            (r#""Jos\ud83d""#, Some("Jos\u{fffd}")),
            (r#""\ude00 Jane""#, Some("\u{fffd} Jane")),
            (r#""\ud83d\ud83d\ude00""#, Some("\u{fffd}\u{1f600}")),
            (r#""\ud83d\u0041""#, Some("\u{fffd}A")),
            (r#""\ud83d\n""#, Some("\u{fffd}\n")),
            (r#""\ud83d\ude00""#, Some("\u{1f600}")),
            (r#""a backslash \\ud83d""#, Some(r"a backslash \ud83d")),
            (r#""\ud83d"#, None),
            (r#""\uxyz1""#, None),
            (r#""\"#, None),
        ] {
            assert_eq!(parse(json.as_bytes()).as_deref(), expected, "{json}");
        }
        assert_eq!(parse(b"\"Jos\xe9\"").as_deref(), Some("Jos\u{fffd}"));
    }
}
