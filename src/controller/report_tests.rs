//! What a connection says of itself, by what happened to it.

use std::fmt::Write;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::{
    super::{
        answer,
        fixture::{Given, UID, access, ago, attempted, conn, failure, held, now, roster, synced, users},
        samples,
    },
    *,
};
use crate::api::Phase;

/// The status as it is told now.
fn told(given: &Given) -> BoxConnectionStatus {
    report(&given.connection, given.list(), &News::Nothing, &given.rules, now())
}

fn state(status: &BoxConnectionStatus) -> String {
    let told: Vec<String> =
        status.conditions.iter().map(|c| format!("{}={} {}", c.type_, c.status, c.reason)).collect();
    told.join(", ")
}

#[test]
fn every_state_of_a_connection_is_told_in_its_conditions() {
    let rows: &[(&str, Given, &str)] = &[
        (
            "nobody has looked",
            conn(),
            "Ready=Unknown Syncing, Connected=Unknown NotChecked, Synced=Unknown Syncing, Reconciling=True Syncing",
        ),
        (
            "suspended from the start",
            conn().suspended(),
            "Ready=Unknown Suspended, Connected=Unknown NotChecked, Synced=Unknown Suspended",
        ),
        ("synced", conn().synced(10), "Ready=True Synced, Connected=True Connected, Synced=True Synced"),
        (
            "synced, then suspended",
            conn().synced(10).suspended(),
            "Ready=True Synced, Connected=True Connected, Synced=True Synced",
        ),
        (
            "one failed night",
            conn().synced(1000).failed(Reason::BoxUnavailable, 1),
            "Ready=True LastAttemptFailed, Connected=True Connected, Synced=False BoxUnavailable",
        ),
        (
            "two failed days",
            conn().synced(3000).failed(Reason::BoxUnavailable, 1),
            "Ready=False Stale, Connected=True Connected, Synced=False BoxUnavailable, Reconciling=True BoxUnavailable",
        ),
        (
            "suspended for two days",
            conn().synced(3000).suspended(),
            "Ready=False Stale, Connected=True Connected, Synced=True Synced",
        ),
        (
            "a first attempt that met trouble",
            conn().failed(Reason::BoxUnavailable, 1),
            "Ready=False BoxUnavailable, Connected=Unknown NotChecked, Synced=False BoxUnavailable, Reconciling=True BoxUnavailable",
        ),
        (
            "a first attempt that was kept out",
            conn().failed(Reason::AppNotAuthorized, 1),
            "Ready=False AppNotAuthorized, Connected=False AppNotAuthorized, Synced=False AppNotAuthorized, Stalled=True AppNotAuthorized",
        ),
        (
            "suspended after a first attempt that met trouble",
            conn().failed(Reason::BoxUnavailable, 1).suspended(),
            "Ready=False BoxUnavailable, Connected=Unknown NotChecked, Synced=False BoxUnavailable",
        ),
        (
            "found lost by a probe",
            conn().synced(10).lost(Reason::AccessBlocked, 1),
            "Ready=False AccessBlocked, Connected=False AccessBlocked, Synced=True Synced, Stalled=True AccessBlocked",
        ),
        (
            "may not list users",
            conn().synced(10).failed(Reason::PermissionDenied, 1),
            "Ready=True LastAttemptFailed, Connected=True Connected, Synced=False PermissionDenied, Stalled=True PermissionDenied",
        ),
        (
            "another Secret, not tried yet",
            conn().synced(10).other_secret(),
            "Ready=True Synced, Connected=True Connected, Synced=True Synced, Reconciling=True Syncing",
        ),
        (
            "mended",
            conn().synced(3000).lost(Reason::AccessBlocked, 10).synced(1),
            "Ready=True Synced, Connected=True Connected, Synced=True Synced",
        ),
        (
            "paused from the start",
            conn().paused(),
            "Ready=Unknown Paused, Connected=Unknown NotChecked, Synced=Unknown Paused, Paused=True Paused",
        ),
        (
            "synced, then paused",
            conn().synced(10).paused(),
            "Ready=True Synced, Connected=True Connected, Synced=True Synced, Paused=True Paused",
        ),
        (
            "paused for two days after a failure",
            conn().synced(3000).failed(Reason::BoxUnavailable, 2900).paused(),
            "Ready=False Stale, Connected=True Connected, Synced=False BoxUnavailable, Paused=True Paused",
        ),
        (
            "lost, then paused",
            conn().synced(10).lost(Reason::AccessBlocked, 1).paused(),
            "Ready=False AccessBlocked, Connected=False AccessBlocked, Synced=True Synced, Stalled=True AccessBlocked, Paused=True Paused",
        ),
        (
            "paused no longer",
            conn().synced(10).paused().looked_at().unpaused(),
            "Ready=True Synced, Connected=True Connected, Synced=True Synced",
        ),
        (
            "a schedule that cannot be kept",
            conn().at("61 20 * * *", "UTC").synced(10),
            "Ready=True Synced, Connected=True Connected, Synced=True Synced, Stalled=True ScheduleInvalid",
        ),
    ];
    for (sentence, given, expected) in rows {
        assert_eq!(state(&told(given)), *expected, "{sentence}");
    }
}

