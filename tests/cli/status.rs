//! `status`: the operator, the summary, and those who need somebody.

use std::time::Duration;

use kube_sim::Verb;
use serde_json::{Value, json};

use crate::town::{Log, NAMESPACE, PIPE, Said, TERMINAL, Town, condition, counts, ready};

const LOST: &str = "Box no longer accepts the authorization. The list of 2026-11-22T09:00:00Z (1,200 users) stays. A Box admin of enterprise 1001 authorizes the Box app again.";

fn lost() -> Value {
    let mut status = ready(1200);
    status["conditions"] = json!([
        condition("Ready", "False", "AuthorizationExpired", "See the condition Connected."),
        condition("Connected", "False", "AuthorizationExpired", LOST),
        condition("Synced", "False", "AuthorizationExpired", "See the condition Connected."),
        condition("Stalled", "True", "AuthorizationExpired", "See the condition Connected."),
    ]);
    status["failures"] = json!({ "reason": "AuthorizationExpired", "count": 1, "lastTime": "2026-11-22T10:00:00Z" });
    status
}

fn limited() -> Value {
    let mut status = ready(50);
    status["conditions"][0] = condition("Ready", "True", "LastAttemptFailed", "See the condition Synced.");
    status["conditions"][2] = condition("Synced", "False", "RateLimited", "Box asks to slow down.");
    status["failures"] = json!({ "reason": "RateLimited", "count": 2, "lastTime": "2026-11-22T11:00:00Z", "retryTime": "2026-11-22T12:30:00Z" });
    status
}

fn held() -> Value {
    let mut status = ready(1200);
    status["conditions"][0] = condition("Ready", "True", "RemovalsHeld", "250 of 1,200 users vanished from Box.");
    status["held"] = json!({ "time": "2026-11-22T11:30:00Z", "removals": 250, "total": 1200, "digest": "d" });
    status
}

/// One connection of each kind.
fn mixed() -> Town {
    let town = Town::new();
    town.lease(4);
    town.ready("acme", 1_284_551);
    for (name, status) in [("globex", lost()), ("hooli", limited()), ("initech", held())] {
        town.connection(name);
        town.tell(name, status);
    }
    town.connection("newcomer");
    town
}

fn first_lines(said: &Said) -> (&str, &str) {
    let mut lines = said.out.lines();
    (lines.next().unwrap_or_default(), lines.next().unwrap_or_default())
}

#[tokio::test(start_paused = true)]
async fn only_those_who_need_somebody_are_told_with_what_to_do() {
    let said = mixed().ask("status").await;
    assert_eq!(
        said.out,
        "\
Operator: pod-a leads (Lease boxsync/boxsync-operator, renewed 4s ago)
5 connections · 1 ready · 2 need a person · 1 retrying · 1 not looked at yet · 1,287,001 users

AuthorizationExpired · 1 connection · Box no longer accepts the authorization
  globex · for 2h · list of 2026-11-22 09:00Z (1,200 users), fresh until 2026-11-24 09:00Z (in 45h)
    Box no longer accepts the authorization. The list of 2026-11-22T09:00:00Z (1,200 users) stays. A Box admin of
    enterprise 1001 authorizes the Box app again.

RemovalsHeld · 1 connection
  initech · for 30m · list of 2026-11-22 09:00Z (1,200 users), fresh until 2026-11-24 09:00Z (in 45h)
    250 of 1,200 users vanished from Box.
    250 removals held: see kubectl boxsync users initech -n backup --held, and let them go with kubectl boxsync approve initech -n backup

Those that are not ready and need nobody: --all shows them.
"
        .replace("RemovalsHeld · 1 connection\n", &format!("RemovalsHeld · 1 connection{}\n", headline("RemovalsHeld")))
    );
    assert_eq!(said.code, 1);
}

