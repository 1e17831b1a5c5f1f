//! The decision table, from which `docs/decisions.md` is generated.

use std::time::Duration;

use super::*;
use crate::{
    api::Trigger,
    controller::test_support::{Case, minutes_ago, new_connection, test_now, with_requests},
};

#[path = "plan_tests_cron.rs"]
mod clock;
#[path = "plan_tests_published.rs"]
mod published;
#[path = "plan_tests_requests.rs"]
mod requests;

/// A row: the case in words and in values, the step that is planned, and why.
type DecisionRow = (&'static str, Case, &'static str, &'static str);

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A connection lost 90 minutes ago, with the seconds since its Secret was checked and since its last sign-in.
fn disconnected_case(since_check: u64, since_sign_in: u64) -> Case {
    new_connection().synced_ago(600).disconnected(Reason::AppNotAuthorized, 90).with_view(|r| {
        r.since_secret_check = Some(secs(since_check));
        r.since_sign_in = Some(secs(since_sign_in));
    })
}

fn decision_table() -> Vec<(&'static str, Vec<DecisionRow>)> {
    vec![
        ("Schedule", schedule_rows()),
        ("Cron schedules", clock::cron_rows()),
        ("After a failure", failure_rows()),
        ("Disconnected", requests::disconnected_rows()),
        ("Requests", requests::request_rows()),
        ("The spec changes", spec_rows()),
        ("Probes", probe_rows()),
        ("The operator was interrupted", interrupted_rows()),
        ("The published list", published::roster_rows()),
        ("The operator is paused", clock::paused_rows()),
    ]
}

fn schedule_rows() -> Vec<DecisionRow> {
    vec![
        ("A new connection syncs at once", new_connection(), "sync Created", "first sync"),
        (
            "A fresh list waits for the connection's time of day",
            new_connection().synced_ago(10),
            "wait until 16:06:55",
            "interval",
        ),
        (
            "A sync on demand moves nothing",
            new_connection().synced_ago(1).synced_ago(0),
            "wait until 16:06:55",
            "interval",
        ),
        (
            "A list older than the last grid time is overdue",
            new_connection().synced_ago(1300),
            "sync Scheduled",
            "interval",
        ),
        ("Overdue by three intervals is one sync", new_connection().synced_ago(80 * 60), "sync Scheduled", "interval"),
        (
            "A last sync in the future counts as overdue",
            new_connection().synced_ago(-100),
            "sync Scheduled",
            "clock set back",
        ),
        (
            "What is due waits for the gap after the last listing",
            new_connection().synced_ago(1300).with_view(|r| r.since_listing = Some(secs(5))),
            "wait until 12:00:10",
            "minimum gap",
        ),
    ]
}

fn failure_rows() -> Vec<DecisionRow> {
    vec![
        (
            "A failure waits for its retry, not for the grid",
            new_connection().synced_ago(1000).with_failure(Reason::BoxUnavailable, 0),
            "wait until 12:00:24",
            "retry",
        ),
        (
            "A retry that is due runs",
            new_connection().synced_ago(1000).with_failure(Reason::BoxUnavailable, 1),
            "sync Retry",
            "retry",
        ),
        (
            "A first sync that failed is retried as the first sync",
            new_connection().with_failure(Reason::BoxUnavailable, 1),
            "sync Created",
            "retry",
        ),
        (
            "A Retry-After is honored",
            new_connection().synced_ago(1000).rate_limited(10),
            "wait until 12:50:00",
            "Retry-After",
        ),
        (
            "A clock set back by a day delays no retry",
            new_connection()
                .synced_ago(1000)
                .with_failure(Reason::BoxUnavailable, -1440)
                .with_view(|r| r.since_failure = secs(60)),
            "sync Retry",
            "retry",
        ),
        (
            "With the clock set back, a Retry-After lasts as long as it was",
            new_connection().synced_ago(1000).rate_limited(-1440).with_view(|r| r.since_failure = secs(600)),
            "wait until 12:50:00",
            "Retry-After",
        ),
        (
            "A failure that needs a person is retried at the next grid time",
            new_connection().synced_ago(2000).with_failure(Reason::PermissionDenied, 10),
            "wait until 16:06:55",
            "interval",
        ),
        (
            "Then it is retried",
            new_connection().synced_ago(2800).with_failure(Reason::PermissionDenied, 1300),
            "sync Scheduled",
            "interval",
        ),
    ]
}

fn spec_rows() -> Vec<DecisionRow> {
    vec![
        (
            "Suspended: nothing is due, and requests are refused",
            new_connection().synced_ago(1000).suspended().with_request("a"),
            "wait until 19:20:00 in 2 days, refuse a Suspended",
            "list becomes stale",
        ),
        ("A new connection that is suspended does nothing", new_connection().suspended(), "wait", "suspended"),
        (
            "Another Secret is used at once",
            new_connection().synced_ago(10).with_other_secret(),
            "sync Reconnected",
            "credentials changed",
        ),
        (
            "Even before a Retry-After ends, which applied to the old credentials",
            new_connection().synced_ago(10).rate_limited(10).with_other_secret(),
            "sync Reconnected",
            "credentials changed",
        ),
        (
            "A changed interval alone starts nothing",
            new_connection().synced_ago(10).edited(),
            "wait until 16:06:55",
            "interval",
        ),
        ("An annotation that was handled starts nothing", annotation_handled("x"), "wait until 16:06:55", "interval"),
        (
            "A suspended connection keeps the annotation for later",
            new_connection().synced_ago(10).annotated("x").suspended(),
            "wait until 11:50:00 in 2 days",
            "list becomes stale",
        ),
    ]
}

fn probe_rows() -> Vec<DecisionRow> {
    vec![
        (
            "A working connection is probed",
            new_connection().synced_ago(10).with_view(|r| r.until_probe = secs(0)),
            "probe",
            "probe",
        ),
        (
            "Until then nothing is due",
            new_connection().synced_ago(10).with_view(|r| r.until_probe = secs(90)),
            "wait until 12:01:30",
            "probe",
        ),
        (
            "No probe while a retry is pending",
            new_connection()
                .synced_ago(10)
                .with_failure(Reason::BoxUnavailable, 0)
                .with_view(|r| r.until_probe = secs(0)),
            "wait until 12:00:24",
            "retry",
        ),
        (
            "A request comes before a probe",
            new_connection().synced_ago(10).with_request("a").with_view(|r| r.until_probe = secs(0)),
            "sync Requested for a",
            "request",
        ),
        (
            "A suspended connection still renews its OAuth authorization",
            new_connection().synced_ago(10).authorized(29).suspended().with_view(|r| r.until_probe = secs(0)),
            "probe",
            "authorization renewal",
        ),
        (
            "It is renewed a month before it expires, with one attempt per probe interval",
            new_connection().synced_ago(10).authorized(29).suspended().with_view(|r| r.until_probe = secs(90)),
            "wait until 12:01:30",
            "authorization renewal",
        ),
        (
            "An expired authorization cannot be renewed",
            new_connection()
                .synced_ago(600)
                .disconnected(Reason::AuthorizationExpired, 90)
                .authorized(29)
                .suspended()
                .with_view(|r| r.until_probe = secs(0)),
            "wait until 02:00:00 in 2 days",
            "list becomes stale",
        ),
        (
            "A warning is due two weeks before it expires",
            new_connection().synced_ago(10).authorized(14).with_view(|r| r.until_probe = secs(90)),
            "wait until 12:00:00",
            "authorization expires soon",
        ),
    ]
}

fn interrupted_rows() -> Vec<DecisionRow> {
    vec![
        (
            "An interrupted sync is due again with its trigger",
            new_connection().synced_ago(10).interrupted(Trigger::Requested),
            "sync Requested",
            "interrupted sync",
        ),
        (
            "It waits for a retry like any other",
            new_connection().synced_ago(10).with_failure(Reason::BoxUnavailable, 0).interrupted(Trigger::Scheduled),
            "wait until 12:00:24",
            "retry",
        ),
        (
            "While suspended it does not run",
            new_connection().synced_ago(1000).interrupted(Trigger::Scheduled).suspended(),
            "wait until 19:20:00 in 2 days",
            "list becomes stale",
        ),
    ]
}

/// Its deadline of five minutes ends before the hour that Box requested.
fn past_deadline(name: &str) -> Case {
    with_deadline(new_connection().synced_ago(10).rate_limited(10).with_request(name), 300)
}

fn waited_without_attempt(name: &str) -> Case {
    let mut given = with_deadline(new_connection().synced_ago(10).with_request(name), 300);
    given.requests[0].status = Some(crate::api::UserSyncRequestStatus {
        start_time: Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(minutes_ago(30))),
        ..Default::default()
    });
    given
}

