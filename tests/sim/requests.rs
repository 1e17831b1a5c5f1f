//! Requests: when they run, what they wait for, and how they finish.

use box_sim::{Behaviour, EndpointFilter, ScriptedResponse};
use boxsync::api::RequestPhase;
use serde_json::{Value, json};

use crate::env::{NAMESPACE, SimEnv, count_listings, format_condition, request_succeeded, secs, sleep_secs};

#[tokio::test(start_paused = true)]
async fn a_request_includes_users_added_before_it() {
    let (world, acme) = SimEnv::with_synced("acme", 1200).await;
    sleep_secs(60).await;
    acme.add_user("Jane Hired", "jane@acme.example");
    let done = world.run_request("after-hiring", "acme").await;
    assert!(request_succeeded(&done), "{done:?}");
    assert_eq!((done.users.expect("has counts").total, done.attempts), (1201, 1));
    assert_eq!(world.connection_status("acme").users.expect("has counts").total, 1201);
    assert_eq!(world.connection_status("acme").history[0].requests, ["after-hiring"]);
}

/// A request that arrives during a run is completed by the next run.
#[tokio::test(start_paused = true)]
async fn a_request_is_completed_by_a_sync_that_started_after_it() {
    for second in 0..12 {
        let (world, acme) = SimEnv::with_synced("acme", 5000).await;
        sleep_secs(60).await;
        acme.set_latency(secs(1));
        world.create_request("first", "acme");
        sleep_secs(second).await;
        acme.add_user("Jane Hired", "jane@acme.example");
        let done = world.run_request("second", "acme").await;
        assert!(request_succeeded(&done), "{done:?}");
        assert_eq!(done.users.expect("has counts").total, 5001, "created in second {second}");
        assert!(request_succeeded(&world.wait_until_finished("first").await));
    }
}

#[tokio::test(start_paused = true)]
async fn many_requests_at_once_share_one_listing() {
    let (world, acme) = SimEnv::with_synced("acme", 100).await;
    sleep_secs(60).await;
    acme.set_latency(secs(1));
    for n in 0..40 {
        world.create_request(&format!("r{n}"), "acme");
    }
    for n in 0..40 {
        assert!(request_succeeded(&world.wait_until_finished(&format!("r{n}")).await));
    }
    assert!(count_listings(&acme) <= 3, "{}", count_listings(&acme));
}

#[tokio::test(start_paused = true)]
async fn fifty_requests_wait_and_more_are_rejected() {
    let mut world = SimEnv::new();
    let acme = world.connect_enterprise("acme", 100);
    acme.queue_response(
        1,
        ScriptedResponse::RateLimited { retry_after: Some("600".to_owned()) },
        EndpointFilter::Users,
    );
    world.spawn_operator();
    world.wait_for_connection("acme", |s| s.failures.is_some()).await;
    for n in 0..53 {
        world.create_request(&format!("r{n:02}"), "acme");
    }
    let mut refused = 0;
    for n in 0..53 {
        let done = world.wait_until_finished(&format!("r{n:02}")).await;
        if format_condition(&done.conditions, "Failed") == "True TooManyRequests" {
            refused += 1;
        } else {
            assert!(request_succeeded(&done), "{done:?}");
        }
    }
    assert_eq!(refused, 3);
}

#[tokio::test(start_paused = true)]
async fn two_requests_in_a_row_wait_for_the_minimum_gap_and_report_it() {
    let (world, acme) = SimEnv::with_synced("acme", 100).await;
    sleep_secs(60).await;
    world.run_request("first", "acme").await;
    let begun = world.elapsed_secs();
    world.create_request("second", "acme");
    let waiting = world.wait_for_request("second", |s| !s.conditions.is_empty()).await;
    assert_eq!(format_condition(&waiting.conditions, "Reconciling"), "True CoolingDown");
    assert!(request_succeeded(&world.wait_until_finished("second").await));
    let waited = world.elapsed_secs() - begun;
    assert!((14..=17).contains(&waited), "{waited}");
    assert_eq!(count_listings(&acme), 3);
}

#[tokio::test(start_paused = true)]
async fn a_long_sync_reports_its_progress_at_a_limited_rate() {
    let (world, acme) = SimEnv::with_synced("acme", 40_000).await;
    sleep_secs(60).await;
    acme.set_latency(secs(1));
    let mark = world.kube.log_position();
    world.create_request("slow", "acme");
    let begun = world.elapsed_secs();
    let known = world.wait_for_request("slow", |s| !s.conditions.is_empty()).await;
    assert_eq!(known.phase, RequestPhase::Running, "reported as running: {known:?}");
    let running = world.wait_for_request("slow", |s| s.progress.is_some()).await;
    assert!(world.elapsed_secs() - begun <= 6, "{} s", world.elapsed_secs() - begun);
    assert_eq!(
        (running.phase, format_condition(&running.conditions, "Reconciling").as_str()),
        (RequestPhase::Running, "True Running")
    );
    let current = world.connection_status("acme").current_sync.expect("running");
    assert!(current.pages >= 1 && current.users >= 1000, "{current:?}");
    assert!(request_succeeded(&world.wait_until_finished("slow").await));
    let status = world.connection_status("acme");
    assert_eq!(status.current_sync, None);
    let to_connection = world.writes_since(mark).iter().filter(|w| w.contains("boxconnections")).count();
    assert!((4..=6).contains(&to_connection), "at 5 s, then every 10 s, and at the end: {to_connection}");
}

