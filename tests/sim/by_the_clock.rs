//! Days of a schedule, with the night on which summer time ends.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::world::{World, condition, listings, pass, secs, state, succeeded};

const DAY: u64 = 86_400;

/// The eve of the end of summer time in Berlin.
fn on_the_eve() -> World {
    let world = World::new();
    world.clock.set_back(secs(29 * DAY));
    assert_eq!(world.clock.now().to_string(), "2026-10-24T12:00:00Z");
    world
}

#[tokio::test(start_paused = true)]
async fn the_list_is_there_by_eight_in_the_evening_whether_or_not_it_is_summer_time() {
    let mut world = on_the_eve();
    let acme = world.enterprise("acme", 1200);
    world.secret(&acme, "acme");
    world.connection("acme", acme.id(), &json!({ "schedule": { "cron": "0 20 * * *", "timeZone": "Europe/Berlin" } }));
    world.start();
    let mut last = world.until("acme", |s| s.last_sync.is_some()).await.last_sync.expect("synced");
    let mut ahead = Vec::new();
    for named in ["2026-10-24T18:00:00Z", "2026-10-25T19:00:00Z", "2026-10-26T19:00:00Z"] {
        let named: Timestamp = named.parse().expect("a time");
        let announced = world.status("acme").next_sync_time.expect("scheduled").0;
        let status = world.until("acme", |s| s.last_sync.as_ref() != Some(&last)).await;
        last = status.last_sync.expect("synced");
        assert!(last.completion_time.0 <= named, "{last:?}");
        assert!(announced.duration_until(last.start_time.0) < SignedDuration::from_secs(5), "{announced} {last:?}");
        ahead.push(announced.duration_until(named).as_secs());
    }
    assert!(ahead[0] < 900 && ahead.iter().all(|a| *a == ahead[0]), "always as long before: {ahead:?}");
    let shown = world.status("acme").next_sync.expect("scheduled");
    assert!(shown.starts_with("2026-10-27T19:") && shown.ends_with("+01:00[Europe/Berlin]"), "{shown}");
    assert_eq!(listings(&acme), 4);
}

#[tokio::test(start_paused = true)]
async fn a_schedule_that_cannot_be_kept_stalls_the_clock_and_nothing_else() {
    let world = World::running();
    let acme = world.enterprise("acme", 100);
    world.secret(&acme, "acme");
    world.connection("acme", acme.id(), &json!({ "schedule": { "cron": "0 20 30 2 *", "timeZone": "UTC" } }));
    let status = world.until("acme", |s| s.last_sync.is_some()).await;
    assert_eq!(
        state(&status),
        "Ready=True Synced, Connected=True Connected, Synced=True Synced, Stalled=True ScheduleInvalid"
    );
    assert_eq!(status.next_sync_time, None);
    pass(DAY).await;
    assert_eq!(listings(&acme), 1);
    world.request("r", "acme");
    assert!(succeeded(&world.ended("r").await));
    world.edit("acme", |c| c["spec"]["schedule"]["cron"] = "0 20 1 * *".into());
    let status = world.until("acme", |s| s.next_sync_time.is_some()).await;
    assert_eq!(condition(&status.conditions, "Stalled"), "");
    let told = world.kube.list("Event").into_iter().filter(|e| e["reason"] == "ScheduleInvalid").count();
    assert_eq!(told, 1);
}
