//! `status`: the operator, the summary, and connections that need action.

use std::time::Duration;

use kube_sim::Verb;
use serde_json::{Value, json};

use crate::env::{
    CliEnv, CliOutput, NAMESPACE, OutputBuffer, PIPE, TERMINAL, condition_json, ready_status, user_counts,
};

const EXPIRED_MESSAGE: &str = "Box no longer accepts the authorization: \"Refresh token has expired\" (invalid_grant). A Box admin of enterprise 1001 must authorize the Box app again.";

fn expired_status() -> Value {
    let mut status = ready_status(1200);
    status["conditions"] = json!([
        condition_json("Ready", "False", "AuthorizationExpired", EXPIRED_MESSAGE),
        condition_json("Connected", "False", "AuthorizationExpired", EXPIRED_MESSAGE),
        condition_json("Synced", "False", "AuthorizationExpired", EXPIRED_MESSAGE),
        condition_json("Stalled", "True", "AuthorizationExpired", EXPIRED_MESSAGE),
    ]);
    status["failures"] = json!({ "reason": "AuthorizationExpired", "count": 1, "lastTime": "2026-11-22T10:00:00Z" });
    status
}

fn rate_limited_status() -> Value {
    let mut status = ready_status(50);
    status["conditions"][0] = condition_json("Ready", "True", "LastAttemptFailed", "See the condition Synced.");
    status["conditions"][2] = condition_json("Synced", "False", "RateLimited", "Box asks to slow down.");
    status["failures"] = json!({ "reason": "RateLimited", "count": 2, "lastTime": "2026-11-22T11:00:00Z", "retryTime": "2026-11-22T12:30:00Z" });
    status
}

fn held_status() -> Value {
    let mut status = ready_status(1200);
    status["conditions"][0] = condition_json(
        "Ready",
        "True",
        "RemovalsHeld",
        "250 of 1,200 users vanished from Box. Review them: kubectl boxsync approve initech.",
    );
    status["held"] = json!({ "time": "2026-11-22T11:30:00Z", "removals": 250, "total": 1200, "digest": "d" });
    status
}

/// One connection of each kind.
pub(crate) fn env_with_mixed_connections() -> CliEnv {
    let env = CliEnv::new();
    env.apply_lease(4);
    env.create_ready_connection("acme", 1_284_551);
    for (name, status) in [("globex", expired_status()), ("hooli", rate_limited_status()), ("initech", held_status())] {
        env.create_connection(name);
        env.set_status(name, status);
    }
    env.create_connection("newcomer");
    env
}

fn first_lines(output: &CliOutput) -> (&str, &str) {
    let mut lines = output.out.lines();
    (lines.next().unwrap_or_default(), lines.next().unwrap_or_default())
}

#[tokio::test(start_paused = true)]
async fn only_connections_that_need_action_are_shown_with_what_to_do() {
    let output = env_with_mixed_connections().run("status").await;
    assert_eq!(
        output.out,
        "\
Operator: pod-a is the leader (Lease boxsync/boxsync-operator, renewed 4s ago)
5 connections · 3 ready · 2 need action · 1 retrying · 1 unobserved · 1,287,001 users

globex   AuthorizationExpired for 2h
  DO     A Box admin of enterprise 1001 must authorize the Box app again.
  TYPE   kubectl boxsync handover globex -n backup
  BOX    \"Refresh token has expired\" (invalid_grant)
  LIST   1,200 users, fresh until 2026-11-24 09:00Z (in 45h)
  RETRY  every 1–15 min; now: kubectl boxsync sync globex -n backup --wait

initech   RemovalsHeld for 30m
  DO     Review them: kubectl boxsync approve initech.
  TYPE   kubectl boxsync approve initech -n backup
  WHAT   250 of 1,200 users vanished from Box.
  LIST   1,200 users, fresh until 2026-11-24 09:00Z (in 45h)

Connections that are not ready but need no action are shown with --all.
"
    );
    assert_eq!(output.code, 1);
}

