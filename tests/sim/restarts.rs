//! Crashes and graceful stops of the operator, and the next process.

use serde_json::json;

use crate::env::{NAMESPACE, SimEnv, count_listings, format_condition, request_succeeded, secs, sleep_secs};

#[tokio::test(start_paused = true)]
async fn a_sync_interrupted_by_a_crash_is_finished_by_the_next_process() {
    let (mut world, globex) = SimEnv::with_synced("globex", 12_000).await;
    sleep_secs(60).await;
    world.run_request("before", "globex").await;
    let finished = world.kube.get("UserSyncRequest", NAMESPACE, "before");
    sleep_secs(60).await;
    globex.set_latency(secs(1));
    world.create_request("during", "globex");
    world.wait_for_connection("globex", |s| s.current_sync.is_some()).await;
    world.kill_operator().await;
    sleep_secs(60).await;
    assert!(world.connection_status("globex").current_sync.is_some(), "no operator removed it");
    world.spawn_operator();
    assert!(request_succeeded(&world.wait_until_finished("during").await));
    let status = world.wait_for_connection("globex", |s| s.current_sync.is_none()).await;
    assert_eq!(status.users.expect("has counts").total, 12_000);
    assert_eq!(world.kube.get("UserSyncRequest", NAMESPACE, "before"), finished, "a finished request is untouched");
}

#[tokio::test(start_paused = true)]
async fn a_restart_with_fresh_lists_makes_no_box_calls_and_writes_nothing() {
    let mut world = SimEnv::with_operator();
    let all: Vec<_> = (0..50).map(|n| world.connect_enterprise(&format!("c{n:02}"), 20)).collect();
    for n in 0..50 {
        world.wait_until_synced(&format!("c{n:02}")).await;
    }
    sleep_secs(5).await;
    world.kill_operator().await;
    all.iter().for_each(box_sim::Enterprise::clear_calls);
    let mark = world.kube.log_position();
    world.spawn_operator();
    sleep_secs(600).await;
    assert_eq!(all.iter().map(|e| e.call_counts().total()).sum::<u64>(), 0);
    assert_eq!(world.writes_since(mark), Vec::<String>::new());
    let other_requests =
        world.kube.requests_since(mark).into_iter().filter(|r| !format!("{:?}", r.verb).contains("Watch")).count();
    assert!(other_requests <= 10, "{other_requests}");
}

#[tokio::test(start_paused = true)]
async fn a_graceful_stop_during_a_sync_takes_only_seconds() {
    let mut world = SimEnv::with_operator();
    let globex = world.connect_enterprise("globex", 50_000);
    globex.set_latency(secs(1));
    sleep_secs(10).await;
    let begun = world.elapsed_secs();
    world.stop_operator().await;
    assert!(world.elapsed_secs() - begun <= 3, "{}", world.elapsed_secs() - begun);
    world.spawn_operator();
    world.wait_until_synced("globex").await;
}

#[tokio::test(start_paused = true)]
async fn a_graceful_stop_also_ends_a_box_retry_wait() {
    let mut world = SimEnv::new();
    let acme = world.connect_enterprise("acme", 50);
    acme.enable_behaviour(box_sim::Behaviour::InternalError);
    world.spawn_operator();
    sleep_secs(3).await;
    let begun = world.elapsed_secs();
    world.stop_operator().await;
    assert!(world.elapsed_secs() - begun <= 3);
}

#[tokio::test(start_paused = true)]
async fn a_deleted_connection_stops_its_sync_and_fails_its_request() {
    let world = SimEnv::with_operator();
    let globex = world.connect_enterprise("globex", 50_000);
    globex.set_latency(secs(1));
    world.create_request("r", "globex");
    sleep_secs(10).await;
    world.kube.delete("BoxConnection", NAMESPACE, "globex");
    sleep_secs(5).await;
    let calls = globex.call_counts().total();
    let failed = world.wait_until_finished("r").await;
    assert_eq!(format_condition(&failed.conditions, "Failed"), "True ConnectionNotFound");
    assert_eq!(globex.call_counts().total(), calls, "no page after the deletion");
}

#[tokio::test(start_paused = true)]
async fn a_connection_replaced_during_its_sync_gets_a_sync_of_its_own() {
    let world = SimEnv::with_operator();
    let globex = world.connect_enterprise("globex", 20_000);
    globex.set_latency(secs(1));
    sleep_secs(10).await;
    let first = world.kube.get("BoxConnection", NAMESPACE, "globex").expect("exists")["metadata"]["uid"].clone();
    world.kube.delete("BoxConnection", NAMESPACE, "globex");
    world.apply_connection("globex", globex.id(), &json!({}));
    let status = world.wait_until_synced("globex").await;
    assert_ne!(world.kube.get("BoxConnection", NAMESPACE, "globex").expect("exists")["metadata"]["uid"], first);
    assert_eq!(status.users.expect("has counts").total, 20_000);
    assert_eq!(status.history.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn suspending_stops_a_sync_between_two_pages() {
    let world = SimEnv::with_operator();
    let globex = world.connect_enterprise("globex", 50_000);
    globex.set_latency(secs(1));
    world.wait_for_connection("globex", |s| s.current_sync.is_some()).await;
    world.edit_connection("globex", |c| {
        c["spec"]["suspend"] = true.into();
        c["metadata"]["generation"] = 2.into();
    });
    let status = world.wait_for_connection("globex", |s| s.current_sync.is_none()).await;
    assert_eq!(format_condition(&status.conditions, "Ready"), "Unknown Suspended");
    let calls = globex.call_counts().total();
    sleep_secs(3600).await;
    assert_eq!(globex.call_counts().total(), calls);
    world.edit_connection("globex", |c| {
        c["spec"]["suspend"] = false.into();
        c["metadata"]["generation"] = 3.into();
    });
    world.wait_until_synced("globex").await;
    assert_eq!(count_listings(&globex), 2);
}

#[tokio::test(start_paused = true)]
async fn a_panic_fails_only_its_connection() {
    let (world, _) = SimEnv::with_synced("healthy", 20).await;
    world.panic_on_call.store(true, std::sync::atomic::Ordering::Relaxed);
    world.connect_enterprise("unlucky", 20);
    let status = world.wait_for_connection("unlucky", |s| s.failures.is_some()).await;
    assert_eq!(format_condition(&status.conditions, "Synced"), "False Internal");
    assert_eq!(format_condition(&status.conditions, "Connected"), "Unknown NotChecked");
    world.panic_on_call.store(false, std::sync::atomic::Ordering::Relaxed);
    world.wait_until_ready("unlucky").await;
    assert_eq!(world.connection_status("unlucky").history.len(), 2);
    assert!(request_succeeded(&world.run_request("r", "healthy").await));
}

#[tokio::test(start_paused = true)]
async fn a_sync_of_a_killed_process_is_not_shown_as_running_while_the_connection_is_suspended() {
    let mut world = SimEnv::with_operator();
    let globex = world.connect_enterprise("globex", 50_000);
    globex.set_latency(secs(1));
    world.wait_for_connection("globex", |s| s.current_sync.is_some()).await;
    world.kill_operator().await;
    world.edit_connection("globex", |c| {
        c["spec"]["suspend"] = true.into();
        c["metadata"]["generation"] = 2.into();
    });
    world.spawn_operator();
    let status = world.wait_for_connection("globex", |s| s.current_sync.is_none()).await;
    assert_eq!(format_condition(&status.conditions, "Ready"), "Unknown Suspended");
    assert!(world.elapsed_secs() < 600, "{} s", world.elapsed_secs());
}
