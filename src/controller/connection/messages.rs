//! Messages of conditions. Pure. Every message says what happened, what was kept and until when it is fresh, and what to
//! do. It never contains a secret, a response body or a user's name.

use jiff::{SignedDuration, Timestamp};

use super::{clock_check::ClockCheck, cron::CronError, failure_messages::Failure};
use crate::api::{
    Authorization, BoxConnectionStatus, ConditionStatus, ConditionsExt, FailureClass, MassChange, MassChangeKind,
    Reason, RemovalHold, RosterChange, SyncFailures, Trigger, UserCounts,
};

/// The message of the condition that holds a failure's cause.
pub(crate) fn failure_message(
    failure: &Failure,
    connection: &str,
    status: &BoxConnectionStatus,
    now: Timestamp,
) -> String {
    let check = match failure.reason.failure_class() {
        FailureClass::Disconnected => {
            format!("The operator retries automatically. To retry now, create a UserSyncRequest for {connection}.")
        }
        FailureClass::Stalled => format!("To retry now, create a UserSyncRequest for {connection}."),
        FailureClass::Transient | FailureClass::Suspect => next_retry(status.failures.as_ref()),
        FailureClass::Neutral | FailureClass::RequestRejected => String::new(),
    };
    let remaining = if failure.held.is_some() { String::new() } else { remaining_list(status, now) };
    join_sentences([&failure.summary, &remaining, &failure.remediation, &check])
}

fn next_retry(failures: Option<&SyncFailures>) -> String {
    match failures.and_then(|f| Some((f.retry_time.as_ref()?, f.retry_after))) {
        Some((time, true)) => format!("The next retry is at {}, as requested by Box.", time.0),
        Some((time, false)) => format!("The next retry is at {}.", time.0),
        None => String::new(),
    }
}

pub(crate) const ROSTER_DELETED: &str = "The published list is missing: its UserRoster was deleted.";
pub(crate) const SLICES_DELETED: &str =
    "The published list cannot be read: UserSlices that its UserRoster names were deleted.";

/// The list that is still published, as the condition Ready says it.
pub(crate) fn remaining_list(status: &BoxConnectionStatus, now: Timestamp) -> String {
    let ready = status.conditions.find_condition("Ready").map_or("", |ready| &ready.message);
    if let Some(problem) = [ROSTER_DELETED, SLICES_DELETED].into_iter().find(|problem| ready.contains(problem)) {
        return problem.to_owned();
    }
    if status.last_sync.is_some()
        && status.conditions.has_status("Ready", ConditionStatus::False)
        && status.conditions.reason("Ready") == Some(Reason::Syncing)
    {
        return "No list is published until a sync succeeds.".to_owned();
    }
    readable_list(status, now)
}

/// The list that is still published and can be read.
pub(crate) fn readable_list(status: &BoxConnectionStatus, now: Timestamp) -> String {
    let Some(kept) = kept_list(status) else { return "No list has been fetched yet.".to_owned() };
    match status.stale_time.as_ref().map(|t| t.0) {
        Some(stale) if now < stale => format!("{kept} and is fresh until {stale}."),
        Some(stale) => format!("{kept} and has been stale since {stale}."),
        None => format!("{kept}."),
    }
}

fn kept_list(status: &BoxConnectionStatus) -> Option<String> {
    let (last, users) = (status.last_sync.as_ref()?, status.users.as_ref()?);
    Some(format!("The list of {} ({}) is kept", last.completion_time.0, format_user_count(users.total)))
}

/// The stored message of a failure with what is true of the list now: `problem`, if it cannot be read.
pub(crate) fn with_current_list(
    message: &str,
    problem: Option<&str>,
    status: &BoxConnectionStatus,
    now: Timestamp,
) -> String {
    let stored_problem = || [ROSTER_DELETED, SLICES_DELETED].into_iter().find(|stored| message.contains(stored));
    let stored = match problem {
        Some(_) => kept_list(status)
            .and_then(|kept| message.find(&kept))
            .and_then(|at| message[at..].split_inclusive('.').next())
            .or_else(stored_problem),
        None => stored_problem(),
    };
    let current = || problem.map_or_else(|| readable_list(status, now), str::to_owned);
    stored.map_or_else(|| message.to_owned(), |stored| message.replacen(stored, &current(), 1))
}

/// Why no sync is scheduled.
pub(crate) fn invalid_schedule(
    error: &CronError,
    connection: &str,
    status: &BoxConnectionStatus,
    now: Timestamp,
) -> String {
    let what = format!("{}: {error}.", Reason::ScheduleInvalid.summary());
    let remedy = format!(
        "Until spec.schedule is corrected (minute, hour, day of the month, month and weekday; the IANA name of a time zone), no sync is scheduled. To sync now, create a UserSyncRequest for {connection}."
    );
    join_sentences([&what, &remaining_list(status, now), &remedy])
}

/// The message for a connection while the operator is paused.
pub(crate) const PAUSED: &str = "The operator runs with --paused: it does not call Box, published lists are kept, and requests wait. To resume, restart the operator without --paused.";
pub(crate) const REQUEST_PAUSED: &str = "The operator runs with --paused and does not call Box. This request waits until the operator is restarted without --paused.";

pub(crate) fn list_summary(at: Timestamp, users: &UserCounts) -> String {
    format!("The list of {at} contains {} ({} active).", format_user_count(users.total), format_thousands(users.active))
}

