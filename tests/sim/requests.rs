//! Requests: when they run, what they wait for, what ends them.

use box_sim::{Answer, Behaviour, On};
use boxsync::api::{Phase, UserRoster};
use serde_json::{Value, json};

use crate::world::{NAMESPACE, World, condition, listings, pass, secs, succeeded};

#[tokio::test(start_paused = true)]
async fn a_request_counts_who_was_added_before_it() {
    let world = World::running();
    let acme = world.connect("acme", 1200);
    world.until("acme", |s| s.last_sync.is_some()).await;
    pass(60).await;
    acme.add_user("Jane Hired", "jane@acme.example");
    world.request("after-hiring", "acme");
    let done = world.ended("after-hiring").await;
    assert!(succeeded(&done), "{done:?}");
    assert_eq!((done.users.expect("counted").total, done.attempts), (1201, 1));
    assert_eq!(world.status("acme").users.expect("counted").total, 1201);
    assert_eq!(world.status("acme").history[0].requests, ["after-hiring"]);
}

/// Requests that arrive in every second of a run: one that the run did not know of from its start gets the next run.
#[tokio::test(start_paused = true)]
async fn a_request_is_answered_by_a_run_that_began_after_it() {
    for second in 0..12 {
        let world = World::running();
        let acme = world.connect("acme", 5000);
        world.until("acme", |s| s.last_sync.is_some()).await;
        pass(60).await;
        acme.latency(secs(1));
        world.request("first", "acme");
        pass(second).await;
        acme.add_user("Jane Hired", "jane@acme.example");
        world.request("second", "acme");
        let done = world.ended("second").await;
        assert!(succeeded(&done), "{done:?}");
        assert_eq!(done.users.expect("counted").total, 5001, "asked in second {second}");
        assert!(succeeded(&world.ended("first").await));
    }
}

#[tokio::test(start_paused = true)]
async fn many_requests_at_once_share_one_listing() {
    let world = World::running();
    let acme = world.connect("acme", 100);
    world.until("acme", |s| s.last_sync.is_some()).await;
    pass(60).await;
    acme.latency(secs(1));
    for n in 0..40 {
        world.request(&format!("r{n}"), "acme");
    }
    for n in 0..40 {
        assert!(succeeded(&world.ended(&format!("r{n}")).await));
    }
    assert!(listings(&acme) <= 3, "{}", listings(&acme));
}

#[tokio::test(start_paused = true)]
async fn fifty_requests_wait_and_more_are_refused() {
    let world = World::new();
    let acme = world.connect("acme", 100);
    acme.next(1, Answer::RateLimited { retry_after: Some("600".to_owned()) }, On::Users);
    let mut world = world;
    world.start();
    world.until("acme", |s| s.failures.is_some()).await;
    for n in 0..53 {
        world.request(&format!("r{n:02}"), "acme");
    }
    let mut refused = 0;
    for n in 0..53 {
        let done = world.ended(&format!("r{n:02}")).await;
        if condition(&done.conditions, "Failed") == "True TooManyRequests" {
            refused += 1;
        } else {
            assert!(succeeded(&done), "{done:?}");
        }
    }
    assert_eq!(refused, 3);
}

#[tokio::test(start_paused = true)]
async fn two_requests_in_a_row_keep_the_gap_and_say_so() {
    let world = World::running();
    let acme = world.connect("acme", 100);
    world.until("acme", |s| s.last_sync.is_some()).await;
    pass(60).await;
    world.request("first", "acme");
    world.ended("first").await;
    let begun = world.elapsed();
    world.request("second", "acme");
    let waiting = world.asked_until("second", |s| !s.conditions.is_empty()).await;
    assert_eq!(condition(&waiting.conditions, "Reconciling"), "True CoolingDown");
    assert!(succeeded(&world.ended("second").await));
    let waited = world.elapsed() - begun;
    assert!((14..=17).contains(&waited), "{waited}");
    assert_eq!(listings(&acme), 3);
}

#[tokio::test(start_paused = true)]
async fn a_long_run_shows_its_progress_and_not_too_often() {
    let world = World::running();
    let acme = world.connect("acme", 40_000);
    world.until("acme", |s| s.last_sync.is_some()).await;
    pass(60).await;
    acme.latency(secs(1));
    let mark = world.kube.mark();
    world.request("slow", "acme");
    let begun = world.elapsed();
    let known = world.asked_until("slow", |s| !s.conditions.is_empty()).await;
    assert_eq!(known.phase, Phase::Running, "acknowledged as what it is: {known:?}");
    let running = world.asked_until("slow", |s| s.progress.is_some()).await;
    assert!(world.elapsed() - begun <= 6, "{} s", world.elapsed() - begun);
    assert_eq!(
        (running.phase, condition(&running.conditions, "Reconciling").as_str()),
        (Phase::Running, "True Running")
    );
    let current = world.status("acme").current_sync.expect("running");
    assert!(current.pages >= 1 && current.users >= 1000, "{current:?}");
    assert!(succeeded(&world.ended("slow").await));
    let status = world.status("acme");
    assert_eq!(status.current_sync, None);
    let to_connection = world.writes_since(mark).iter().filter(|w| w.contains("boxconnections")).count();
    assert!((4..=6).contains(&to_connection), "at 5 s, then every 10 s, and at the end: {to_connection}");
}