#[tokio::test(start_paused = true)]
async fn all_shows_the_other_connections_as_a_table() {
    let output = env_with_mixed_connections().run("status --all").await;
    let table: Vec<&str> = output.out.lines().skip_while(|line| !line.starts_with("CONNECTION")).collect();
    assert_eq!(
        table,
        [
            "CONNECTION   STATE        REASON               USERS       LIST-AGE   STALE",
            "acme         ready        Synced               1,284,551   3h         in 45h",
            "hooli        retrying     RateLimited          50          3h         in 45h",
            "newcomer     unobserved   WaitingForOperator",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn the_exit_code_is_that_of_the_most_severe_state() {
    let env = CliEnv::new();
    env.apply_lease(4);
    env.create_ready_connection("acme", 3);
    assert_eq!(env.run("status").await.code, 0);
    env.create_connection("hooli");
    env.set_status("hooli", rate_limited_status());
    assert_eq!(env.run("status").await.code, 2);
    env.create_connection("globex");
    env.set_status("globex", expired_status());
    assert_eq!(env.run("status").await.code, 1);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(env.run("status").await.code, 3);
}

#[tokio::test(start_paused = true)]
async fn a_suspended_connection_is_counted_separately_and_needs_no_action() {
    let env = CliEnv::new();
    env.apply_lease(4);
    env.create_connection("globex");
    env.set_status("globex", expired_status());
    env.kube.edit("BoxConnection", NAMESPACE, "globex", |c| c["spec"]["suspend"] = true.into());
    let output = env.run("status").await;
    assert_eq!((output.code, first_lines(&output).1), (0, "1 connection · 0 ready · 1 suspended · 1,200 users"));
}

#[tokio::test(start_paused = true)]
async fn without_a_leader_the_first_line_is_red_and_says_what_to_do() {
    let env = CliEnv::new();
    env.create_ready_connection("acme", 3);
    let output = env.run_with_io(TERMINAL, "status").await;
    assert_eq!(output.code, 3);
    assert!(first_lines(&output).0.starts_with("\x1b[31mNo leader: no Lease boxsync-operator in namespace boxsync."));
    env.apply_lease(3670);
    let late = env.run("status").await;
    assert!(
        first_lines(&late)
            .0
            .starts_with("No leader: Lease boxsync/boxsync-operator was last renewed 61m ago by pod-a.")
    );
    assert!(late.out.contains("kubectl get pods -A -l app.kubernetes.io/name=boxsync-operator"));
}

/// A Lease like the operator's that a tenant created, renewed for ever.
fn apply_tenants_lease(env: &CliEnv, renew_time: &str) {
    env.kube.apply(json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": { "name": "boxsync-operator", "namespace": NAMESPACE,
            "labels": { "app.kubernetes.io/name": "boxsync-operator" } },
        "spec": { "holderIdentity": "decoy", "leaseDurationSeconds": i32::MAX, "renewTime": renew_time },
    }));
}

#[tokio::test(start_paused = true)]
async fn only_the_lease_that_the_connections_name_shows_that_their_operator_runs() {
    let env = CliEnv::new();
    env.create_ready_connection("acme", 3);
    env.apply_lease(3670);
    for renew_time in ["2026-11-22T12:00:00.000000Z", "2036-11-22T12:00:00.000000Z"] {
        apply_tenants_lease(&env, renew_time);
        for command in ["status", "status -A --all", "status acme"] {
            let output = env.run(command).await;
            assert_eq!(output.code, 3, "{command}: {}", output.out);
            assert!(
                first_lines(&output).0.starts_with("No leader: Lease boxsync/boxsync-operator was"),
                "{}",
                output.out
            );
        }
    }
    // A Lease of the right name that claims to be valid for 68 years, or was renewed in ten years.
    for renew_time in ["2026-11-22T11:54:00.000000Z", "2036-11-22T12:00:00.000000Z"] {
        env.kube.edit("Lease", "boxsync", "boxsync-operator", |lease| {
            lease["spec"]["leaseDurationSeconds"] = i32::MAX.into();
            lease["spec"]["renewTime"] = renew_time.into();
        });
        assert_eq!(env.run("status").await.code, 3, "{renew_time}");
    }
}

