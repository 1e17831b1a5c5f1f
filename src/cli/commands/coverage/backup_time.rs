//! The time of a last backup, as tools write it. Pure.

use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::TimeZone};

/// What a cell says of the last backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BackupTime {
    At(Timestamp),
    /// There was none yet.
    Never,
    /// Why the cell cannot be understood.
    Unclear(&'static str),
}

const NEVER: [&str; 8] = ["", "-", "–", "never", "none", "null", "n/a", "no"];
/// Without a time zone a time may be ahead of UTC by up to 14 hours; what is later is no time of the past.
const MAX_AHEAD: SignedDuration = SignedDuration::from_hours(14);

const DAY_FIRST: &str =
    "01/02/2026 may be the first of February or the second of January; export times as 2026-02-01 09:30 or RFC 3339";
const UNKNOWN: &str = "it is no time that is understood: 2026-02-01 09:30, RFC 3339, or seconds since 1970";
const FUTURE: &str = "it is in the future";

/// Times without a zone are UTC, and a date is its first moment, so that no backup looks newer than it is.
pub(crate) fn parse_backup_time(cell: &str, now: Timestamp) -> BackupTime {
    let text = cell.trim();
    if NEVER.contains(&text.to_lowercase().as_str()) {
        return BackupTime::Never;
    }
    if is_day_first(text) {
        return BackupTime::Unclear(DAY_FIRST);
    }
    match parse_epoch(text).or_else(|| text.parse().ok()).or_else(|| parse_utc(text)) {
        Some(time) if now.duration_until(time) > MAX_AHEAD => BackupTime::Unclear(FUTURE),
        Some(time) => BackupTime::At(time),
        None => BackupTime::Unclear(UNKNOWN),
    }
}

/// Seconds or milliseconds since 1970, from 2001 on.
fn parse_epoch(text: &str) -> Option<Timestamp> {
    let number = text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<i64>().ok())??;
    match text.len() {
        9..=10 => Timestamp::from_second(number).ok(),
        12..=13 => Timestamp::from_millisecond(number).ok(),
        _ => None,
    }
}

/// A date, or a date and a time.
fn parse_utc(text: &str) -> Option<Timestamp> {
    let text = ["UTC", "GMT", "Z", "z"].iter().find_map(|zone| text.strip_suffix(zone)).unwrap_or(text).trim();
    let time: DateTime = text.replace('/', "-").parse().ok()?;
    TimeZone::UTC.to_timestamp(time).ok()
}

/// `1/2/2026`, `01.02.2026 09:30` and `1-2-26`, with the day before the month or behind it.
fn is_day_first(text: &str) -> bool {
    let date = text.split([' ', 'T', ',']).next().unwrap_or_default();
    let parts: Vec<&str> = date.split(['/', '.', '-']).collect();
    let is_number = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    matches!(parts.as_slice(), [first, second, year] if first.len() <= 2 && second.len() <= 2 && matches!(year.len(), 2 | 4))
        && parts.iter().all(is_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> BackupTime {
        BackupTime::At(text.parse().expect("a time"))
    }

    fn parsed(text: &str) -> BackupTime {
        parse_backup_time(text, "2026-11-22T12:00:00Z".parse().expect("a time"))
    }

    #[test]
    fn times_are_read_as_tools_write_them() {
        for (text, time) in [
            ("2026-11-22T09:00:00Z", "2026-11-22T09:00:00Z"),
            ("2026-11-22T09:00:00.250+01:00", "2026-11-22T08:00:00.25Z"),
            ("2026-11-22 09:00", "2026-11-22T09:00:00Z"),
            (" 2026-11-22 09:00:30 ", "2026-11-22T09:00:30Z"),
            ("2026-11-22 09:00:30 UTC", "2026-11-22T09:00:30Z"),
            ("2026/11/22 09:00", "2026-11-22T09:00:00Z"),
            ("2026-11-22", "2026-11-22T00:00:00Z"),
            ("1795341600", "2026-11-22T10:00:00Z"),
            ("1795341600000", "2026-11-22T10:00:00Z"),
            // An hour ahead: a zone that is not written.
            ("2026-11-22 13:00", "2026-11-22T13:00:00Z"),
        ] {
            assert_eq!(parsed(text), at(time), "{text:?}");
        }
        for text in ["", " ", "-", "Never", "N/A"] {
            assert_eq!(parsed(text), BackupTime::Never, "{text:?}");
        }
    }

    #[test]
    fn what_is_not_understood_is_no_fresh_backup() {
        for text in ["01/02/2026", "1.2.2026 09:30", "13/02/2026", "01-02-26", "11/22/2026 9:00 AM"] {
            assert_eq!(parsed(text), BackupTime::Unclear(DAY_FIRST), "{text:?}");
        }
        for text in ["yesterday", "20", "46348.375", "2026-13-01", "Nov 22, 2026", "12345678901234567890"] {
            assert_eq!(parsed(text), BackupTime::Unclear(UNKNOWN), "{text:?}");
        }
        for text in ["2026-12-24", "1895341600", "2026-11-23 02:01"] {
            assert_eq!(parsed(text), BackupTime::Unclear(FUTURE), "{text:?}");
        }
    }
}