#[test]
fn a_told_status_is_told_the_same_again() {
    for given in [
        conn(),
        conn().synced(10),
        conn().synced(3000).failed(Reason::BoxUnavailable, 1),
        conn().synced(10).suspended(),
        conn().synced(3000).paused(),
        conn().at("0 20 * * *", "Europe/Berlin").synced(10),
        conn().at("61 20 * * *", "Europe/Berlin").synced(10),
    ] {
        let mut again = given.clone();
        again.connection.status = Some(told(&given));
        assert_eq!(told(&again), told(&given));
    }
}

#[test]
fn the_next_sync_is_told_on_the_clock_of_its_schedule() {
    let next = |given: Given| {
        let status = told(&given);
        (status.next_sync_time.map(|t| t.0.to_string()), status.next_sync)
    };
    let both = |time: &str, shown: &str| (Some(time.to_owned()), Some(shown.to_owned()));
    let evening = conn().at("0 20 * * *", "Europe/Berlin").synced(10);
    assert_eq!(next(conn().synced(10)), both("2026-11-22T16:06:55Z", "2026-11-22T16:06:55Z"));
    assert_eq!(next(evening.clone()), both("2026-11-22T18:53:05Z", "2026-11-22T19:53:05+01:00[Europe/Berlin]"));
    assert_eq!(
        next(evening.clone().failed(Reason::BoxUnavailable, 0)),
        both("2026-11-22T12:00:24Z", "2026-11-22T13:00:24+01:00[Europe/Berlin]")
    );
    for without in [evening.clone().suspended(), evening.paused(), conn().at("61 20 * * *", "UTC").synced(10)] {
        assert_eq!(next(without), (None, None));
    }
}

#[test]
fn a_list_by_the_clock_is_fresh_until_two_syncs_did_not_come() {
    let stale = |given: Given| told(&given).stale_time.expect("a list").0.to_string();
    let at = |cron| conn().at(cron, "Europe/Berlin").synced(10);
    assert_eq!(stale(conn().synced(10)), "2026-11-24T11:50:00Z");
    assert_eq!(stale(at("0 20 * * *")), "2026-11-23T19:00:00Z");
    assert_eq!(stale(at("0 20 * * 5")), "2026-12-04T19:00:00Z");
    assert_eq!(stale(at("0 20 1 * *")), "2027-01-01T19:00:00Z");
    assert_eq!(stale(at("61 20 * * *")), "2026-11-24T11:50:00Z", "as with the usual interval");
    let mut explicit = at("0 20 * * *");
    explicit.connection.spec.stale_after = Some("1h".parse().expect("an interval"));
    assert_eq!(stale(explicit), "2026-11-22T12:50:00Z");
}

#[test]
fn a_request_that_waits_for_the_end_of_a_pause_has_its_time_before_it() {
    let given = conn().synced(10).asked("r").tried(Reason::BoxUnavailable, 5);
    let mut request = given.requests[0].clone();
    let waiting = answer::paused(&request, "Wait.".to_owned(), now());
    assert_eq!((waiting.phase, waiting.start_time.clone(), waiting.attempts), (Phase::Pending, None, 1));
    request.status = Some(waiting);
    assert_eq!(answer::waits(&request, Reason::Pending, String::new(), now()).start_time, Some(Time(now())));
}

#[test]
fn a_condition_keeps_the_time_since_when_it_has_its_status() {
    let given = conn().synced(100).failed(Reason::BoxUnavailable, 50).synced(10);
    let status = told(&given);
    let since = |kind: &str| status.conditions.of(kind).expect("told").last_transition_time.0;
    assert_eq!((since("Ready"), since("Connected"), since("Synced")), (ago(100), ago(100), ago(10)));
}

#[test]
fn the_spec_is_observed_at_once_unless_it_calls_for_an_attempt() {
    let observed = |given: Given| told(&given).observed_generation;
    assert_eq!(observed(conn()), None, "the first attempt brings it");
    assert_eq!(observed(conn().synced(10).edited()), Some(2));
    assert_eq!(observed(conn().synced(10).other_secret()), Some(1), "the attempt brings it");
    assert_eq!(observed(conn().synced(10).other_secret().suspended()), Some(3));
    assert_eq!(observed(conn().synced(10).other_secret().failed(Reason::CredentialsRejected, 0)), Some(2));
}

