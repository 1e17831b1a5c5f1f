//! The API server away, slow, or showing old news. None of it is Box's fault, and no outcome is lost for it.

use boxsync::api::Phase;
use kube_sim::{Fault, Trouble, Verb};

use crate::world::{NAMESPACE, World, condition, listings, pass, secs, succeeded};

/// The request is listed when the connection's first sync is confirmed, and its own news arrives before those of the
/// status that answered it. Without a gap only the confirmation keeps the operator from listing twice.
#[tokio::test(start_paused = true)]
async fn a_lagging_watch_does_not_list_twice() {
    let mut world = World::new();
    world.rules.min_sync_gap = secs(0);
    world.kube.lag_watches(secs(5));
    world.start();
    pass(30).await;
    let acme = world.connect("acme", 100);
    pass(4).await;
    world.request("r", "acme");
    assert!(succeeded(&world.ended("r").await));
    pass(3600).await;
    assert_eq!(listings(&acme), 1);
}

#[tokio::test(start_paused = true)]
async fn an_api_server_away_for_twenty_seconds_in_the_middle_costs_no_second_listing() {
    for second in 0..10 {
        let world = World::running();
        let acme = world.connect("acme", 5000);
        world.until("acme", |s| s.last_sync.is_some()).await;
        pass(60).await;
        acme.latency(secs(1));
        world.request("r", "acme");
        pass(second).await;
        world.kube.down();
        pass(20).await;
        world.kube.up();
        let done = world.ended("r").await;
        assert!(succeeded(&done), "down in second {second}: {done:?}");
        let status = world.status("acme");
        assert_eq!(condition(&status.conditions, "Ready"), "True Synced");
        assert!(status.history.iter().all(|h| h.reason == "Synced"), "{:?}", status.history);
        assert_eq!(listings(&acme), 2, "down in second {second}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_answer_is_lost_is_not_counted_twice() {
    let world = World::new();
    let acme = world.connect("acme", 100);
    world.kube.fail_next(1, |c| c.is(Verb::Update, "boxconnections/status"), Fault::After(Trouble::Status(504)));
    world.kube.fail_next(1, |c| c.is(Verb::Update, "usersyncrequests/status"), Fault::After(Trouble::Drop));
    let mut world = world;
    world.request("r", "acme");
    world.start();
    assert!(succeeded(&world.ended("r").await));
    pass(60).await;
    let status = world.status("acme");
    assert_eq!((status.history.len(), status.history[0].attempts), (1, 1), "{:?}", status.history);
    assert_eq!(listings(&acme), 1);
    assert_eq!(world.asked("r").attempts, 1);
}

#[tokio::test(start_paused = true)]
async fn a_conflict_on_the_final_status_does_not_repeat_the_run() {
    let world = World::running();
    let acme = world.connect("acme", 5000);
    acme.latency(secs(1));
    world.request("r", "acme");
    pass(3).await;
    world.edit("acme", |c| c["metadata"]["labels"] = serde_json::json!({ "team": "backup" }));
    world
        .kube
        .edit("UserSyncRequest", NAMESPACE, "r", |r| r["metadata"]["labels"] = serde_json::json!({ "team": "backup" }));
    assert!(succeeded(&world.ended("r").await));
    pass(120).await;
    assert_eq!(listings(&acme), 1);
    assert_eq!(world.status("acme").users.expect("counted").total, 5000);
}

#[tokio::test(start_paused = true)]
async fn a_frozen_watch_is_noticed_and_what_was_missed_is_made_up_for() {
    let world = World::running();
    world.connect("acme", 100);
    world.until("acme", |s| s.last_sync.is_some()).await;
    pass(60).await;
    world.kube.freeze_watches();
    world.request("missed", "acme");
    pass(30).await;
    assert_eq!(world.asked("missed").phase, Phase::Pending);
    world.kube.thaw_watches();
    assert!(succeeded(&world.ended("missed").await));
    world.kube.break_watches();
    world.request("after", "acme");
    assert!(succeeded(&world.ended("after").await));
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_the_api_server_cannot_decrypt_is_internal_and_not_boxs_fault() {
    let world = World::new();
    world.connect("acme", 100);
    world.kube.fail_next(3, |c| c.is(Verb::Get, "secrets"), Fault::Before(Trouble::Status(500)));
    let mut world = world;
    world.start();
    let status = world.until("acme", |s| s.failures.is_some()).await;
    assert_eq!(condition(&status.conditions, "Synced"), "False Internal");
    world.until("acme", |s| condition(&s.conditions, "Ready") == "True Synced").await;
}

#[tokio::test(start_paused = true)]
async fn after_a_long_outage_a_request_is_seen_soon() {
    let world = World::running();
    world.connect("acme", 100);
    world.until("acme", |s| s.last_sync.is_some()).await;
    world.kube.down();
    pass(600).await;
    world.kube.up();
    let begun = world.elapsed();
    world.request("r", "acme");
    assert!(succeeded(&world.ended("r").await));
    assert!(world.elapsed() - begun <= 10, "{} s", world.elapsed() - begun);
}
