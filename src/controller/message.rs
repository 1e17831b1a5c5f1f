//! The sentences of conditions. Pure. Order of every message for a person: what happened, what stays and until when
//! it is good, who does what where, how to check. Never a secret, a response body or a user's name.

use jiff::Timestamp;

use super::{failure::Failure, schedule::after};
use crate::api::{BoxConnectionSpec, BoxConnectionStatus, Consequence, Failures, Reason, UserCounts};

/// What the condition that holds a failure's cause says.
pub(super) fn cause(
    failure: &Failure,
    connection: &str,
    spec: &BoxConnectionSpec,
    status: &BoxConnectionStatus,
    now: Timestamp,
) -> String {
    let check = match failure.reason.consequence() {
        Consequence::Disconnected => format!(
            "The operator looks at the Secret every minute, and asks Box again every minute at first, every 15 minutes later; to check at once, create a UserSyncRequest for {connection}."
        ),
        Consequence::Stalled => format!("To check at once, create a UserSyncRequest for {connection}."),
        Consequence::Retried | Consequence::Doubted => retry(status.failures.as_ref()),
        Consequence::Neutral | Consequence::Refused => String::new(),
    };
    sentences([&failure.what, &kept(spec, status, now), &failure.remedy, &check])
}

fn retry(failures: Option<&Failures>) -> String {
    match failures.and_then(|f| Some((f.retry_time.as_ref()?, f.retry_after))) {
        Some((time, true)) => format!("It is tried again at {}, the time that Box named.", time.0),
        Some((time, false)) => format!("It is tried again at {}.", time.0),
        None => String::new(),
    }
}

/// What a failure leaves behind.
pub(super) fn kept(spec: &BoxConnectionSpec, status: &BoxConnectionStatus, now: Timestamp) -> String {
    let (Some(last), Some(users)) = (&status.last_sync, &status.users) else {
        return "No list has been fetched yet.".to_owned();
    };
    let (list, fresh) = (last.completion_time.0, after(last.completion_time.0, spec.stale_after()));
    let good = if now < fresh { "counts as fresh until" } else { "is stale since" };
    format!("The list of {list} ({}) stays and {good} {fresh}.", people(users.total))
}

pub(super) fn holds(at: Timestamp, users: &UserCounts) -> String {
    format!("The list of {at} holds {}, {} of them active.", people(users.total), number(users.active))
}

/// For the conditions that only point to the one that holds the cause.
pub(super) fn see(reason: Reason, condition: &str) -> String {
    format!("{}: see the condition {condition}.", reason.headline())
}

pub(super) fn people(users: i64) -> String {
    if users == 1 { "1 user".to_owned() } else { format!("{} users", number(users)) }
}

/// A number with its thousands apart: 12,000.
fn number(n: i64) -> String {
    let digits = n.unsigned_abs().to_string();
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().filter_map(|g| std::str::from_utf8(g).ok()).collect();
    format!("{}{}", if n < 0 { "-" } else { "" }, groups.join(","))
}

pub(super) fn sentences<const N: usize>(parts: [&str; N]) -> String {
    parts.into_iter().filter(|p| !p.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        assert_eq!([0, 7, 999, 1000, 1_284_551].map(number), ["0", "7", "999", "1,000", "1,284,551"]);
    }
}