#[tokio::test(start_paused = true)]
async fn a_short_run_writes_each_status_once() {
    let world = World::running();
    world.connect("acme", 1200);
    world.until("acme", |s| s.last_sync.is_some()).await;
    pass(60).await;
    let mark = world.kube.mark();
    world.request("r", "acme");
    world.ended("r").await;
    pass(30).await;
    let writes = world.writes_since(mark);
    assert_eq!(writes.len(), 2, "{writes:#?}");
    let reads = world.kube.requests_since(mark).into_iter().filter(|r| r.resource != "events").count() - writes.len();
    assert!(reads <= 8, "three to confirm, the Secret, the roster and its slices, and the watches: {reads}");
}

#[tokio::test(start_paused = true)]
async fn trouble_that_passes_is_retried_until_the_deadline() {
    let world = World::running();
    let acme = world.connect("acme", 100);
    world.until("acme", |s| s.last_sync.is_some()).await;
    acme.behave(Behaviour::InternalError);
    world.request_with("patient", "acme", &json!({ "activeDeadlineSeconds": 600 }));
    let begun = world.elapsed();
    let waiting = world.asked_until("patient", |s| s.attempts == 1).await;
    assert_eq!(condition(&waiting.conditions, "Reconciling"), "True BoxUnavailable");
    let failed = world.ended("patient").await;
    assert_eq!(condition(&failed.conditions, "Failed"), "True BoxUnavailable");
    assert_eq!(condition(&failed.conditions, "Stalled"), "True BoxUnavailable");
    assert!((300..=660).contains(&(world.elapsed() - begun)), "{}", world.elapsed() - begun);
    assert!(failed.attempts >= 3, "{}", failed.attempts);
    assert!(failed.completion_time.is_some());
}

#[tokio::test(start_paused = true)]
async fn answers_that_make_no_sense_end_a_request_after_three_tries() {
    let world = World::running();
    let acme = world.connect("acme", 100);
    world.until("acme", |s| s.last_sync.is_some()).await;
    pass(60).await;
    acme.behave(Behaviour::EmptyList);
    world.request("doubted", "acme");
    let failed = world.ended("doubted").await;
    assert_eq!(condition(&failed.conditions, "Failed"), "True BoxResponseInvalid");
    assert_eq!(failed.attempts, 3);
    assert_eq!(world.status("acme").users.expect("the list stays").total, 100);
}

#[tokio::test(start_paused = true)]
async fn a_request_never_goes_before_the_time_that_box_named() {
    let world = World::new();
    let acme = world.connect("acme", 100);
    acme.next(1, Answer::RateLimited { retry_after: Some("1200".to_owned()) }, On::Users);
    let mut world = world;
    world.start();
    world.until("acme", |s| s.failures.is_some()).await;
    acme.forget_calls();
    world.request("patient", "acme");
    world.request_with("hasty", "acme", &json!({ "activeDeadlineSeconds": 300 }));
    let hasty = world.ended("hasty").await;
    assert_eq!(condition(&hasty.conditions, "Failed"), "True RateLimited");
    assert_eq!(acme.calls().total(), 0);
    assert!(succeeded(&world.ended("patient").await));
    assert!(world.elapsed() >= 1200);
}

