//! An outage of the API server during a sync.

use std::time::Duration;

use box_sim::EnterpriseConfig;
use boxsync::api::BoxConnection;
use harness::{exclusive_control_plane, wait_for_object};

use crate::env::{
    E2eEnv, LONG_TIMEOUT, SHORT_TIMEOUT, connection_conditions, count_listed_pages, create_acme, expect_condition,
    install_crds,
};

#[tokio::test]
async fn a_sync_survives_an_api_server_outage() {
    let mut plane = exclusive_control_plane("outage").await.expect("control plane");
    install_crds(&plane).await;
    let env = E2eEnv::on_plane(&plane, "outage", |manifests| manifests).await;
    // Without leader election, because a leader that cannot renew its Lease exits and loses its sync.
    let operator = env.start_operator_with(&env.operator_settings().flag("--leader-elect", "false"));
    let fresh = create_acme(&env.sim);
    env.connect_by_client_credentials("fresh", &fresh).await;
    env.wait_until_ready("fresh").await;
    let long = env.sim.add_enterprise(EnterpriseConfig::new("1002").name("Globex").users(12_000));
    long.set_latency(Duration::from_millis(900));
    // The request is created before the connection, so that the first sync completes it.
    let name = env.request_sync("long").await;
    env.connect_by_client_credentials("long", &long).await;
    let under_way = |c: &BoxConnection| c.status.as_ref().is_some_and(|s| s.current_sync.is_some());
    wait_for_object(&env.connections_api(), "long", "its sync is running", SHORT_TIMEOUT, under_way).await;
    fresh.clear_calls();

    plane.stop_api_server().expect("stopped");
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert!(count_listed_pages(&long) >= 12, "the sync continued: {} pages", count_listed_pages(&long));
    plane.start_api_server().await.expect("started");

    let connection = wait_for_object(&env.connections_api(), "long", "it is ready", LONG_TIMEOUT, |c| {
        c.status.as_ref().is_some_and(|s| s.last_sync.is_some())
    })
    .await;
    for kind in ["Ready", "Connected", "Synced"] {
        assert_eq!(expect_condition(connection_conditions(&connection), kind).0, "True", "{kind}");
    }
    let status = connection.status.expect("a status");
    assert_eq!(status.users.map(|users| users.total), Some(12_000));
    assert_eq!(status.failures, None);
    assert_eq!(status.history.len(), 1, "{:?}", status.history);
    let request =
        wait_for_object(&env.requests_api(), &name, "it is finished", LONG_TIMEOUT, |r| r.is_finished()).await;
    assert_eq!(request.status.and_then(|s| s.users).map(|users| users.total), Some(12_000));
    assert_eq!(count_listed_pages(&long), 12, "the list was fetched twice");
    assert_eq!(count_listed_pages(&fresh), 0);

    let events = env.list_events("BoxConnection", "long").await;
    assert!(events.iter().all(|(type_, ..)| type_ == "Normal"), "{events:?}");

    // The watches also recover soon, without a long backoff.
    fresh.add_user("Somebody New", "new@acme.example");
    let name = env.request_sync("fresh").await;
    let limit = Duration::from_secs(40);
    let request =
        wait_for_object(&env.requests_api(), &name, "the request finishes in time", limit, |r| r.is_finished()).await;
    assert_eq!(request.status.and_then(|s| s.users).map(|users| users.total), Some(1_201));
    env.stop_and_verify(operator).await;
}
