//! The tracking codes of a user as Box sends them: `[{"type": "tracking_code", "name": "department", "value": "Sales"}]`.
//! Box documents neither their order nor any length, and sends nothing where the enterprise has them switched off.

use std::{collections::btree_map::Entry, fmt};

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::lenient_value::LenientValue;
use crate::user_list::CodesByName;

/// Of each name and each value. Box documents no limit.
const MAX_CHARS: usize = 256;
/// Of one user. Box lets an enterprise define five.
const MAX_CODES: usize = 20;

/// The codes with a name and a value, the first ones by name. Of several values of a name the smallest counts. So the
/// order of Box changes nothing, and whatever else there is counts as no code.
#[derive(Default)]
pub(super) struct UserCodes<'a>(pub(super) CodesByName<'a>);

impl<'a> UserCodes<'a> {
    fn insert_code(&mut self, NamedValue { name, value }: NamedValue<'a>) {
        let (name, value) = (name.into_cut_text(MAX_CHARS), value.into_cut_text(MAX_CHARS));
        if name.is_empty() || value.is_empty() {
            return;
        }
        match self.0.entry(name) {
            Entry::Vacant(vacant) => {
                vacant.insert(value);
            }
            Entry::Occupied(mut other) if value < *other.get() => drop(other.insert(value)),
            Entry::Occupied(_) => {}
        }
        if self.0.len() > MAX_CODES {
            self.0.pop_last();
        }
    }
}

/// An item of the list.
#[derive(Default)]
struct NamedValue<'a> {
    name: LenientValue<'a>,
    value: LenientValue<'a>,
}

impl<'de: 'a, 'a> Deserialize<'de> for UserCodes<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CodesVisitor)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for NamedValue<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NamedValueVisitor)
    }
}

/// What has another type is no code: it must not stop the listing.
macro_rules! ignore_scalars {
    () => {
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("any value")
        }

        fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }

        fn visit_i64<E: Error>(self, _: i64) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }

        fn visit_u64<E: Error>(self, _: u64) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }

        fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }

        fn visit_str<E: Error>(self, _: &str) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }

        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
    };
}

struct CodesVisitor;

impl<'de> Visitor<'de> for CodesVisitor {
    type Value = UserCodes<'de>;

    ignore_scalars!();

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut codes = UserCodes::default();
        while let Some(item) = items.next_element()? {
            codes.insert_code(item);
        }
        Ok(codes)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(UserCodes::default())
    }
}

struct NamedValueVisitor;

impl<'de> Visitor<'de> for NamedValueVisitor {
    type Value = NamedValue<'de>;

    ignore_scalars!();

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(NamedValue::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut code = NamedValue::default();
        // The derived implementation fails if a key occurs twice.
        while let Some(key) = members.next_key::<LenientValue<'de>>()? {
            match &*key.into_text() {
                "name" => code.name = members.next_value()?,
                "value" => code.value = members.next_value()?,
                _ => {
                    members.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Vec<(String, String)> {
        let UserCodes(codes) = serde_json::from_str(json).expect(json);
        codes.into_iter().map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
    }

    #[test]
    fn codes_are_sorted_by_name_and_everything_else_counts_as_no_code() {
        for (json, expected) in [
            (
                r#"[{"type":"tracking_code","name":"department","value":"Sales"},{"type":"tracking_code","name":"cost centre","value":"4711"}]"#,
                &[("cost centre", "4711"), ("department", "Sales")][..],
            ),
            (r#"[{"value":"Sales","name":"department"}]"#, &[("department", "Sales")]),
            (r#"[{"name":"\u00fc\n","value":"\"\u001b[31m"}]"#, &[("ü\n", "\"\u{1b}[31m")]),
            (r#"[{"name":7,"value":4711},{"name":"a","value":1.5}]"#, &[("7", "4711"), ("a", "1.5")]),
            (r#"[{"name":"a","value":"1","name":"b"}]"#, &[("b", "1")]),
            (r#"[{"name":"a","value":"2"},{"name":"a","value":"1"},{"name":"a","value":"3"}]"#, &[("a", "1")]),
            (r#"[{"name":"a","value":""},{"name":"a","value":"2"}]"#, &[("a", "2")]),
            (r#"[{"name":"A","value":"1"},{"name":"a","value":"2"}]"#, &[("A", "1"), ("a", "2")]),
            (
                r#"[{"value":"Sales"},{"name":"","value":"x"},{"name":null,"value":"x"},{"name":"a"},{"name":"a","value":null},{"name":"a","value":["x"]},{"name":{"b":[]},"value":"x"},{"name":"a","value":true},{}]"#,
                &[],
            ),
            (
                r#"[null,7,-7,1e9,"department=Sales",true,["department","Sales"],[[]],{"name":"a","value":"1"}]"#,
                &[("a", "1")],
            ),
            ("null", &[]),
            ("[]", &[]),
            ("{}", &[]),
            (r#"{"name":"a","value":"1"}"#, &[]),
            (r#"{"department":"Sales"}"#, &[]),
            (r#""department""#, &[]),
            ("7", &[]),
            ("false", &[]),
        ] {
            let expected: Vec<(String, String)> =
                expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            assert_eq!(parse(json), expected, "{json}");
        }
    }

    #[test]
    fn names_and_values_are_cut_at_a_character_and_the_first_twenty_names_count() {
        let code = |name: &str, value: &str| serde_json::json!({ "name": name, "value": value });
        let long = serde_json::json!([code(&"ü".repeat(300), &"日".repeat(300)), code(&"u".repeat(256), "x")]);
        let parsed = parse(&long.to_string());
        assert_eq!(parsed, [("u".repeat(256), "x".to_owned()), ("ü".repeat(256), "日".repeat(256))]);
        // Cut, two names are one.
        let same = serde_json::json!([code(&("a".repeat(256) + "2"), "2"), code(&("a".repeat(256) + "1"), "1")]);
        assert_eq!(parse(&same.to_string()), [("a".repeat(256), "1".to_owned())]);
        let many: Vec<_> = (0..1000).rev().map(|n| code(&format!("n{n:03}"), "v")).collect();
        let names: Vec<String> =
            parse(&serde_json::json!(many).to_string()).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, (0..20).map(|n| format!("n{n:03}")).collect::<Vec<_>>());
    }

    proptest::proptest! {
        #[test]
        fn the_order_in_which_box_sends_them_changes_nothing(
            codes in proptest::collection::vec(("[abc]{0,2}", "[xy]{0,2}"), 0..40),
            rotation in proptest::prelude::any::<proptest::sample::Index>(),
        ) {
            let to_json = |codes: &[(String, String)]| {
                let items = codes.iter().map(|(name, value)| serde_json::json!({ "name": name, "value": value }));
                serde_json::Value::from_iter(items).to_string()
            };
            let mut other = codes.clone();
            if !other.is_empty() {
                let middle = rotation.index(other.len());
                other.rotate_left(middle);
                other[..middle].reverse();
            }
            proptest::prop_assert_eq!(parse(&to_json(&codes)), parse(&to_json(&other)));
        }
    }
}
