//! `sync`: creating requests, waiting for them, and expected logins.

use std::{future::Future, time::Duration};

use boxsync::{api::UserSyncRequest, cli::Cli};
use kube::ResourceExt;
use kube_sim::Verb;
use serde_json::{Value, json};

use crate::env::{
    CliEnv, CliOutput, NAMESPACE, PIPE, TERMINAL, TestIo, condition_json, three_users, user_counts, user_record,
};

/// Runs a command while this operator runs.
async fn with_operator(env: &CliEnv, line: &str, io: TestIo<'_>, operator: impl Future<Output = ()>) -> CliOutput {
    tokio::select! {
        output = env.run_with_io(io, line) => output,
        () = operator => unreachable!("an operator never ends"),
    }
}

/// Sets the status of each unfinished request every three seconds.
async fn run_operator(env: &CliEnv, status: impl Fn(usize, &UserSyncRequest) -> Value) {
    let mut request_number = 0;
    loop {
        tokio::time::sleep(Duration::from_secs(3)).await;
        for request in env.kube.objects::<UserSyncRequest>() {
            if !request.is_finished() {
                request_number += 1;
                let status = status(request_number, &request);
                env.kube.edit("UserSyncRequest", NAMESPACE, &request.name_any(), |r| r["status"] = status);
            }
        }
    }
}

fn succeeded_status() -> Value {
    json!({ "observedGeneration": 1, "phase": "Succeeded", "users": user_counts(1212), "added": 12, "updated": 1, "removed": 0,
        "revision": 43, "completionTime": "2026-11-22T12:00:03Z", "conditions": [condition_json("Complete", "True", "Synced", "Done.")] })
}

fn failed_status() -> Value {
    json!({ "observedGeneration": 1, "phase": "Failed", "completionTime": "2026-11-22T12:00:03Z",
        "conditions": [condition_json("Failed", "True", "AuthorizationExpired", "Box no longer accepts the authorization. Then create a new request.")] })
}

#[tokio::test(start_paused = true)]
async fn a_request_is_created_with_the_values_of_the_samples() {
    let env = CliEnv::new();
    env.create_ready_connection("acme", 3);
    let output = env.run("sync acme").await;
    let requests = env.kube.objects::<UserSyncRequest>();
    let [request] = requests.as_slice() else { panic!("{requests:?}") };
    assert_eq!((output.out, output.code), (format!("usersyncrequest.boxsync.dev/{} created\n", request.name_any()), 0));
    assert!(request.name_any().starts_with("acme-"));
    assert_eq!((request.spec.ttl_seconds_after_finished, request.spec.active_deadline_seconds), (Some(86_400), 3600));
}

#[tokio::test(start_paused = true)]
async fn waiting_in_a_pipe_prints_a_line_for_each_state() {
    let env = CliEnv::new();
    env.create_ready_connection("acme", 3);
    let work = run_operator(&env, |n, _| match n {
        1 => json!({ "observedGeneration": 1, "phase": "Running", "progress": { "pages": 1, "users": 1000 } }),
        2 => json!({ "observedGeneration": 1, "phase": "Running", "progress": { "pages": 2, "users": 2000 } }),
        _ => succeeded_status(),
    });
    let output = with_operator(&env, "sync acme --wait", PIPE, work).await;
    assert_eq!(
        output.out,
        "\
acme: created
acme: running
acme: 12 added · 1 updated · 0 removed · 1,212 users · revision 43 · next automatic sync 2026-11-23 08:59Z (in 20h)
"
    );
    assert_eq!(output.code, 0);
}

#[tokio::test(start_paused = true)]
async fn waiting_on_a_terminal_redraws_one_line() {
    let env = CliEnv::new();
    env.create_ready_connection("acme", 5000);
    let work = run_operator(&env, |n, _| match n {
        1..=3 => json!({ "observedGeneration": 1, "phase": "Running", "progress": { "pages": n, "users": n * 1000 } }),
        _ => succeeded_status(),
    });
    let output = with_operator(&env, "sync acme --wait", TERMINAL, work).await;
    assert!(
        output
            .out
            .contains("\x1b[1A\r\x1b[J\x1b[?7lacme: 2 pages · 2,000 of about 5,000 users · 333 per second · 6s\n"),
        "{:?}",
        output.out
    );
    assert!(output.out.contains("\x1b[32m12 added"), "{:?}", output.out);
}