#[tokio::test(start_paused = true)]
async fn before_a_connection_names_a_lease_no_lease_confirms_the_operator() {
    let env = CliEnv::new();
    apply_tenants_lease(&env, "2026-11-22T12:00:00.000000Z");
    let unconfirmed =
        "Operator: not confirmed: decoy renews Lease backup/boxsync-operator, but no connection here names";
    let without_connections = env.run("status -A").await;
    assert!(without_connections.out.starts_with(unconfirmed), "{}", without_connections.out);
    assert_eq!(without_connections.code, 2);
    // As an earlier version left it.
    env.create_ready_connection("acme", 3);
    env.kube
        .edit("BoxConnection", NAMESPACE, "acme", |c| drop(c["status"].as_object_mut().map(|s| s.remove("operator"))));
    let ready = env.run("status").await;
    assert!(ready.out.starts_with(unconfirmed), "{}", ready.out);
    assert_eq!(ready.code, 2);
    // Of two operators, the one that is dead is told.
    env.apply_lease(4);
    env.create_ready_connection("globex", 3);
    assert_eq!(env.run("status").await.code, 0);
    env.create_ready_connection("hooli", 3);
    let elsewhere = json!({ "leaseRef": { "namespace": "elsewhere", "name": "boxsync-operator" } });
    env.kube.edit("BoxConnection", NAMESPACE, "hooli", |c| c["status"]["operator"] = elsewhere);
    let dead = env.run("status").await;
    assert!(dead.out.starts_with("No leader: no Lease boxsync-operator in namespace elsewhere."), "{}", dead.out);
    assert_eq!(dead.code, 3);
    let alive = env.run("status globex").await;
    assert!(alive.out.starts_with("Operator: pod-a is the leader"), "{}", alive.out);
    assert_eq!(alive.code, 0);
}

#[tokio::test(start_paused = true)]
async fn an_operator_without_leader_election_cannot_be_seen() {
    let env = CliEnv::new();
    env.create_ready_connection("acme", 3);
    env.kube.edit("BoxConnection", NAMESPACE, "acme", |c| c["status"]["operator"] = json!({}));
    apply_tenants_lease(&env, "2026-11-22T12:00:00.000000Z");
    let output = env.run("status").await;
    assert!(output.out.starts_with("Operator: unknown: it runs without leader election"), "{}", output.out);
    assert_eq!(output.code, 0);
}

#[tokio::test(start_paused = true)]
async fn without_the_right_to_read_leases_the_leader_is_unknown() {
    let env = CliEnv::new();
    env.apply_lease(4);
    env.create_ready_connection("acme", 3);
    env.kube.forbid(|call| call.matches(Verb::List, "leases"));
    assert!(first_lines(&env.run("status").await).0.starts_with("Operator: pod-a is the leader"), "its Lease is read");
    let unobserved = env.run("status -n nowhere").await;
    assert!(unobserved.out.starts_with("Operator: unknown: you may not list leases"), "{}", unobserved.out);
    let in_namespace = env.run("status -n nowhere --operator-namespace boxsync").await;
    assert!(first_lines(&in_namespace).0.starts_with("Operator: pod-a is the leader"), "{}", in_namespace.out);
    env.kube.forbid(|call| call.matches(Verb::Get, "leases"));
    let denied = env.run("status").await;
    assert!(
        denied.out.starts_with("Operator: unknown: you may not get leases in namespace boxsync."),
        "{}",
        denied.out
    );
    assert_eq!(denied.code, 0);
    // With --operator-namespace, an unknown leader is an error.
    let denied = env.run("status --operator-namespace boxsync").await;
    assert_eq!(denied.code, 8, "{}", denied.out);
    assert!(
        denied.out.starts_with("Operator: unknown: you may not get leases in namespace boxsync."),
        "{}",
        denied.out
    );
    assert!(denied.out.contains("1 ready"), "the connections are shown nevertheless: {}", denied.out);
}

#[tokio::test(start_paused = true)]
async fn one_connection_is_shown_in_detail() {
    let env = CliEnv::new();
    env.apply_lease(4);
    env.create_ready_connection("acme", 1212);
    let output = env.run("status acme").await;
    assert_eq!(
        output.out,
        "\
Operator: pod-a is the leader (Lease boxsync/boxsync-operator, renewed 4s ago)
acme   Synced for 2h · ready
  LIST   1,212 users, fresh until 2026-11-24 09:00Z (in 45h)
  users      1,212 · 1,212 active · 0 inactive · 0 restricted · 0 app · 0 held · 0 removed
  last sync  2026-11-22 09:00Z (3h ago) · Scheduled · 2 added · 1 updated · 0 removed · revision 42
  next sync  2026-11-23 08:59Z (in 20h)
"
    );
}

