//! The page of all condition messages, for review.

use super::*;
use crate::api::{FailureClass, MAX_CONDITION_MESSAGE, event_message, split_message};

fn without_quotation(text: &str) -> String {
    let parts = (text.split_once('"'), text.rsplit_once('"'));
    match parts {
        (Some((before, _)), Some((_, after))) => format!("{before}{after}"),
        _ => text.to_owned(),
    }
}

/// Every message that a user can meet in a condition, on one page, to be read as a user would.
#[test]
fn the_committed_message_page_is_up_to_date() {
    let mut page = String::from("Every message of a condition, as users read it. Generated: `make generate`.\n");
    let mut section = |title: &str, conditions: &[Condition]| {
        let _ = writeln!(page, "\n== {title}");
        for c in conditions {
            assert!(c.message.chars().count() <= MAX_CONDITION_MESSAGE, "{}: {}", c.type_, c.message);
            assert!(event_message(&c.message).chars().count() <= 200, "{}: {}", c.type_, c.message);
            let _ = writeln!(page, "{}={} {}\n    {}", c.type_, c.status, c.reason, c.message);
        }
    };
    section("A new connection", &current_status(&new_connection()).conditions);
    section("A new connection, suspended", &current_status(&new_connection().suspended()).conditions);
    section("Synced", &current_status(&new_connection().synced_ago(10)).conditions);
    section("Stale, suspended", &current_status(&new_connection().synced_ago(3000).suspended()).conditions);
    section("Removals held", &current_status(&new_connection().with_held_removals(10)).conditions);
    section(
        "Removals held, and the last attempt failed",
        &current_status(&new_connection().with_held_removals(100).with_failure(Reason::BoxUnavailable, 1)).conditions,
    );
    section(
        "The published list was deleted",
        &current_status(&new_connection().synced_ago(10).without_roster()).conditions,
    );
    section(
        "The published list was deleted, suspended",
        &current_status(&new_connection().synced_ago(10).without_roster().suspended()).conditions,
    );
    let deleted = new_connection().synced_ago(10).without_roster().refreshed().with_request("r");
    let unavailable = sync_outcome(minutes_ago(1), Err(sample_failure(Reason::BoxUnavailable)));
    let request = status::status_after_sync(&deleted.requests[0], 1, &unavailable, &deleted.connection, test_now());
    section("The published list was deleted, and Box is away: the request", &request.conditions);
    let deleted = deleted.with_outcome(&unavailable);
    section("The published list was deleted, and Box is away", &current_status(&deleted).conditions);
    let unknown = Failure { held: Some(Box::new(held_removals())), ..sample_failure(Reason::RemovalsHeld) };
    let unknown = new_connection()
        .synced_ago(10)
        .without_roster()
        .with_outcome(&sync_outcome(minutes_ago(1), Err(unknown)))
        .without_roster();
    section("The published list was deleted, and nobody knows who vanished", &current_status(&unknown).conditions);
    section("Paused, before the first sync", &current_status(&new_connection().paused()).conditions);
    section("Paused, with an old list", &current_status(&new_connection().synced_ago(3000).paused()).conditions);
    section(
        "Paused, the published list was deleted",
        &current_status(&new_connection().synced_ago(10).without_roster().paused()).conditions[..1],
    );
    let waits = new_connection().synced_ago(10).with_request("r");
    let waits = status::paused_status(&waits.requests[0], messages::REQUEST_PAUSED.to_owned(), test_now());
    section("Paused: a request", &waits.conditions);
    for (cron, zone) in
        [("61 20 * * *", "UTC"), ("0 20 * * *", "Europe/Berln"), ("0 20 30 2 *", "UTC"), ("*/5 * * * *", "UTC")]
    {
        let given = new_connection().on_cron(cron, zone).synced_ago(10);
        let stalled: Vec<_> =
            current_status(&given).conditions.iter().filter(|c| c.type_ == "Stalled").cloned().collect();
        section(&format!("ScheduleInvalid: {cron} {zone}"), &stalled);
    }
    let old = new_connection().on_cron("61 20 * * *", "UTC").synced_ago(3000);
    section("ScheduleInvalid, with an old list", &current_status(&old).conditions);
    section("Another Secret", &current_status(&new_connection().synced_ago(10).with_other_secret()).conditions);
    for failure in test_failures::sample_failures() {
        let (reason, asked) = (failure.reason, new_connection().synced_ago(1000).with_request("r"));
        let given = asked.with_outcome(&sync_outcome(minutes_ago(1), Err(failure.clone())));
        let status = current_status(&given);
        let message = messages::failure_message(&failure);
        let (what, action) = split_message(&message);
        assert_eq!(action, failure.remediation, "{message}");
        assert_eq!(without_quotation(what), without_quotation(&failure.summary), "only a quotation is cut");
        let holder = if reason.failure_class() == FailureClass::Disconnected { "Connected" } else { "Synced" };
        let holds_cause = |c: &&Condition| c.status == "False" && c.type_ == holder;
        let cause: Vec<_> = status.conditions.iter().filter(holds_cause).cloned().collect();
        section(&format!("{reason}: the condition with the cause"), &cause);
        let ended = sync_outcome(minutes_ago(1), Err(failure));
        let request = status::status_after_sync(&given.requests[0], 1, &ended, &given.connection, minutes_ago(1));
        section(&format!("{reason}: the request"), &request.conditions[..1]);
    }
    section(
        "Lost, with a list",
        &current_status(&new_connection().synced_ago(1000).disconnected(Reason::AccessBlocked, 5)).conditions,
    );
    let never = new_connection().with_failure(Reason::CredentialsMissing, 1);
    section("CredentialsMissing, without a list: the connection", &current_status(&never).conditions);
    let stale = new_connection().synced_ago(3000).with_failure(Reason::BoxUnavailable, 1);
    section("BoxUnavailable, with an old list: the connection", &current_status(&stale).conditions);
    let asked = new_connection().synced_ago(10).with_request("r");
    for reason in [
        Reason::Suspended,
        Reason::TooManyRequests,
        Reason::ConnectionNotFound,
        Reason::DeadlineExceeded,
        Reason::BoxUnavailable,
    ] {
        let refused = status::refused_status(&asked.requests[0], reason, Some(&asked.connection), test_now());
        section(&format!("{reason}: a refused request"), &refused.conditions[..1]);
    }
    let changed = SyncResult { added: 12, updated: 1, revision: 42, ..sync_result(user_counts(1212)) };
    let earlier = Some((minutes_ago(1), sample_roster(UID, 42).spec.change));
    let unchanged = SyncResult { revision: 42, earlier_publish: earlier, ..sync_result(user_counts(1212)) };
    for (title, found) in [("published a revision", changed), ("found nothing new", unchanged.clone())] {
        let found = SyncOutcome { result: Ok(found), ..sync_outcome(test_now(), Ok(user_counts(0))) };
        let done = status::status_after_sync(&asked.requests[0], 1, &found, &asked.connection, test_now());
        section(&format!("A request whose sync {title}"), &done.conditions);
    }
    let holding = new_connection().with_held_removals(10).with_request("r").approving(&"0".repeat(64));
    let found = SyncOutcome { result: Ok(unchanged), ..sync_outcome(test_now(), Ok(user_counts(0))) };
    let refused = status::status_after_sync(&holding.requests[0], 1, &found, &holding.connection, test_now());
    section("A request that approved something else", &refused.conditions[..1]);
    crate::test_support::assert_generated("tests/snapshots/messages.txt", &page);
}