#[tokio::test(start_paused = true)]
async fn a_failed_request_says_why_and_has_its_exit_code() {
    let env = CliEnv::new();
    env.create_ready_connection("acme", 3);
    let output = with_operator(&env, "sync acme --wait", PIPE, run_operator(&env, |_, _| failed_status())).await;
    assert_eq!(output.code, 1);
    assert!(output.out.contains("acme: failed (AuthorizationExpired): Box no longer accepts"), "{}", output.out);
}

#[tokio::test(start_paused = true)]
async fn a_request_not_picked_up_is_reported_after_ten_seconds() {
    let env = CliEnv::new();
    env.create_ready_connection("acme", 3);
    let output = env.run("sync acme --wait --timeout 30s").await;
    assert_eq!(output.code, 3);
    assert!(
        output.stdout_lines()[1]
            .starts_with("acme: no operator has picked it up within 10 s: see kubectl boxsync status"),
        "{}",
        output.out
    );
    assert!(output.err.contains("kubectl boxsync status"), "{}", output.err);
}

#[tokio::test(start_paused = true)]
async fn in_a_namespace_that_no_operator_watches_nothing_is_created() {
    let env = CliEnv::new();
    env.create_connection("acme");
    env.clock.advance(std::time::Duration::from_secs(61));
    let output = env.run("sync acme --wait").await;
    assert_eq!(output.code, 1, "{}", output.err);
    assert!(output.err.contains("acme: No operator watches namespace backup."), "{}", output.err);
    assert!(env.kube.list("UserSyncRequest").is_empty());
    // One such connection among others holds up none of them.
    env.create_ready_connection("globex", 3);
    let output = env.run("sync -A").await;
    assert_eq!(output.code, 0, "{}", output.err);
    assert!(output.err.contains("No operator watches namespace backup."), "{}", output.err);
    assert_eq!(env.kube.list("UserSyncRequest").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn waiting_times_out_before_the_request_finishes() {
    let env = CliEnv::new();
    env.create_ready_connection("acme", 3);
    let work = run_operator(&env, |_, _| json!({ "observedGeneration": 1, "phase": "Running" }));
    let output = with_operator(&env, "sync acme --wait --timeout 20s", PIPE, work).await;
    assert_eq!(output.code, 5);
    assert!(output.err.contains("did not finish within 20s and is still running."), "{}", output.err);
}

#[tokio::test(start_paused = true)]
async fn transient_api_server_errors_are_retried() {
    let env = CliEnv::new();
    env.create_ready_connection("acme", 3);
    env.kube.fail_next(
        3,
        |call| call.matches(Verb::Get, "usersyncrequests"),
        kube_sim::Fault::Before(kube_sim::FaultAction::Status(503)),
    );
    let output = with_operator(&env, "sync acme --wait", PIPE, run_operator(&env, |_, _| succeeded_status())).await;
    assert_eq!(output.code, 0, "{}", output.err);
}

#[tokio::test(start_paused = true)]
async fn several_connections_are_awaited_together_and_the_worst_result_decides() {
    let env = CliEnv::new();
    for name in ["acme", "globex"] {
        env.create_ready_connection(name, 3);
    }
    let fails = |request: &UserSyncRequest| request.spec.connection_ref.name == "globex";
    let work = run_operator(&env, |_, request| if fails(request) { failed_status() } else { succeeded_status() });
    let output = with_operator(&env, "sync globex acme globex --wait", PIPE, work).await;
    let lines = output.stdout_lines();
    assert_eq!((output.code, lines.len()), (1, 4), "{}", output.out);
    assert!(lines[2].starts_with("acme: 12 added") && lines[3].starts_with("globex: failed"), "{}", output.out);
}

#[tokio::test(start_paused = true)]
async fn waiting_ends_if_the_request_is_deleted() {
    let env = CliEnv::new();
    env.create_ready_connection("acme", 3);
    let delete_requests = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        for request in env.kube.objects::<UserSyncRequest>() {
            env.kube.delete("UserSyncRequest", NAMESPACE, &request.name_any());
        }
        std::future::pending::<()>().await;
    };
    let output = with_operator(&env, "sync acme --wait", PIPE, delete_requests).await;
    assert_eq!(output.code, 1);
    assert!(
        output.out.ends_with("acme: the request was deleted. Create another with kubectl boxsync sync\n"),
        "{}",
        output.out
    );
}

#[tokio::test(start_paused = true)]
async fn all_skips_suspended_connections() {
    let env = CliEnv::new();
    for name in ["acme", "globex", "initech"] {
        env.create_ready_connection(name, 3);
    }
    env.kube.edit("BoxConnection", NAMESPACE, "globex", |c| c["spec"]["suspend"] = true.into());
    let output = env.run("sync --all").await;
    assert_eq!((output.stdout_lines().len(), output.err.as_str()), (2, "globex is suspended, skipped.\n"));
    assert_eq!(env.run("sync -l team=acme").await.stdout_lines().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn sync_repeats_until_the_expected_logins_are_listed() {
    let env = CliEnv::with_three_users().await;
    let work = Box::pin(async {
        let run_requests = run_operator(&env, |_, _| succeeded_status());
        let hire = async {
            tokio::time::sleep(Duration::from_secs(15)).await;
            let mut list = three_users().to_vec();
            list.push(user_record("2004", "Cleo@acme.com", "Cleo"));
            env.publish_users("acme", &list).await;
            std::future::pending::<()>().await;
        };
        tokio::join!(run_requests, hire);
    });
    let io = TestIo { input: "# hired today\ncleo@ACME.com\n\nann@acme.com\n", ..PIPE };
    let output = with_operator(&env, "sync acme --expect-file -", io, work).await;
    assert_eq!(output.code, 0, "{}", output.err);
    assert!(output.out.contains("acme: 1 of 2 expected logins missing, syncing again in 15 s"), "{}", output.out);
    assert!(output.out.ends_with("acme: all 2 expected logins are in the list\n"), "{}", output.out);
    assert_eq!(env.kube.list("UserSyncRequest").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn missing_expected_logins_are_printed() {
    let env = CliEnv::with_three_users().await;
    let io = TestIo { input: "ann@acme.com\nnobody@acme.com\n", ..PIPE };
    let work = run_operator(&env, |_, _| succeeded_status());
    let output = with_operator(&env, "sync acme --expect-file - --timeout 1m", io, work).await;
    assert_eq!(output.code, 4);
    assert_eq!(output.stdout_lines().last(), Some(&"nobody@acme.com"));
    assert!(
        output.err.starts_with("error: 1 of 2 expected logins are not in the list of acme after"),
        "{}",
        output.err
    );
}

#[tokio::test(start_paused = true)]
async fn all_namespaces_are_synced_with_one_command() {
    let env = CliEnv::new();
    env.create_ready_connection("acme", 3);
    env.create_connection_in("team-b", "acme");
    let finished = async {
        loop {
            tokio::time::sleep(Duration::from_secs(3)).await;
            for request in env.kube.objects::<UserSyncRequest>() {
                let namespace = request.namespace().expect("a namespace");
                env.kube.edit("UserSyncRequest", &namespace, &request.name_any(), |r| r["status"] = succeeded_status());
            }
        }
    };
    let output = with_operator(&env, "sync -A --wait", PIPE, finished).await;
    assert_eq!(output.code, 0, "{}{}", output.out, output.err);
    for label in [format!("{NAMESPACE}/acme: 12 added"), "team-b/acme: 12 added".to_owned()] {
        assert!(output.out.contains(&label), "{}", output.out);
    }
    let named = Cli::parse_args(["kubectl-boxsync", "sync", "acme", "-A"]);
    assert!(named.is_err(), "a name belongs to one namespace");
}
