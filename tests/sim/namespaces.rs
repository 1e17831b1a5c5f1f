//! Namespaces that cannot be read: the others are synced, and each is named and taken up when it can be read.

use boxsync::controller::{ScopeState, WatchScopes};
use kube_sim::{Call, Fault, FaultAction, Gate, Verb};
use serde_json::json;

use crate::{
    env::{NAMESPACE, SimEnv, count_listings, request_succeeded, secs, sleep_secs},
    invariants::Exemption,
};

const KINDS: [&str; 3] = ["boxconnections", "usersyncrequests", "userrosters"];
const OTHER: &str = "gone";

/// Watches two namespaces.
fn two_namespaces() -> SimEnv {
    let mut world = SimEnv::new();
    world.namespaces = vec![NAMESPACE.to_owned(), OTHER.to_owned()];
    world
}

fn reads(call: &Call, resource: &str, namespace: &str) -> bool {
    matches!(call.verb, Verb::List | Verb::Watch)
        && call.resource == resource
        && call.namespace.as_deref() == Some(namespace)
}

fn forbid_reading(world: &SimEnv, resource: &'static str) {
    world.kube.forbid(move |call| reads(call, resource, OTHER));
}

/// The exported value of a kind in a namespace.
fn readable(world: &SimEnv, kind: &str, namespace: &str) -> Option<f64> {
    world.scrape_metrics().value("boxsync_watch_readable", &[("watched_namespace", namespace), ("kind", kind)])
}

async fn wait_until_listed(world: &SimEnv, namespace: &str, name: &str) {
    let synced = |c: &serde_json::Value| !c["status"]["lastSync"].is_null();
    world.kube.wait_until(secs(86_400), "BoxConnection", namespace, name, synced).await;
}

async fn wait_for_scopes(world: &SimEnv, holds: impl FnMut(&WatchScopes) -> bool) {
    world.scopes.subscribe().wait_for(holds).await.expect("the sender lives");
}

