//! Metrics exported while the controllers run.

use box_sim::{EndpointFilter, ScriptedResponse};
use jiff::SignedDuration;
use kube_sim::{Fault, FaultAction, Verb};
use serde_json::json;

use crate::env::{NAMESPACE, SimEnv, request_succeeded, secs, sleep_secs};

const READY: &str = "boxsync_connection_ready";
const CONNECTED: &str = "boxsync_connection_connected";
const CALLS: &str = "boxsync_box_calls_total";

#[tokio::test(start_paused = true)]
async fn connection_series_follow_the_status_and_disappear_with_the_connection() {
    let mut world = SimEnv::with_operator();
    let acme = world.connect_enterprise("acme", 1200);
    let status = world.wait_until_synced("acme").await;
    sleep_secs(5).await;
    let own = &[("connection_namespace", NAMESPACE), ("name", "acme")][..];
    let page = world.scrape_metrics();
    assert_eq!(page.value(READY, &[own, &[("reason", "Synced")]].concat()), Some(1.0));
    assert_eq!(page.value(CONNECTED, &[("name", "acme"), ("reason", "Connected")]), Some(1.0));
    assert_eq!(page.value("boxsync_connection_users", own), Some(1200.0));
    assert_eq!(page.value("boxsync_connection_removals_held", own), Some(0.0));
    let (next, last) = (status.next_sync_time.expect("set").0, status.last_sync.expect("synced").completion_time.0);
    #[expect(clippy::cast_precision_loss, reason = "a time of this century")]
    for (name, time) in [("next_sync", next), ("last_success", last)] {
        let exported = page.value(&format!("boxsync_connection_{name}_timestamp_seconds"), own);
        assert_eq!(exported, Some(time.as_second() as f64), "{name}");
    }

    acme.deauthorize_app();
    world.run_request("r", "acme").await;
    sleep_secs(5).await;
    let page = world.scrape_metrics();
    assert_eq!(page.value(CONNECTED, &[("reason", "Connected")]), None, "one reason at a time");
    assert_eq!(page.value(CONNECTED, own), Some(0.0));
    assert_eq!(page.value("boxsync_connection_next_sync_timestamp_seconds", own), None);
    assert_eq!(page.value("boxsync_connection_users", own), Some(1200.0), "the list stays");

    world.kube.delete("BoxConnection", NAMESPACE, "acme");
    sleep_secs(5).await;
    assert_eq!(world.scrape_metrics().value(READY, own), None);

    world.connect_enterprise("globex", 10);
    world.wait_until_synced("globex").await;
    sleep_secs(5).await;
    assert_eq!(world.scrape_metrics().value(READY, &[("name", "globex")]), Some(1.0));
    world.stop_operator().await;
    assert_eq!(world.scrape_metrics().value(READY, &[]), None, "a standby exports no connections");
}

/// The times that the alerts use come from the status, so that they survive a restart.
#[tokio::test(start_paused = true)]
async fn failing_since_and_stale_timestamps_survive_a_restart() {
    const FAILING: &str = "boxsync_connection_failing_since_timestamp_seconds";
    let mut world = SimEnv::with_operator();
    let acme = world.connect_enterprise("acme", 10);
    let status = world.wait_until_synced("acme").await;
    sleep_secs(5).await;
    let own = &[("connection_namespace", NAMESPACE), ("name", "acme")][..];
    let page = world.scrape_metrics();
    #[expect(clippy::cast_precision_loss, reason = "a time of this century")]
    let stale = status.stale_time.expect("set").0.as_second() as f64;
    assert_eq!(page.value("boxsync_connection_stale_timestamp_seconds", own), Some(stale));
    assert_eq!(page.value(FAILING, own), None);
    assert_eq!(page.value("boxsync_connection_suspended", own), Some(0.0));

    acme.queue_response(1000, ScriptedResponse::InternalError, EndpointFilter::Users);
    world.create_request("r", "acme");
    world.wait_for_connection("acme", |s| s.failures.is_some()).await;
    sleep_secs(5).await;
    let since = world.scrape_metrics().value(FAILING, &[("name", "acme"), ("reason", "BoxUnavailable")]);
    assert!(since.is_some());
    sleep_secs(7200).await;
    world.stop_operator().await;
    world.spawn_operator();
    sleep_secs(7200).await;
    assert!(world.connection_status("acme").failures.is_some_and(|failures| failures.count > 5));
    assert_eq!(world.scrape_metrics().value(FAILING, own), since);

    world.edit_connection("acme", |c| c["spec"]["suspend"] = true.into());
    sleep_secs(5).await;
    let page = world.scrape_metrics();
    assert_eq!(page.value("boxsync_connection_suspended", own), Some(1.0));
    assert_eq!(page.value(FAILING, own), since);
    assert_eq!(page.value("boxsync_connection_stale_timestamp_seconds", own), Some(stale));
}