#[tokio::test(start_paused = true)]
async fn the_last_sync_is_shown_with_its_requesters() {
    let env = CliEnv::new();
    env.apply_lease(4);
    env.create_connection("acme");
    let mut status = ready_status(1212);
    let attempt = |time: &Value, names: &[&str]| {
        json!({
            "trigger": "Requested", "startTime": time, "completionTime": time, "reason": "Synced", "attempts": 1,
            "calls": 3, "requestedBy": names,
        })
    };
    let last = status["lastSync"]["completionTime"].clone();
    status["history"] = json!([attempt(&json!("2026-11-22T11:00:00Z"), &["joe"]), attempt(&last, &["jane\u{1b}[2J"])]);
    env.set_status("acme", status);
    let output = env.run("status acme").await;
    let line = output.out.lines().find(|line| line.contains("last sync")).unwrap_or_default();
    assert!(line.ends_with("· revision 42 · requested by jane\u{fffd}[2J"), "{line}");
}

#[tokio::test(start_paused = true)]
async fn a_pause_is_shown_first_and_for_each_connection() {
    let env = CliEnv::new();
    env.apply_lease(4);
    for name in ["acme", "globex"] {
        let mut paused = ready_status(50);
        let condition = condition_json("Paused", "True", "Paused", "The operator runs with --paused.");
        paused["conditions"].as_array_mut().expect("conditions").push(condition);
        paused.as_object_mut().expect("a status").remove("nextSyncTime");
        env.create_connection(name);
        env.set_status(name, paused);
    }
    let output = env.run("status").await;
    assert_eq!(
        output.out.lines().skip(1).collect::<Vec<_>>(),
        [
            "2 connections · 2 ready · 100 users",
            "The operator has been paused (--paused) for 2h: 2 connections not synced, requests waiting.",
        ]
    );
    let one = env.run("status acme").await.out;
    assert!(one.contains("\n  paused     for 2h: the operator runs with --paused and makes no Box calls\n"), "{one}");
    let json: Value = serde_json::from_str(&env.run("status -o json").await.out).expect("JSON");
    assert_eq!((&json["summary"]["paused"], &json["summary"]["ready"]), (&json!(2), &json!(2)));
}

#[tokio::test(start_paused = true)]
async fn json_contains_the_same_facts() {
    let json: Value =
        serde_json::from_str(&env_with_mixed_connections().run("status -o json").await.out).expect("JSON");
    assert_eq!(
        json["operator"],
        json!({ "state": "Active", "holderIdentity": "pod-a", "lease": "boxsync/boxsync-operator", "renewTime": "2026-11-22T11:59:56Z" })
    );
    assert_eq!(
        json["summary"],
        json!({ "connections": 5, "ready": 3, "needsAction": 2, "retrying": 1, "waiting": 0, "suspended": 0, "unobserved": 1, "paused": 0, "users": 1_287_001 })
    );
    let globex = &json["connections"][1];
    assert_eq!(
        (&globex["health"], &globex["reason"], &globex["action"]),
        (
            &json!("NeedsAction"),
            &json!("AuthorizationExpired"),
            &json!("A Box admin of enterprise 1001 must authorize the Box app again.")
        )
    );
    assert_eq!(globex["users"], user_counts(1200));
    assert_eq!(json["connections"][3]["heldRemovals"], 250);
}

#[tokio::test(start_paused = true)]
async fn connections_are_selected_by_namespace_and_label() {
    let env = env_with_mixed_connections();
    env.create_connection_in("other", "acme");
    assert!(first_lines(&env.run("status -A").await).1.starts_with("6 connections"));
    assert!(first_lines(&env.run("status -l team=acme").await).1.starts_with("1 connection "));
    assert!(first_lines(&env.run("status -n other").await).1.starts_with("1 connection "));
    assert!(env.run("status -n nowhere").await.out.ends_with("in this namespace. Use -A for all namespaces.\n"));
    assert!(env.run("status -A --all").await.out.contains("\nother/acme "));
}

#[tokio::test(start_paused = true)]
async fn watching_in_a_pipe_prints_a_line_for_each_change() {
    let env = CliEnv::new();
    env.apply_lease(0);
    env.create_ready_connection("acme", 3);
    let log = OutputBuffer::default();
    let watch = async {
        let watched = tokio::time::timeout(Duration::from_secs(9), env.run_into_buffer(&log, PIPE, "status --watch"));
        watched.await.expect_err("it goes on");
    };
    let change = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        env.set_status("acme", expired_status());
    };
    tokio::join!(watch, change);
    assert_eq!(
        log.contents(),
        "\
2026-11-22T12:00:00Z acme ready: Synced
2026-11-22T12:00:06Z acme needs action: AuthorizationExpired
"
    );
}
