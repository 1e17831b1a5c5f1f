//! The API server is unreachable, slow or lagging: no result of a sync is lost or counted as a failure of Box.

use box_sim::Behaviour;
use boxsync::api::RequestPhase;
use kube_sim::{Call, Fault, FaultAction, Gate, Verb};

use crate::env::{NAMESPACE, SimEnv, count_listings, format_condition, request_succeeded, secs, sleep_secs};

/// The request is found when the connection's first sync is confirmed, and its own watch event arrives before that of the
/// status that completed it. Without a gap, only the confirmation prevents a second listing.
#[tokio::test(start_paused = true)]
async fn a_lagging_watch_does_not_list_twice() {
    let mut world = SimEnv::new();
    world.options.min_sync_gap = secs(0);
    world.kube.lag_watches(secs(5));
    world.spawn_operator();
    sleep_secs(30).await;
    let acme = world.connect_enterprise("acme", 100);
    sleep_secs(4).await;
    assert!(request_succeeded(&world.run_request("r", "acme").await));
    sleep_secs(3600).await;
    assert_eq!(count_listings(&acme), 1);
}

#[tokio::test(start_paused = true)]
async fn an_api_server_outage_during_a_sync_causes_no_second_listing() {
    for second in 0..10 {
        let (world, acme) = SimEnv::with_synced("acme", 5000).await;
        sleep_secs(60).await;
        acme.set_latency(secs(1));
        world.create_request("r", "acme");
        sleep_secs(second).await;
        world.kube.start_outage();
        sleep_secs(20).await;
        world.kube.end_outage();
        let done = world.wait_until_finished("r").await;
        assert!(request_succeeded(&done), "down in second {second}: {done:?}");
        let status = world.connection_status("acme");
        assert_eq!(format_condition(&status.conditions, "Ready"), "True Synced");
        assert!(status.history.iter().all(|h| h.reason == "Synced"), "{:?}", status.history);
        assert_eq!(count_listings(&acme), 2, "down in second {second}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_response_is_lost_is_not_counted_twice() {
    let mut world = SimEnv::new();
    let acme = world.connect_enterprise("acme", 100);
    world.kube.fail_next(
        1,
        |c| c.matches(Verb::Update, "boxconnections/status"),
        Fault::After(FaultAction::Status(504)),
    );
    world.kube.fail_next(
        1,
        |c| c.matches(Verb::Update, "usersyncrequests/status"),
        Fault::After(FaultAction::Disconnect),
    );
    world.create_request("r", "acme");
    world.spawn_operator();
    assert!(request_succeeded(&world.wait_until_finished("r").await));
    sleep_secs(60).await;
    let status = world.connection_status("acme");
    assert_eq!((status.history.len(), status.history[0].attempts), (1, 1), "{:?}", status.history);
    assert_eq!(count_listings(&acme), 1);
    assert_eq!(world.request_status("r").attempts, 1);
}

#[tokio::test(start_paused = true)]
async fn a_write_applied_late_is_not_counted_twice() {
    for failing in [false, true] {
        let mut world = SimEnv::new();
        let acme = world.connect_enterprise("acme", 100);
        if failing {
            acme.enable_behaviour(Behaviour::InvalidClient);
        }
        let gate = Gate::new();
        let has_outcome = |c: &Call| {
            let status = &c.body_json()["status"];
            c.matches(Verb::Update, "boxconnections/status") && !status["history"].is_null()
        };
        world.kube.fail_next(1, has_outcome, Fault::Late(gate.clone()));
        world.spawn_operator();
        gate.reached().await;
        // The status is read again before the write is applied, and is written again at another time.
        tokio::time::sleep(secs(1) / 20).await;
        world.kube.start_outage();
        sleep_secs(4).await;
        gate.open();
        sleep_secs(1).await;
        world.kube.end_outage();
        sleep_secs(30).await;
        let status = world.connection_status("acme");
        assert_eq!((status.history.len(), status.history[0].attempts), (1, 1), "{:?}", status.history);
        assert_eq!(status.failures.map(|f| f.count), failing.then_some(1));
        world.stop_operator().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_conflict_on_the_final_status_does_not_repeat_the_run() {
    let world = SimEnv::with_operator();
    let acme = world.connect_enterprise("acme", 5000);
    acme.set_latency(secs(1));
    world.create_request("r", "acme");
    sleep_secs(3).await;
    world.edit_connection("acme", |c| c["metadata"]["labels"] = serde_json::json!({ "team": "backup" }));
    world
        .kube
        .edit("UserSyncRequest", NAMESPACE, "r", |r| r["metadata"]["labels"] = serde_json::json!({ "team": "backup" }));
    assert!(request_succeeded(&world.wait_until_finished("r").await));
    sleep_secs(120).await;
    assert_eq!(count_listings(&acme), 1);
    assert_eq!(world.connection_status("acme").users.expect("has counts").total, 5000);
}

#[tokio::test(start_paused = true)]
async fn a_frozen_watch_is_detected_and_missed_objects_are_reconciled() {
    let (world, _) = SimEnv::with_synced("acme", 100).await;
    sleep_secs(60).await;
    world.kube.freeze_watches();
    world.create_request("missed", "acme");
    sleep_secs(30).await;
    assert_eq!(world.request_status("missed").phase, RequestPhase::Pending);
    world.kube.thaw_watches();
    assert!(request_succeeded(&world.wait_until_finished("missed").await));
    world.kube.break_watches();
    assert!(request_succeeded(&world.run_request("after", "acme").await));
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_cannot_be_read_is_an_internal_failure() {
    let mut world = SimEnv::new();
    world.connect_enterprise("acme", 100);
    world.kube.fail_next(3, |c| c.matches(Verb::Get, "secrets"), Fault::Before(FaultAction::Status(500)));
    world.spawn_operator();
    let status = world.wait_for_connection("acme", |s| s.failures.is_some()).await;
    assert_eq!(format_condition(&status.conditions, "Synced"), "False Internal");
    world.wait_until_ready("acme").await;
}

#[tokio::test(start_paused = true)]
async fn after_a_long_outage_a_request_is_reconciled_soon() {
    let (world, _) = SimEnv::with_synced("acme", 100).await;
    world.kube.start_outage();
    sleep_secs(600).await;
    world.kube.end_outage();
    let begun = world.elapsed_secs();
    assert!(request_succeeded(&world.run_request("r", "acme").await));
    assert!(world.elapsed_secs() - begun <= 10, "{} s", world.elapsed_secs() - begun);
}

/// The cached view still holds the request as waiting, and calls for a sync, which the confirmed view does not.
#[tokio::test(start_paused = true)]
async fn behind_a_silent_watch_nothing_is_read_in_a_loop() {
    let (world, acme) = SimEnv::with_synced("acme", 100).await;
    acme.deauthorize_app();
    world.wait_for_condition("acme", "Connected", "False AppNotAuthorized").await;
    // Until sign-in is tried rarely, and only the Secret is looked at every minute.
    sleep_secs(4 * 3600).await;
    acme.set_latency(secs(5));
    world.create_request("r", "acme");
    sleep_secs(1).await;
    world.kube.freeze_watches();
    world.wait_until_finished("r").await;
    let mark = world.kube.log_position();
    sleep_secs(120).await;
    let reads = world.kube.requests_since(mark).len();
    assert!(reads < 200, "{reads} requests in two minutes");
}
