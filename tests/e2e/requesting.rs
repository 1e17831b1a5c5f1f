//! Requests: answered, refused, deleted.

use std::time::Duration;

use boxsync::api::{Phase, UserSyncRequest};
use harness::{eventually, reaches};

use crate::stage::{LATER, SOON, Stage, acme, condition, request, request_conditions};
use crate::table::Table;

fn total(request: &UserSyncRequest) -> Option<i64> {
    request.status.as_ref()?.users.map(|users| users.total)
}

#[tokio::test]
async fn a_request_completes_and_counts_the_user_who_was_just_added() {
    let stage = Stage::begin("request").await;
    let acme = acme(&stage.sim);
    let operator = stage.operator();
    stage.connect("acme", &acme).await;
    stage.ready("acme").await;

    acme.add_user("Zoë Ångström", "zoe@acme.example");
    let name = stage.ask("acme").await;
    stage.run(&["wait", "--for=condition=Complete", &format!("usersync/{name}"), "--timeout=60s"]).await;
    stage.run(&["wait", "--for=jsonpath={.status.completionTime}", &format!("usersync/{name}")]).await;
    let request = stage.finished(&name).await;
    assert_eq!(total(&request), Some(1_201));
    let (status, reason, message) = condition(request_conditions(&request), "Complete");
    assert_eq!((status, reason), ("True", "Synced"));
    assert!(message.contains("1,201 users") && message.contains("create a new request"), "{message}");

    let table = Table::read(&stage.run(&["get", "usersync"]).await);
    assert_eq!(table.row(&name)[1..8], ["acme", "Succeeded", "1201", "1", "0", "0", "Synced"]);
    let table = Table::read(&stage.run(&["get", "boxconn", "acme"]).await);
    assert_eq!(table.row("acme")[5], "1201");
    let status = stage.ready("acme").await.status.expect("a status");
    assert_eq!(status.history.first().map(|attempt| attempt.requests.clone()), Some(vec![name.clone()]));

    let described = stage.run(&["describe", "usersync", &name]).await;
    assert!(described.contains("Synced") && described.contains("Events:"), "{described}");
    stage.event("UserSyncRequest", &name, "Normal", "Synced").await;
    stage.end(operator).await;
}

#[tokio::test]
async fn a_sync_can_be_asked_for_by_annotation() {
    let stage = Stage::begin("annotation").await;
    let acme = acme(&stage.sim);
    let operator = stage.operator();
    stage.connect("acme", &acme).await;
    stage.ready("acme").await;
    acme.add_users(5);
    stage.run(&["annotate", "boxconn", "acme", "boxsync.dev/requested-at=tuesday"]).await;
    let handled = |c: &boxsync::api::BoxConnection| {
        c.status.as_ref().is_some_and(|s| s.last_handled_request.as_deref() == Some("tuesday"))
    };
    let connection = reaches(&stage.connections(), "acme", "the annotation is handled", SOON, handled).await;
    assert_eq!(connection.status.and_then(|s| s.users).map(|users| users.total), Some(1_205));
    stage.end(operator).await;
}

#[tokio::test]
async fn requests_while_suspended_are_refused_and_the_list_stays() {
    let stage = Stage::begin("suspended").await;
    let acme = acme(&stage.sim);
    let operator = stage.operator();
    stage.connect("acme", &acme).await;
    stage.ready("acme").await;
    stage.run(&["patch", "boxconn", "acme", "--type=merge", "-p", r#"{"spec":{"suspend":true}}"#]).await;
    let request = stage.finished(&stage.ask("acme").await).await;
    let (_, reason, message) = condition(request_conditions(&request), "Failed");
    assert_eq!(reason, "Suspended");
    assert!(message.contains("spec.suspend") && message.contains("1,200 users"), "{message}");
    stage.told("acme", "Ready", "True", "Synced").await;
    stage.end(operator).await;
}

#[tokio::test]
async fn a_finished_request_is_deleted_when_its_time_is_over_and_kept_without_one() {
    let stage = Stage::begin("ttl").await;
    let acme = acme(&stage.sim);
    let operator = stage.operator();
    stage.connect("acme", &acme).await;
    stage.ready("acme").await;
    let kept = stage.ask("acme").await;
    stage.finished(&kept).await;
    let deleted = stage.create(&request("acme", "  ttlSecondsAfterFinished: 1")).await;
    eventually("the request is deleted", SOON, async || match stage.requests().get_opt(&deleted).await {
        Ok(None) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    assert!(stage.requests().get(&kept).await.expect("kept").finished());
    stage.end(operator).await;
}

#[tokio::test]
async fn a_request_waits_a_minute_for_its_connection() {
    let stage = Stage::begin("no connection").await;
    let acme = acme(&stage.sim);
    let operator = stage.operator();
    let (nowhere, early) = (stage.ask("nowhere").await, stage.ask("acme").await);
    let waits = |r: &UserSyncRequest| r.status.as_ref().is_some_and(|s| s.start_time.is_some());
    let request = reaches(&stage.requests(), &nowhere, "it is acknowledged", SOON, waits).await;
    let (_, reason, message) = condition(request_conditions(&request), "Reconciling");
    assert_eq!(reason, "Pending");
    assert!(message.contains("no BoxConnection nowhere"), "{message}");
    assert_eq!(request.status.map(|s| s.phase), Some(Phase::Pending));

    stage.connect("acme", &acme).await;
    assert_eq!(total(&stage.finished(&early).await), Some(1_200));

    let begin = tokio::time::Instant::now();
    let request = reaches(&stage.requests(), &nowhere, "it fails", LATER, UserSyncRequest::finished).await;
    assert!(begin.elapsed() > Duration::from_secs(30), "{:?}", begin.elapsed());
    let (_, reason, message) = condition(request_conditions(&request), "Failed");
    assert_eq!(reason, "ConnectionNotFound");
    assert!(message.contains("nowhere") && message.contains("kubectl get boxconnections"), "{message}");
    stage.event("UserSyncRequest", &nowhere, "Warning", "ConnectionNotFound").await;
    stage.end(operator).await;
}
