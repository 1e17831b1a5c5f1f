//! The rows of the decision table of schedules, and of an operator that is paused.

use super::{DecisionRow, attempted_past_deadline, disconnected_case, secs};
use crate::{
    api::{Reason, Trigger},
    controller::test_support::{Case, UID, new_connection, sample_roster},
};

/// By 20:00 in Berlin, which is 19:00 here.
fn daily_cron() -> Case {
    new_connection().on_cron("0 20 * * *", "Europe/Berlin")
}

fn invalid_cron() -> Case {
    new_connection().on_cron("61 20 * * *", "Europe/Berlin")
}

pub(crate) fn cron_rows() -> Vec<DecisionRow> {
    vec![
        ("A new connection with a schedule syncs at once", daily_cron(), "sync Created", "WHY"),
        (
            "A fresh list waits for its part before the named time",
            daily_cron().synced_ago(10),
            "wait until 18:53:05",
            "WHY",
        ),
        ("A sync on demand moves nothing", daily_cron().synced_ago(1).synced_ago(0), "wait until 18:53:05", "WHY"),
        (
            "A list from before the last of these times is overdue",
            daily_cron().synced_ago(1300),
            "sync Scheduled",
            "WHY",
        ),
        ("Overdue by three of them is one sync", daily_cron().synced_ago(80 * 60), "sync Scheduled", "WHY"),
        (
            "By weekdays, a weekend passes",
            new_connection().on_cron("0 20 * * 1-5", "Europe/Berlin").synced_ago(2000),
            "wait until 18:53:05 in 2 days",
            "WHY",
        ),
        (
            "A failure waits for its retry, not for the clock",
            daily_cron().synced_ago(1000).with_failure(Reason::BoxUnavailable, 0),
            "wait until 12:00:24",
            "WHY",
        ),
        (
            "What a person has to mend is tried again at the next of these times",
            daily_cron().synced_ago(1000).with_failure(Reason::PermissionDenied, 10),
            "wait until 18:53:05",
            "WHY",
        ),
        (
            "With a schedule that cannot be kept nothing is due by itself",
            invalid_cron().synced_ago(1500),
            "wait until 11:00:00",
            "WHY",
        ),
        ("But the first sync is", invalid_cron(), "sync Created", "WHY"),
        ("And a retry", invalid_cron().synced_ago(10).with_failure(Reason::BoxUnavailable, 1), "sync Retry", "WHY"),
        ("And a request", invalid_cron().synced_ago(10).with_request("a"), "sync Requested for a", "WHY"),
    ]
}

pub(crate) fn paused_rows() -> Vec<DecisionRow> {
    vec![
        ("A new connection is left alone", new_connection().paused(), "wait", "WHY"),
        (
            "Nothing is due but the moment at which the list becomes stale",
            new_connection().synced_ago(1500).paused(),
            "wait until 11:00:00",
            "WHY",
        ),
        ("A request waits", new_connection().synced_ago(1500).with_request("a").paused(), "wait until 11:00:00", "WHY"),
        ("Its time does not end it", attempted_past_deadline("a").paused(), "wait until 11:50:00 in 2 days", "WHY"),
        (
            "The annotation waits",
            new_connection().synced_ago(1500).annotated("x").paused(),
            "wait until 11:00:00",
            "WHY",
        ),
        (
            "A lost connection is not tried, and its Secret not looked at",
            disconnected_case(60, 900).paused(),
            "wait until 02:00:00 in 2 days",
            "WHY",
        ),
        (
            "Another Secret is not tried",
            new_connection().synced_ago(1500).with_other_secret().paused(),
            "wait until 11:00:00",
            "WHY",
        ),
        (
            "There is no probe",
            new_connection().synced_ago(1500).with_view(|r| r.until_probe = secs(0)).paused(),
            "wait until 11:00:00",
            "WHY",
        ),
        (
            "A sync that nobody runs stays so",
            new_connection().synced_ago(1500).interrupted(Trigger::Requested).paused(),
            "wait until 11:00:00",
            "WHY",
        ),
        (
            "A suspended connection refuses requests all the same",
            new_connection().synced_ago(1500).suspended().with_request("a").paused(),
            "wait until 11:00:00, refuse a Suspended",
            "WHY",
        ),
        (
            "A revision that the status does not know is told all the same",
            new_connection().synced_ago(10).with_roster(sample_roster(UID, 2)).paused(),
            "report",
            "WHY",
        ),
        (
            "Slices that nobody names are swept all the same",
            new_connection().synced_ago(10).with_view(|r| r.until_garbage_collection = Some(secs(0))).paused(),
            "sweep",
            "WHY",
        ),
        (
            "After the pause, what is overdue is one sync",
            new_connection().synced_ago(80 * 60).paused().refreshed().unpaused(),
            "sync Scheduled",
            "WHY",
        ),
        (
            "After the pause, a request that waited is answered",
            new_connection().synced_ago(10).with_request("a").paused().refreshed().unpaused(),
            "sync Requested for a",
            "WHY",
        ),
    ]
}
