//! Rows of the decision table about the published list.

use std::time::Duration;

use super::{DecisionRow, secs};
use crate::{
    api::Reason,
    controller::test_support::{DIGEST, UID, new_connection, sample_roster},
};

pub(crate) fn roster_rows() -> Vec<DecisionRow> {
    let foreign_roster = || sample_roster("another", 7);
    vec![
        (
            "A list that was deleted is published again at once",
            new_connection().synced_ago(10).without_roster(),
            "sync Scheduled",
            "WHY",
        ),
        (
            "A list that was fetched and never published is fetched again",
            new_connection().synced_ago(10).unpublished(),
            "sync Scheduled",
            "WHY",
        ),
        (
            "A deleted list does not override the wait after a failure",
            new_connection().synced_ago(1000).with_failure(Reason::BoxUnavailable, 0).without_roster(),
            "wait until 12:00:24",
            "WHY",
        ),
        (
            "A deleted list stays so while suspended",
            new_connection().synced_ago(10).without_roster().suspended(),
            "wait until 11:50:00 in 2 days",
            "WHY",
        ),
        (
            "A list just published that the watch has not shown yet is not gone",
            new_connection().synced_ago(10).without_roster().with_view(|r| r.published = true),
            "wait until 16:06:55",
            "WHY",
        ),
        (
            "A revision that the status does not know is told, without a listing",
            new_connection().synced_ago(10).with_unreported_publish(2),
            "report",
            "WHY",
        ),
        (
            "A revision that the status does not know is told also while suspended",
            new_connection().synced_ago(10).with_unreported_publish(2).suspended(),
            "report",
            "WHY",
        ),
        (
            "A request that the published revision answers is told so",
            new_connection().synced_ago(10).with_request("r").with_unreported_publish(1),
            "report",
            "WHY",
        ),
        (
            "A revision of somebody else's is not ours to tell",
            new_connection().synced_ago(10).with_roster(foreign_roster()),
            "wait until 16:06:55",
            "WHY",
        ),
        (
            "A conflict waits for its retry while the other list is there",
            new_connection().with_failure(Reason::RosterConflict, 0).with_roster(foreign_roster()),
            "wait until 12:00:24",
            "WHY",
        ),
        (
            "A conflict is over once the other list is gone",
            new_connection().with_failure(Reason::RosterConflict, 0),
            "sync Created",
            "WHY",
        ),
        ("Held removals wait for somebody", new_connection().with_held_removals(10), "wait until 16:06:55", "WHY"),
        (
            "An approval of what is held is a request",
            new_connection().with_held_removals(10).with_request("r").approving(DIGEST),
            "sync Requested for r",
            "WHY",
        ),
        (
            "An approval of something else is refused",
            new_connection().with_held_removals(10).with_request("r").approving(&"0".repeat(64)),
            "wait until 16:06:55, refuse r HeldListChanged",
            "WHY",
        ),
        (
            "An approval where nothing is held is refused",
            new_connection().synced_ago(10).with_request("r").approving(DIGEST),
            "wait until 16:06:55, refuse r HeldListChanged",
            "WHY",
        ),
        (
            "Slices that nobody names are swept when their time is over",
            new_connection().synced_ago(10).with_view(|r| r.until_garbage_collection = Some(Duration::ZERO)),
            "sweep",
            "WHY",
        ),
        (
            "Until then they are waited for",
            new_connection().synced_ago(10).with_view(|r| r.until_garbage_collection = Some(secs(600))),
            "wait until 12:10:00",
            "WHY",
        ),
        (
            "What is due goes before sweeping",
            new_connection().synced_ago(1300).with_view(|r| r.until_garbage_collection = Some(Duration::ZERO)),
            "sync Scheduled",
            "WHY",
        ),
        (
            "A roster of our own is no conflict",
            new_connection().synced_ago(10).with_roster(sample_roster(UID, 1)),
            "wait until 16:06:55",
            "WHY",
        ),
    ]
}
