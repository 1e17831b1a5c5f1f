//! The operator's clock is wrong: freshness and history do not follow it.

use std::sync::atomic::Ordering;

use boxsync::api::SliceState;
use serde_json::json;

use crate::env::{SimEnv, format_condition, request_succeeded, sleep_secs};

const DAY: i64 = 86_400;

impl SimEnv {
    fn set_operator_ahead(&self, seconds: i64) {
        self.operator_ahead.store(seconds, Ordering::Relaxed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_ahead_for_one_sync_makes_no_list_fresh_and_forgets_nothing() {
    for (days, wait_days) in [(40, 0), (2, 3)] {
        let (world, acme) = SimEnv::with_synced("acme", 3000).await;
        let leaver = acme.users()[7].clone();
        acme.remove_user(leaver.id);
        sleep_secs(60).await;
        assert!(request_succeeded(&world.run_request("before", "acme").await));
        let journal = world.get_roster("acme").spec.journal;
        sleep_secs(60).await;
        world.set_operator_ahead(days * DAY);
        acme.add_user("John Doe", "john@acme.com");
        assert!(request_succeeded(&world.run_request("ahead", "acme").await));
        let message = world.condition_message("acme", "Synced");
        assert!(message.contains(&format!("clock is {days} days ahead of")) && message.contains("kept"), "{message}");
        let skew = world.scrape_metrics().value("boxsync_clock_skew_seconds", &[]);
        assert!(skew.is_some_and(|s| (s - (days * DAY) as f64).abs() < 60.0), "{skew:?}");
        assert_eq!(world.removed_logins("acme").await, std::slice::from_ref(&leaver.login));
        let roster = world.get_roster("acme").spec;
        assert_eq!(roster.journal[1..], journal, "nothing is forgotten");
        assert!(roster.revision_time.0 <= world.clock.now(), "{}", roster.revision_time.0);

        world.edit_connection("acme", |c| c["spec"]["suspend"] = true.into());
        world.set_operator_ahead(0);
        sleep_secs(3700).await;
        let ready = |world: &SimEnv| format_condition(&world.connection_status("acme").conditions, "Ready");
        assert_eq!(ready(&world), "False Stale", "its age is unknown");
        assert!(world.connection_status("acme").stale_time.expect("has a list").0 <= world.clock.now());
        let message = world.condition_message("acme", "Ready");
        assert!(message.contains("a clock that was ahead"), "{message}");
        sleep_secs(wait_days * 86_400).await;
        assert_eq!(ready(&world), "False Stale", "still when its time has come");
        world.edit_connection("acme", |c| c["spec"]["suspend"] = false.into());
        world.wait_until_ready("acme").await;
        assert!(!world.condition_message("acme", "Synced").contains("clock"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_behind_for_one_sync_makes_no_removed_user_look_old() {
    let (world, acme) = SimEnv::with_synced("acme", 3000).await;
    sleep_secs(60).await;
    world.set_operator_ahead(-40 * DAY);
    let leaver = acme.users()[7].clone();
    acme.remove_user(leaver.id);
    assert!(request_succeeded(&world.run_request("behind", "acme").await));
    let message = world.condition_message("acme", "Synced");
    assert!(message.contains("clock is 40 days behind"), "{message}");
    world.set_operator_ahead(0);
    acme.add_user("John Doe", "john@acme.com");
    sleep_secs(60).await;
    assert!(request_succeeded(&world.run_request("right", "acme").await));
    assert_eq!(world.removed_logins("acme").await, [leaver.login]);
    assert_eq!(world.get_roster("acme").spec.journal.len(), 3, "the first list and the changes of both syncs");
}

/// One of the two other clocks is wrong, and it cannot be known which: nothing is forgotten.
#[tokio::test(start_paused = true)]
async fn nothing_is_forgotten_while_the_other_clocks_disagree() {
    let mut world = SimEnv::new();
    let acme = world.connect_with_spec("acme", 3000, &json!({ "historyRetention": "1h", "syncInterval": "24h" }));
    world.spawn_operator();
    world.wait_until_synced("acme").await;
    let leaver = acme.users()[7].clone();
    acme.remove_user(leaver.id);
    sleep_secs(60).await;
    assert!(request_succeeded(&world.run_request("removed", "acme").await));
    // The API server's and the operator's clock, not Box's.
    world.clock.advance(std::time::Duration::from_secs(7200));
    acme.add_user("John Doe", "john@acme.com");
    sleep_secs(60).await;
    assert!(request_succeeded(&world.run_request("disagreeing", "acme").await));
    assert_eq!(world.removed_logins("acme").await, [leaver.login]);
    world.clock.rewind(std::time::Duration::from_secs(7200));
    sleep_secs(7200).await;
    acme.add_user("Jane Roe", "jane@acme.com");
    assert!(request_succeeded(&world.run_request("agreeing", "acme").await));
    assert_eq!(world.removed_logins("acme").await, Vec::<String>::new(), "by the right time it is");
    let snapshot = world.read_snapshot("acme").await;
    assert_eq!(snapshot.record_lines(SliceState::Live).count(), 3001);
}
