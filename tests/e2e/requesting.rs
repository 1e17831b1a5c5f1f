//! Requests: completed, rejected, deleted.

use std::time::Duration;

use boxsync::api::{RequestPhase, UserSyncRequest};
use harness::{eventually, wait_for_object};

use crate::{
    env::{E2eEnv, LONG_TIMEOUT, SHORT_TIMEOUT, create_acme, expect_condition, request_conditions, request_yaml},
    table::KubectlTable,
};

fn total_users(request: &UserSyncRequest) -> Option<i64> {
    request.status.as_ref()?.users.map(|users| users.total)
}

#[tokio::test]
async fn a_request_completes_and_counts_the_user_who_was_just_added() {
    let (env, acme, operator) = E2eEnv::with_ready_acme("request").await;

    acme.add_user("Zoë Ångström", "zoe@acme.example");
    let name = env.request_sync("acme").await;
    env.run(&["wait", "--for=condition=Complete", &format!("usersync/{name}"), "--timeout=60s"]).await;
    env.run(&["wait", "--for=jsonpath={.status.completionTime}", &format!("usersync/{name}")]).await;
    let request = env.wait_until_finished(&name).await;
    assert_eq!(total_users(&request), Some(1_201));
    let (status, reason, message) = expect_condition(request_conditions(&request), "Complete");
    assert_eq!((status, reason), ("True", "Synced"));
    assert!(message.contains("1,201 users") && message.contains("create a new request"), "{message}");

    let table = KubectlTable::parse(&env.run(&["get", "usersync"]).await);
    assert_eq!(table.row(&name)[1..5], ["acme", "Succeeded", "Synced", "1201"]);
    let table = KubectlTable::parse(&env.run(&["get", "boxconn", "acme"]).await);
    assert_eq!(table.row("acme")[3], "1201");
    let status = env.wait_until_ready("acme").await.status.expect("a status");
    assert_eq!(status.history.first().map(|attempt| attempt.requests.clone()), Some(vec![name.clone()]));

    let described = env.run(&["describe", "usersync", &name]).await;
    assert!(described.contains("Synced") && described.contains("Events:"), "{described}");
    env.wait_for_event("UserSyncRequest", &name, "Normal", "Synced").await;
    env.stop_and_verify(operator).await;
}

#[tokio::test]
async fn a_sync_can_be_requested_by_annotation() {
    let (env, acme, operator) = E2eEnv::with_ready_acme("annotation").await;
    acme.add_users(5);
    env.run(&["annotate", "boxconn", "acme", "boxsync.dev/requested-at=tuesday"]).await;
    let handled = |c: &boxsync::api::BoxConnection| {
        c.status.as_ref().is_some_and(|s| s.last_handled_request.as_deref() == Some("tuesday"))
    };
    let connection =
        wait_for_object(&env.connections_api(), "acme", "the annotation is handled", SHORT_TIMEOUT, handled).await;
    assert_eq!(connection.status.and_then(|s| s.users).map(|users| users.total), Some(1_205));
    env.stop_and_verify(operator).await;
}

#[tokio::test]
async fn requests_to_a_suspended_connection_fail_and_the_list_stays() {
    let (env, _, operator) = E2eEnv::with_ready_acme("suspended").await;
    env.run(&["patch", "boxconn", "acme", "--type=merge", "-p", r#"{"spec":{"suspend":true}}"#]).await;
    let request = env.run_request("acme").await;
    let (_, reason, message) = expect_condition(request_conditions(&request), "Failed");
    assert_eq!(reason, "Suspended");
    assert!(message.contains("spec.suspend"), "{message}");
    let connection = env.wait_for_condition("acme", "Ready", "True", "Suspended").await;
    assert_eq!(
        connection.status.and_then(|status| status.users).map(|users| users.total),
        Some(1_200),
        "the list stays"
    );
    env.stop_and_verify(operator).await;
}

#[tokio::test]
async fn a_finished_request_is_deleted_after_its_ttl_and_kept_without_one() {
    let (env, _, operator) = E2eEnv::with_ready_acme("ttl").await;
    let without_ttl = env.request_sync("acme").await;
    env.wait_until_finished(&without_ttl).await;
    let deleted = env.create_manifest(&request_yaml("acme", "  ttlSecondsAfterFinished: 1")).await;
    eventually("the request is deleted", SHORT_TIMEOUT, async || match env.requests_api().get_opt(&deleted).await {
        Ok(None) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    assert!(env.requests_api().get(&without_ttl).await.expect("exists").is_finished());
    env.stop_and_verify(operator).await;
}

#[tokio::test]
async fn a_request_waits_a_minute_for_its_connection() {
    let env = E2eEnv::new("no connection").await;
    let acme = create_acme(&env.sim);
    let operator = env.start_operator();
    let (nowhere, early) = (env.request_sync("nowhere").await, env.request_sync("acme").await);
    let is_acknowledged = |r: &UserSyncRequest| r.status.as_ref().is_some_and(|s| s.start_time.is_some());
    let request =
        wait_for_object(&env.requests_api(), &nowhere, "it is acknowledged", SHORT_TIMEOUT, is_acknowledged).await;
    let (_, reason, message) = expect_condition(request_conditions(&request), "Reconciling");
    assert_eq!(reason, "Pending");
    assert!(message.contains("no BoxConnection nowhere"), "{message}");
    assert_eq!(request.status.map(|s| s.phase), Some(RequestPhase::Pending));

    env.connect_by_client_credentials("acme", &acme).await;
    assert_eq!(total_users(&env.wait_until_finished(&early).await), Some(1_200));

    let begin = tokio::time::Instant::now();
    let request =
        wait_for_object(&env.requests_api(), &nowhere, "it fails", LONG_TIMEOUT, UserSyncRequest::is_finished).await;
    assert!(begin.elapsed() > Duration::from_secs(30), "{:?}", begin.elapsed());
    let (_, reason, message) = expect_condition(request_conditions(&request), "Failed");
    assert_eq!(reason, "ConnectionNotFound");
    assert!(message.contains("nowhere") && message.contains("kubectl get boxconnections"), "{message}");
    env.wait_for_event("UserSyncRequest", &nowhere, "Warning", "ConnectionNotFound").await;
    env.stop_and_verify(operator).await;
}
