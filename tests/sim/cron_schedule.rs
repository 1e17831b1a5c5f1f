//! Cron schedules over several days, including the end of daylight saving time.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::env::{SimEnv, count_listings, format_condition, format_conditions, request_succeeded, secs, sleep_secs};

const DAY: u64 = 86_400;

/// Starts on the day before daylight saving time ends in Berlin.
fn env_before_dst_end() -> SimEnv {
    let world = SimEnv::new();
    world.clock.rewind(secs(29 * DAY));
    assert_eq!(world.clock.now().to_string(), "2026-10-24T12:00:00Z");
    world
}

#[tokio::test(start_paused = true)]
async fn a_cron_sync_completes_by_its_local_time_across_the_end_of_dst() {
    let mut world = env_before_dst_end();
    let acme = world.connect_with_spec(
        "acme",
        1200,
        &json!({ "schedule": { "cron": "0 20 * * *", "timeZone": "Europe/Berlin" } }),
    );
    world.spawn_operator();
    let mut last = world.wait_until_synced("acme").await.last_sync.expect("synced");
    let mut lead_times = Vec::new();
    for scheduled in ["2026-10-24T18:00:00Z", "2026-10-25T19:00:00Z", "2026-10-26T19:00:00Z"] {
        let scheduled: Timestamp = scheduled.parse().expect("a time");
        let announced = world.connection_status("acme").next_sync_time.expect("scheduled").0;
        let status = world.wait_for_connection("acme", |s| s.last_sync.as_ref() != Some(&last)).await;
        last = status.last_sync.expect("synced");
        assert!(last.completion_time.0 <= scheduled, "{last:?}");
        assert!(announced.duration_until(last.start_time.0) < SignedDuration::from_secs(5), "{announced} {last:?}");
        lead_times.push(announced.duration_until(scheduled).as_secs());
    }
    assert!(
        lead_times[0] < 900 && lead_times.iter().all(|a| *a == lead_times[0]),
        "the offset is constant: {lead_times:?}"
    );
    let shown = world.connection_status("acme").next_sync.expect("scheduled");
    assert!(shown.starts_with("2026-10-27T19:") && shown.ends_with("+01:00[Europe/Berlin]"), "{shown}");
    assert_eq!(count_listings(&acme), 4);
}

#[tokio::test(start_paused = true)]
async fn a_cron_expression_that_never_occurs_stalls_only_scheduled_syncs() {
    let world = SimEnv::with_operator();
    let acme =
        world.connect_with_spec("acme", 100, &json!({ "schedule": { "cron": "0 20 30 2 *", "timeZone": "UTC" } }));
    let status = world.wait_until_synced("acme").await;
    assert_eq!(
        format_conditions(&status),
        "Ready=True Synced, Connected=True Connected, Synced=True Synced, Stalled=True ScheduleInvalid"
    );
    assert_eq!(status.next_sync_time, None);
    sleep_secs(DAY).await;
    assert_eq!(count_listings(&acme), 1);
    assert!(request_succeeded(&world.run_request("r", "acme").await));
    world.edit_connection("acme", |c| c["spec"]["schedule"]["cron"] = "0 20 1 * *".into());
    let status = world.wait_for_connection("acme", |s| s.next_sync_time.is_some()).await;
    assert_eq!(format_condition(&status.conditions, "Stalled"), "");
    assert_eq!(world.events_with_reason("ScheduleInvalid").len(), 1);
}
