//! The rows of the decision table of schedules, and of an operator that is paused.

use super::{
    super::super::fixture::{Given, conn, roster},
    Row, lost, overtime, secs,
};
use crate::{
    api::{Reason, Trigger},
    controller::fixture::UID,
};

/// By 20:00 in Berlin, which is 19:00 here.
fn evening() -> Given {
    conn().at("0 20 * * *", "Europe/Berlin")
}

fn broken() -> Given {
    conn().at("61 20 * * *", "Europe/Berlin")
}

pub(super) fn rows() -> Vec<Row> {
    vec![
        ("A new connection with a schedule syncs at once", evening(), "sync Created"),
        ("A fresh list waits for its part before the named time", evening().synced(10), "wait until 18:53:05"),
        ("A sync on demand moves nothing", evening().synced(1).synced(0), "wait until 18:53:05"),
        ("A list from before the last of these times is overdue", evening().synced(1300), "sync Scheduled"),
        ("Overdue by three of them is one sync", evening().synced(80 * 60), "sync Scheduled"),
        (
            "By weekdays, a weekend passes",
            conn().at("0 20 * * 1-5", "Europe/Berlin").synced(2000),
            "wait until 18:53:05 in 2 days",
        ),
        (
            "A failure waits for its retry, not for the clock",
            evening().synced(1000).failed(Reason::BoxUnavailable, 0),
            "wait until 12:00:24",
        ),
        (
            "What a person has to mend is tried again at the next of these times",
            evening().synced(1000).failed(Reason::PermissionDenied, 10),
            "wait until 18:53:05",
        ),
        ("With a schedule that cannot be kept nothing is due by itself", broken().synced(1500), "wait until 11:00:00"),
        ("But the first sync is", broken(), "sync Created"),
        ("And a retry", broken().synced(10).failed(Reason::BoxUnavailable, 1), "sync Retry"),
        ("And a request", broken().synced(10).asked("a"), "sync Requested for a"),
    ]
}

pub(super) fn paused() -> Vec<Row> {
    vec![
        ("A new connection is left alone", conn().paused(), "wait"),
        (
            "Nothing is due but the moment at which the list becomes stale",
            conn().synced(1500).paused(),
            "wait until 11:00:00",
        ),
        ("A request waits", conn().synced(1500).asked("a").paused(), "wait until 11:00:00"),
        ("Its time does not end it", overtime("a").paused(), "wait until 11:50:00 in 2 days"),
        ("The annotation waits", conn().synced(1500).annotated("x").paused(), "wait until 11:00:00"),
        (
            "A lost connection is not tried, and its Secret not looked at",
            lost(60, 900).paused(),
            "wait until 02:00:00 in 2 days",
        ),
        ("Another Secret is not tried", conn().synced(1500).other_secret().paused(), "wait until 11:00:00"),
        (
            "There is no probe",
            conn().synced(1500).remembering(|r| r.until_probe = secs(0)).paused(),
            "wait until 11:00:00",
        ),
        (
            "A sync that nobody runs stays so",
            conn().synced(1500).interrupted(Trigger::Requested).paused(),
            "wait until 11:00:00",
        ),
        (
            "A suspended connection refuses requests all the same",
            conn().synced(1500).suspended().asked("a").paused(),
            "wait until 11:00:00, refuse a Suspended",
        ),
        (
            "A revision that the status does not know is told all the same",
            conn().synced(10).with_roster(roster(UID, 2)).paused(),
            "report",
        ),
        (
            "Slices that nobody names are swept all the same",
            conn().synced(10).remembering(|r| r.until_sweep = Some(secs(0))).paused(),
            "sweep",
        ),
        (
            "After the pause, what is overdue is one sync",
            conn().synced(80 * 60).paused().looked_at().unpaused(),
            "sync Scheduled",
        ),
        (
            "After the pause, a request that waited is answered",
            conn().synced(10).asked("a").paused().looked_at().unpaused(),
            "sync Requested for a",
        ),
    ]
}
