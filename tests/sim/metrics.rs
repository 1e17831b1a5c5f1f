//! What Prometheus reads while the controllers work.

use box_sim::{Answer, On};
use kube_sim::{Fault, Trouble, Verb};
use serde_json::json;

use crate::world::{NAMESPACE, World, pass, secs, succeeded};

const READY: &str = "boxsync_connection_ready";
const CONNECTED: &str = "boxsync_connection_connected";
const CALLS: &str = "boxsync_box_calls_total";

#[tokio::test(start_paused = true)]
async fn a_connections_series_follow_its_status_and_go_with_it() {
    let mut world = World::running();
    let acme = world.connect("acme", 1200);
    let status = world.until("acme", |s| s.last_sync.is_some()).await;
    pass(5).await;
    let own = &[("namespace", NAMESPACE), ("name", "acme")][..];
    let page = world.scrape();
    assert_eq!(page.value(READY, &[own, &[("reason", "Synced")]].concat()), Some(1.0));
    assert_eq!(page.value(CONNECTED, &[("name", "acme"), ("reason", "Connected")]), Some(1.0));
    assert_eq!(page.value("boxsync_connection_users", own), Some(1200.0));
    assert_eq!(page.value("boxsync_connection_removals_held", own), Some(0.0));
    let (next, last) = (status.next_sync_time.expect("told").0, status.last_sync.expect("synced").completion_time.0);
    #[expect(clippy::cast_precision_loss, reason = "a time of this century")]
    for (name, time) in [("next_sync", next), ("last_success", last)] {
        let told = page.value(&format!("boxsync_connection_{name}_timestamp_seconds"), own);
        assert_eq!(told, Some(time.as_second() as f64), "{name}");
    }

    acme.withdraw();
    world.request("r", "acme");
    world.ended("r").await;
    pass(5).await;
    let page = world.scrape();
    assert_eq!(page.value(CONNECTED, &[("reason", "Connected")]), None, "one reason at a time");
    assert_eq!(page.value(CONNECTED, own), Some(0.0));
    assert_eq!(page.value("boxsync_connection_next_sync_timestamp_seconds", own), None);
    assert_eq!(page.value("boxsync_connection_users", own), Some(1200.0), "the list stays");

    world.kube.delete("BoxConnection", NAMESPACE, "acme");
    pass(5).await;
    assert_eq!(world.scrape().value(READY, own), None);

    world.connect("globex", 10);
    world.until("globex", |s| s.last_sync.is_some()).await;
    pass(5).await;
    assert_eq!(world.scrape().value(READY, &[("name", "globex")]), Some(1.0));
    world.stop().await;
    assert_eq!(world.scrape().value(READY, &[]), None, "who does not work knows of no connection");
}

/// What the alerts ask for is in the status, so that no restart forgets it.
#[tokio::test(start_paused = true)]
async fn since_when_syncs_fail_and_a_list_is_stale_outlives_the_process() {
    const FAILING: &str = "boxsync_connection_failing_since_timestamp_seconds";
    let mut world = World::running();
    let acme = world.connect("acme", 10);
    let status = world.until("acme", |s| s.last_sync.is_some()).await;
    pass(5).await;
    let own = &[("namespace", NAMESPACE), ("name", "acme")][..];
    let page = world.scrape();
    #[expect(clippy::cast_precision_loss, reason = "a time of this century")]
    let stale = status.stale_time.expect("told").0.as_second() as f64;
    assert_eq!(page.value("boxsync_connection_stale_timestamp_seconds", own), Some(stale));
    assert_eq!(page.value(FAILING, own), None);
    assert_eq!(page.value("boxsync_connection_suspended", own), Some(0.0));

    acme.next(1000, Answer::InternalError, On::Users);
    world.request("r", "acme");
    world.until("acme", |s| s.failures.is_some()).await;
    pass(5).await;
    let since = world.scrape().value(FAILING, &[("name", "acme"), ("reason", "BoxUnavailable")]);
    assert!(since.is_some());
    pass(7200).await;
    world.stop().await;
    world.start();
    pass(7200).await;
    assert!(world.status("acme").failures.is_some_and(|failures| failures.count > 5));
    assert_eq!(world.scrape().value(FAILING, own), since);

    world.edit("acme", |c| c["spec"]["suspend"] = true.into());
    pass(5).await;
    let page = world.scrape();
    assert_eq!(page.value("boxsync_connection_suspended", own), Some(1.0));
    assert_eq!(page.value(FAILING, own), since);
    assert_eq!(page.value("boxsync_connection_stale_timestamp_seconds", own), Some(stale));
}

