//! Go-style durations in specs: `24h`, `1h30m`, `1.5h`.

use std::{fmt, str::FromStr, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A Go-style duration of hours, minutes and seconds. Keeps the original text, so that the object in the cluster equals
/// the one in Git.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoDuration {
    text: String,
    duration: Duration,
}

/// The pattern in the CRD schema. [`GoDuration::from_str`] accepts every text that matches and is short enough.
pub(super) const DURATION_PATTERN: &str = r"^([0-9]+(\.[0-9]+)?(h|m|s))+$";

/// Of the text, in bytes.
const MAX_LENGTH: usize = 32;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a duration: write hours, minutes and seconds, such as 24h, 90m or 1h30m")]
pub struct ParseDurationError(String);

impl GoDuration {
    pub fn as_duration(&self) -> Duration {
        self.duration
    }
}

impl From<Duration> for GoDuration {
    fn from(duration: Duration) -> Self {
        let seconds = duration.as_secs();
        let text = match (seconds / 3600, seconds % 3600 / 60, seconds % 60) {
            (h, 0, 0) if h > 0 => format!("{h}h"),
            (0, m, 0) if m > 0 => format!("{m}m"),
            (h, m, 0) if h > 0 => format!("{h}h{m}m"),
            _ => format!("{seconds}s"),
        };
        Self { text, duration }
    }
}

impl FromStr for GoDuration {
    type Err = ParseDurationError;

    fn from_str(text: &str) -> Result<Self, ParseDurationError> {
        let duration = parse(text).ok_or_else(|| ParseDurationError(text.chars().take(MAX_LENGTH).collect()))?;
        Ok(Self { text: text.to_owned(), duration })
    }
}

fn parse(text: &str) -> Option<Duration> {
    if text.is_empty() || text.len() > MAX_LENGTH {
        return None;
    }
    let mut remaining = text;
    let mut total = 0.0_f64;
    while !remaining.is_empty() {
        let unit_at = remaining.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number = &remaining[..unit_at];
        if !number.starts_with(|c: char| c.is_ascii_digit()) || number.ends_with('.') {
            return None;
        }
        let unit = match remaining[unit_at..].chars().next()? {
            'h' => 3600.0,
            'm' => 60.0,
            's' => 1.0,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * unit;
        remaining = &remaining[unit_at + 1..];
    }
    Duration::try_from_secs_f64(total).ok()
}

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for GoDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for GoDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for GoDuration {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Interval".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        range_schema("15m", "8760h", "a year")
    }
}

impl GoDuration {
    /// The schema of fields that may be twice as long as the longest interval.
    pub(super) fn schema_up_to_two_years(_: &mut SchemaGenerator) -> Schema {
        range_schema("15m", "17520h", "two years")
    }
}

fn range_schema(least: &str, most: &str, description: &str) -> Schema {
    let shape = format!("self.matches(r'{DURATION_PATTERN}')");
    json_schema!({
        "type": "string",
        "maxLength": MAX_LENGTH,
        "x-kubernetes-validations": [
            { "rule": shape, "message": "write hours, minutes and seconds, such as 24h, 90m or 1h30m" },
            {
                "rule": format!("!{shape} || (duration(self) >= duration('{least}') && duration(self) <= duration('{most}'))"),
                "message": format!("must be between {least} and {most} ({description})"),
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
            assert_eq!(text.parse::<GoDuration>().expect(text).as_duration(), Duration::from_secs(seconds), "{text}");
        }
    }

    #[test]
    fn other_text_is_rejected() {
        for text in [
            "",
            "1",
            "h",
            "1d",
            "1h-5s",
            "-1h",
            ".5h",
            "1.h",
            "1 h",
            "1h ",
            "1..5h",
            "１h",
            &"1s".repeat(17),
            &"9".repeat(400_000),
        ] {
            assert!(text.parse::<GoDuration>().is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn every_text_matching_the_schema_pattern_parses(text in r"([0-9]{1,4}(\.[0-9]{1,3})?(h|m|s)){1,3}") {
            prop_assert_eq!(text.parse::<GoDuration>().expect("matches the pattern").to_string(), text);
        }

        #[test]
        fn a_duration_round_trips_through_its_text(seconds in 0_u64..100_000_000) {
            let made = GoDuration::from(Duration::from_secs(seconds));
            prop_assert_eq!(made.text.parse::<GoDuration>().expect("formatted by GoDuration"), made);
        }
    }
}
