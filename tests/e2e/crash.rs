//! The operator is killed in the middle of a long sync.

use std::time::Duration;

use box_sim::EnterpriseSpec;
use boxsync::api::BoxConnection;
use harness::reaches;

use crate::stage::{LATER, SOON, Stage, acme, pages};

#[tokio::test]
async fn a_killed_operator_finishes_its_sync_and_touches_nothing_that_was_done() {
    let stage = Stage::begin("killed").await;
    let fresh = acme(&stage.sim);
    let mut operator = stage.operator();
    stage.connect("fresh", &fresh).await;
    stage.ready("fresh").await;
    let done = stage.finished(&stage.ask("fresh").await).await;

    let long = stage.sim.enterprise(EnterpriseSpec::new("1002").named("Globex").users(12_000));
    long.latency(Duration::from_millis(700));
    stage.connect("long", &long).await;
    let under_way =
        |c: &BoxConnection| c.status.as_ref().and_then(|s| s.current_sync.as_ref()).is_some_and(|sync| sync.users > 0);
    let connection = reaches(&stage.connections(), "long", "its sync is under way", SOON, under_way).await;
    assert_eq!(connection.status.and_then(|s| s.users), None, "there is no half a list");
    let before = stage.connections().get("fresh").await.expect("read");
    operator.kill().expect("killed");
    long.latency(Duration::ZERO);
    fresh.forget_calls();
    long.forget_calls();

    operator.start_again().expect("started");
    let connection = stage.ready("long").await;
    let status = connection.status.expect("a status");
    assert_eq!(status.users.map(|users| users.total), Some(12_000));
    assert_eq!((status.current_sync, status.failures), (None, None));
    assert_eq!(pages(&long), 12, "one whole walk, from the beginning");
    let after = stage.connections().get("fresh").await.expect("read");
    assert_eq!(after.metadata.resource_version, before.metadata.resource_version);
    let name = done.metadata.name.clone().unwrap_or_default();
    let request = stage.requests().get(&name).await.expect("read");
    assert_eq!(request.metadata.resource_version, done.metadata.resource_version);
    assert_eq!(pages(&fresh), 0, "a fresh list is not fetched again");
    stage.end(operator).await;
}

#[tokio::test]
async fn a_request_whose_operator_was_killed_is_answered_by_the_next_one() {
    let stage = Stage::begin("killed for a request").await;
    let acme = acme(&stage.sim);
    let mut operator = stage.operator();
    stage.connect("acme", &acme).await;
    stage.ready("acme").await;
    acme.latency(Duration::from_secs(5));
    let name = stage.ask("acme").await;
    let running =
        |r: &boxsync::api::UserSyncRequest| r.status.as_ref().is_some_and(|s| s.phase == boxsync::api::Phase::Running);
    reaches(&stage.requests(), &name, "it is running", SOON, running).await;
    operator.kill().expect("killed");
    acme.latency(Duration::ZERO);
    acme.add_users(3);
    operator.start_again().expect("started");
    let request = reaches(&stage.requests(), &name, "it is finished", LATER, |r| r.finished()).await;
    let status = request.status.expect("a status");
    assert_eq!(status.users.map(|users| users.total), Some(1_203));
    assert_eq!(status.progress, None);
    stage.end(operator).await;
}