#[tokio::test(start_paused = true)]
async fn a_short_sync_writes_each_status_once() {
    let (world, _) = SimEnv::with_synced("acme", 1200).await;
    sleep_secs(60).await;
    let mark = world.kube.log_position();
    world.run_request("r", "acme").await;
    sleep_secs(30).await;
    let writes = world.writes_since(mark);
    assert_eq!(writes.len(), 2, "{writes:#?}");
    let reads = world.kube.requests_since(mark).into_iter().filter(|r| r.resource != "events").count() - writes.len();
    assert!(reads <= 8, "three confirmations, the Secret, the roster and its slices, and the watches: {reads}");
}

#[tokio::test(start_paused = true)]
async fn transient_failures_are_retried_until_the_deadline() {
    let (world, acme) = SimEnv::with_synced("acme", 100).await;
    acme.enable_behaviour(Behaviour::InternalError);
    world.create_request_with("patient", "acme", &json!({ "activeDeadlineSeconds": 600 }));
    let begun = world.elapsed_secs();
    let waiting = world.wait_for_request("patient", |s| s.attempts == 1).await;
    assert_eq!(format_condition(&waiting.conditions, "Reconciling"), "True BoxUnavailable");
    let failed = world.wait_until_finished("patient").await;
    assert_eq!(format_condition(&failed.conditions, "Failed"), "True BoxUnavailable");
    assert_eq!(format_condition(&failed.conditions, "Stalled"), "True BoxUnavailable");
    assert!((300..=660).contains(&(world.elapsed_secs() - begun)), "{}", world.elapsed_secs() - begun);
    assert!(failed.attempts >= 3, "{}", failed.attempts);
    assert!(failed.completion_time.is_some());
}

#[tokio::test(start_paused = true)]
async fn invalid_responses_fail_a_request_after_three_attempts() {
    let (world, acme) = SimEnv::with_synced("acme", 100).await;
    sleep_secs(60).await;
    acme.enable_behaviour(Behaviour::EmptyList);
    let failed = world.run_request("doubted", "acme").await;
    assert_eq!(format_condition(&failed.conditions, "Failed"), "True BoxResponseInvalid");
    assert_eq!(failed.attempts, 3);
    assert_eq!(world.connection_status("acme").users.expect("the list stays").total, 100);
}

#[tokio::test(start_paused = true)]
async fn a_request_never_runs_before_the_retry_after_time() {
    let mut world = SimEnv::new();
    let acme = world.connect_enterprise("acme", 100);
    acme.queue_response(
        1,
        ScriptedResponse::RateLimited { retry_after: Some("1200".to_owned()) },
        EndpointFilter::Users,
    );
    world.spawn_operator();
    world.wait_for_connection("acme", |s| s.failures.is_some()).await;
    acme.clear_calls();
    world.create_request("patient", "acme");
    world.create_request_with("hasty", "acme", &json!({ "activeDeadlineSeconds": 300 }));
    let hasty = world.wait_until_finished("hasty").await;
    assert_eq!(format_condition(&hasty.conditions, "Failed"), "True RateLimited");
    assert_eq!(acme.call_counts().total(), 0);
    assert!(request_succeeded(&world.wait_until_finished("patient").await));
    assert!(world.elapsed_secs() >= 1200);
}