#[test]
fn backoff_doubles_and_survives_in_the_status() {
    let mut given = conn().synced(100);
    let mut waits = Vec::new();
    for _ in 0..10 {
        given = given.failed(Reason::BoxUnavailable, 0);
        let failures = told(&given).failures.expect("failed");
        let retry = failures.retry_time.expect("retried").0;
        waits.push(failures.last_time.0.duration_until(retry).as_secs());
    }
    assert!(waits.windows(2).take(6).all(|w| w[1] > w[0]), "{waits:?}");
    assert!(waits.iter().all(|w| (24..=3600).contains(w)), "{waits:?}");
}

#[test]
fn history_keeps_five_and_counts_repeated_failures_in_one() {
    let mut given = conn();
    for minute in (0..8).rev() {
        given = given
            .synced(minute * 10)
            .failed(Reason::BoxUnavailable, minute * 10)
            .failed(Reason::BoxUnavailable, minute * 10);
    }
    let history = told(&given).history;
    assert_eq!(history.len(), 5);
    assert_eq!((history[0].attempts, history[0].calls, history[1].reason.as_str()), (2, 6, "Synced"));
}

#[test]
fn a_try_that_finds_a_lost_connection_just_as_lost_is_no_news() {
    let given = conn().synced(100).lost(Reason::AppNotAuthorized, 50);
    let before = told(&given);
    assert_eq!(told(&given.clone().failed(Reason::AppNotAuthorized, 1)), before);
    assert_eq!(told(&given.clone().failed(Reason::BoxUnavailable, 1)), before);
    let other = told(&given.clone().failed(Reason::CredentialsRejected, 1));
    assert_eq!(other.conditions.reason("Connected"), Some(Reason::CredentialsRejected));
    let mut asked = attempted(ago(1), Err(failure(Reason::AppNotAuthorized)));
    asked.requests = vec!["r".to_owned()];
    assert_eq!(told(&given.attempt(&asked)).history[0].requests, ["r"], "for somebody who asks it is news");
}

#[test]
fn the_history_names_those_who_asked_and_grows_no_further() {
    let asked = |minutes, names: &[&str]| {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        Attempted { requested_by: names, ..attempted(ago(minutes), Err(failure(Reason::BoxUnavailable))) }
    };
    let given = conn().synced(100).attempt(&asked(3, &["a", "b"]));
    let given = given.attempt(&asked(2, &["b", "c"])).attempt(&asked(1, &["d", "e", "f"]));
    assert_eq!(told(&given).history[0].requested_by, ["a", "b", "c", "d", "e"]);
}

#[test]
fn accepted_credentials_keep_the_time_of_their_first_acceptance() {
    let given = conn().synced(100).synced(50);
    let accepted = told(&given).credentials.expect("accepted");
    assert_eq!(accepted.accepted_time.0, ago(100) - jiff::ToSpan::seconds(0));
    let probed = Ok(Access { resource_version: "8".to_owned(), ..access() });
    let status = report(&given.connection, given.list(), &News::Probed(&probed), &given.rules, now());
    let newer = status.credentials.expect("accepted");
    assert_eq!((newer.resource_version.as_str(), newer.accepted_time.0), ("8", now()));
}

#[test]
fn a_finished_request_is_never_answered_again() {
    let given = conn().synced(10).asked("r");
    let mut request = given.requests[0].clone();
    let done = answer::answered(&request, 1, &attempted(ago(1), Ok(users(5))), &given.connection, ago(1));
    request.status = Some(done.clone());
    let failed = attempted(now(), Err(failure(Reason::AppNotAuthorized)));
    assert_eq!(answer::answered(&request, 2, &failed, &given.connection, now()), done);
    assert_eq!(answer::refused(&request, Reason::Suspended, Some(&given.connection), now()), done);
    assert_eq!(answer::waits(&request, Reason::Pending, String::new(), now()), done);
}

