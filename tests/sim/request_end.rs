//! Every request ends: without a verdict from what was not read, within a minute of its connection's deletion, and by its
//! deadline whatever fails.

use kube_sim::{Call, Fault, FaultAction, Gate, Verb};
use serde_json::json;

use crate::env::{NAMESPACE, SimEnv, format_condition, request_succeeded, secs, sleep_secs};

fn lists(call: &Call, resource: &str) -> bool {
    call.verb == Verb::List && call.resource == resource
}

#[tokio::test(start_paused = true)]
async fn a_request_survives_a_restart_before_a_late_list_of_connections() {
    let (mut world, acme) = SimEnv::with_synced("acme", 12_000).await;
    sleep_secs(60).await;
    acme.set_latency(secs(1));
    world.create_request("r", "acme");
    world.wait_for_connection("acme", |s| s.current_sync.is_some()).await;
    world.kill_operator().await;
    sleep_secs(120).await;
    let gate = Gate::new();
    world.kube.fail_next(1, |call| lists(call, "boxconnections"), Fault::Before(FaultAction::Hold(gate.clone())));
    world.spawn_operator();
    sleep_secs(50).await;
    gate.open();
    assert!(request_succeeded(&world.wait_until_finished("r").await));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_the_watch_has_not_delivered_is_looked_up_before_its_request_fails() {
    let (world, _) = SimEnv::with_synced("globex", 10).await;
    // Connections are not seen, requests are.
    let failing = Fault::Before(FaultAction::Status(500));
    world.kube.fail_next(usize::MAX, |call| call.matches(Verb::Watch, "boxconnections"), failing);
    sleep_secs(65).await;
    world.connect_enterprise("acme", 10);
    world.create_request("r", "acme");
    sleep_secs(600).await;
    let waiting = world.request_status("r");
    assert!(!waiting.phase.is_finished(), "{:?}", waiting.conditions);
    world.kube.clear_faults();
    assert!(request_succeeded(&world.wait_until_finished("r").await));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_no_absence_fails_no_request_before_its_deadline() {
    for trouble in [FaultAction::Status(403), FaultAction::Status(500), FaultAction::Hang, FaultAction::Disconnect] {
        let world = SimEnv::with_operator();
        sleep_secs(5).await;
        world.kube.fail_next(
            usize::MAX,
            |call| call.matches(Verb::Get, "boxconnections"),
            Fault::Before(trouble.clone()),
        );
        world.create_request_with("r", "acme", &json!({ "activeDeadlineSeconds": 900 }));
        let begun = world.elapsed_secs();
        sleep_secs(840).await;
        assert!(!world.request_status("r").phase.is_finished(), "{trouble:?}");
        let failed = world.wait_until_finished("r").await;
        assert_eq!(format_condition(&failed.conditions, "Failed"), "True DeadlineExceeded", "{trouble:?}");
        assert!((900..=960).contains(&(world.elapsed_secs() - begun)), "{trouble:?} {}", world.elapsed_secs() - begun);
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_whose_connection_is_deleted_is_answered_within_a_minute() {
    for finalizer in [false, true] {
        let world = SimEnv::new();
        let mut world = world;
        world.options.max_concurrent_syncs = 1;
        let busy = world.connect_enterprise("busy", 50_000);
        world.spawn_operator();
        busy.set_latency(secs(60));
        sleep_secs(10).await;
        world.connect_enterprise("acme", 10);
        if finalizer {
            world.edit_connection("acme", |c| c["metadata"]["finalizers"] = json!(["example.com/hold"]));
        }
        world.create_request("r", "acme");
        sleep_secs(300).await;
        assert!(!world.request_status("r").phase.is_finished(), "it waits for a permit");
        world.kube.delete("BoxConnection", NAMESPACE, "acme");
        let begun = world.elapsed_secs();
        let failed = world.wait_until_finished("r").await;
        assert_eq!(format_condition(&failed.conditions, "Failed"), "True ConnectionNotFound");
        assert!(world.elapsed_secs() - begun <= 60, "{}", world.elapsed_secs() - begun);
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_waits_for_a_connection_that_is_created_again() {
    let (world, acme) = SimEnv::with_synced("acme", 12_000).await;
    sleep_secs(60).await;
    acme.set_latency(secs(10));
    world.create_request("r", "acme");
    world.wait_for_connection("acme", |s| s.current_sync.is_some()).await;
    sleep_secs(70).await;
    world.kube.delete("BoxConnection", NAMESPACE, "acme");
    world.kube.collect_garbage();
    sleep_secs(30).await;
    world.apply_connection("acme", acme.id(), &json!({}));
    assert!(request_succeeded(&world.wait_until_finished("r").await));
}

#[tokio::test(start_paused = true)]
async fn a_request_ends_at_its_deadline_whatever_its_connection_waits_for() {
    for resource in ["boxconnections", "userrosters", "usersyncrequests"] {
        let (world, _) = SimEnv::with_synced("acme", 10).await;
        sleep_secs(60).await;
        // What a reconcile of the connection confirms.
        let confirms = move |call: &Call| {
            let verb = if resource == "usersyncrequests" { Verb::List } else { Verb::Get };
            call.matches(verb, resource) && call.query_param("limit").is_none()
        };
        world.kube.forbid(confirms);
        world.create_request_with("r", "acme", &json!({ "activeDeadlineSeconds": 600 }));
        let begun = world.elapsed_secs();
        let failed = world.wait_until_finished("r").await;
        assert_eq!(format_condition(&failed.conditions, "Failed"), "True DeadlineExceeded", "{resource}");
        assert!((600..=660).contains(&(world.elapsed_secs() - begun)), "{resource} {}", world.elapsed_secs() - begun);
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_waits_for_a_permit_or_a_long_run_ends_at_its_deadline() {
    let mut world = SimEnv::new();
    world.options.max_concurrent_syncs = 1;
    let busy = world.connect_enterprise("busy", 50_000);
    world.spawn_operator();
    busy.set_latency(secs(59));
    sleep_secs(10).await;
    world.create_request_with("running", "busy", &json!({ "activeDeadlineSeconds": 600 }));
    world.connect_enterprise("acme", 10);
    world.create_request_with("queued", "acme", &json!({ "activeDeadlineSeconds": 600 }));
    for name in ["running", "queued"] {
        let failed = world.wait_until_finished(name).await;
        assert_eq!(format_condition(&failed.conditions, "Failed"), "True DeadlineExceeded", "{name}");
        assert!(world.elapsed_secs() <= 680, "{name} {}", world.elapsed_secs());
    }
}
