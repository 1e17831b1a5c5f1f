//! A span of time as users write it: `24h`, `1h30m`, `1.5h`.

use std::{fmt, str::FromStr, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A Go-style duration of hours, minutes and seconds. Keeps the text as it was written, so that
/// what Git holds and what the server shows are the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interval {
    text: String,
    length: Duration,
}

/// What the API server checks before anything reaches [`Interval::from_str`], which takes all of it.
pub(super) const PATTERN: &str = r"^([0-9]+(\.[0-9]+)?(h|m|s))+$";

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a duration: write hours, minutes and seconds, such as 24h, 90m or 1h30m")]
pub struct NotAnInterval(String);

impl Interval {
    pub fn length(&self) -> Duration {
        self.length
    }
}

impl From<Duration> for Interval {
    fn from(length: Duration) -> Self {
        let seconds = length.as_secs();
        let text = match (seconds / 3600, seconds % 3600 / 60, seconds % 60) {
            (h, 0, 0) if h > 0 => format!("{h}h"),
            (0, m, 0) if m > 0 => format!("{m}m"),
            (h, m, 0) if h > 0 => format!("{h}h{m}m"),
            _ => format!("{seconds}s"),
        };
        Self { text, length }
    }
}

impl FromStr for Interval {
    type Err = NotAnInterval;

    fn from_str(text: &str) -> Result<Self, NotAnInterval> {
        let length = parse(text).ok_or_else(|| NotAnInterval(text.to_owned()))?;
        Ok(Self { text: text.to_owned(), length })
    }
}

fn parse(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = 0.0_f64;
    while !rest.is_empty() {
        let unit_at = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number = &rest[..unit_at];
        if !number.starts_with(|c: char| c.is_ascii_digit()) || number.ends_with('.') {
            return None;
        }
        let unit = match rest[unit_at..].chars().next()? {
            'h' => 3600.0,
            'm' => 60.0,
            's' => 1.0,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * unit;
        rest = &rest[unit_at + 1..];
    }
    if text.is_empty() { None } else { Duration::try_from_secs_f64(total).ok() }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Interval {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Interval {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Interval {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Interval".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        between("15m", "8760h", "a year")
    }
}

impl Interval {
    /// The schema of what is by default twice as long as the longest interval.
    pub(super) fn up_to_two_years(_: &mut SchemaGenerator) -> Schema {
        between("15m", "17520h", "two years")
    }
}

fn between(least: &str, most: &str, words: &str) -> Schema {
    let shape = format!("self.matches(r'{PATTERN}')");
    json_schema!({
        "type": "string",
        "maxLength": 32,
        "x-kubernetes-validations": [
            { "rule": shape, "message": "write hours, minutes and seconds, such as 24h, 90m or 1h30m" },
            {
                "rule": format!("!{shape} || (duration(self) >= duration('{least}') && duration(self) <= duration('{most}'))"),
                "message": format!("must be between {least} and {most} ({words})"),
            },
        ],
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hours_minutes_and_seconds_add_up() {
        for (text, seconds) in [("24h", 86_400), ("1h30m", 5_400), ("1.5h", 5_400), ("90m", 5_400), ("900s", 900)] {
            assert_eq!(text.parse::<Interval>().expect(text).length(), Duration::from_secs(seconds), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "1", "h", "1d", "1h-5s", "-1h", ".5h", "1.h", "1 h", "1h ", "1..5h", "１h"] {
            assert!(text.parse::<Interval>().is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn all_that_the_api_server_lets_through_is_understood(text in r"([0-9]{1,4}(\.[0-9]{1,3})?(h|m|s)){1,3}") {
            prop_assert_eq!(text.parse::<Interval>().expect("matches the pattern").to_string(), text);
        }

        #[test]
        fn an_interval_made_of_seconds_reads_back_as_itself(seconds in 0_u64..100_000_000) {
            let made = Interval::from(Duration::from_secs(seconds));
            prop_assert_eq!(made.text.parse::<Interval>().expect("our own text"), made);
        }
    }
}
