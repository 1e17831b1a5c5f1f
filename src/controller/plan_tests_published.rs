//! Rows of the decision table about the published list.

use std::time::Duration;

use super::{
    super::super::fixture::{DIGEST, UID, conn, roster},
    Row, secs,
};
use crate::api::Reason;

pub(super) fn rows() -> Vec<Row> {
    let foreign = || roster("another", 7);
    vec![
        ("A list that was deleted is published again at once", conn().synced(10).without_roster(), "sync Scheduled"),
        (
            "A list that was fetched and never published is fetched again",
            conn().synced(10).unpublished(),
            "sync Scheduled",
        ),
        (
            "A deleted list does not override the wait after a failure",
            conn().synced(1000).failed(Reason::BoxUnavailable, 0).without_roster(),
            "wait until 12:00:24",
        ),
        (
            "A deleted list stays so while suspended",
            conn().synced(10).without_roster().suspended(),
            "wait until 11:50:00 in 2 days",
        ),
        (
            "A list just published that the watch has not shown yet is not gone",
            conn().synced(10).without_roster().remembering(|r| r.published = true),
            "wait until 16:06:55",
        ),
        (
            "A revision that the status does not know is told, without a listing",
            conn().synced(10).committed(2),
            "report",
        ),
        (
            "A revision that the status does not know is told also while suspended",
            conn().synced(10).committed(2).suspended(),
            "report",
        ),
        (
            "A request that the published revision answers is told so",
            conn().synced(10).asked("r").committed(1),
            "report",
        ),
        (
            "A revision of somebody else's is not ours to tell",
            conn().synced(10).with_roster(foreign()),
            "wait until 16:06:55",
        ),
        (
            "A conflict waits for its retry while the other list is there",
            conn().failed(Reason::RosterConflict, 0).with_roster(foreign()),
            "wait until 12:00:24",
        ),
        ("A conflict is over once the other list is gone", conn().failed(Reason::RosterConflict, 0), "sync Created"),
        ("Held removals wait for somebody", conn().holding(10), "wait until 16:06:55"),
        (
            "An approval of what is held is a request",
            conn().holding(10).asked("r").approving(DIGEST),
            "sync Requested for r",
        ),
        (
            "An approval of something else is refused",
            conn().holding(10).asked("r").approving(&"0".repeat(64)),
            "wait until 16:06:55, refuse r HeldListChanged",
        ),
        (
            "An approval where nothing is held is refused",
            conn().synced(10).asked("r").approving(DIGEST),
            "wait until 16:06:55, refuse r HeldListChanged",
        ),
        (
            "Slices that nobody names are swept when their time is over",
            conn().synced(10).remembering(|r| r.until_sweep = Some(Duration::ZERO)),
            "sweep",
        ),
        (
            "Until then they are waited for",
            conn().synced(10).remembering(|r| r.until_sweep = Some(secs(600))),
            "wait until 12:10:00",
        ),
        (
            "What is due goes before sweeping",
            conn().synced(1300).remembering(|r| r.until_sweep = Some(Duration::ZERO)),
            "sync Scheduled",
        ),
        ("A roster of our own is no conflict", conn().synced(10).with_roster(roster(UID, 1)), "wait until 16:06:55"),
    ]
}