#[tokio::test(start_paused = true)]
async fn calls_to_box_are_counted_by_endpoint_and_outcome_and_add_up() {
    let world = World::running();
    let acme = world.connect("acme", 2500);
    let status = world.until("acme", |s| s.last_sync.is_some()).await;
    pass(5).await;
    let page = world.scrape();
    for (endpoint, calls) in [("token", 1.0), ("me", 1.0), ("users", 3.0)] {
        assert_eq!(page.value(CALLS, &[("endpoint", endpoint), ("code", "200")]), Some(calls), "{endpoint}");
        assert_eq!(page.value("boxsync_box_call_duration_seconds_count", &[("endpoint", endpoint)]), Some(calls));
    }
    assert_eq!(page.value(CALLS, &[]), Some(5.0));
    assert_eq!(status.history[0].calls, 5, "the history counts the same");
    assert_eq!(page.value("boxsync_syncs_total", &[("trigger", "Created"), ("reason", "Synced")]), Some(1.0));
    assert_eq!(page.value("boxsync_sync_duration_seconds_count", &[("reason", "Synced")]), Some(1.0));

    pass(60).await;
    acme.next(1, Answer::RateLimited { retry_after: Some("7".to_owned()) }, On::Users);
    world.request("r", "acme");
    assert!(succeeded(&world.ended("r").await));
    pass(5).await;
    let page = world.scrape();
    assert_eq!(page.value(CALLS, &[("code", "429")]), Some(1.0));
    assert_eq!(page.value("boxsync_box_rate_limit_wait_seconds_sum", &[]), Some(7.0));
    assert_eq!(page.value("boxsync_requests_total", &[("result", "Succeeded"), ("reason", "Synced")]), Some(1.0));
}

#[tokio::test(start_paused = true)]
async fn requests_are_counted_once_by_how_they_end() {
    let world = World::running();
    let acme = world.connect("acme", 10);
    world.until("acme", |s| s.last_sync.is_some()).await;
    pass(60).await;
    world.request("good", "acme");
    world.ended("good").await;
    world.request("nobody", "nobody");
    world.ended("nobody").await;
    acme.withdraw();
    pass(60).await;
    // The answer to the write gets lost, and it is made again.
    world.kube.fail_next(1, |c| c.is(Verb::Update, "usersyncrequests/status"), Fault::After(Trouble::Status(504)));
    world.request("refused", "acme");
    let refused = world.ended("refused").await;
    pass(3600).await;
    let page = world.scrape();
    let requests = "boxsync_requests_total";
    assert_eq!(page.value(requests, &[("result", "Succeeded"), ("reason", "Synced")]), Some(1.0));
    assert_eq!(page.value(requests, &[("result", "Failed"), ("reason", "ConnectionNotFound")]), Some(1.0));
    let reason = refused.conditions.iter().find(|c| c.type_ == "Failed").map_or("", |c| c.reason.as_str());
    assert_eq!(page.value(requests, &[("result", "Failed"), ("reason", reason)]), Some(1.0));
    assert_eq!(page.value(requests, &[]), Some(3.0));
}

#[tokio::test(start_paused = true)]
async fn trouble_of_the_cluster_is_counted_by_kind() {
    let world = World::running();
    world.connect("acme", 10);
    world.until("acme", |s| s.last_sync.is_some()).await;
    pass(60).await;
    let page = world.scrape();
    assert!(page.value("boxsync_reconcile_duration_seconds_count", &[("kind", "boxconnections")]) > Some(0.0));
    assert_eq!(page.value("boxsync_reconcile_errors_total", &[]), None);
    assert_eq!(page.value("boxsync_watch_errors_total", &[]), None);

    world.kube.fail_next(1, |c| c.is(Verb::Get, "boxconnections"), Fault::Before(Trouble::Status(500)));
    world.request("r", "acme");
    world.ended("r").await;
    let refused = [("kind", "boxconnections"), ("error", "Refused")];
    assert_eq!(world.scrape().value("boxsync_reconcile_errors_total", &refused), Some(1.0));

    world.kube.down();
    pass(5).await;
    world.kube.up();
    for kind in ["boxconnections", "usersyncrequests", "userrosters"] {
        assert!(world.scrape().value("boxsync_watch_errors_total", &[("kind", kind)]) > Some(0.0), "{kind}");
    }
}

/// Names of people, and of what they connect, come in: none goes out but namespace and name of the connection.
#[tokio::test(start_paused = true)]
async fn no_text_of_anybody_becomes_a_label() {
    let world = World::running();
    let acme = world.connect("acme", 100);
    world.until("acme", |s| s.last_sync.is_some()).await;
    acme.latency(secs(1));
    world.request_with("approve", "acme", &json!({ "approveRemovals": "0".repeat(64) }));
    world.ended("approve").await;
    let page = world.metrics.page();
    let known = [acme.client_secret(), acme.client_id(), acme.id().to_owned(), "approve\"".to_owned(), "@".to_owned()];
    for secret in known {
        assert!(!page.contains(&secret), "{secret}\n{page}");
    }
}
