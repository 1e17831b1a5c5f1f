//! The decision table. `docs/decisions.md` shows the same rows; a test keeps the two alike.

use std::time::Duration;

use super::{
    super::fixture::{Given, ago, conn, crowd, now},
    *,
};
use crate::api::Trigger;

#[path = "plan_tests_clock.rs"]
mod clock;
#[path = "plan_tests_published.rs"]
mod published;

/// A row: what is the case, in words and in values, and what is to be done.
type Row = (&'static str, Given, &'static str);

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A connection lost 90 minutes ago, whose Secret was looked at and whose last try was made so many seconds ago.
fn lost(since_look: u64, since_try: u64) -> Given {
    conn().synced(600).lost(Reason::AppNotAuthorized, 90).remembering(|r| {
        r.since_look = Some(secs(since_look));
        r.since_try = Some(secs(since_try));
    })
}

fn table() -> Vec<(&'static str, Vec<Row>)> {
    vec![
        ("Schedule", schedule()),
        ("By the clock", clock::rows()),
        ("After a failure", failures()),
        ("Disconnected", disconnected()),
        ("Requests", requests()),
        ("The spec changes", spec()),
        ("Probes", probes()),
        ("The operator was interrupted", interrupted()),
        ("The published list", published::rows()),
        ("The operator is paused", clock::paused()),
    ]
}

fn schedule() -> Vec<Row> {
    vec![
        ("A new connection syncs at once", conn(), "sync Created"),
        ("A fresh list waits for the connection's time of day", conn().synced(10), "wait until 16:06:55"),
        ("A sync on demand moves nothing", conn().synced(1).synced(0), "wait until 16:06:55"),
        ("A list older than the last grid time is overdue", conn().synced(1300), "sync Scheduled"),
        ("Overdue by three intervals is one sync", conn().synced(80 * 60), "sync Scheduled"),
        ("A last sync in the future counts as overdue", conn().synced(-100), "sync Scheduled"),
        (
            "What is due waits for the gap after the last listing",
            conn().synced(1300).remembering(|r| r.since_listing = Some(secs(5))),
            "wait until 12:00:10",
        ),
    ]
}

fn failures() -> Vec<Row> {
    vec![
        (
            "A failure waits for its retry, not for the grid",
            conn().synced(1000).failed(Reason::BoxUnavailable, 0),
            "wait until 12:00:24",
        ),
        ("A retry that is due is made", conn().synced(1000).failed(Reason::BoxUnavailable, 1), "sync Retry"),
        (
            "A first sync that failed is retried as the first sync",
            conn().failed(Reason::BoxUnavailable, 1),
            "sync Created",
        ),
        ("A Retry-After is waited for", conn().synced(1000).told_to_wait(10), "wait until 12:50:00"),
        (
            "A clock set back by a day delays no retry",
            conn().synced(1000).failed(Reason::BoxUnavailable, -1440).remembering(|r| r.since_failure = secs(60)),
            "sync Retry",
        ),
        (
            "With the clock set back, a Retry-After lasts as long as it was",
            conn().synced(1000).told_to_wait(-1440).remembering(|r| r.since_failure = secs(600)),
            "wait until 12:50:00",
        ),
        (
            "What a person has to mend is tried again at the next grid time",
            conn().synced(2000).failed(Reason::PermissionDenied, 10),
            "wait until 16:06:55",
        ),
        ("And then it is tried", conn().synced(2800).failed(Reason::PermissionDenied, 1300), "sync Scheduled"),
    ]
}

fn disconnected() -> Vec<Row> {
    vec![
        ("Nothing is scheduled while disconnected; the Secret is looked at every minute", lost(60, 60), "look"),
        ("Between two looks there is nothing to do", lost(20, 20), "wait until 12:00:40"),
        ("After 75 minutes Box is asked every 15 minutes", lost(20, 900), "sync Reconnected"),
        (
            "After 15 minutes it is asked every 5 minutes",
            conn().synced(600).lost(Reason::AccessBlocked, 20).remembering(|r| r.since_try = Some(secs(300))),
            "sync Reconnected",
        ),
        (
            "In the first 15 minutes it is asked every minute",
            conn().synced(600).lost(Reason::AccessBlocked, 2).remembering(|r| r.since_try = Some(secs(60))),
            "sync Reconnected",
        ),
        (
            "A process that has not tried yet tries at once",
            conn().synced(600).lost(Reason::AccessBlocked, 90),
            "sync Reconnected",
        ),
        (
            "New content of the Secret is tried at once",
            lost(5, 20).remembering(|r| r.secret_changed = true),
            "sync Reconnected",
        ),
        ("A request is tried at once", lost(20, 20).asked("a"), "sync Reconnected for a"),
        (
            "A request that met passing trouble is tried every minute",
            lost(20, 20).asked("a").tried(Reason::BoxUnavailable, 0),
            "wait until 12:00:40",
        ),
        (
            "A Retry-After is waited for even so",
            lost(20, 900).remembering(|r| {
                r.secret_changed = true;
                r.until_allowed = secs(300);
            }),
            "wait until 12:00:40",
        ),
        (
            "A first sync that finds no Secret waits for one",
            conn().failed(Reason::CredentialsMissing, 1).remembering(|r| {
                r.since_look = Some(secs(10));
                r.since_try = Some(secs(10));
            }),
            "wait until 12:00:50",
        ),
    ]
}

