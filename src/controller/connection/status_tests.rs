//! What a connection says of itself, by what happened to it.

use std::fmt::Write;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

#[path = "status_tests_messages.rs"]
mod messages_page;

use super::*;
use crate::{
    api::{LeaseRef, OperatorRef, RequestPhase},
    controller::{
        request::status,
        test_failures,
        test_support::{
            Case, UID, held_removals, minutes_ago, new_connection, sample_failure, sample_roster, sample_sign_in,
            sync_outcome, sync_result, test_now, user_counts,
        },
    },
};

/// The status as it is told now.
fn current_status(given: &Case) -> BoxConnectionStatus {
    build_status(&given.connection, given.roster_presence(), &StatusUpdate::Refresh, &given.options, test_now())
}

fn format_conditions(status: &BoxConnectionStatus) -> String {
    let texts: Vec<String> =
        status.conditions.iter().map(|c| format!("{}={} {}", c.type_, c.status, c.reason)).collect();
    texts.join(", ")
}

#[test]
fn the_status_names_the_operator_and_another_one_takes_over_in_one_write() {
    let lease = |namespace: &str| LeaseRef { namespace: namespace.to_owned(), name: "boxsync-operator".to_owned() };
    let mut given = new_connection().synced_ago(10).suspended();
    for namespace in ["boxsync", "boxsync", "elsewhere"] {
        given.options.operator = OperatorRef { lease_ref: Some(lease(namespace)) };
        let status = current_status(&given);
        assert_eq!(status.operator.as_ref().and_then(|o| o.lease_ref.clone()), Some(lease(namespace)));
        given.connection.status = Some(status.clone());
        assert_eq!(current_status(&given), status, "at rest nothing changes");
    }
}

#[test]
fn conditions_show_every_state_of_a_connection() {
    let rows: &[(&str, Case, &str)] = &[
        (
            "nobody has looked",
            new_connection(),
            "Ready=Unknown Syncing, Connected=Unknown NotChecked, Synced=Unknown Syncing, Reconciling=True Syncing",
        ),
        (
            "suspended from the start",
            new_connection().suspended(),
            "Ready=Unknown Suspended, Connected=Unknown NotChecked, Synced=Unknown Suspended",
        ),
        ("synced", new_connection().synced_ago(10), "Ready=True Synced, Connected=True Connected, Synced=True Synced"),
        (
            "synced, then suspended",
            new_connection().synced_ago(10).suspended(),
            "Ready=True Suspended, Connected=True Connected, Synced=True Synced",
        ),
        (
            "one failed night",
            new_connection().synced_ago(1000).with_failure(Reason::BoxUnavailable, 1),
            "Ready=True LastAttemptFailed, Connected=True Connected, Synced=False BoxUnavailable",
        ),
        (
            "two failed days",
            new_connection().synced_ago(3000).with_failure(Reason::BoxUnavailable, 1),
            "Ready=False Stale, Connected=True Connected, Synced=False BoxUnavailable, Reconciling=True BoxUnavailable",
        ),
        (
            "suspended for two days",
            new_connection().synced_ago(3000).suspended(),
            "Ready=False Stale, Connected=True Connected, Synced=True Synced",
        ),
        (
            "a first attempt that met trouble",
            new_connection().with_failure(Reason::BoxUnavailable, 1),
            "Ready=False BoxUnavailable, Connected=Unknown NotChecked, Synced=False BoxUnavailable, Reconciling=True BoxUnavailable",
        ),
        (
            "a first attempt that was kept out",
            new_connection().with_failure(Reason::AppNotAuthorized, 1),
            "Ready=False AppNotAuthorized, Connected=False AppNotAuthorized, Synced=False AppNotAuthorized, Stalled=True AppNotAuthorized",
        ),
        (
            "suspended after a first attempt that met trouble",
            new_connection().with_failure(Reason::BoxUnavailable, 1).suspended(),
            "Ready=False BoxUnavailable, Connected=Unknown NotChecked, Synced=False BoxUnavailable",
        ),
        (
            "found lost by a probe",
            new_connection().synced_ago(10).disconnected(Reason::AccessBlocked, 1),
            "Ready=False AccessBlocked, Connected=False AccessBlocked, Synced=True Synced, Stalled=True AccessBlocked",
        ),
        (
            "may not list users",
            new_connection().synced_ago(10).with_failure(Reason::PermissionDenied, 1),
            "Ready=True LastAttemptFailed, Connected=True Connected, Synced=False PermissionDenied, Stalled=True PermissionDenied",
        ),
        (
            "another Secret, not tried yet",
            new_connection().synced_ago(10).with_other_secret(),
            "Ready=True Synced, Connected=True Connected, Synced=True Synced, Reconciling=True Syncing",
        ),
        (
            "mended",
            new_connection().synced_ago(3000).disconnected(Reason::AccessBlocked, 10).synced_ago(1),
            "Ready=True Synced, Connected=True Connected, Synced=True Synced",
        ),
        (
            "paused from the start",
            new_connection().paused(),
            "Ready=Unknown Paused, Connected=Unknown NotChecked, Synced=Unknown Paused, Paused=True Paused",
        ),
        (
            "synced, then paused",
            new_connection().synced_ago(10).paused(),
            "Ready=True Synced, Connected=True Connected, Synced=True Synced, Paused=True Paused",
        ),
        (
            "paused for two days after a failure",
            new_connection().synced_ago(3000).with_failure(Reason::BoxUnavailable, 2900).paused(),
            "Ready=False Stale, Connected=True Connected, Synced=False BoxUnavailable, Paused=True Paused",
        ),
        (
            "lost, then paused",
            new_connection().synced_ago(10).disconnected(Reason::AccessBlocked, 1).paused(),
            "Ready=False AccessBlocked, Connected=False AccessBlocked, Synced=True Synced, Stalled=True AccessBlocked, Paused=True Paused",
        ),
        (
            "paused no longer",
            new_connection().synced_ago(10).paused().refreshed().unpaused(),
            "Ready=True Synced, Connected=True Connected, Synced=True Synced",
        ),
        (
            "a schedule that cannot be kept",
            new_connection().on_cron("61 20 * * *", "UTC").synced_ago(10),
            "Ready=True Synced, Connected=True Connected, Synced=True Synced, Stalled=True ScheduleInvalid",
        ),
    ];
    for (sentence, given, expected) in rows {
        assert_eq!(format_conditions(&current_status(given)), *expected, "{sentence}");
    }
}

