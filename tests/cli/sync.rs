//! `sync`: requests, waiting for them, and logins that are expected.

use std::{future::Future, time::Duration};

use boxsync::api::UserSyncRequest;
use kube::ResourceExt;
use kube_sim::Verb;
use serde_json::{Value, json};

use crate::town::{At, NAMESPACE, PIPE, Said, TERMINAL, Town, condition, counts, three, user};

/// Asks, while an operator of this kind is at work.
async fn with_operator(town: &Town, line: &str, at: At<'_>, work: impl Future<Output = ()>) -> Said {
    tokio::select! {
        said = town.ask_at(at, line) => said,
        () = work => unreachable!("an operator never ends"),
    }
}

/// Answers each request a few seconds after it came.
async fn operator(town: &Town, status: impl Fn(usize, &UserSyncRequest) -> Value) {
    let mut answered = 0;
    loop {
        tokio::time::sleep(Duration::from_secs(3)).await;
        for request in town.kube.objects::<UserSyncRequest>() {
            if !request.finished() {
                answered += 1;
                let status = status(answered, &request);
                town.kube.edit("UserSyncRequest", NAMESPACE, &request.name_any(), |r| r["status"] = status);
            }
        }
    }
}

fn succeeded() -> Value {
    json!({ "observedGeneration": 1, "phase": "Succeeded", "users": counts(1212), "added": 12, "updated": 1, "removed": 0,
        "revision": 43, "completionTime": "2026-11-22T12:00:03Z", "conditions": [condition("Complete", "True", "Synced", "Done.")] })
}

fn failed() -> Value {
    json!({ "observedGeneration": 1, "phase": "Failed", "completionTime": "2026-11-22T12:00:03Z",
        "conditions": [condition("Failed", "True", "AuthorizationExpired", "Box no longer accepts the authorization. Then create a new request.")] })
}

#[tokio::test(start_paused = true)]
async fn a_request_is_created_as_the_samples_have_it() {
    let town = Town::new();
    town.ready("acme", 3);
    let said = town.ask("sync acme").await;
    let requests = town.kube.objects::<UserSyncRequest>();
    let [request] = requests.as_slice() else { panic!("{requests:?}") };
    assert_eq!((said.out, said.code), (format!("usersyncrequest.boxsync.dev/{} created\n", request.name_any()), 0));
    assert!(request.name_any().starts_with("acme-"));
    assert_eq!((request.spec.ttl_seconds_after_finished, request.spec.active_deadline_seconds), (Some(86_400), 3600));
}

#[tokio::test(start_paused = true)]
async fn waiting_in_a_pipe_prints_a_line_for_each_state() {
    let town = Town::new();
    town.ready("acme", 3);
    let work = operator(&town, |n, _| match n {
        1 => json!({ "observedGeneration": 1, "phase": "Running", "progress": { "pages": 1, "users": 1000 } }),
        2 => json!({ "observedGeneration": 1, "phase": "Running", "progress": { "pages": 2, "users": 2000 } }),
        _ => succeeded(),
    });
    let said = with_operator(&town, "sync acme --wait", PIPE, work).await;
    assert_eq!(
        said.out,
        "\
acme: created
acme: running
acme: 12 added · 1 updated · 0 removed · 1,212 users · revision 43 · next automatic sync 2026-11-23 08:59Z (in 20h)
"
    );
    assert_eq!(said.code, 0);
}

#[tokio::test(start_paused = true)]
async fn waiting_on_a_terminal_draws_one_line_again_and_again() {
    let town = Town::new();
    town.ready("acme", 5000);
    let work = operator(&town, |n, _| match n {
        1..=3 => json!({ "observedGeneration": 1, "phase": "Running", "progress": { "pages": n, "users": n * 1000 } }),
        _ => succeeded(),
    });
    let said = with_operator(&town, "sync acme --wait", TERMINAL, work).await;
    assert!(
        said.out.contains("\x1b[1A\r\x1b[J\x1b[?7lacme: 2 pages · 2,000 of about 5,000 users · 333 a second · 6s\n"),
        "{:?}",
        said.out
    );
    assert!(said.out.contains("\x1b[32m12 added"), "{:?}", said.out);
}