#[tokio::test(start_paused = true)]
async fn a_kind_that_is_forbidden_in_one_namespace_stops_only_what_needs_it_there() {
    for kind in KINDS {
        let mut world = two_namespaces();
        world.connect_enterprise("acme", 10);
        let globex = world.connect_enterprise_in(OTHER, "globex", 10);
        forbid_reading(&world, kind);
        world.spawn_operator();
        world.wait_until_synced("acme").await;
        assert!(world.elapsed_secs() < 10, "{kind}: {}", world.elapsed_secs());
        assert!(request_succeeded(&world.run_request("r", "acme").await), "{kind}");
        sleep_secs(600).await;
        for other in KINDS {
            assert_eq!(readable(&world, other, NAMESPACE), Some(1.0), "{kind} {other}");
            assert_eq!(readable(&world, other, OTHER), Some(f64::from(u8::from(other != kind))), "{kind} {other}");
        }
        let scopes = world.scopes.borrow().clone();
        assert!(scopes.works_somewhere() && scopes.waiting().is_empty());
        let problem = scopes.problem().expect("a problem");
        assert!(problem.contains(&format!("{kind} in namespace {OTHER};")), "{problem}");
        // A sync reads the roster and lists the requests, but needs no watch of them.
        assert_eq!(count_listings(&globex), usize::from(kind == "userrosters"), "{kind}");

        world.kube.clear_faults();
        wait_until_listed(&world, OTHER, "globex").await;
        wait_for_scopes(&world, |scopes| scopes.problem().is_none()).await;
        assert!(world.elapsed_secs() < 700, "{kind}: {}", world.elapsed_secs());
        assert_eq!(readable(&world, kind, OTHER), Some(1.0), "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_namespace_whose_lists_hang_or_fail_holds_up_no_other() {
    let troubles = [FaultAction::Hang, FaultAction::Status(500), FaultAction::Status(404), FaultAction::Disconnect];
    for trouble in troubles {
        let mut world = two_namespaces();
        world.connect_enterprise("acme", 10);
        world.connect_enterprise_in(OTHER, "globex", 10);
        world.kube.fail_next(
            usize::MAX,
            |call| KINDS.iter().any(|kind| reads(call, kind, OTHER)),
            Fault::Before(trouble.clone()),
        );
        world.spawn_operator();
        world.wait_until_synced("acme").await;
        assert!(world.elapsed_secs() <= 70, "{trouble:?}: {}", world.elapsed_secs());
        let problem = world.scopes.borrow().problem().expect("a problem");
        assert!(problem.contains(&format!("{} in namespace {OTHER};", KINDS.join(", "))), "{trouble:?}: {problem}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_that_is_only_slow_is_taken_up_when_it_is_complete() {
    let mut world = two_namespaces();
    world.connect_enterprise("acme", 10);
    for n in 0..120 {
        world.connect_enterprise_in(OTHER, &format!("c{n:03}"), 1);
    }
    let gate = Gate::new();
    let second_page = |call: &Call| reads(call, "boxconnections", OTHER) && call.query_param("continue").is_some();
    world.kube.fail_next(1, second_page, Fault::Before(FaultAction::Hold(gate.clone())));
    world.spawn_operator();
    world.wait_until_synced("acme").await;
    assert!((60..70).contains(&world.elapsed_secs()), "{}", world.elapsed_secs());
    sleep_secs(60).await;
    assert_eq!(world.kube.get("BoxConnection", OTHER, "c000").expect("exists")["status"]["lastSync"], json!(null));
    gate.open();
    for n in 0..120 {
        wait_until_listed(&world, OTHER, &format!("c{n:03}")).await;
    }
    assert!(world.scopes.borrow().problem().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_permission_lost_while_running_keeps_what_is_known_and_is_taken_up_again() {
    let mut world = two_namespaces();
    world.connect_enterprise("acme", 10);
    let globex = world.connect_enterprise_in(OTHER, "globex", 10);
    world.spawn_operator();
    world.wait_until_synced("acme").await;
    wait_until_listed(&world, OTHER, "globex").await;
    let before = world.kube.get("BoxConnection", OTHER, "globex").expect("exists");
    KINDS.iter().for_each(|kind| forbid_reading(&world, kind));
    sleep_secs(1800).await;
    let lost = KINDS.map(|kind| readable(&world, kind, OTHER));
    assert_eq!(lost, [Some(0.0); 3]);
    assert_eq!(world.kube.get("BoxConnection", OTHER, "globex").expect("exists"), before, "its list is not missing");
    assert!(request_succeeded(&world.run_request("r", "acme").await));

    world.kube.clear_faults();
    let name = "meanwhile";
    world.kube.create(json!({
        "apiVersion": "boxsync.dev/v1alpha1", "kind": "UserSyncRequest",
        "metadata": { "name": name, "namespace": OTHER }, "spec": { "connectionRef": { "name": "globex" } },
    }));
    let finished = |r: &serde_json::Value| r["status"]["phase"] == "Succeeded";
    world.kube.wait_until(secs(60), "UserSyncRequest", OTHER, name, finished).await;
    assert_eq!(count_listings(&globex), 2);
    sleep_secs(60).await;
    assert_eq!(KINDS.map(|kind| readable(&world, kind, OTHER)), [Some(1.0); 3]);
}

#[tokio::test(start_paused = true)]
async fn a_roster_that_was_not_read_after_a_restart_is_not_missing() {
    let mut world = two_namespaces();
    let globex = world.connect_enterprise_in(OTHER, "globex", 10);
    world.spawn_operator();
    wait_until_listed(&world, OTHER, "globex").await;
    // Suspended, so that no sync looks at the roster itself.
    world.kube.edit("BoxConnection", OTHER, "globex", |c| c["spec"]["suspend"] = true.into());
    sleep_secs(60).await;
    let before = world.kube.get("BoxConnection", OTHER, "globex").expect("exists");
    world.kill_operator().await;
    forbid_reading(&world, "userrosters");
    world.spawn_operator();
    sleep_secs(1800).await;
    assert_eq!(world.kube.get("BoxConnection", OTHER, "globex").expect("exists"), before);
    assert_eq!(count_listings(&globex), 1);
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_namespace_is_logged_once_and_what_was_deleted_with_it_is_forgotten() {
    let mut world = two_namespaces();
    world.connect_enterprise("acme", 10);
    world.connect_enterprise_in(OTHER, "globex", 10);
    world.spawn_operator();
    wait_until_listed(&world, OTHER, "globex").await;
    // Its role binding is deleted first, so that the deletion of the rest is never seen.
    world.invariants.exempt(Exemption::UnreadableNamespace);
    world.kube.forbid(|call| call.namespace.as_deref() == Some(OTHER));
    sleep_secs(65).await;
    world.kube.delete("BoxConnection", OTHER, "globex");
    world.kube.collect_garbage();
    sleep_secs(2 * 3600).await;
    let page = world.scrape_metrics();
    let entries = |cache: &str| page.value("boxsync_cache_entries", &[("cache", cache)]);
    assert_eq!(
        ["boxconnections", "userrosters", "connectionstates"].map(entries),
        [Some(1.0); 3],
        "only those of the other namespace"
    );
    assert_eq!(page.value("boxsync_connection_ready", &[("connection_namespace", OTHER)]), None);
    world.kube.clear_faults();
    world.connect_enterprise_in(OTHER, "initech", 10);
    wait_until_listed(&world, OTHER, "initech").await;
}

#[tokio::test(start_paused = true)]
async fn a_right_to_watch_that_is_missing_beside_the_right_to_list_is_told_steadily() {
    let mut world = two_namespaces();
    world.connect_enterprise_in(OTHER, "globex", 10);
    world.kube.forbid(|call| call.matches(Verb::Watch, "boxconnections") && call.namespace.as_deref() == Some(OTHER));
    world.spawn_operator();
    wait_until_listed(&world, OTHER, "globex").await;
    wait_for_scopes(&world, |scopes| scopes.problem().is_some()).await;
    let mut changes = world.scopes.subscribe();
    changes.borrow_and_update();
    sleep_secs(3600).await;
    assert!(!changes.has_changed().expect("the sender lives"), "{:?}", world.scopes.borrow());
    world.connect_enterprise_in(OTHER, "late", 10);
    wait_until_listed(&world, OTHER, "late").await;
}

/// A deleted object that nobody had looked at used to end the stream that woke the controllers.
#[tokio::test(start_paused = true)]
async fn an_object_that_is_deleted_before_it_is_looked_at_stops_nothing() {
    let (world, _) = SimEnv::with_synced("acme", 10).await;
    sleep_secs(60).await;
    world.kube.freeze_watches();
    for n in 0..3 {
        world.create_request(&format!("short-{n}"), "acme");
        world.kube.delete("UserSyncRequest", NAMESPACE, &format!("short-{n}"));
    }
    world.kube.thaw_watches();
    sleep_secs(60).await;
    let begun = world.elapsed_secs();
    world.create_request("lost", "nobody");
    world.wait_until_finished("lost").await;
    assert!(world.elapsed_secs() - begun <= 70, "{}", world.elapsed_secs() - begun);
    assert!(request_succeeded(&world.run_request("r", "acme").await));
}

#[tokio::test(start_paused = true)]
async fn without_watched_namespaces_a_forbidden_kind_is_told_as_well() {
    let mut world = SimEnv::new();
    world.kube.forbid(|call| call.matches(Verb::List, "usersyncrequests"));
    world.spawn_operator();
    wait_for_scopes(&world, |scopes| scopes.waiting().is_empty()).await;
    assert!(!world.scopes.borrow().works_somewhere());
    assert_eq!(readable(&world, "usersyncrequests", ""), Some(0.0));
    let isolated = |scopes: &WatchScopes| format!("{scopes:?}").contains(&format!("{:?}", ScopeState::Isolated));
    assert!(isolated(&world.scopes.borrow()));
}
