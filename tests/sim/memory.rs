//! What the process holds in memory follows what the cluster holds.

use kube_sim::{Fault, FaultAction, Verb};
use serde_json::json;

use crate::env::{NAMESPACE, OPERATOR, SimEnv, secs, sleep_secs};

/// Entries of the caches: connections, requests, rosters, states of connections, objects whose last reconcile failed.
fn cache_entries(world: &SimEnv) -> [f64; 5] {
    let page = world.scrape_metrics();
    ["boxconnections", "usersyncrequests", "userrosters", "connectionstates", "reconcileerrors"]
        .map(|cache| page.value("boxsync_cache_entries", &[("cache", cache)]).expect("a leader"))
}

#[tokio::test(start_paused = true)]
async fn a_deleted_connection_leaves_nothing_in_memory() {
    let world = SimEnv::with_operator();
    let names = ["plain", "foreground", "finalizer", "failing"];
    names.iter().for_each(|name| drop(world.connect_enterprise(name, 10)));
    for name in names {
        world.wait_until_synced(name).await;
    }
    world.create_request("waiting", "nobody");
    sleep_secs(10).await;
    assert_eq!(cache_entries(&world), [4.0, 1.0, 4.0, 4.0, 0.0]);

    world.kube.fail_next(
        usize::MAX,
        |call| call.matches(Verb::Get, "boxconnections") && call.name.as_deref() == Some("failing"),
        Fault::Before(FaultAction::Status(403)),
    );
    world.edit_connection("failing", |c| {
        c["metadata"]["annotations"] = json!({ "boxsync.dev/requested-at": "now" });
    });
    world.edit_connection("finalizer", |c| c["metadata"]["finalizers"] = json!(["example.com/hold"]));
    sleep_secs(10).await;
    assert_eq!(cache_entries(&world), [4.0, 1.0, 4.0, 4.0, 1.0]);

    world.kube.delete("BoxConnection", NAMESPACE, "plain");
    world.kube.delete("BoxConnection", NAMESPACE, "failing");
    world.kube.delete("BoxConnection", NAMESPACE, "finalizer");
    world.kube.delete_foreground("BoxConnection", NAMESPACE, "foreground");
    sleep_secs(5).await;
    assert_eq!(cache_entries(&world)[3..], [0.0, 0.0], "also of those that are still being deleted");
    world.edit_connection("finalizer", |c| c["metadata"]["labels"] = json!({ "touched": "while deleted" }));
    sleep_secs(3600).await;
    world.kube.edit("BoxConnection", NAMESPACE, "finalizer", |_| {});
    let finalizers = json!({ "apiVersion": "boxsync.dev/v1alpha1", "kind": "BoxConnection",
        "metadata": { "name": "finalizer", "namespace": NAMESPACE, "finalizers": null } });
    world.kube.apply(finalizers);
    while world.kube.collect_garbage() > 0 {}
    sleep_secs(60).await;
    assert!(world.kube.list("BoxConnection").is_empty());
    assert_eq!(cache_entries(&world), [0.0; 5]);
    assert_eq!(world.scrape_metrics().value("boxsync_connection_ready", &[]), None);
}

#[tokio::test(start_paused = true)]
async fn a_connection_deleted_during_its_sync_leaves_nothing_in_memory() {
    let world = SimEnv::with_operator();
    let globex = world.connect_enterprise("globex", 50_000);
    globex.set_latency(secs(2));
    world.wait_for_connection("globex", |s| s.current_sync.is_some()).await;
    world.edit_connection("globex", |c| c["metadata"]["finalizers"] = json!(["example.com/hold"]));
    world.kube.delete("BoxConnection", NAMESPACE, "globex");
    sleep_secs(10).await;
    world.kube.apply(json!({ "apiVersion": "boxsync.dev/v1alpha1", "kind": "BoxConnection",
        "metadata": { "name": "globex", "namespace": NAMESPACE, "finalizers": null } }));
    while world.kube.collect_garbage() > 0 {}
    sleep_secs(700).await;
    assert_eq!(cache_entries(&world), [0.0; 5]);
}

#[tokio::test(start_paused = true)]
async fn finished_requests_are_kept_in_memory_only_for_their_deletion() {
    let mut world = SimEnv::new();
    world.connect_enterprise("acme", 10);
    for n in 0..2_000 {
        let ttl = if n % 20 == 0 { json!({ "ttlSecondsAfterFinished": 600 }) } else { json!({}) };
        world.create_request_with(&format!("r{n}"), "acme", &ttl);
        world.kube.edit("UserSyncRequest", NAMESPACE, &format!("r{n}"), |r| {
            r["status"] = json!({ "phase": "Succeeded", "completionTime": "2026-11-22T12:00:00Z", "attempts": 1 });
        });
    }
    world.spawn_operator();
    world.wait_until_synced("acme").await;
    world.create_request("waiting", "nobody");
    sleep_secs(10).await;
    assert_eq!(cache_entries(&world)[..2], [1.0, 101.0]);
    world.wait_until_finished("waiting").await;
    sleep_secs(600).await;
    assert_eq!(cache_entries(&world)[..2], [1.0, 0.0]);
    assert_eq!(world.kube.list("UserSyncRequest").len(), 1_901);
    let deletes = world.kube.writes().into_iter().filter(|w| w.user == OPERATOR && w.verb == Verb::Delete).count();
    assert_eq!(deletes, 100);
}