fn headline(reason: &str) -> String {
    boxsync::api::Reason::parse(reason).map(|r| format!(" · {}", r.headline())).unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn all_shows_the_rest_as_a_table() {
    let said = mixed().ask("status --all").await;
    let table: Vec<&str> = said.out.lines().skip_while(|line| !line.starts_with("CONNECTION")).collect();
    assert_eq!(
        table,
        [
            "CONNECTION   STATE               REASON               USERS       LIST-AGE   STALE    NEXT-SYNC",
            "acme         ready               Synced               1,284,551   3h         in 45h   in 20h",
            "hooli        retrying            RateLimited          50          3h         in 45h   in 20h",
            "newcomer     not looked at yet   WaitingForOperator                                   ",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn the_exit_code_tells_the_weightiest() {
    let town = Town::new();
    town.lease(4);
    town.ready("acme", 3);
    assert_eq!(town.ask("status").await.code, 0);
    town.connection("hooli");
    town.tell("hooli", limited());
    assert_eq!(town.ask("status").await.code, 2);
    town.connection("globex");
    town.tell("globex", lost());
    assert_eq!(town.ask("status").await.code, 1);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(town.ask("status").await.code, 3);
}

#[tokio::test(start_paused = true)]
async fn a_suspended_connection_is_counted_apart_and_needs_nobody() {
    let town = Town::new();
    town.lease(4);
    town.connection("globex");
    town.tell("globex", lost());
    town.kube.edit("BoxConnection", NAMESPACE, "globex", |c| c["spec"]["suspend"] = true.into());
    let said = town.ask("status").await;
    assert_eq!((said.code, first_lines(&said).1), (0, "1 connection · 0 ready · 1 suspended · 1,200 users"));
}

#[tokio::test(start_paused = true)]
async fn without_a_leader_the_first_line_is_red_and_says_what_to_do() {
    let town = Town::new();
    town.ready("acme", 3);
    let said = town.ask_at(TERMINAL, "status").await;
    assert_eq!(said.code, 3);
    assert!(
        first_lines(&said)
            .0
            .starts_with("\x1b[31mNo operator leads: there is no Lease boxsync-operator in any namespace.")
    );
    town.lease(3670);
    let late = town.ask("status").await;
    assert!(
        first_lines(&late)
            .0
            .starts_with("No operator leads: Lease boxsync/boxsync-operator was last renewed 61m ago by pod-a.")
    );
    assert!(late.out.contains("kubectl get pods -A -l app.kubernetes.io/name=boxsync-operator"));
}

#[tokio::test(start_paused = true)]
async fn an_operator_that_may_not_be_looked_for_is_unknown_not_gone() {
    let town = Town::new();
    town.lease(4);
    town.ready("acme", 3);
    town.kube.forbid(|call| call.is(Verb::List, "leases") && call.namespace.is_none());
    let said = town.ask("status").await;
    assert_eq!(said.code, 0);
    assert!(first_lines(&said).0.starts_with("Operator: unknown: you may not list leases"), "{}", said.out);
    let named = town.ask("status --operator-namespace boxsync").await;
    assert!(first_lines(&named).0.starts_with("Operator: pod-a leads"), "{}", named.out);
    // Whoever names the namespace relies on the answer.
    town.kube.forbid(|call| call.is(Verb::Get, "leases"));
    let denied = town.ask("status --operator-namespace boxsync").await;
    assert_eq!(denied.code, 8, "{}", denied.out);
    assert!(
        denied.out.starts_with("Operator: unknown: you may not get leases in namespace boxsync."),
        "{}",
        denied.out
    );
    assert!(denied.out.contains("1 ready"), "what is known is told all the same: {}", denied.out);
}

#[tokio::test(start_paused = true)]
async fn one_connection_is_told_in_detail() {
    let town = Town::new();
    town.lease(4);
    town.ready("acme", 1212);
    let said = town.ask("status acme").await;
    assert_eq!(
        said.out,
        "\
Operator: pod-a leads (Lease boxsync/boxsync-operator, renewed 4s ago)
acme: ready for 2h (Synced) · list of 2026-11-22 09:00Z (1,212 users), fresh until 2026-11-24 09:00Z (in 45h)
  users      1,212 · 1,212 active · 0 inactive · 0 restricted · 0 app · 0 held · 0 removed
  last sync  2026-11-22 09:00Z (3h ago) · Scheduled · 2 added · 1 updated · 0 removed · revision 42
  next sync  2026-11-23 08:59Z (in 20h)
"
    );
}

#[tokio::test(start_paused = true)]
async fn who_asked_for_the_last_sync_stands_beside_it() {
    let town = Town::new();
    town.lease(4);
    town.connection("acme");
    let mut status = ready(1212);
    let attempt = |time: &Value, names: &[&str]| {
        json!({
            "trigger": "Requested", "startTime": time, "completionTime": time, "reason": "Synced", "attempts": 1,
            "calls": 3, "requestedBy": names,
        })
    };
    let last = status["lastSync"]["completionTime"].clone();
    status["history"] = json!([attempt(&json!("2026-11-22T11:00:00Z"), &["joe"]), attempt(&last, &["jane\u{1b}[2J"])]);
    town.tell("acme", status);
    let said = town.ask("status acme").await;
    let line = said.out.lines().find(|line| line.contains("last sync")).unwrap_or_default();
    assert!(line.ends_with("· revision 42 · asked for by jane\u{fffd}[2J"), "{line}");
}

#[tokio::test(start_paused = true)]
async fn a_pause_is_told_before_all_else_and_of_each_connection() {
    let town = Town::new();
    town.lease(4);
    for name in ["acme", "globex"] {
        let mut paused = ready(50);
        let told = condition("Paused", "True", "Paused", "The operator runs with --paused.");
        paused["conditions"].as_array_mut().expect("conditions").push(told);
        paused.as_object_mut().expect("a status").remove("nextSyncTime");
        town.connection(name);
        town.tell(name, paused);
    }
    let said = town.ask("status").await;
    assert_eq!(
        said.out.lines().skip(1).collect::<Vec<_>>(),
        [
            "2 connections · 2 ready · 100 users",
            "The operator is paused (--paused) for 2h: for 2 connections it asks Box nothing, and requests wait.",
        ]
    );
    let one = town.ask("status acme").await.out;
    assert!(one.contains("\n  paused     for 2h: the operator runs with --paused and asks Box nothing\n"), "{one}");
    let told: Value = serde_json::from_str(&town.ask("status -o json").await.out).expect("JSON");
    assert_eq!((&told["summary"]["paused"], &told["summary"]["ready"]), (&json!(2), &json!(2)));
}

#[tokio::test(start_paused = true)]
async fn json_tells_the_same_facts() {
    let told: Value = serde_json::from_str(&mixed().ask("status -o json").await.out).expect("JSON");
    assert_eq!(
        told["operator"],
        json!({ "state": "leads", "name": "pod-a", "lease": "boxsync/boxsync-operator", "renewTime": "2026-11-22T11:59:56Z" })
    );
    assert_eq!(
        told["summary"],
        json!({ "connections": 5, "ready": 1, "needsPerson": 2, "retrying": 1, "waiting": 0, "suspended": 0, "notSeen": 1, "paused": 0, "users": 1_287_001 })
    );
    let globex = &told["connections"][1];
    assert_eq!(
        (&globex["standing"], &globex["reason"], &globex["message"]),
        (&json!("NeedsPerson"), &json!("AuthorizationExpired"), &json!(LOST))
    );
    assert_eq!(globex["users"], counts(1200));
}

#[tokio::test(start_paused = true)]
async fn all_namespaces_and_labels_choose_connections() {
    let town = mixed();
    town.connection_of("other", "acme");
    assert!(first_lines(&town.ask("status -A").await).1.starts_with("6 connections"));
    assert!(first_lines(&town.ask("status -l team=acme").await).1.starts_with("1 connection "));
    assert!(first_lines(&town.ask("status -n other").await).1.starts_with("1 connection "));
    assert!(town.ask("status -n nowhere").await.out.ends_with("in this namespace: -A looks into all of them.\n"));
    assert!(town.ask("status -A --all").await.out.contains("\nother/acme "));
}

#[tokio::test(start_paused = true)]
async fn watching_in_a_pipe_prints_a_line_for_each_change() {
    let town = Town::new();
    town.lease(0);
    town.ready("acme", 3);
    let log = Log::default();
    let watch = async {
        let watched = tokio::time::timeout(Duration::from_secs(9), town.ask_into(&log, PIPE, "status --watch"));
        watched.await.expect_err("it goes on");
    };
    let change = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        town.tell("acme", lost());
    };
    tokio::join!(watch, change);
    assert_eq!(
        log.text(),
        "\
2026-11-22T12:00:00Z acme ready: Synced revision 42
2026-11-22T12:00:06Z acme needs a person: AuthorizationExpired revision 42
"
    );
}