#[tokio::test(start_paused = true)]
async fn a_request_on_a_suspended_connection_is_rejected_without_a_box_call() {
    let world = SimEnv::with_operator();
    let acme = world.connect_with_spec("acme", 10, &json!({ "suspend": true }));
    let failed = world.run_request("r", "acme").await;
    assert_eq!(format_condition(&failed.conditions, "Failed"), "True Suspended");
    assert_eq!(acme.call_counts().total(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_request_without_a_connection_waits_a_minute_for_one() {
    let world = SimEnv::with_operator();
    world.create_request("early", "acme");
    world.create_request("lost", "nobody");
    sleep_secs(30).await;
    world.connect_enterprise("acme", 10);
    assert!(request_succeeded(&world.wait_until_finished("early").await));
    let failed = world.wait_until_finished("lost").await;
    assert_eq!(format_condition(&failed.conditions, "Failed"), "True ConnectionNotFound");
    assert!((55..=70).contains(&world.elapsed_secs()), "{}", world.elapsed_secs());
}

#[tokio::test(start_paused = true)]
async fn a_finished_request_is_deleted_after_its_ttl_and_kept_without_a_ttl() {
    let (world, _) = SimEnv::with_synced("acme", 10).await;
    world.create_request_with("goes", "acme", &json!({ "ttlSecondsAfterFinished": 600 }));
    world.create_request("stays", "acme");
    world.wait_until_finished("goes").await;
    world.wait_until_finished("stays").await;
    sleep_secs(590).await;
    assert!(world.kube.get("UserSyncRequest", NAMESPACE, "goes").is_some());
    sleep_secs(20).await;
    assert!(world.kube.get("UserSyncRequest", NAMESPACE, "goes").is_none());
    sleep_secs(2 * 86_400).await;
    assert!(world.kube.get("UserSyncRequest", NAMESPACE, "stays").is_some());
}

#[tokio::test(start_paused = true)]
async fn the_annotation_requests_one_sync_for_each_value() {
    let (world, acme) = SimEnv::with_synced("acme", 10).await;
    sleep_secs(60).await;
    world.edit_connection("acme", |c| c["metadata"]["annotations"] = json!({ "boxsync.dev/requested-at": "monday" }));
    let status = world.wait_for_connection("acme", |s| s.last_handled_request.as_deref() == Some("monday")).await;
    assert_eq!(status.last_sync.expect("synced").trigger, boxsync::api::Trigger::Requested);
    sleep_secs(3600).await;
    assert_eq!(count_listings(&acme), 2);
    acme.enable_behaviour(Behaviour::EmptyList);
    world.edit_connection("acme", |c| c["metadata"]["annotations"]["boxsync.dev/requested-at"] = "tuesday".into());
    let status = world.wait_for_connection("acme", |s| s.last_handled_request.as_deref() == Some("tuesday")).await;
    assert_eq!(
        format_condition(&status.conditions, "Synced"),
        "False BoxResponseInvalid",
        "handled also when it fails"
    );
}

#[tokio::test(start_paused = true)]
async fn the_history_and_the_journal_record_the_requester() {
    let (world, acme) = SimEnv::with_synced("acme", 10).await;
    assert!(world.connection_status("acme").history[0].requested_by.is_empty(), "no requester");
    sleep_secs(60).await;
    acme.add_user("Jane Hired", "jane@acme.example");
    for (name, claim) in [("first", "jane\u{1b}[2J"), ("second", "flux"), ("third", "flux")] {
        world.create_request(name, "acme");
        let asks = |r: &mut Value| r["metadata"]["annotations"] = json!({ "boxsync.dev/requested-by": claim });
        world.kube.edit("UserSyncRequest", NAMESPACE, name, asks);
    }
    assert!(request_succeeded(&world.wait_until_finished("third").await));
    let status = world.wait_for_connection("acme", |s| s.history.len() > 1).await;
    assert_eq!(status.history[0].requested_by, ["jane\u{fffd}[2J", "flux"]);
    let roster = world.get_roster("acme").spec;
    assert_eq!(
        (&roster.journal[0].requested_by, &roster.change.requested_by),
        (&status.history[0].requested_by, &status.history[0].requested_by)
    );

    sleep_secs(60).await;
    let annotations = json!({ "boxsync.dev/requested-at": "monday", "boxsync.dev/requested-by": "joe" });
    world.edit_connection("acme", |c| c["metadata"]["annotations"] = annotations);
    let status = world.wait_for_connection("acme", |s| s.last_handled_request.is_some()).await;
    assert_eq!(status.history[0].requested_by, ["joe"]);
    sleep_secs(60).await;
    world.run_request("unsigned", "acme").await;
    assert!(world.connection_status("acme").history[0].requested_by.is_empty(), "the annotation was handled before");
}

#[tokio::test(start_paused = true)]
async fn a_request_does_not_wait_for_scheduled_syncs() {
    let mut world = SimEnv::new();
    let slow: Vec<_> = (0..6).map(|n| world.connect_enterprise(&format!("slow{n}"), 20_000)).collect();
    world.spawn_operator();
    for enterprise in &slow {
        enterprise.set_latency(secs(5));
    }
    sleep_secs(10).await;
    let quick = world.connect_enterprise("quick", 10);
    assert!(request_succeeded(&world.run_request("r", "quick").await));
    assert!(world.elapsed_secs() < 20, "{}", world.elapsed_secs());
    assert_eq!(count_listings(&quick), 1);
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_from_a_probe_also_delays_a_request() {
    let (world, acme) = SimEnv::with_synced("acme", 100).await;
    acme.queue_response(
        1,
        ScriptedResponse::RateLimited { retry_after: Some("1800".to_owned()) },
        EndpointFilter::Token,
    );
    sleep_secs(3601).await;
    acme.clear_calls();
    world.create_request("r", "acme");
    let begun = world.elapsed_secs();
    assert!(request_succeeded(&world.wait_until_finished("r").await));
    assert!(world.elapsed_secs() - begun > 1000, "{}", world.elapsed_secs() - begun);
    assert_eq!(format_condition(&world.connection_status("acme").conditions, "Connected"), "True Connected");
}