#[tokio::test(start_paused = true)]
async fn a_failed_request_says_why_and_has_its_exit_code() {
    let town = Town::new();
    town.ready("acme", 3);
    let said = with_operator(&town, "sync acme --wait", PIPE, operator(&town, |_, _| failed())).await;
    assert_eq!(said.code, 1);
    assert!(said.out.contains("acme: failed (AuthorizationExpired): Box no longer accepts"), "{}", said.out);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_no_operator_picks_up_is_told_after_ten_seconds() {
    let town = Town::new();
    town.ready("acme", 3);
    let said = town.ask("sync acme --wait --timeout 30s").await;
    assert_eq!(said.code, 3);
    assert!(
        said.lines()[1].starts_with("acme: no operator has picked it up within 10 s: see kubectl boxsync status"),
        "{}",
        said.out
    );
    assert!(said.err.contains("kubectl boxsync status"), "{}", said.err);
}

#[tokio::test(start_paused = true)]
async fn the_time_may_be_over_before_the_request_is() {
    let town = Town::new();
    town.ready("acme", 3);
    let work = operator(&town, |_, _| json!({ "observedGeneration": 1, "phase": "Running" }));
    let said = with_operator(&town, "sync acme --wait --timeout 20s", PIPE, work).await;
    assert_eq!(said.code, 5);
    assert!(said.err.contains("did not end within 20s, and goes on."), "{}", said.err);
}

#[tokio::test(start_paused = true)]
async fn trouble_of_the_api_server_that_passes_is_waited_out() {
    let town = Town::new();
    town.ready("acme", 3);
    town.kube.fail_next(
        3,
        |call| call.is(Verb::Get, "usersyncrequests"),
        kube_sim::Fault::Before(kube_sim::Trouble::Status(503)),
    );
    let said = with_operator(&town, "sync acme --wait", PIPE, operator(&town, |_, _| succeeded())).await;
    assert_eq!(said.code, 0, "{}", said.err);
}

#[tokio::test(start_paused = true)]
async fn several_connections_are_waited_for_at_once_and_the_worst_counts() {
    let town = Town::new();
    for name in ["acme", "globex"] {
        town.ready(name, 3);
    }
    let lost = |request: &UserSyncRequest| request.spec.connection_ref.name == "globex";
    let work = operator(&town, |_, request| if lost(request) { failed() } else { succeeded() });
    let said = with_operator(&town, "sync globex acme globex --wait", PIPE, work).await;
    let lines = said.lines();
    assert_eq!((said.code, lines.len()), (1, 4), "{}", said.out);
    assert!(lines[2].starts_with("acme: 12 added") && lines[3].starts_with("globex: failed"), "{}", said.out);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_somebody_deletes_is_not_waited_for() {
    let town = Town::new();
    town.ready("acme", 3);
    let work = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        for request in town.kube.objects::<UserSyncRequest>() {
            town.kube.delete("UserSyncRequest", NAMESPACE, &request.name_any());
        }
        std::future::pending::<()>().await;
    };
    let said = with_operator(&town, "sync acme --wait", PIPE, work).await;
    assert_eq!(said.code, 1);
    assert!(
        said.out
            .ends_with("acme: the request is gone: somebody deleted it. Create another with kubectl boxsync sync\n"),
        "{}",
        said.out
    );
}

#[tokio::test(start_paused = true)]
async fn all_leaves_out_those_that_are_suspended() {
    let town = Town::new();
    for name in ["acme", "globex", "initech"] {
        town.ready(name, 3);
    }
    town.kube.edit("BoxConnection", NAMESPACE, "globex", |c| c["spec"]["suspend"] = true.into());
    let said = town.ask("sync --all").await;
    assert_eq!((said.lines().len(), said.err.as_str()), (2, "globex is suspended and left out.\n"));
    assert_eq!(town.ask("sync -l team=acme").await.lines().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn expected_logins_are_looked_for_until_they_are_there() {
    let town = Town::new();
    town.ready("acme", 3);
    town.publish("acme", &three()).await;
    let work = Box::pin(async {
        let answer = operator(&town, |_, _| succeeded());
        let hire = async {
            tokio::time::sleep(Duration::from_secs(15)).await;
            let mut list = three().to_vec();
            list.push(user("2004", "Cleo@acme.com", "Cleo"));
            town.publish("acme", &list).await;
            std::future::pending::<()>().await;
        };
        tokio::join!(answer, hire);
    });
    let at = At { types: "# hired today\ncleo@ACME.com\n\nann@acme.com\n", ..PIPE };
    let said = with_operator(&town, "sync acme --expect-file -", at, work).await;
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.out.contains("acme: 1 of 2 expected logins not there yet, looking again in 15 s"), "{}", said.out);
    assert!(said.out.ends_with("acme: all of 2 expected logins in the list\n"), "{}", said.out);
    assert_eq!(town.kube.list("UserSyncRequest").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn logins_that_never_come_are_named() {
    let town = Town::new();
    town.ready("acme", 3);
    town.publish("acme", &three()).await;
    let at = At { types: "ann@acme.com\nnobody@acme.com\n", ..PIPE };
    let work = operator(&town, |_, _| succeeded());
    let said = with_operator(&town, "sync acme --expect-file - --timeout 1m", at, work).await;
    assert_eq!(said.code, 4);
    assert_eq!(said.lines().last(), Some(&"nobody@acme.com"));
    assert!(said.err.starts_with("error: 1 of 2 expected logins not in the list of acme after"), "{}", said.err);
}