#[tokio::test(start_paused = true)]
async fn a_request_on_a_suspended_connection_is_refused_without_a_call() {
    let world = World::running();
    let acme = world.enterprise("acme", 10);
    world.secret(&acme, "acme");
    world.connection("acme", acme.id(), &json!({ "suspend": true }));
    world.request("r", "acme");
    let failed = world.ended("r").await;
    assert_eq!(condition(&failed.conditions, "Failed"), "True Suspended");
    assert_eq!(acme.calls().total(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_request_without_a_connection_waits_a_minute_for_one() {
    let world = World::running();
    world.request("early", "acme");
    world.request("lost", "nobody");
    pass(30).await;
    world.connect("acme", 10);
    assert!(succeeded(&world.ended("early").await));
    let failed = world.ended("lost").await;
    assert_eq!(condition(&failed.conditions, "Failed"), "True ConnectionNotFound");
    assert!((55..=70).contains(&world.elapsed()), "{}", world.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_finished_request_is_deleted_when_its_time_is_over_and_kept_without_one() {
    let world = World::running();
    world.connect("acme", 10);
    world.until("acme", |s| s.last_sync.is_some()).await;
    world.request_with("goes", "acme", &json!({ "ttlSecondsAfterFinished": 600 }));
    world.request("stays", "acme");
    world.ended("goes").await;
    world.ended("stays").await;
    pass(590).await;
    assert!(world.kube.get("UserSyncRequest", NAMESPACE, "goes").is_some());
    pass(20).await;
    assert!(world.kube.get("UserSyncRequest", NAMESPACE, "goes").is_none());
    pass(2 * 86_400).await;
    assert!(world.kube.get("UserSyncRequest", NAMESPACE, "stays").is_some());
}

#[tokio::test(start_paused = true)]
async fn the_annotation_asks_once_for_each_value() {
    let world = World::running();
    let acme = world.connect("acme", 10);
    world.until("acme", |s| s.last_sync.is_some()).await;
    pass(60).await;
    world.edit("acme", |c| c["metadata"]["annotations"] = json!({ "boxsync.dev/requested-at": "monday" }));
    let status = world.until("acme", |s| s.last_handled_request.as_deref() == Some("monday")).await;
    assert_eq!(status.last_sync.expect("synced").trigger, boxsync::api::Trigger::Requested);
    pass(3600).await;
    assert_eq!(listings(&acme), 2);
    acme.behave(Behaviour::EmptyList);
    world.edit("acme", |c| c["metadata"]["annotations"]["boxsync.dev/requested-at"] = "tuesday".into());
    let status = world.until("acme", |s| s.last_handled_request.as_deref() == Some("tuesday")).await;
    assert_eq!(condition(&status.conditions, "Synced"), "False BoxResponseInvalid", "handled also when it fails");
}

#[tokio::test(start_paused = true)]
async fn the_history_and_the_record_tell_who_asked() {
    let world = World::running();
    let acme = world.connect("acme", 10);
    world.until("acme", |s| s.last_sync.is_some()).await;
    assert!(world.status("acme").history[0].requested_by.is_empty(), "nobody did");
    pass(60).await;
    acme.add_user("Jane Hired", "jane@acme.example");
    for (name, claim) in [("first", "jane\u{1b}[2J"), ("second", "flux"), ("third", "flux")] {
        world.request(name, "acme");
        let asks = |r: &mut Value| r["metadata"]["annotations"] = json!({ "boxsync.dev/requested-by": claim });
        world.kube.edit("UserSyncRequest", NAMESPACE, name, asks);
    }
    assert!(succeeded(&world.ended("third").await));
    let status = world.until("acme", |s| s.history.len() > 1).await;
    assert_eq!(status.history[0].requested_by, ["jane[2J", "flux"]);
    let roster = world.kube.object::<UserRoster>(NAMESPACE, "acme").expect("a list").spec;
    assert_eq!(
        (&roster.journal[0].requested_by, &roster.change.requested_by),
        (&status.history[0].requested_by, &status.history[0].requested_by)
    );

    pass(60).await;
    let annotations = json!({ "boxsync.dev/requested-at": "monday", "boxsync.dev/requested-by": "joe" });
    world.edit("acme", |c| c["metadata"]["annotations"] = annotations);
    let status = world.until("acme", |s| s.last_handled_request.is_some()).await;
    assert_eq!(status.history[0].requested_by, ["joe"]);
    pass(60).await;
    world.request("unsigned", "acme");
    world.ended("unsigned").await;
    assert!(world.status("acme").history[0].requested_by.is_empty(), "the annotation was answered before");
}

#[tokio::test(start_paused = true)]
async fn a_request_does_not_queue_behind_scheduled_work() {
    let world = World::new();
    let slow: Vec<_> = (0..6).map(|n| world.connect(&format!("slow{n}"), 20_000)).collect();
    let mut world = world;
    world.start();
    for enterprise in &slow {
        enterprise.latency(secs(5));
    }
    pass(10).await;
    let quick = world.connect("quick", 10);
    world.request("r", "quick");
    assert!(succeeded(&world.ended("r").await));
    assert!(world.elapsed() < 20, "{}", world.elapsed());
    assert_eq!(listings(&quick), 1);
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_box_named_to_a_probe_holds_for_a_request_too() {
    let world = World::running();
    let acme = world.connect("acme", 100);
    world.until("acme", |s| s.last_sync.is_some()).await;
    acme.next(1, Answer::RateLimited { retry_after: Some("1800".to_owned()) }, On::Token);
    pass(3601).await;
    acme.forget_calls();
    world.request("r", "acme");
    let begun = world.elapsed();
    assert!(succeeded(&world.ended("r").await));
    assert!(world.elapsed() - begun > 1000, "{}", world.elapsed() - begun);
    assert_eq!(condition(&world.status("acme").conditions, "Connected"), "True Connected");
}
