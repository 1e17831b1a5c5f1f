//! The decision table. `docs/decisions.md` shows the same rows; a test keeps the two alike.

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

/// A row: the case in words and in values, the step that is planned, and why.
type DecisionRow = (&'static str, Case, &'static str, &'static str);

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A connection lost 90 minutes ago, whose Secret was looked at and whose last try was made so many seconds ago.
fn disconnected_case(since_look: u64, since_try: u64) -> Case {
    new_connection().synced_ago(600).disconnected(Reason::AppNotAuthorized, 90).with_view(|r| {
        r.since_secret_check = Some(secs(since_look));
        r.since_sign_in = Some(secs(since_try));
    })
}

fn decision_table() -> Vec<(&'static str, Vec<DecisionRow>)> {
    vec![
        ("Schedule", schedule_rows()),
        ("By the clock", clock::cron_rows()),
        ("After a failure", failure_rows()),
        ("Disconnected", disconnected_rows()),
        ("Requests", request_rows()),
        ("The spec changes", spec_rows()),
        ("Probes", probe_rows()),
        ("The operator was interrupted", interrupted_rows()),
        ("The published list", published::roster_rows()),
        ("The operator is paused", clock::paused_rows()),
    ]
}

fn schedule_rows() -> Vec<DecisionRow> {
    vec![
        ("A new connection syncs at once", new_connection(), "sync Created", "WHY"),
        (
            "A fresh list waits for the connection's time of day",
            new_connection().synced_ago(10),
            "wait until 16:06:55",
            "WHY",
        ),
        ("A sync on demand moves nothing", new_connection().synced_ago(1).synced_ago(0), "wait until 16:06:55", "WHY"),
        ("A list older than the last grid time is overdue", new_connection().synced_ago(1300), "sync Scheduled", "WHY"),
        ("Overdue by three intervals is one sync", new_connection().synced_ago(80 * 60), "sync Scheduled", "WHY"),
        ("A last sync in the future counts as overdue", new_connection().synced_ago(-100), "sync Scheduled", "WHY"),
        (
            "What is due waits for the gap after the last listing",
            new_connection().synced_ago(1300).with_view(|r| r.since_listing = Some(secs(5))),
            "wait until 12:00:10",
            "WHY",
        ),
    ]
}

fn failure_rows() -> Vec<DecisionRow> {
    vec![
        (
            "A failure waits for its retry, not for the grid",
            new_connection().synced_ago(1000).with_failure(Reason::BoxUnavailable, 0),
            "wait until 12:00:24",
            "WHY",
        ),
        (
            "A retry that is due is made",
            new_connection().synced_ago(1000).with_failure(Reason::BoxUnavailable, 1),
            "sync Retry",
            "WHY",
        ),
        (
            "A first sync that failed is retried as the first sync",
            new_connection().with_failure(Reason::BoxUnavailable, 1),
            "sync Created",
            "WHY",
        ),
        (
            "A Retry-After is waited for",
            new_connection().synced_ago(1000).rate_limited(10),
            "wait until 12:50:00",
            "WHY",
        ),
        (
            "A clock set back by a day delays no retry",
            new_connection()
                .synced_ago(1000)
                .with_failure(Reason::BoxUnavailable, -1440)
                .with_view(|r| r.since_failure = secs(60)),
            "sync Retry",
            "WHY",
        ),
        (
            "With the clock set back, a Retry-After lasts as long as it was",
            new_connection().synced_ago(1000).rate_limited(-1440).with_view(|r| r.since_failure = secs(600)),
            "wait until 12:50:00",
            "WHY",
        ),
        (
            "What a person has to mend is tried again at the next grid time",
            new_connection().synced_ago(2000).with_failure(Reason::PermissionDenied, 10),
            "wait until 16:06:55",
            "WHY",
        ),
        (
            "And then it is tried",
            new_connection().synced_ago(2800).with_failure(Reason::PermissionDenied, 1300),
            "sync Scheduled",
            "WHY",
        ),
    ]
}

fn disconnected_rows() -> Vec<DecisionRow> {
    vec![
        (
            "Nothing is scheduled while disconnected; the Secret is looked at every minute",
            disconnected_case(60, 60),
            "look",
            "WHY",
        ),
        ("Between two looks there is nothing to do", disconnected_case(20, 20), "wait until 12:00:40", "WHY"),
        ("After 75 minutes Box is asked every 15 minutes", disconnected_case(20, 900), "sync Reconnected", "WHY"),
        (
            "After 15 minutes it is asked every 5 minutes",
            new_connection()
                .synced_ago(600)
                .disconnected(Reason::AccessBlocked, 20)
                .with_view(|r| r.since_sign_in = Some(secs(300))),
            "sync Reconnected",
            "WHY",
        ),
        (
            "In the first 15 minutes it is asked every minute",
            new_connection()
                .synced_ago(600)
                .disconnected(Reason::AccessBlocked, 2)
                .with_view(|r| r.since_sign_in = Some(secs(60))),
            "sync Reconnected",
            "WHY",
        ),
        (
            "A process that has not tried yet tries at once",
            new_connection().synced_ago(600).disconnected(Reason::AccessBlocked, 90),
            "sync Reconnected",
            "WHY",
        ),
        (
            "New content of the Secret is tried at once",
            disconnected_case(5, 20).with_view(|r| r.secret_changed = true),
            "sync Reconnected",
            "WHY",
        ),
        ("A request is tried at once", disconnected_case(20, 20).with_request("a"), "sync Reconnected for a", "WHY"),
        (
            "A request that met passing trouble is tried every minute",
            disconnected_case(20, 20).with_request("a").with_attempt(Reason::BoxUnavailable, 0),
            "wait until 12:00:40",
            "WHY",
        ),
        (
            "A Retry-After is waited for even so",
            disconnected_case(20, 900).with_view(|r| {
                r.secret_changed = true;
                r.until_retry_allowed = secs(300);
            }),
            "wait until 12:00:40",
            "WHY",
        ),
        (
            "A first sync that finds no Secret waits for one",
            new_connection().with_failure(Reason::CredentialsMissing, 1).with_view(|r| {
                r.since_secret_check = Some(secs(10));
                r.since_sign_in = Some(secs(10));
            }),
            "wait until 12:00:50",
            "WHY",
        ),
    ]
}

fn request_rows() -> Vec<DecisionRow> {
    vec![
        (
            "A request is answered at once",
            new_connection().synced_ago(10).with_request("a"),
            "sync Requested for a",
            "WHY",
        ),
        (
            "All that wait are answered by one sync",
            new_connection().synced_ago(10).with_request("a").with_request("b"),
            "sync Requested for a, b",
            "WHY",
        ),
        ("A first sync answers requests too", new_connection().with_request("a"), "sync Created for a", "WHY"),
        (
            "The changed annotation is a request",
            new_connection().synced_ago(10).annotated("x"),
            "sync Requested for the annotation",
            "WHY",
        ),
        (
            "A request does override a backoff of our own",
            new_connection().synced_ago(10).with_failure(Reason::BoxUnavailable, 0).with_request("a"),
            "sync Requested for a",
            "WHY",
        ),
        (
            "But once",
            new_connection()
                .synced_ago(10)
                .with_failure(Reason::BoxUnavailable, 0)
                .with_request("a")
                .with_attempt(Reason::BoxUnavailable, 0),
            "wait until 12:00:24",
            "WHY",
        ),
        (
            "A request does not override a Retry-After",
            new_connection().synced_ago(10).rate_limited(10).with_request("a"),
            "wait until 12:50:00",
            "WHY",
        ),
        (
            "Nor does the annotation",
            new_connection().synced_ago(10).rate_limited(10).annotated("x"),
            "wait until 12:50:00",
            "WHY",
        ),
        (
            "A request does override what a person has to mend",
            new_connection().synced_ago(2000).with_failure(Reason::PermissionDenied, 10).with_request("a"),
            "sync Requested for a",
            "WHY",
        ),
        (
            "A request waits for the gap",
            new_connection().synced_ago(0).with_request("a").with_view(|r| r.since_listing = Some(secs(5))),
            "wait until 12:00:10",
            "WHY",
        ),
        (
            "The 51st request is too many",
            with_requests(new_connection().synced_ago(10).rate_limited(10), 51),
            "wait until 12:50:00, refuse r50 TooManyRequests",
            "WHY",
        ),
        (
            "A request whose next try would come too late ends now",
            past_deadline("a"),
            "wait until 12:50:00, refuse a RateLimited",
            "WHY",
        ),
        (
            "A request that only waited for a place is not late",
            waited_without_attempt("a"),
            "sync Requested for a",
            "WHY",
        ),
        (
            "A request that was tried and whose time is over ends",
            attempted_past_deadline("a"),
            "sync Retry, refuse a BoxUnavailable",
            "WHY",
        ),
    ]
}

fn spec_rows() -> Vec<DecisionRow> {
    vec![
        (
            "Suspended: nothing is due, and requests are refused",
            new_connection().synced_ago(1000).suspended().with_request("a"),
            "wait until 19:20:00 in 2 days, refuse a Suspended",
            "WHY",
        ),
        ("A new connection that is suspended does nothing", new_connection().suspended(), "wait", "WHY"),
        (
            "Another Secret is tried at once",
            new_connection().synced_ago(10).with_other_secret(),
            "sync Reconnected",
            "WHY",
        ),
        (
            "Also over a Retry-After, which was told to the old credentials",
            new_connection().synced_ago(10).rate_limited(10).with_other_secret(),
            "sync Reconnected",
            "WHY",
        ),
        (
            "Another interval alone starts nothing",
            new_connection().synced_ago(10).edited(),
            "wait until 16:06:55",
            "WHY",
        ),
        ("An annotation that was acted on starts nothing", annotation_handled("x"), "wait until 16:06:55", "WHY"),
        (
            "A suspended connection leaves the annotation for later",
            new_connection().synced_ago(10).annotated("x").suspended(),
            "wait until 11:50:00 in 2 days",
            "WHY",
        ),
    ]
}

fn probe_rows() -> Vec<DecisionRow> {
    vec![
        (
            "A connection that works is probed",
            new_connection().synced_ago(10).with_view(|r| r.until_probe = secs(0)),
            "probe",
            "WHY",
        ),
        (
            "Before that there is nothing to do",
            new_connection().synced_ago(10).with_view(|r| r.until_probe = secs(90)),
            "wait until 12:01:30",
            "WHY",
        ),
        (
            "No probe while a retry is pending",
            new_connection()
                .synced_ago(10)
                .with_failure(Reason::BoxUnavailable, 0)
                .with_view(|r| r.until_probe = secs(0)),
            "wait until 12:00:24",
            "WHY",
        ),
        (
            "A request comes before a probe",
            new_connection().synced_ago(10).with_request("a").with_view(|r| r.until_probe = secs(0)),
            "sync Requested for a",
            "WHY",
        ),
        (
            "A suspended connection does not let the authorization of its user end",
            new_connection().synced_ago(10).authorized(29).suspended().with_view(|r| r.until_probe = secs(0)),
            "probe",
            "WHY",
        ),
        (
            "It is renewed a month before, and tried once in a probe interval",
            new_connection().synced_ago(10).authorized(29).suspended().with_view(|r| r.until_probe = secs(90)),
            "wait until 12:01:30",
            "WHY",
        ),
        (
            "A lost one cannot be renewed",
            new_connection()
                .synced_ago(600)
                .disconnected(Reason::AuthorizationExpired, 90)
                .authorized(29)
                .suspended()
                .with_view(|r| r.until_probe = secs(0)),
            "wait until 02:00:00 in 2 days",
            "WHY",
        ),
        (
            "It is time to warn two weeks before the end",
            new_connection().synced_ago(10).authorized(14).with_view(|r| r.until_probe = secs(90)),
            "wait until 12:00:00",
            "WHY",
        ),
    ]
}

fn interrupted_rows() -> Vec<DecisionRow> {
    vec![
        (
            "A sync that nobody runs is due again with its trigger",
            new_connection().synced_ago(10).interrupted(Trigger::Requested),
            "sync Requested",
            "WHY",
        ),
        (
            "It waits for a retry like any other",
            new_connection().synced_ago(10).with_failure(Reason::BoxUnavailable, 0).interrupted(Trigger::Scheduled),
            "wait until 12:00:24",
            "WHY",
        ),
        (
            "And while suspended it does not run",
            new_connection().synced_ago(1000).interrupted(Trigger::Scheduled).suspended(),
            "wait until 19:20:00 in 2 days",
            "WHY",
        ),
    ]
}

/// It was tried, and its deadline of five minutes comes before Box's hour is over.
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
