//! Rows of the decision table about cron schedules and a paused operator.

use super::{DecisionRow, attempted_past_deadline, disconnected_case, secs};
use crate::{
    api::{Reason, Trigger},
    controller::test_support::{Case, UID, new_connection, sample_roster},
};

/// By 20:00 in Berlin, which is 19:00 UTC.
fn daily_cron() -> Case {
    new_connection().on_cron("0 20 * * *", "Europe/Berlin")
}

fn invalid_cron() -> Case {
    new_connection().on_cron("61 20 * * *", "Europe/Berlin")
}

pub(crate) fn cron_rows() -> Vec<DecisionRow> {
    vec![
        ("A new connection with a schedule syncs at once", daily_cron(), "sync Created", "first sync"),
        (
            "A fresh list waits for its offset before the scheduled time",
            daily_cron().synced_ago(10),
            "wait until 18:53:05",
            "cron time",
        ),
        (
            "A sync on demand moves nothing",
            daily_cron().synced_ago(1).synced_ago(0),
            "wait until 18:53:05",
            "cron time",
        ),
        (
            "A list older than the last scheduled time is overdue",
            daily_cron().synced_ago(1300),
            "sync Scheduled",
            "cron time",
        ),
        ("Three missed times are one sync", daily_cron().synced_ago(80 * 60), "sync Scheduled", "cron time"),
        (
            "A weekday schedule skips the weekend",
            new_connection().on_cron("0 20 * * 1-5", "Europe/Berlin").synced_ago(2000),
            "wait until 18:53:05 in 2 days",
            "cron time",
        ),
        (
            "A failure waits for its retry, not for the schedule",
            daily_cron().synced_ago(1000).with_failure(Reason::BoxUnavailable, 0),
            "wait until 12:00:24",
            "retry",
        ),
        (
            "A failure that needs a person is retried at the next scheduled time",
            daily_cron().synced_ago(1000).with_failure(Reason::PermissionDenied, 10),
            "wait until 18:53:05",
            "cron time",
        ),
        (
            "With an invalid schedule nothing is scheduled",
            invalid_cron().synced_ago(1500),
            "wait until 11:00:00",
            "list becomes stale",
        ),
        ("But the first sync runs", invalid_cron(), "sync Created", "first sync"),
        ("And a retry", invalid_cron().synced_ago(10).with_failure(Reason::BoxUnavailable, 1), "sync Retry", "retry"),
        ("And a request", invalid_cron().synced_ago(10).with_request("a"), "sync Requested for a", "request"),
    ]
}

pub(crate) fn paused_rows() -> Vec<DecisionRow> {
    vec![
        ("A new connection does nothing", new_connection().paused(), "wait", "paused"),
        (
            "Nothing is due but the moment at which the list becomes stale",
            new_connection().synced_ago(1500).paused(),
            "wait until 11:00:00",
            "list becomes stale",
        ),
        (
            "A request waits",
            new_connection().synced_ago(1500).with_request("a").paused(),
            "wait until 11:00:00",
            "list becomes stale",
        ),
        (
            "Its deadline does not apply",
            attempted_past_deadline("a").paused(),
            "wait until 11:50:00 in 2 days",
            "list becomes stale",
        ),
        (
            "The annotation waits",
            new_connection().synced_ago(1500).annotated("x").paused(),
            "wait until 11:00:00",
            "list becomes stale",
        ),
        (
            "A disconnected connection is not retried and its Secret not checked",
            disconnected_case(60, 900).paused(),
            "wait until 02:00:00 in 2 days",
            "list becomes stale",
        ),
        (
            "Another Secret is not used",
            new_connection().synced_ago(1500).with_other_secret().paused(),
            "wait until 11:00:00",
            "list becomes stale",
        ),
        (
            "There is no probe",
            new_connection().synced_ago(1500).with_view(|r| r.until_probe = secs(0)).paused(),
            "wait until 11:00:00",
            "list becomes stale",
        ),
        (
            "An interrupted sync is not resumed",
            new_connection().synced_ago(1500).interrupted(Trigger::Requested).paused(),
            "wait until 11:00:00",
            "list becomes stale",
        ),
        (
            "A suspended connection refuses requests anyway",
            new_connection().synced_ago(1500).suspended().with_request("a").paused(),
            "wait until 11:00:00, refuse a Suspended",
            "list becomes stale",
        ),
        (
            "A revision that the status does not show is reported anyway",
            new_connection().synced_ago(10).with_roster(sample_roster(UID, 2)).paused(),
            "report",
            "unreported revision",
        ),
        (
            "Unreferenced slices are deleted anyway",
            new_connection().synced_ago(10).with_view(|r| r.until_garbage_collection = Some(secs(0))).paused(),
            "collect garbage",
            "unreferenced slices",
        ),
        (
            "After the pause, what is overdue is one sync",
            new_connection().synced_ago(80 * 60).paused().refreshed().unpaused(),
            "sync Scheduled",
            "interval",
        ),
        (
            "After the pause, a request that waited is answered",
            new_connection().synced_ago(10).with_request("a").paused().refreshed().unpaused(),
            "sync Requested for a",
            "request",
        ),
    ]
}
