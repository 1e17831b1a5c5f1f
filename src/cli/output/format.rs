//! Formatting and parsing of numbers, times and durations. Pure.

use std::{borrow::Cow, time::Duration};

use jiff::{SignedDuration, Timestamp};

use crate::api::GoDuration;

/// A number with thousands separators: 12,000.
pub(crate) fn format_number(n: i64) -> String {
    let digits = n.unsigned_abs().to_string();
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().filter_map(|g| std::str::from_utf8(g).ok()).collect();
    format!("{}{}", if n < 0 { "-" } else { "" }, groups.join(","))
}

/// A count with its noun: `1 user`, `1,212 users`.
pub(crate) fn pluralize(n: i64, thing: &str) -> String {
    if n == 1 { format!("1 {thing}") } else { format!("{} {thing}s", format_number(n)) }
}

/// How a person is told of a user: by the login, or by the id if Box gave none.
pub(crate) fn display_login<'a>(login: &'a str, id: &str) -> Cow<'a, str> {
    if login.trim().is_empty() { format!("id {id}").into() } else { login.into() }
}

/// A duration in its largest useful unit, as kubectl formats it: 90s, 45m, 30h, 12d.
pub(crate) fn format_duration(length: SignedDuration) -> String {
    match length.as_secs().max(0) {
        s @ ..120 => format!("{s}s"),
        s @ ..7_200 => format!("{}m", s / 60),
        s @ ..172_800 => format!("{}h", s / 3_600),
        s => format!("{}d", s / 86_400),
    }
}

/// The age of a time; 0 for a time in the future, because clocks differ.
pub(crate) fn format_age(time: Timestamp, now: Timestamp) -> String {
    format_duration(time.duration_until(now))
}

/// A time relative to now: `in 7h`, `2h ago`.
pub(crate) fn format_relative_time(time: Timestamp, now: Timestamp) -> String {
    if time > now {
        format!("in {}", format_duration(now.duration_until(time)))
    } else {
        format!("{} ago", format_age(time, now))
    }
}

/// A time in UTC, to the minute.
pub(crate) fn format_time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%MZ").to_string()
}

/// The counts of a revision or a sync.
pub(crate) fn format_change_counts(added: i64, updated: i64, removed: i64) -> String {
    format!("{} added · {} updated · {} removed", format_number(added), format_number(updated), format_number(removed))
}

/// The requesters after a separator; empty if there are none.
pub(crate) fn format_requested_by(separator: &str, names: &[String]) -> String {
    if names.is_empty() { String::new() } else { format!("{separator}requested by {}", names.join(", ")) }
}

/// Parses the duration of a flag: a Go duration, optionally with days.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let error = || format!("{text:?} is not a duration: use days, hours, minutes and seconds, such as 7d, 24h or 90m");
    let (days, rest) = match text.split_once('d') {
        Some((days, rest)) => (days.parse::<u32>().map_err(|_| error())?, rest),
        None => (0, text),
    };
    let rest = match rest {
        "" if days > 0 => Duration::ZERO,
        rest => rest.parse::<GoDuration>().map_err(|_| error())?.as_duration(),
    };
    Ok(Duration::from_secs(u64::from(days) * 86_400) + rest)
}

/// Wraps a text between words; whitespace is collapsed.
pub(crate) fn wrap_text(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) | None => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Parses the enterprise id of a flag.
pub(crate) fn parse_enterprise_id(text: &str) -> Result<String, String> {
    let hint = "an enterprise id consists of digits; Box's Admin Console shows it under Account & Billing";
    parse_box_id(text, hint)
}

/// Parses the user id of a flag.
pub(crate) fn parse_user_id(text: &str) -> Result<String, String> {
    parse_box_id(text, "a user id consists of digits, and is not a login; kubectl boxsync users shows it in column ID")
}

fn parse_box_id(text: &str, hint: &str) -> Result<String, String> {
    match (1..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()) {
        true => Ok(text.to_owned()),
        false => Err(hint.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_no_user_id_and_a_name_no_enterprise_id() {
        for (text, ok) in
            [("42", true), ("", false), ("a@b.c", false), ("1 2", false), ("123456789012345678901", false)]
        {
            assert_eq!(parse_user_id(text).is_ok(), ok, "{text}");
            assert_eq!(parse_enterprise_id(text).is_ok(), ok, "{text}");
        }
    }

    #[test]
    fn thousands_are_separated_by_commas() {
        assert_eq!([0, 7, 999, 1000, 1_284_551].map(format_number), ["0", "7", "999", "1,000", "1,284,551"]);
    }

    #[test]
    fn durations_use_the_largest_useful_unit() {
        let formatted =
            [0, 119, 120, 7_199, 7_200, 172_799, 172_800].map(|s| format_duration(SignedDuration::from_secs(s)));
        assert_eq!(formatted, ["0s", "119s", "2m", "119m", "2h", "47h", "2d"]);
    }

    #[test]
    fn a_duration_may_have_days() {
        for (text, seconds) in [("7d", 604_800), ("24h", 86_400), ("90m", 5_400), ("1d12h", 129_600)] {
            assert_eq!(parse_duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "d", "0d", "7", "-7d", "soon", "7d7"] {
            assert!(parse_duration(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn lines_break_between_words() {
        assert_eq!(wrap_text("one two  three", 7), ["one two", "three"]);
    }
}
