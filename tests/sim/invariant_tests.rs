//! The checks notice every kind of breach.

use boxsync::{api::BoxConnection, metrics::WatchReport};
use kube::{Api, api::PatchParams};
use serde_json::json;

use crate::{
    env::{NAMESPACE, OPERATOR, SimEnv, sleep_secs},
    invariants::Exemption,
};

/// An operator that breaks every promise at once: it shows a stale list as fresh, leaves a request unanswered, writes in a
/// loop, leaves slices behind, keeps what was deleted, and holds a permit without calling Box.
async fn break_everything(world: &SimEnv) -> String {
    let enterprise = world.add_enterprise("acme", 10);
    world.apply_connection("acme", enterprise.id(), &json!({}));
    world.edit_connection("acme", |connection| {
        connection["status"] = json!({
            "staleTime": "2026-11-22T12:00:00Z",
            "conditions": [{
                "type": "Ready", "status": "True", "reason": "Synced", "message": "",
                "lastTransitionTime": "2026-11-22T12:00:00Z",
            }],
        });
    });
    world.create_request_with("waiting", "acme", &json!({ "activeDeadlineSeconds": 60 }));
    world.metrics.permits.inc();
    let report = || WatchReport { readable: Vec::new(), cache_sizes: vec![("connectionstates", 2)] };
    let _exports = world.metrics.export_leader_series(Vec::new, report);
    let connections: Api<BoxConnection> = Api::namespaced(world.kube.client_as(OPERATOR), NAMESPACE);
    let slices = Api::namespaced(world.kube.client_as(OPERATOR), NAMESPACE);
    for n in 0..50 {
        let labels = json!({ "metadata": { "labels": { "number": n.to_string() } } });
        connections.patch("acme", &PatchParams::default(), &kube::api::Patch::Merge(labels)).await.expect("exists");
        let slice = json!({
            "apiVersion": "boxsync.dev/v1alpha1", "kind": "UserSlice",
            "metadata": { "name": format!("acme-{n}"), "labels": { "boxsync.dev/connection": "acme" } },
            "format": 1, "state": "Live", "data": "", "count": 0, "firstId": "", "lastId": "", "digest": "",
        });
        let slice: boxsync::api::UserSlice = serde_json::from_value(slice).expect("a slice");
        slices.create(&Default::default(), &slice).await.expect("new");
    }
    sleep_secs(2000).await;
    world.invariants.take_breaches().join("\n")
}

const BREACHES: [&str; 6] = [
    "times in a minute: system:serviceaccount:boxsync:boxsync-operator patch boxconnections backup/acme",
    "unreferenced slices",
    "is Ready although it is stale",
    "has not ended",
    "connectionstates in memory",
    "permits in use",
];

#[tokio::test(start_paused = true)]
async fn every_breach_is_noticed() {
    let world = SimEnv::new();
    let _process = world.processes.pretend(OPERATOR);
    let found = break_everything(&world).await;
    BREACHES.iter().for_each(|breach| assert!(found.contains(breach), "{breach} in:\n{found}"));
}

#[tokio::test(start_paused = true)]
async fn an_exemption_covers_nothing_else() {
    for (exemption, covered) in [
        (Exemption::SilentWatches, &["is Ready although", "has not ended", "in memory"][..]),
        (Exemption::PausedOperator, &["has not ended"]),
        (Exemption::UnreadableNamespace, &["in memory"]),
    ] {
        let world = SimEnv::new();
        let _process = world.processes.pretend(OPERATOR);
        world.invariants.exempt(exemption);
        let found = break_everything(&world).await;
        for breach in BREACHES {
            let is_covered = covered.iter().any(|text| breach.contains(text));
            assert_eq!(found.contains(breach), !is_covered, "{exemption:?}: {breach} in:\n{found}");
        }
        world.invariants.end_exemption(exemption);
        sleep_secs(2000).await;
        let found = world.invariants.take_breaches().join("\n");
        covered.iter().filter(|text| **text != "in memory").for_each(|text| assert!(found.contains(text), "{text}"));
    }
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "broken invariants")]
async fn a_breach_fails_the_story_when_it_ends() {
    let world = SimEnv::new();
    let _process = world.processes.pretend(OPERATOR);
    world.create_request_with("waiting", "acme", &json!({ "activeDeadlineSeconds": 60 }));
    sleep_secs(600).await;
}
