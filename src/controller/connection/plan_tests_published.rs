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
            "A deleted list is republished at once",
            new_connection().synced_ago(10).without_roster(),
            "sync Scheduled",
            "list missing",
        ),
        (
            "A list that was fetched but not published is fetched again",
            new_connection().synced_ago(10).unpublished(),
            "sync Scheduled",
            "list missing",
        ),
        (
            "A deleted list does not override the wait after a failure",
            new_connection().synced_ago(1000).with_failure(Reason::BoxUnavailable, 0).without_roster(),
            "wait until 12:00:24",
            "retry",
        ),
        (
            "A deleted list is not republished while suspended",
            new_connection().synced_ago(10).without_roster().suspended(),
            "wait until 11:50:00 in 2 days",
            "list becomes stale",
        ),
        (
            "A list of which a slice was deleted is republished at once",
            new_connection().synced_ago(10).with_view(|r| r.slices_missing = true),
            "sync Scheduled",
            "list missing",
        ),
        (
            "A deleted slice does not override the wait after a failure",
            new_connection()
                .synced_ago(1000)
                .with_failure(Reason::BoxUnavailable, 0)
                .with_view(|r| r.slices_missing = true),
            "wait until 12:00:24",
            "retry",
        ),
        (
            "A list of which a slice was deleted is not republished while suspended",
            new_connection().synced_ago(10).with_view(|r| r.slices_missing = true).suspended(),
            "wait until 11:50:00 in 2 days",
            "list becomes stale",
        ),
        (
            "A list just published that the watch has not delivered yet is not missing",
            new_connection().synced_ago(10).without_roster().with_view(|r| r.published = true),
            "wait until 16:06:55",
            "interval",
        ),
        (
            "A revision that the status does not show is reported, without a listing",
            new_connection().synced_ago(10).with_unreported_publish(2),
            "report",
            "unreported revision",
        ),
        (
            "A revision that the status does not show is reported also while suspended",
            new_connection().synced_ago(10).with_unreported_publish(2).suspended(),
            "report",
            "unreported revision",
        ),
        (
            "A request that the published revision answers is completed",
            new_connection().synced_ago(10).with_request("r").with_unreported_publish(1),
            "report",
            "unreported revision",
        ),
        (
            "A revision of another owner is ignored",
            new_connection().synced_ago(10).with_roster(foreign_roster()),
            "wait until 16:06:55",
            "interval",
        ),
        (
            "A conflict waits for its retry while the other list exists",
            new_connection().with_failure(Reason::RosterConflict, 0).with_roster(foreign_roster()),
            "wait until 12:00:24",
            "retry",
        ),
        (
            "A conflict is over once the other list is gone",
            new_connection().with_failure(Reason::RosterConflict, 0),
            "sync Created",
            "retry",
        ),
        ("Held removals wait for approval", new_connection().with_held_removals(10), "wait until 16:06:55", "interval"),
        (
            "An approval of what is held is a request",
            new_connection().with_held_removals(10).with_request("r").approving(DIGEST),
            "sync Requested for r",
            "request",
        ),
        (
            "An approval of other removals is refused",
            new_connection().with_held_removals(10).with_request("r").approving(&"0".repeat(64)),
            "wait until 16:06:55, refuse r HeldListChanged",
            "interval",
        ),
        (
            "An approval where nothing is held is refused",
            new_connection().synced_ago(10).with_request("r").approving(DIGEST),
            "wait until 16:06:55, refuse r HeldListChanged",
            "interval",
        ),
        (
            "Unreferenced slices are deleted after their grace period",
            new_connection().synced_ago(10).with_view(|r| r.until_garbage_collection = Some(Duration::ZERO)),
            "collect garbage",
            "unreferenced slices",
        ),
        (
            "Until then they are kept",
            new_connection().synced_ago(10).with_view(|r| r.until_garbage_collection = Some(secs(600))),
            "wait until 12:10:00",
            "unreferenced slices",
        ),
        (
            "A due sync runs before garbage collection",
            new_connection().synced_ago(1300).with_view(|r| r.until_garbage_collection = Some(Duration::ZERO)),
            "sync Scheduled",
            "interval",
        ),
        (
            "A roster of our own is no conflict",
            new_connection().synced_ago(10).with_roster(sample_roster(UID, 1)),
            "wait until 16:06:55",
            "interval",
        ),
    ]
}
