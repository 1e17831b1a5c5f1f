//! The sentences of conditions. Pure. Order of every message for a person: what happened, what stays and until when
//! it is good, who does what where, how to check. Never a secret, a response body or a user's name.

use jiff::Timestamp;

use super::{cron::CronError, failure_messages::Failure};
use crate::api::{
    Authorization, BoxConnectionStatus, ConditionStatus, ConditionsExt, FailureClass, Reason, RemovalHold,
    RosterChange, SyncFailures, Trigger, UserCounts,
};

/// What the condition that holds a failure's cause says.
pub(crate) fn failure_message(
    failure: &Failure,
    connection: &str,
    status: &BoxConnectionStatus,
    now: Timestamp,
) -> String {
    let check = match failure.reason.failure_class() {
        FailureClass::Disconnected => format!(
            "The operator looks at the Secret every minute, and asks Box again every minute at first, every 15 minutes later; to check at once, create a UserSyncRequest for {connection}."
        ),
        FailureClass::Stalled => format!("To check at once, create a UserSyncRequest for {connection}."),
        FailureClass::Transient | FailureClass::Suspect => next_retry(status.failures.as_ref()),
        FailureClass::Neutral | FailureClass::RequestRejected => String::new(),
    };
    let remaining = if failure.held.is_some() { String::new() } else { remaining_list(status, now) };
    join_sentences([&failure.summary, &remaining, &failure.remediation, &check])
}

fn next_retry(failures: Option<&SyncFailures>) -> String {
    match failures.and_then(|f| Some((f.retry_time.as_ref()?, f.retry_after))) {
        Some((time, true)) => format!("It is tried again at {}, the time that Box named.", time.0),
        Some((time, false)) => format!("It is tried again at {}.", time.0),
        None => String::new(),
    }
}

/// What a failure leaves behind.
pub(crate) fn remaining_list(status: &BoxConnectionStatus, now: Timestamp) -> String {
    let (Some(last), Some(users)) = (&status.last_sync, &status.users) else {
        return "No list has been fetched yet.".to_owned();
    };
    // As the condition Ready says it.
    if status.conditions.has_status("Ready", ConditionStatus::False)
        && status.conditions.reason("Ready") == Some(Reason::Syncing)
    {
        return "The published list is gone until a sync succeeds.".to_owned();
    }
    let list = format!("The list of {} ({}) stays", last.completion_time.0, format_user_count(users.total));
    match status.stale_time.as_ref().map(|t| t.0) {
        Some(stale) if now < stale => format!("{list} and counts as fresh until {stale}."),
        Some(stale) => format!("{list} and is stale since {stale}."),
        None => format!("{list}."),
    }
}

/// Why nothing is synced by the clock.
pub(crate) fn invalid_schedule(
    error: &CronError,
    connection: &str,
    status: &BoxConnectionStatus,
    now: Timestamp,
) -> String {
    let what = format!("{}: {error}.", Reason::ScheduleInvalid.summary());
    let remedy = format!(
        "Until spec.schedule is corrected (minute, hour, day of the month, month and weekday; the IANA name of a time zone), nothing is synced by the clock; for a sync create a UserSyncRequest for {connection}."
    );
    join_sentences([&what, &remaining_list(status, now), &remedy])
}

/// What it means for a connection that the operator is paused.
pub(crate) const PAUSED: &str = "The operator runs with --paused: it asks Box nothing, published lists stay, and requests wait. Whoever runs the operator ends the pause by starting it without that flag.";
pub(crate) const REQUEST_PAUSED: &str = "The operator runs with --paused and asks Box nothing. This request waits and is answered when whoever runs the operator starts it without that flag.";

pub(crate) fn list_summary(at: Timestamp, users: &UserCounts) -> String {
    format!(
        "The list of {at} holds {}, {} of them active.",
        format_user_count(users.total),
        format_thousands(users.active)
    )
}

/// That the authorization of a user was not renewed for long.
pub(crate) fn authorization_expiring(authorization: &Authorization) -> String {
    format!(
        "The authorization in Box ends at {} unless it is renewed before. The operator renews it while it runs, is not paused and reaches Box; after that time somebody has to authorize the app again (kubectl boxsync connect).",
        authorization.expiration_time.0
    )
}

/// Whose removal is held, and how it is approved.
pub(crate) fn removals_held(held: &RemovalHold, connection: &str) -> String {
    format!(
        "{} of {} vanished from Box at once; their removal is held, and they stay in the list until somebody approves it or Box lists them again. Look who they are (kubectl boxsync users {connection} --held, or the UserSlices of state Held); to let them go, create a UserSyncRequest with approveRemovals: \"{}\" (kubectl boxsync approve {connection}).",
        format_thousands(held.removals),
        format_user_count(held.total),
        held.digest
    )
}

/// The list that answers a request.
pub(crate) fn request_answered(at: Timestamp, users: &UserCounts, revision: i64) -> String {
    format!("The list of {at} (revision {revision}, {}) answers this request.", format_user_count(users.total))
}

/// What a sync changed.
pub(crate) fn change_counts(added: i64, updated: i64, removed: i64) -> String {
    let parts = [(added, "added"), (updated, "updated"), (removed, "removed")];
    let changes: Vec<String> =
        parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{} {what}", format_thousands(*n))).collect();
    if changes.is_empty() { "nothing changed".to_owned() } else { changes.join(", ") }
}

/// By which earlier sync the list was published that a sync found unchanged.
pub(crate) fn published_earlier(published: Timestamp, change: &RosterChange, revision: i64, now: Timestamp) -> String {
    let by = match change.trigger {
        Trigger::Created => "the first sync",
        Trigger::Reconnected => "the sync after reconnecting",
        Trigger::Requested => "a requested sync",
        Trigger::Retry => "a retried sync",
        Trigger::Scheduled => "the scheduled sync",
    };
    let what = change_counts(change.added, change.updated, change.removed);
    format!("Revision {revision} was published {} earlier by {by}: {what}.", format_age(published, now))
}

/// A span of time in its largest unit.
fn format_age(from: Timestamp, to: Timestamp) -> String {
    match from.duration_until(to).as_secs().max(0) {
        s @ ..120 => format!("{s} s"),
        s @ 120..7200 => format!("{} min", s / 60),
        s @ 7200..172_800 => format!("{} h", s / 3600),
        s => format!("{} days", s / 86_400),
    }
}

/// For the conditions that only point to the one that holds the cause.
pub(crate) fn see_condition(reason: Reason, condition: &str) -> String {
    format!("{}: see the condition {condition}.", reason.summary())
}

pub(crate) fn format_user_count(users: i64) -> String {
    if users == 1 { "1 user".to_owned() } else { format!("{} users", format_thousands(users)) }
}

/// A number with its thousands apart: 12,000.
fn format_thousands(n: i64) -> String {
    let digits = n.unsigned_abs().to_string();
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().filter_map(|g| std::str::from_utf8(g).ok()).collect();
    format!("{}{}", if n < 0 { "-" } else { "" }, groups.join(","))
}

pub(crate) fn join_sentences<const N: usize>(parts: [&str; N]) -> String {
    parts.into_iter().filter(|p| !p.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_thousands_separators() {
        assert_eq!([0, 7, 999, 1000, 1_284_551].map(format_thousands), ["0", "7", "999", "1,000", "1,284,551"]);
    }
}
