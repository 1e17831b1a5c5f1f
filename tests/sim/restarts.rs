//! Operators that are killed or stopped, and the next one.

use serde_json::json;

use crate::world::{NAMESPACE, World, condition, listings, pass, secs, succeeded};

#[tokio::test(start_paused = true)]
async fn an_operator_killed_in_a_sync_leaves_nothing_that_the_next_one_does_not_finish() {
    let mut world = World::running();
    let globex = world.connect("globex", 12_000);
    world.until("globex", |s| s.last_sync.is_some()).await;
    pass(60).await;
    world.request("before", "globex");
    world.ended("before").await;
    let finished = world.kube.get("UserSyncRequest", NAMESPACE, "before");
    pass(60).await;
    globex.latency(secs(1));
    world.request("during", "globex");
    world.until("globex", |s| s.current_sync.is_some()).await;
    world.kill().await;
    pass(60).await;
    assert!(world.status("globex").current_sync.is_some(), "nobody was there to take it away");
    world.start();
    assert!(succeeded(&world.ended("during").await));
    let status = world.until("globex", |s| s.current_sync.is_none()).await;
    assert_eq!(status.users.expect("counted").total, 12_000);
    assert_eq!(world.kube.get("UserSyncRequest", NAMESPACE, "before"), finished, "a finished request is untouched");
}

#[tokio::test(start_paused = true)]
async fn a_restart_with_fresh_lists_asks_box_nothing_and_writes_nothing() {
    let mut world = World::running();
    let all: Vec<_> = (0..50).map(|n| world.connect(&format!("c{n:02}"), 20)).collect();
    for n in 0..50 {
        world.until(&format!("c{n:02}"), |s| s.last_sync.is_some()).await;
    }
    pass(5).await;
    world.kill().await;
    all.iter().for_each(box_sim::Enterprise::forget_calls);
    let mark = world.kube.mark();
    world.start();
    pass(600).await;
    assert_eq!(all.iter().map(|e| e.calls().total()).sum::<u64>(), 0);
    assert_eq!(world.writes_since(mark), Vec::<String>::new());
    let beyond =
        world.kube.requests_since(mark).into_iter().filter(|r| !format!("{:?}", r.verb).contains("Watch")).count();
    assert!(beyond <= 10, "{beyond}");
}

#[tokio::test(start_paused = true)]
async fn a_clean_stop_ends_within_seconds_in_the_middle_of_a_sync() {
    let mut world = World::running();
    let globex = world.connect("globex", 50_000);
    globex.latency(secs(1));
    pass(10).await;
    let begun = world.elapsed();
    world.stop().await;
    assert!(world.elapsed() - begun <= 3, "{}", world.elapsed() - begun);
    world.start();
    world.until("globex", |s| s.last_sync.is_some()).await;
}

#[tokio::test(start_paused = true)]
async fn a_clean_stop_also_ends_a_wait_for_box() {
    let mut world = World::new();
    let acme = world.connect("acme", 50);
    acme.behave(box_sim::Behaviour::InternalError);
    world.start();
    pass(3).await;
    let begun = world.elapsed();
    world.stop().await;
    assert!(world.elapsed() - begun <= 3);
}

#[tokio::test(start_paused = true)]
async fn a_deleted_connection_stops_its_sync_and_its_request_says_so() {
    let world = World::running();
    let globex = world.connect("globex", 50_000);
    globex.latency(secs(1));
    world.request("r", "globex");
    pass(10).await;
    world.kube.delete("BoxConnection", NAMESPACE, "globex");
    pass(5).await;
    let calls = globex.calls().total();
    let failed = world.ended("r").await;
    assert_eq!(condition(&failed.conditions, "Failed"), "True ConnectionNotFound");
    assert_eq!(globex.calls().total(), calls, "no page after the deletion");
}

#[tokio::test(start_paused = true)]
async fn a_connection_replaced_during_its_sync_gets_a_sync_of_its_own() {
    let world = World::running();
    let globex = world.connect("globex", 20_000);
    globex.latency(secs(1));
    pass(10).await;
    let first = world.kube.get("BoxConnection", NAMESPACE, "globex").expect("there")["metadata"]["uid"].clone();
    world.kube.delete("BoxConnection", NAMESPACE, "globex");
    world.connection("globex", globex.id(), &json!({}));
    let status = world.until("globex", |s| s.last_sync.is_some()).await;
    assert_ne!(world.kube.get("BoxConnection", NAMESPACE, "globex").expect("there")["metadata"]["uid"], first);
    assert_eq!(status.users.expect("counted").total, 20_000);
    assert_eq!(status.history.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn suspending_stops_a_sync_between_two_pages() {
    let world = World::running();
    let globex = world.connect("globex", 50_000);
    globex.latency(secs(1));
    world.until("globex", |s| s.current_sync.is_some()).await;
    world.edit("globex", |c| {
        c["spec"]["suspend"] = true.into();
        c["metadata"]["generation"] = 2.into();
    });
    let status = world.until("globex", |s| s.current_sync.is_none()).await;
    assert_eq!(condition(&status.conditions, "Ready"), "Unknown Suspended");
    let calls = globex.calls().total();
    pass(3600).await;
    assert_eq!(globex.calls().total(), calls);
    world.edit("globex", |c| {
        c["spec"]["suspend"] = false.into();
        c["metadata"]["generation"] = 3.into();
    });
    world.until("globex", |s| s.last_sync.is_some()).await;
    assert_eq!(listings(&globex), 2);
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_the_failure_of_its_connection_and_not_of_the_process() {
    let world = World::running();
    world.connect("healthy", 20);
    world.until("healthy", |s| s.last_sync.is_some()).await;
    world.panics.store(true, std::sync::atomic::Ordering::Relaxed);
    world.connect("unlucky", 20);
    let status = world.until("unlucky", |s| s.failures.is_some()).await;
    assert_eq!(condition(&status.conditions, "Synced"), "False Internal");
    assert_eq!(condition(&status.conditions, "Connected"), "Unknown NotChecked");
    world.panics.store(false, std::sync::atomic::Ordering::Relaxed);
    world.until("unlucky", |s| condition(&s.conditions, "Ready") == "True Synced").await;
    assert_eq!(world.status("unlucky").history.len(), 2);
    world.request("r", "healthy");
    assert!(succeeded(&world.ended("r").await));
}
