//! Crashes of the operator during a sync.

use std::time::Duration;

use box_sim::EnterpriseConfig;
use boxsync::api::BoxConnection;
use harness::wait_for_object;

use crate::env::{E2eEnv, LONG_TIMEOUT, SHORT_TIMEOUT, count_listed_pages, create_acme};

#[tokio::test]
async fn after_a_kill_the_sync_is_finished_and_completed_work_unchanged() {
    let env = E2eEnv::new("killed").await;
    let fresh = create_acme(&env.sim);
    let mut operator = env.start_operator();
    env.connect_by_client_credentials("fresh", &fresh).await;
    env.wait_until_ready("fresh").await;
    let done = env.run_request("fresh").await;

    let long = env.sim.add_enterprise(EnterpriseConfig::new("1002").name("Globex").users(12_000));
    long.set_latency(Duration::from_millis(700));
    env.connect_by_client_credentials("long", &long).await;
    let under_way =
        |c: &BoxConnection| c.status.as_ref().and_then(|s| s.current_sync.as_ref()).is_some_and(|sync| sync.users > 0);
    let connection =
        wait_for_object(&env.connections_api(), "long", "its sync is running", SHORT_TIMEOUT, under_way).await;
    assert_eq!(connection.status.and_then(|s| s.users), None, "partial list published");
    let before = env.connections_api().get("fresh").await.expect("read");
    operator.kill().expect("killed");
    long.set_latency(Duration::ZERO);
    fresh.clear_calls();
    long.clear_calls();

    operator.restart().expect("started");
    let connection = env.wait_until_ready("long").await;
    let status = connection.status.expect("a status");
    assert_eq!(status.users.map(|users| users.total), Some(12_000));
    assert_eq!((status.current_sync, status.failures), (None, None));
    assert_eq!(count_listed_pages(&long), 12, "one complete listing");
    let after = env.connections_api().get("fresh").await.expect("read");
    assert_eq!(after.metadata.resource_version, before.metadata.resource_version);
    let name = done.metadata.name.clone().unwrap_or_default();
    let request = env.requests_api().get(&name).await.expect("read");
    assert_eq!(request.metadata.resource_version, done.metadata.resource_version);
    assert_eq!(count_listed_pages(&fresh), 0, "a fresh list is not fetched again");
    env.stop_and_verify(operator).await;
}

#[tokio::test]
async fn a_request_of_a_killed_operator_is_completed_by_the_next_one() {
    let (env, acme, mut operator) = E2eEnv::with_ready_acme("killed for a request").await;
    acme.set_latency(Duration::from_secs(5));
    let name = env.request_sync("acme").await;
    let running = |r: &boxsync::api::UserSyncRequest| {
        r.status.as_ref().is_some_and(|s| s.phase == boxsync::api::RequestPhase::Running)
    };
    wait_for_object(&env.requests_api(), &name, "it is running", SHORT_TIMEOUT, running).await;
    operator.kill().expect("killed");
    acme.set_latency(Duration::ZERO);
    acme.add_users(3);
    operator.restart().expect("started");
    let request =
        wait_for_object(&env.requests_api(), &name, "it is finished", LONG_TIMEOUT, |r| r.is_finished()).await;
    let status = request.status.expect("a status");
    assert_eq!(status.users.map(|users| users.total), Some(1_203));
    assert_eq!(status.progress, None);
    env.stop_and_verify(operator).await;
}