#[test]
fn rebuilding_a_status_changes_nothing() {
    for given in [
        new_connection(),
        new_connection().synced_ago(10),
        new_connection().synced_ago(3000).with_failure(Reason::BoxUnavailable, 1),
        new_connection().synced_ago(10).suspended(),
        new_connection().synced_ago(3000).paused(),
        new_connection().on_cron("0 20 * * *", "Europe/Berlin").synced_ago(10),
        new_connection().on_cron("61 20 * * *", "Europe/Berlin").synced_ago(10),
    ] {
        let mut rebuilt = given.clone();
        rebuilt.connection.status = Some(current_status(&given));
        assert_eq!(current_status(&rebuilt), current_status(&given));
    }
}

#[test]
fn the_next_sync_is_shown_in_the_time_zone_of_its_schedule() {
    let next = |given: Case| {
        let status = current_status(&given);
        (status.next_sync_time.map(|t| t.0.to_string()), status.next_sync)
    };
    let both = |time: &str, shown: &str| (Some(time.to_owned()), Some(shown.to_owned()));
    let daily_cron = new_connection().on_cron("0 20 * * *", "Europe/Berlin").synced_ago(10);
    assert_eq!(next(new_connection().synced_ago(10)), both("2026-11-22T16:06:55Z", "2026-11-22T16:06:55Z"));
    assert_eq!(next(daily_cron.clone()), both("2026-11-22T18:53:05Z", "2026-11-22T19:53:05+01:00[Europe/Berlin]"));
    assert_eq!(
        next(daily_cron.clone().with_failure(Reason::BoxUnavailable, 0)),
        both("2026-11-22T12:00:24Z", "2026-11-22T13:00:24+01:00[Europe/Berlin]")
    );
    for without in [
        daily_cron.clone().suspended(),
        daily_cron.paused(),
        new_connection().on_cron("61 20 * * *", "UTC").synced_ago(10),
    ] {
        assert_eq!(next(without), (None, None));
    }
}