#[tokio::test(start_paused = true)]
async fn calls_to_box_are_counted_by_endpoint_and_outcome_and_add_up() {
    let world = SimEnv::with_operator();
    let acme = world.connect_enterprise("acme", 2500);
    let status = world.wait_until_synced("acme").await;
    sleep_secs(5).await;
    let page = world.scrape_metrics();
    for (endpoint, calls) in [("token", 1.0), ("me", 1.0), ("users", 3.0)] {
        assert_eq!(page.value(CALLS, &[("box_endpoint", endpoint), ("code", "200")]), Some(calls), "{endpoint}");
        assert_eq!(page.value("boxsync_box_call_duration_seconds_count", &[("box_endpoint", endpoint)]), Some(calls));
    }
    assert_eq!(page.value(CALLS, &[]), Some(5.0));
    assert_eq!(status.history[0].calls, 5, "the history counts the same");
    assert_eq!(page.value("boxsync_syncs_total", &[("trigger", "Created"), ("reason", "Synced")]), Some(1.0));
    assert_eq!(page.value("boxsync_sync_duration_seconds_count", &[("reason", "Synced")]), Some(1.0));

    sleep_secs(60).await;
    acme.queue_response(1, ScriptedResponse::RateLimited { retry_after: Some("7".to_owned()) }, EndpointFilter::Users);
    assert!(request_succeeded(&world.run_request("r", "acme").await));
    sleep_secs(5).await;
    let page = world.scrape_metrics();
    assert_eq!(page.value(CALLS, &[("code", "429")]), Some(1.0));
    assert_eq!(page.value("boxsync_box_rate_limit_wait_seconds_sum", &[]), Some(7.0));
    assert_eq!(page.value("boxsync_requests_total", &[("result", "Succeeded"), ("reason", "Synced")]), Some(1.0));
}

#[tokio::test(start_paused = true)]
async fn the_time_from_a_users_creation_to_the_list_is_observed_once() {
    let (world, acme) = SimEnv::with_synced("acme", 10).await;
    let observed = |suffix: &str| world.scrape_metrics().value(&format!("boxsync_user_visible_seconds_{suffix}"), &[]);
    assert_eq!(observed("count"), Some(0.0), "from the start, and without the first list");
    sleep_secs(3600).await;
    let ann = acme.add_user("Ann Archer", "ann@acme.example");
    let moved = acme.new_user("Moved Here", "moved@acme.example");
    acme.put_user(box_sim::User { created_at: moved.created_at - SignedDuration::from_hours(8 * 24), ..moved });
    sleep_secs(1800).await;
    assert!(request_succeeded(&world.run_request("hired", "acme").await));
    let (count, seconds) = (observed("count"), observed("sum").unwrap_or_default());
    assert!(count == Some(1.0) && (1800.0..1810.0).contains(&seconds), "{count:?} {seconds}");
    // Who vanishes and returns was seen before.
    acme.remove_user(ann.id);
    assert!(request_succeeded(&world.run_request("left", "acme").await));
    acme.put_user(ann);
    assert!(request_succeeded(&world.run_request("back", "acme").await));
    assert_eq!(world.connection_status("acme").users.map(|users| users.total), Some(12));
    assert_eq!(observed("count"), Some(1.0));
}