/// Every message that a user can meet in a condition, on one page, to be read as a user would.
#[test]
fn the_page_of_all_messages_is_the_one_that_was_read_last() {
    let mut page = String::from("Every message of a condition, as users read it. Generated: `make generate`.\n");
    let mut section = |title: &str, conditions: &[Condition]| {
        let _ = writeln!(page, "\n== {title}");
        for c in conditions {
            let _ = writeln!(page, "{}={} {}\n    {}", c.type_, c.status, c.reason, c.message);
        }
    };
    section("A new connection", &told(&conn()).conditions);
    section("A new connection, suspended", &told(&conn().suspended()).conditions);
    section("Synced", &told(&conn().synced(10)).conditions);
    section("Stale, suspended", &told(&conn().synced(3000).suspended()).conditions);
    section("Removals held", &told(&conn().holding(10)).conditions);
    section(
        "Removals held, and the last attempt failed",
        &told(&conn().holding(100).failed(Reason::BoxUnavailable, 1)).conditions,
    );
    section("The published list was deleted", &told(&conn().synced(10).without_roster()).conditions);
    section(
        "The published list was deleted, suspended",
        &told(&conn().synced(10).without_roster().suspended()).conditions,
    );
    let gone = conn().synced(10).without_roster().looked_at().asked("r");
    let unavailable = attempted(ago(1), Err(failure(Reason::BoxUnavailable)));
    let request = answer::answered(&gone.requests[0], 1, &unavailable, &gone.connection, now());
    section("The published list was deleted, and Box is away: the request", &request.conditions);
    let gone = gone.attempt(&unavailable);
    section("The published list was deleted, and Box is away", &told(&gone).conditions);
    let unknown = Failure { held: Some(Box::new(held())), ..failure(Reason::RemovalsHeld) };
    let unknown = conn().synced(10).without_roster().attempt(&attempted(ago(1), Err(unknown))).without_roster();
    section("The published list was deleted, and nobody knows who vanished", &told(&unknown).conditions);
    section("Paused, before the first sync", &told(&conn().paused()).conditions);
    section("Paused, with an old list", &told(&conn().synced(3000).paused()).conditions);
    section(
        "Paused, the published list was deleted",
        &told(&conn().synced(10).without_roster().paused()).conditions[..1],
    );
    let waits = conn().synced(10).asked("r");
    let waits = answer::paused(&waits.requests[0], message::WAITS_PAUSED.to_owned(), now());
    section("Paused: a request", &waits.conditions);
    for (cron, zone) in
        [("61 20 * * *", "UTC"), ("0 20 * * *", "Europe/Berln"), ("0 20 30 2 *", "UTC"), ("*/5 * * * *", "UTC")]
    {
        let given = conn().at(cron, zone).synced(10);
        let stalled: Vec<_> = told(&given).conditions.iter().filter(|c| c.type_ == "Stalled").cloned().collect();
        section(&format!("ScheduleInvalid: {cron} {zone}"), &stalled);
    }
    let old = conn().at("61 20 * * *", "UTC").synced(3000);
    section("ScheduleInvalid, with an old list", &told(&old).conditions);
    section("Another Secret", &told(&conn().synced(10).other_secret()).conditions);
    for failure in samples::failures() {
        let (reason, asked) = (failure.reason, conn().synced(1000).asked("r"));
        let given = asked.attempt(&attempted(ago(1), Err(failure.clone())));
        let status = told(&given);
        let holds_cause = |c: &&Condition| c.status == "False" && c.type_ != "Ready" && !c.message.contains("see the");
        let cause: Vec<_> = status.conditions.iter().filter(holds_cause).cloned().collect();
        section(&format!("{reason}: the condition with the cause"), &cause);
        let ended = attempted(ago(1), Err(failure));
        let request = answer::answered(&given.requests[0], 1, &ended, &given.connection, ago(1));
        section(&format!("{reason}: the request"), &request.conditions[..1]);
    }
    section("Lost, with a list", &told(&conn().synced(1000).lost(Reason::AccessBlocked, 5)).conditions);
    let never = conn().failed(Reason::CredentialsMissing, 1);
    section("CredentialsMissing, without a list: the connection", &told(&never).conditions);
    let stale = conn().synced(3000).failed(Reason::BoxUnavailable, 1);
    section("BoxUnavailable, with an old list: the connection", &told(&stale).conditions);
    let asked = conn().synced(10).asked("r");
    for reason in [Reason::Suspended, Reason::TooManyRequests, Reason::ConnectionNotFound, Reason::BoxUnavailable] {
        let refused = answer::refused(&asked.requests[0], reason, Some(&asked.connection), now());
        section(&format!("{reason}: a refused request"), &refused.conditions[..1]);
    }
    let changed = Synced { added: 12, updated: 1, revision: 42, ..synced(users(1212)) };
    let earlier = Some((ago(1), roster(UID, 42).spec.change));
    let unchanged = Synced { revision: 42, earlier, ..synced(users(1212)) };
    for (title, found) in [("published a revision", changed), ("found nothing new", unchanged.clone())] {
        let found = Attempted { result: Ok(found), ..attempted(now(), Ok(users(0))) };
        let done = answer::answered(&asked.requests[0], 1, &found, &asked.connection, now());
        section(&format!("A request whose sync {title}"), &done.conditions);
    }
    let holding = conn().holding(10).asked("r").approving(&"0".repeat(64));
    let found = Attempted { result: Ok(unchanged), ..attempted(now(), Ok(users(0))) };
    let refused = answer::answered(&holding.requests[0], 1, &found, &holding.connection, now());
    section("A request that approved something else", &refused.conditions[..1]);
    crate::testing::assert_generated("src/controller/messages.txt", &page);
}