#[test]
fn a_scheduled_list_becomes_stale_after_two_missed_syncs() {
    let stale = |given: Case| current_status(&given).stale_time.expect("a list").0.to_string();
    let at = |cron| new_connection().on_cron(cron, "Europe/Berlin").synced_ago(10);
    assert_eq!(stale(new_connection().synced_ago(10)), "2026-11-24T11:50:00Z");
    assert_eq!(stale(at("0 20 * * *")), "2026-11-23T19:00:00Z");
    assert_eq!(stale(at("0 20 * * 5")), "2026-12-04T19:00:00Z");
    assert_eq!(stale(at("0 20 1 * *")), "2027-01-01T19:00:00Z");
    assert_eq!(stale(at("61 20 * * *")), "2026-11-24T11:50:00Z", "as with the usual interval");
    let mut explicit = at("0 20 * * *");
    explicit.connection.spec.stale_after = Some("1h".parse().expect("an interval"));
    assert_eq!(stale(explicit), "2026-11-22T12:50:00Z");
}

#[test]
fn a_pause_does_not_count_towards_a_requests_deadline() {
    let given = new_connection().synced_ago(10).with_request("r").with_attempt(Reason::BoxUnavailable, 5);
    let mut request = given.requests[0].clone();
    let waiting = status::paused_status(&request, "Wait.".to_owned(), test_now());
    assert_eq!((waiting.phase, waiting.start_time.clone(), waiting.attempts), (RequestPhase::Pending, None, 1));
    request.status = Some(waiting);
    assert_eq!(
        status::pending_status(&request, Reason::Pending, String::new(), test_now()).start_time,
        Some(Time(test_now()))
    );
}

#[test]
fn a_condition_keeps_its_last_transition_time() {
    let given = new_connection().synced_ago(100).with_failure(Reason::BoxUnavailable, 50).synced_ago(10);
    let status = current_status(&given);
    let since = |kind: &str| status.conditions.find_condition(kind).expect("told").last_transition_time.0;
    assert_eq!(
        (since("Ready"), since("Connected"), since("Synced")),
        (minutes_ago(100), minutes_ago(100), minutes_ago(10))
    );
}

#[test]
fn a_changed_spec_is_observed_at_once_unless_it_needs_a_sync() {
    let observed = |given: Case| current_status(&given).observed_generation;
    assert_eq!(observed(new_connection()), None, "the first attempt brings it");
    assert_eq!(observed(new_connection().synced_ago(10).edited()), Some(2));
    assert_eq!(observed(new_connection().synced_ago(10).with_other_secret()), Some(1), "the attempt brings it");
    assert_eq!(observed(new_connection().synced_ago(10).with_other_secret().suspended()), Some(3));
    assert_eq!(
        observed(new_connection().synced_ago(10).with_other_secret().with_failure(Reason::CredentialsRejected, 0)),
        Some(2)
    );
}

#[test]
fn backoff_doubles_and_is_recorded_in_the_status() {
    let mut given = new_connection().synced_ago(100);
    let mut waits = Vec::new();
    for minute in (0..10).rev() {
        given = given.with_failure(Reason::BoxUnavailable, minute);
        let failures = current_status(&given).failures.expect("failed");
        let retry = failures.retry_time.expect("retried").0;
        waits.push(failures.last_time.0.duration_until(retry).as_secs());
    }
    assert!(waits.windows(2).take(6).all(|w| w[1] > w[0]), "{waits:?}");
    assert!(waits.iter().all(|w| (24..=3600).contains(w)), "{waits:?}");
}

#[test]
fn history_keeps_five_and_counts_repeated_failures_in_one() {
    let mut given = new_connection();
    for minute in (0..8).rev() {
        given = given
            .synced_ago(minute * 10 + 2)
            .with_failure(Reason::BoxUnavailable, minute * 10 + 1)
            .with_failure(Reason::BoxUnavailable, minute * 10);
    }
    let history = current_status(&given).history;
    assert_eq!(history.len(), 5);
    assert_eq!((history[0].attempts, history[0].calls, history[1].reason.as_str()), (2, 6, "Synced"));
}