/// The figures of docs/monitoring.md, which are those of 30 days, for one.
#[tokio::test(start_paused = true)]
async fn a_short_interval_costs_the_documented_calls() {
    for (interval, month) in [("24h", 1_558), ("4h", 1_798), ("15m", 6_336)] {
        let world = SimEnv::with_operator();
        world.connect_with_spec("acme", 1_000, &json!({ "syncInterval": interval }));
        world.wait_until_synced("acme").await;
        let counted = async || {
            sleep_secs(5).await;
            world.scrape_metrics().value(CALLS, &[]).unwrap_or_default()
        };
        let before = counted().await;
        sleep_secs(86_400).await;
        let (calls, day) = (counted().await - before, f64::from(month) / 30.0);
        assert!((day * 0.9..day * 1.1).contains(&calls), "{interval}: {calls}");
    }
}

#[tokio::test(start_paused = true)]
async fn requests_are_counted_once_by_how_they_end() {
    let (world, acme) = SimEnv::with_synced("acme", 10).await;
    sleep_secs(60).await;
    world.run_request("good", "acme").await;
    world.run_request("nobody", "nobody").await;
    acme.deauthorize_app();
    sleep_secs(60).await;
    // The response to the write is lost, so the write is repeated.
    world.kube.fail_next(
        1,
        |c| c.matches(Verb::Update, "usersyncrequests/status"),
        Fault::After(FaultAction::Status(504)),
    );
    let refused = world.run_request("refused", "acme").await;
    sleep_secs(3600).await;
    let page = world.scrape_metrics();
    let requests = "boxsync_requests_total";
    assert_eq!(page.value(requests, &[("result", "Succeeded"), ("reason", "Synced")]), Some(1.0));
    assert_eq!(page.value(requests, &[("result", "Failed"), ("reason", "ConnectionNotFound")]), Some(1.0));
    let reason = refused.conditions.iter().find(|c| c.type_ == "Failed").map_or("", |c| c.reason.as_str());
    assert_eq!(page.value(requests, &[("result", "Failed"), ("reason", reason)]), Some(1.0));
    assert_eq!(page.value(requests, &[]), Some(3.0));
}

#[tokio::test(start_paused = true)]
async fn kubernetes_errors_are_counted_by_kind() {
    let (world, _) = SimEnv::with_synced("acme", 10).await;
    sleep_secs(60).await;
    let page = world.scrape_metrics();
    assert!(page.value("boxsync_reconcile_duration_seconds_count", &[("kind", "boxconnections")]) > Some(0.0));
    assert_eq!(page.value("boxsync_reconcile_errors_total", &[]), None);
    assert_eq!(page.value("boxsync_watch_errors_total", &[]), None);

    world.kube.fail_next(1, |c| c.matches(Verb::Get, "boxconnections"), Fault::Before(FaultAction::Status(500)));
    world.run_request("r", "acme").await;
    let refused = [("kind", "boxconnections"), ("error", "Unavailable")];
    assert_eq!(world.scrape_metrics().value("boxsync_reconcile_errors_total", &refused), Some(1.0));

    world.kube.start_outage();
    sleep_secs(5).await;
    world.kube.end_outage();
    for kind in ["boxconnections", "usersyncrequests", "userrosters"] {
        assert!(world.scrape_metrics().value("boxsync_watch_errors_total", &[("kind", kind)]) > Some(0.0), "{kind}");
    }
}

/// Only namespace and name of the connection may appear as label values.
#[tokio::test(start_paused = true)]
async fn no_user_supplied_text_becomes_a_label() {
    let (world, acme) = SimEnv::with_synced("acme", 100).await;
    acme.set_latency(secs(1));
    world.create_request_with("approve", "acme", &json!({ "approveRemovals": "0".repeat(64) }));
    world.wait_until_finished("approve").await;
    let page = world.metrics.encode_openmetrics();
    let secrets =
        [acme.client_secret(), acme.client_id(), acme.id().to_owned(), "approve\"".to_owned(), "@".to_owned()];
    for secret in secrets {
        assert!(!page.contains(&secret), "{secret}\n{page}");
    }
}
