//! Messages of conditions. Pure. Every message says what happened, in one sentence, and who does what; until when the list
//! is fresh and when the operator tries again are in fields. It never contains a secret, a response body or a user's name.

use jiff::{SignedDuration, Timestamp};

use super::{clock_check::ClockCheck, cron::CronError, failure_messages::Failure, sync_outcome::SyncResult};
use crate::api::{
    Authorization, BoxConnection, MassChange, MassChangeKind, Reason, RemovalHold, RosterChange, Trigger, UserCounts,
    compose_message, plugin_command, split_message,
};

/// The message of a failure, as each of the conditions has it that follow from it.
pub(crate) fn failure_message(failure: &Failure) -> String {
    compose_message(&failure.summary, &failure.remediation)
}

/// A problem of the published list, and what keeps it from being mended: the message of a failure.
pub(crate) fn list_problem(problem: &str, cause: &str) -> String {
    let (what, action) = split_message(cause);
    compose_message(problem, if action.is_empty() { what } else { action })
}

/// Why no sync is scheduled.
pub(crate) fn invalid_schedule(error: &CronError) -> String {
    compose_message(
        &format!("{}: {error}.", Reason::ScheduleInvalid.summary()),
        "Correct spec.schedule: minute, hour, day of the month, month and weekday, and the IANA name of a time zone.",
    )
}

/// The message for a connection while the operator is paused.
pub(crate) const PAUSED: &str = "The operator runs with --paused: it does not call Box, and requests wait. A cluster admin resumes it by a restart without --paused.";
pub(crate) const REQUEST_PAUSED: &str = "The operator runs with --paused and does not call Box. This request waits until the operator is restarted without --paused.";

/// While the connection is suspended.
pub(crate) const SUSPENDED: &str = "The connection is suspended: no syncs until spec.suspend is false.";

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
    compose_message(&list_summary(at, users), &join_sentences([&dropped, &problem]))
}

/// `40 days ahead of`.
fn format_skew(skew: SignedDuration) -> String {
    let direction = if skew.is_negative() { "behind" } else { "ahead of" };
    format!("{} {direction}", format_span(skew.abs()))
}

/// A warning that the authorization of a user was not renewed for long.
pub(crate) fn authorization_expiring(authorization: &Authorization, connection: &BoxConnection) -> String {
    format!(
        "The authorization in Box expires at {} unless the operator renews it before. Check that it is not paused and reaches Box; once it has expired: {}.",
        authorization.expiration_time.0,
        plugin_command("connect", connection)
    )
}

/// What very many users have in common that changed in one sync.
pub(crate) fn mass_changes(changes: &[MassChange], total: i64, revision: i64, connection: &BoxConnection) -> String {
    let parts = changes.iter().map(|MassChange { kind, users }| {
        let users = format_thousands(*users);
        match kind {
            MassChangeKind::Deactivated => format!("{users} are not active any more"),
            MassChangeKind::LoginChanged => format!("{users} have another login"),
            MassChangeKind::Recreated => format!("{users} have a new id under the same login"),
            MassChangeKind::TrackingCodeLost => format!("{users} lost a tracking code"),
            MassChangeKind::Other(word) => format!("{users} {}", word.as_str()),
        }
    });
    let parts: Vec<String> = parts.collect();
    let total = format_user_count(total);
    let review = plugin_command("changes", connection);
    format!("Of {total} {}. Review them: {review} --revision {revision}.", parts.join(", "))
}

/// How many removals are held, and how to approve them.
pub(crate) fn removals_held(held: &RemovalHold, connection: &BoxConnection) -> String {
    let (removals, total) = (format_thousands(held.removals), format_user_count(held.total));
    let what = match (held.removals - held.unconfirmed, held.unconfirmed) {
        (0, _) => format!("{removals} of {total} are missing from Box's list, and Box did not say that they are gone."),
        (_, 0) => format!("{removals} of {total} are missing from Box at once and stay in the list."),
        (_, unconfirmed) => format!(
            "{removals} of {total} are missing from Box at once and stay in the list; of {} Box did not say that they are gone.",
            format_thousands(unconfirmed)
        ),
    };
    let approve = plugin_command("approve", connection);
    compose_message(&what, &format!("Review them, and approve their removal if it is right: {approve}."))
}

/// The list that answers a request.
pub(crate) fn request_answered(at: Timestamp, users: &UserCounts, revision: i64) -> String {
    format!("The list of {at} (revision {revision}, {}) answers this request.", format_user_count(users.total))
}

/// What a sync fetched and changed: the text of its event.
pub(crate) fn sync_counts(synced: &SyncResult) -> String {
    let SyncResult { users, added, updated, removed, revision, .. } = synced;
    let [added, updated, removed] = [added, updated, removed].map(|n| format_thousands(*n));
    format!(
        "Fetched {}: {added} added, {updated} updated, {removed} removed, revision {revision}.",
        format_user_count(users.total)
    )
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