fn requests() -> Vec<Row> {
    vec![
        ("A request is answered at once", conn().synced(10).asked("a"), "sync Requested for a"),
        ("All that wait are answered by one sync", conn().synced(10).asked("a").asked("b"), "sync Requested for a, b"),
        ("A first sync answers requests too", conn().asked("a"), "sync Created for a"),
        ("The changed annotation is a request", conn().synced(10).annotated("x"), "sync Requested for the annotation"),
        (
            "A request does override a backoff of our own",
            conn().synced(10).failed(Reason::BoxUnavailable, 0).asked("a"),
            "sync Requested for a",
        ),
        (
            "But once",
            conn().synced(10).failed(Reason::BoxUnavailable, 0).asked("a").tried(Reason::BoxUnavailable, 0),
            "wait until 12:00:24",
        ),
        (
            "A request does not override a Retry-After",
            conn().synced(10).told_to_wait(10).asked("a"),
            "wait until 12:50:00",
        ),
        ("Nor does the annotation", conn().synced(10).told_to_wait(10).annotated("x"), "wait until 12:50:00"),
        (
            "A request does override what a person has to mend",
            conn().synced(2000).failed(Reason::PermissionDenied, 10).asked("a"),
            "sync Requested for a",
        ),
        (
            "A request waits for the gap",
            conn().synced(0).asked("a").remembering(|r| r.since_listing = Some(secs(5))),
            "wait until 12:00:10",
        ),
        (
            "The 51st request is too many",
            crowd(conn().synced(10).told_to_wait(10), 51),
            "wait until 12:50:00, refuse r50 TooManyRequests",
        ),
        (
            "A request whose next try would come too late ends now",
            late("a"),
            "wait until 12:50:00, refuse a RateLimited",
        ),
        ("A request that only waited for a place is not late", only_waited("a"), "sync Requested for a"),
        ("A request that was tried and whose time is over ends", overtime("a"), "sync Retry, refuse a BoxUnavailable"),
    ]
}

fn spec() -> Vec<Row> {
    vec![
        (
            "Suspended: nothing is due, and requests are refused",
            conn().synced(1000).suspended().asked("a"),
            "wait until 19:20:00 in 2 days, refuse a Suspended",
        ),
        ("A new connection that is suspended does nothing", conn().suspended(), "wait"),
        ("Another Secret is tried at once", conn().synced(10).other_secret(), "sync Reconnected"),
        (
            "Also over a Retry-After, which was told to the old credentials",
            conn().synced(10).told_to_wait(10).other_secret(),
            "sync Reconnected",
        ),
        ("Another interval alone starts nothing", conn().synced(10).edited(), "wait until 16:06:55"),
        ("An annotation that was acted on starts nothing", handled("x"), "wait until 16:06:55"),
        (
            "A suspended connection leaves the annotation for later",
            conn().synced(10).annotated("x").suspended(),
            "wait until 11:50:00 in 2 days",
        ),
    ]
}