#[test]
fn an_outcome_that_was_applied_already_changes_nothing() {
    let failed = sync_outcome(minutes_ago(5), Err(sample_failure(Reason::BoxUnavailable)));
    let synced = sync_outcome(minutes_ago(5), Ok(user_counts(5)));
    for outcome in [&failed, &synced] {
        for before in [
            new_connection(),
            new_connection().synced_ago(100),
            new_connection().synced_ago(100).with_failure(Reason::BoxUnavailable, 50),
        ] {
            let applied = before.with_outcome(outcome);
            let once = current_status(&applied);
            assert_eq!(current_status(&applied.clone().with_outcome(outcome)), once);
            let next = SyncOutcome { start: minutes_ago(1), end: minutes_ago(1), ..outcome.clone() };
            let later = applied.clone().with_outcome(&next);
            assert_ne!(current_status(&later).history, once.history, "the next run counts");
            let late = current_status(&later.clone().with_outcome(&synced));
            if outcome.result.is_ok() {
                assert_eq!(late, current_status(&later), "also if another run has ended since");
            }
            let requested = SyncOutcome { requests: vec!["r".to_owned()], ..outcome.clone() };
            let annotated = SyncOutcome { annotation: Some("now".to_owned()), ..outcome.clone() };
            for (given, other) in
                [(&applied, &requested), (&applied, &annotated), (&applied.clone().with_other_secret(), outcome)]
            {
                let status = current_status(&given.clone().with_outcome(other));
                assert_ne!(status.history, once.history, "another run that ended in the same second");
            }
        }
    }
    let reported = SyncOutcome { end: minutes_ago(4), ..synced.clone() };
    let applied = new_connection().with_outcome(&synced);
    assert_eq!(current_status(&applied.clone().with_outcome(&reported)).history, current_status(&applied).history);
}

#[test]
fn an_unchanged_failure_to_reconnect_does_not_change_the_status() {
    let given = new_connection().synced_ago(100).disconnected(Reason::AppNotAuthorized, 50);
    let before = current_status(&given);
    assert_eq!(current_status(&given.clone().with_failure(Reason::AppNotAuthorized, 1)), before);
    assert_eq!(current_status(&given.clone().with_failure(Reason::BoxUnavailable, 1)), before);
    let other = current_status(&given.clone().with_failure(Reason::CredentialsRejected, 1));
    assert_eq!(other.conditions.reason("Connected"), Some(Reason::CredentialsRejected));
    let mut requested = sync_outcome(minutes_ago(1), Err(sample_failure(Reason::AppNotAuthorized)));
    requested.requests = vec!["r".to_owned()];
    assert_eq!(
        current_status(&given.with_outcome(&requested)).history[0].requests,
        ["r"],
        "for somebody who asks it is news"
    );
}

#[test]
fn the_history_lists_requesters_up_to_a_limit() {
    let with_requesters = |minutes, names: &[&str]| {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        SyncOutcome {
            requested_by: names,
            ..sync_outcome(minutes_ago(minutes), Err(sample_failure(Reason::BoxUnavailable)))
        }
    };
    let given = new_connection().synced_ago(100).with_outcome(&with_requesters(3, &["a", "b"]));
    let given =
        given.with_outcome(&with_requesters(2, &["b", "c"])).with_outcome(&with_requesters(1, &["d", "e", "f"]));
    assert_eq!(current_status(&given).history[0].requested_by, ["a", "b", "c", "d", "e"]);
}

#[test]
fn accepted_credentials_keep_the_time_of_their_first_acceptance() {
    let given = new_connection().synced_ago(100).synced_ago(50);
    let accepted = current_status(&given).credentials.expect("accepted");
    assert_eq!(accepted.accepted_time.0, minutes_ago(100) - jiff::ToSpan::seconds(0));
    let probed = Ok(SignedIn { resource_version: "8".to_owned(), ..sample_sign_in() });
    let status = build_status(
        &given.connection,
        given.roster_presence(),
        &StatusUpdate::Probed(&probed),
        &given.options,
        test_now(),
    );
    let newer = status.credentials.expect("accepted");
    assert_eq!((newer.resource_version.as_str(), newer.accepted_time.0), ("8", test_now()));
}

#[test]
fn a_finished_request_is_never_answered_again() {
    let given = new_connection().synced_ago(10).with_request("r");
    let mut request = given.requests[0].clone();
    let done = status::status_after_sync(
        &request,
        1,
        &sync_outcome(minutes_ago(1), Ok(user_counts(5))),
        &given.connection,
        minutes_ago(1),
    );
    request.status = Some(done.clone());
    let failed = sync_outcome(test_now(), Err(sample_failure(Reason::AppNotAuthorized)));
    assert_eq!(status::status_after_sync(&request, 2, &failed, &given.connection, test_now()), done);
    assert_eq!(status::refused_status(&request, Reason::Suspended, Some(&given.connection), test_now()), done);
    assert_eq!(status::pending_status(&request, Reason::Pending, String::new(), test_now()), done);
}