fn attempted_past_deadline(name: &str) -> Case {
    let given = new_connection().synced_ago(10).with_failure(Reason::BoxUnavailable, 1).with_request(name);
    with_deadline(given.with_attempt(Reason::BoxUnavailable, 1), 30)
}

fn with_deadline(mut given: Case, seconds: i32) -> Case {
    given.requests[0].spec.active_deadline_seconds = seconds;
    given
}

fn annotation_handled(value: &str) -> Case {
    let mut given = new_connection().synced_ago(10).annotated(value);
    if let Some(status) = &mut given.connection.status {
        status.last_handled_request = Some(value.to_owned());
    }
    given
}

/// A plan's step and refused requests in words.
fn format_plan(plan: &Plan) -> String {
    let time = |t: &Timestamp| {
        let days = test_now().duration_until(*t).as_hours() / 24 + 1;
        let clock = t.strftime("%H:%M:%S").to_string();
        if days > 1 { format!("{clock} in {days} days") } else { clock }
    };
    let step = match &plan.step {
        Step::Wait(None) => "wait".to_owned(),
        Step::Wait(Some(t)) => format!("wait until {}", time(t)),
        Step::CheckSecret => "check the Secret".to_owned(),
        Step::Report => "report".to_owned(),
        Step::CollectGarbage => "collect garbage".to_owned(),
        Step::Probe => "probe".to_owned(),
        Step::Sync { trigger, request_names, annotation } => {
            let mut requesters = request_names.clone();
            requesters.extend(annotation.iter().map(|_| "the annotation".to_owned()));
            let whom = if requesters.is_empty() { String::new() } else { format!(" for {}", requesters.join(", ")) };
            format!("sync {}{whom}", trigger.as_str())
        }
    };
    let refused: String =
        plan.refused_requests.iter().map(|(name, reason)| format!(", refuse {name} {reason}")).collect();
    step + &refused
}

#[test]
fn every_row_of_the_decision_table_holds() {
    let mut wrong = Vec::new();
    for (_, rows) in decision_table() {
        for (sentence, case, step, reason) in rows {
            let got = plan(&case.plan_input(), &case.options, test_now());
            let (got_step, got_reason) = (format_plan(&got), got.reason.as_str());
            if (got_step.as_str(), got_reason) != (step, reason) {
                wrong.push(format!(
                    "{sentence}:\n  expected: {step}, because: {reason}\n  got:      {got_step}, because: {got_reason}"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_documented_decision_table_is_up_to_date() {
    let mut page = String::from(include_str!("decisions_intro.md"));
    for (title, rows) in decision_table() {
        page += &format!("\n## {title}\n\n| when | then | why |\n| --- | --- | --- |\n");
        for (sentence, _, step, reason) in rows {
            page += &format!("| {sentence} | {step} | {reason} |\n");
        }
    }
    crate::test_support::assert_generated("docs/decisions.md", &page);
}