fn probes() -> Vec<Row> {
    vec![
        ("A connection that works is probed", conn().synced(10).remembering(|r| r.until_probe = secs(0)), "probe"),
        (
            "Before that there is nothing to do",
            conn().synced(10).remembering(|r| r.until_probe = secs(90)),
            "wait until 12:01:30",
        ),
        (
            "No probe while a retry is pending",
            conn().synced(10).failed(Reason::BoxUnavailable, 0).remembering(|r| r.until_probe = secs(0)),
            "wait until 12:00:24",
        ),
        (
            "A request comes before a probe",
            conn().synced(10).asked("a").remembering(|r| r.until_probe = secs(0)),
            "sync Requested for a",
        ),
        (
            "A suspended connection does not let the authorization of its user end",
            conn().synced(10).authorized(29).suspended().remembering(|r| r.until_probe = secs(0)),
            "probe",
        ),
        (
            "It is renewed a month before, and tried once in a probe interval",
            conn().synced(10).authorized(29).suspended().remembering(|r| r.until_probe = secs(90)),
            "wait until 12:01:30",
        ),
        (
            "A lost one cannot be renewed",
            conn()
                .synced(600)
                .lost(Reason::AuthorizationExpired, 90)
                .authorized(29)
                .suspended()
                .remembering(|r| r.until_probe = secs(0)),
            "wait until 02:00:00 in 2 days",
        ),
        (
            "It is time to warn two weeks before the end",
            conn().synced(10).authorized(14).remembering(|r| r.until_probe = secs(90)),
            "wait until 12:00:00",
        ),
    ]
}

fn interrupted() -> Vec<Row> {
    vec![
        (
            "A sync that nobody runs is due again with its trigger",
            conn().synced(10).interrupted(Trigger::Requested),
            "sync Requested",
        ),
        (
            "It waits for a retry like any other",
            conn().synced(10).failed(Reason::BoxUnavailable, 0).interrupted(Trigger::Scheduled),
            "wait until 12:00:24",
        ),
        (
            "And while suspended it does not run",
            conn().synced(1000).interrupted(Trigger::Scheduled).suspended(),
            "wait until 19:20:00 in 2 days",
        ),
    ]
}

/// It was tried, and its deadline of five minutes comes before Box's hour is over.
fn late(name: &str) -> Given {
    with_deadline(conn().synced(10).told_to_wait(10).asked(name), 300)
}

fn only_waited(name: &str) -> Given {
    let mut given = with_deadline(conn().synced(10).asked(name), 300);
    given.requests[0].status = Some(crate::api::UserSyncRequestStatus {
        start_time: Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(ago(30))),
        ..Default::default()
    });
    given
}

fn overtime(name: &str) -> Given {
    let given = conn().synced(10).failed(Reason::BoxUnavailable, 1).asked(name);
    with_deadline(given.tried(Reason::BoxUnavailable, 1), 30)
}

fn with_deadline(mut given: Given, seconds: i32) -> Given {
    given.requests[0].spec.active_deadline_seconds = seconds;
    given
}

fn handled(value: &str) -> Given {
    let mut given = conn().synced(10).annotated(value);
    if let Some(status) = &mut given.connection.status {
        status.last_handled_request = Some(value.to_owned());
    }
    given
}

/// A plan in words.
fn words(plan: &Plan) -> String {
    let time = |t: &Timestamp| {
        let days = now().duration_until(*t).as_hours() / 24 + 1;
        let clock = t.strftime("%H:%M:%S").to_string();
        if days > 1 { format!("{clock} in {days} days") } else { clock }
    };
    let step = match &plan.step {
        Step::Wait(None) => "wait".to_owned(),
        Step::Wait(Some(t)) => format!("wait until {}", time(t)),
        Step::Look => "look".to_owned(),
        Step::Report => "report".to_owned(),
        Step::Sweep => "sweep".to_owned(),
        Step::Probe => "probe".to_owned(),
        Step::Sync { trigger, answers, annotation } => {
            let mut whom = answers.clone();
            whom.extend(annotation.iter().map(|_| "the annotation".to_owned()));
            let whom = if whom.is_empty() { String::new() } else { format!(" for {}", whom.join(", ")) };
            format!("sync {}{whom}", trigger.as_str())
        }
    };
    let refused: String = plan.refuse.iter().map(|(name, reason)| format!(", refuse {name} {reason}")).collect();
    step + &refused
}

#[test]
fn every_row_of_the_decision_table_is_decided_as_it_says() {
    let mut wrong = Vec::new();
    for (_, rows) in table() {
        for (sentence, given, expected) in rows {
            let got = words(&plan(&given.observed(), &given.rules, now()));
            if got != expected {
                wrong.push(format!("{sentence}:\n  expected: {expected}\n  got:      {got}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_documented_decision_table_is_this_one() {
    let mut page = String::from(include_str!("decisions_intro.md"));
    for (title, rows) in table() {
        page += &format!("\n## {title}\n\n| when | then |\n| --- | --- |\n");
        for (sentence, _, expected) in rows {
            page += &format!("| {sentence} | {expected} |\n");
        }
    }
    crate::testing::assert_generated("docs/decisions.md", &page);
}