/// The same for the condition of the sync itself, with what is wrong with the clock, and the records of an adopted history
/// that were damaged.
pub(crate) fn sync_summary(at: Timestamp, users: &UserCounts, clock: &ClockCheck, damaged_history: i64) -> String {
    let remedy = "removed users and changes are kept beyond spec.historyRetention. A cluster admin must check the clock of the operator's node.";
    let problem = match clock {
        ClockCheck::Right => String::new(),
        ClockCheck::Wrong(skew) => {
            format!("The operator's clock is {} Box's and the API server's: {remedy}", format_skew(*skew))
        }
        ClockCheck::Doubtful(skew) => {
            format!("The operator's clock is {} Box's or the API server's: {remedy}", format_skew(*skew))
        }
        ClockCheck::Unknown => {
            format!("Neither Box nor the API server sends the time (the Date header): {remedy}")
        }
    };
    let dropped = match damaged_history {
        0 => String::new(),
        1 => "1 record of the restored history was damaged and was dropped.".to_owned(),
        n => format!("{} records of the restored history were damaged and were dropped.", format_thousands(n)),
    };
    join_sentences([&list_summary(at, users), &dropped, &problem])
}

/// `40 days ahead of`.
fn format_skew(skew: SignedDuration) -> String {
    let direction = if skew.is_negative() { "behind" } else { "ahead of" };
    format!("{} {direction}", format_span(skew.abs()))
}

/// A warning that the authorization of a user was not renewed for long.
pub(crate) fn authorization_expiring(authorization: &Authorization) -> String {
    format!(
        "The authorization in Box expires at {} unless the operator renews it, which it does while it runs, is not paused and can reach Box. After that, the app must be authorized again (kubectl boxsync connect).",
        authorization.expiration_time.0
    )
}

/// What very many users have in common that changed in one sync.
pub(crate) fn mass_changes(changes: &[MassChange], total: i64, revision: i64) -> String {
    let sentences = changes.iter().map(|MassChange { kind, users }| {
        let (users, total) = (format_thousands(*users), format_user_count(total));
        match kind {
            MassChangeKind::Deactivated => format!("{users} of {total} are not active any more."),
            MassChangeKind::LoginChanged => format!("{users} of {total} have another login."),
            MassChangeKind::Recreated => {
                format!("{users} users vanished, and as many new ones have their logins (of {total}).")
            }
            MassChangeKind::Other(word) => format!("{users} of {total}: {}.", word.as_str()),
        }
    });
    let sentences: Vec<String> = sentences.collect();
    format!("{} Revision {revision} contains the change. Review it: kubectl boxsync changes.", sentences.join(" "))
}

/// How many removals are held, and how to approve them.
pub(crate) fn removals_held(held: &RemovalHold, connection: &str) -> String {
    let cause = match held.removals - held.unconfirmed {
        0 => format!(
            "{} of {} are missing from Box's list, and Box did not say that they are gone. Each sync asks again.",
            format_thousands(held.removals),
            format_user_count(held.total)
        ),
        _ => {
            let unconfirmed = match held.unconfirmed {
                0 => String::new(),
                n => format!(" Of {} of them Box did not say that they are gone.", format_thousands(n)),
            };
            format!(
                "{} of {} are missing from Box at once.{unconfirmed}",
                format_thousands(held.removals),
                format_user_count(held.total)
            )
        }
    };
    format!(
        "{cause} They are kept in the list until their removal is approved or Box lists them again. Review them (kubectl boxsync users {connection} --held, or the UserSlices of state Held); to remove them, create a UserSyncRequest with approveRemovals: \"{}\" (kubectl boxsync approve {connection}).",
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
    if changes.is_empty() { "no changes".to_owned() } else { changes.join(", ") }
}

/// Which earlier sync published the list that a sync found unchanged.
pub(crate) fn published_earlier(published: Timestamp, change: &RosterChange, revision: i64, now: Timestamp) -> String {
    let by = match change.trigger {
        Trigger::Created => "the initial sync",
        Trigger::Reconnected => "a sync after reconnecting",
        Trigger::Requested => "a requested sync",
        Trigger::Retry => "a retry",
        Trigger::Scheduled => "a scheduled sync",
        Trigger::Other(_) => "a sync",
    };
    let what = change_counts(change.added, change.updated, change.removed);
    format!("Revision {revision} was published {} earlier by {by}: {what}.", format_age(published, now))
}

/// A span of time in its largest unit.
fn format_age(from: Timestamp, to: Timestamp) -> String {
    format_span(from.duration_until(to))
}

fn format_span(span: SignedDuration) -> String {
    match span.as_secs().max(0) {
        s @ ..120 => format!("{s} s"),
        s @ 120..7200 => format!("{} min", s / 60),
        s @ 7200..172_800 => format!("{} h", s / 3600),
        s => format!("{} days", s / 86_400),
    }
}

/// For conditions that only refer to the one that holds the cause.
pub(crate) fn see_condition(reason: Reason, condition: &str) -> String {
    format!("{}: see the condition {condition}.", reason.summary())
}

pub(crate) fn format_user_count(users: i64) -> String {
    if users == 1 { "1 user".to_owned() } else { format!("{} users", format_thousands(users)) }
}

/// A number with thousands separators: 12,000.
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
