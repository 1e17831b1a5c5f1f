//! A JSON value that accepts any type where a string, a number or a boolean is expected.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Box's responses differ from its documentation: ids and phones can be numbers, strings can be `[]` or `null`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum LenientValue<'de> {
    /// The field is missing.
    #[default]
    Missing,
    /// `null`, an array or an object.
    Unusable,
    Text(Cow<'de, str>),
    Integer(i128),
    Float(f64),
    Bool(bool),
}

impl<'de> LenientValue<'de> {
    /// The value as text: a number in decimal form, anything else as an empty text.
    pub(super) fn into_text(self) -> Cow<'de, str> {
        match self {
            Self::Text(text) => text,
            Self::Integer(number) => Cow::Owned(number.to_string()),
            Self::Float(number) => Cow::Owned(number.to_string()),
            Self::Missing | Self::Unusable | Self::Bool(_) => Cow::Borrowed(""),
        }
    }

    /// The first characters of [`into_text`](Self::into_text).
    pub(super) fn into_cut_text(self, max_chars: usize) -> Cow<'de, str> {
        match self.into_text() {
            Cow::Borrowed(text) => first_chars(text, max_chars).into(),
            Cow::Owned(mut text) => {
                text.truncate(first_chars(&text, max_chars).len());
                text.into()
            }
        }
    }

    /// As [`into_text`](Self::into_text), but `None` for an empty text.
    pub(super) fn into_non_empty_text(self) -> Option<String> {
        Some(self.into_text()).filter(|text| !text.is_empty()).map(Cow::into_owned)
    }

    pub(super) fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some((*number).clamp(i64::MIN.into(), i64::MAX.into()) as i64),
            // `as` saturates, and converts NaN to 0.
            Self::Float(number) => Some(*number as i64),
            Self::Text(text) => text.trim().parse().ok(),
            Self::Missing | Self::Unusable | Self::Bool(_) => None,
        }
    }

    pub(super) fn as_bool(&self) -> bool {
        match self {
            Self::Bool(flag) => *flag,
            Self::Missing | Self::Unusable | Self::Text(_) | Self::Integer(_) | Self::Float(_) => false,
        }
    }

    /// Whether the field has a usable value.
    pub(super) fn is_present(&self) -> bool {
        match self {
            Self::Missing | Self::Unusable => false,
            Self::Text(_) | Self::Integer(_) | Self::Float(_) | Self::Bool(_) => true,
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for LenientValue<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LenientValueVisitor)
    }
}

struct LenientValueVisitor;

impl<'de> Visitor<'de> for LenientValueVisitor {
    type Value = LenientValue<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(LenientValue::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(LenientValue::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Self::Value, E> {
        Ok(LenientValue::Bool(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(LenientValue::Integer(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(LenientValue::Integer(number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(LenientValue::Float(number))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(LenientValue::Unusable)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(LenientValue::Unusable)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(LenientValue::Unusable)
    }
}

/// The first characters of a text.
pub(super) fn first_chars(text: &str, max_chars: usize) -> &str {
    // Most texts are shorter even in bytes.
    if text.len() <= max_chars {
        return text;
    }
    text.char_indices().nth(max_chars).map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_json_value_is_parsed_or_ignored() {
        for (json, text, integer) in [
            (r#""abc""#, "abc", None),
            (r#""\u00e9\n""#, "é\n", None),
            ("33770001", "33770001", Some(33_770_001)),
            ("18446744073709551615", "18446744073709551615", Some(i64::MAX)),
            ("-1", "-1", Some(-1)),
            ("1e3", "1000", Some(1000)),
            (r#"" 12 ""#, " 12 ", Some(12)),
            ("null", "", None),
            ("[]", "", None),
            (r#"[{"a":[1]}]"#, "", None),
            (r#"{"a":{"b":[null]}}"#, "", None),
            ("true", "", None),
        ] {
            let value: LenientValue<'_> = serde_json::from_str(json).expect(json);
            assert_eq!(value.as_i64(), integer, "{json}");
            assert_eq!(value.into_text(), text, "{json}");
        }
    }
}
