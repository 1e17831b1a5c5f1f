//! The API server is away in the middle of a sync.

use std::time::Duration;

use box_sim::EnterpriseSpec;
use boxsync::api::BoxConnection;
use harness::{Options, exclusive, reaches};

use crate::stage::{LATER, SOON, Stage, acme, condition, conditions, install_crds, pages};

#[tokio::test]
async fn a_sync_outlives_the_api_server_and_nobody_blames_box() {
    let options = Options { name: "outage".to_owned(), ..Options::default() };
    let mut plane = exclusive(options).await.expect("control plane");
    install_crds(&plane).await;
    let stage = Stage::on(&plane, "outage", |manifests| manifests).await;
    // A leader that cannot renew its Lease for so long would end, with its sync.
    let operator = stage.start(&stage.settings().flag("--leader-elect", "false"));
    let fresh = acme(&stage.sim);
    stage.connect("fresh", &fresh).await;
    stage.ready("fresh").await;
    let long = stage.sim.enterprise(EnterpriseSpec::new("1002").named("Globex").users(12_000));
    long.latency(Duration::from_millis(900));
    // Asked for before the connection is there: its first sync answers.
    let name = stage.ask("long").await;
    stage.connect("long", &long).await;
    let under_way = |c: &BoxConnection| c.status.as_ref().is_some_and(|s| s.current_sync.is_some());
    reaches(&stage.connections(), "long", "its sync is under way", SOON, under_way).await;
    fresh.forget_calls();

    plane.stop_api_server().expect("stopped");
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert!(pages(&long) >= 12, "the sync went on: {} pages", pages(&long));
    plane.start_api_server().await.expect("started");

    let connection = reaches(&stage.connections(), "long", "it is ready", LATER, |c| {
        c.status.as_ref().is_some_and(|s| s.last_sync.is_some())
    })
    .await;
    for kind in ["Ready", "Connected", "Synced"] {
        assert_eq!(condition(conditions(&connection), kind).0, "True", "{kind}");
    }
    let status = connection.status.expect("a status");
    assert_eq!(status.users.map(|users| users.total), Some(12_000));
    assert_eq!(status.failures, None);
    assert_eq!(status.history.len(), 1, "{:?}", status.history);
    let request = reaches(&stage.requests(), &name, "it is finished", LATER, |r| r.finished()).await;
    assert_eq!(request.status.and_then(|s| s.users).map(|users| users.total), Some(12_000));
    assert_eq!(pages(&long), 12, "one listing was enough");
    assert_eq!(pages(&fresh), 0);

    let events = stage.events("BoxConnection", "long").await;
    assert!(events.iter().all(|(type_, ..)| type_ == "Normal"), "{events:?}");

    // The watches come back soon too, and do not sit out a long backoff.
    fresh.add_user("Somebody New", "new@acme.example");
    let name = stage.ask("fresh").await;
    let limit = Duration::from_secs(40);
    let request = reaches(&stage.requests(), &name, "it is answered soon", limit, |r| r.finished()).await;
    assert_eq!(request.status.and_then(|s| s.users).map(|users| users.total), Some(1_201));
    stage.end(operator).await;
}
