//! Rate limits: Retry-After is respected, across restarts and without blocking other connections.

use box_sim::{EndpointFilter, ScriptedResponse};
use jiff::Timestamp;

use crate::env::{SimEnv, format_condition, request_succeeded, secs, sleep_secs};

const DAY: i64 = 86_400;

fn rate_limited_for(retry_after: &str) -> ScriptedResponse {
    ScriptedResponse::RateLimited { retry_after: Some(retry_after.to_owned()) }
}

fn unavailable_for(retry_after: Option<&str>) -> ScriptedResponse {
    ScriptedResponse::Unavailable { retry_after: retry_after.map(str::to_owned) }
}

/// Each case: the next response to a listing, the seconds until the list is published, and whether the status shows the
/// wait.
#[tokio::test(start_paused = true)]
async fn a_valid_retry_after_is_respected() {
    let in_an_hour = "Sun, 22 Nov 2026 13:00:00 GMT";
    let mut wrong = Vec::new();
    for (what, answer, within, expect_in_status) in [
        ("429, 0", rate_limited_for("0"), 1..=3, false),
        ("429, 1", rate_limited_for("1"), 1..=2, false),
        ("429, 60", rate_limited_for("60"), 60..=61, false),
        ("429, 100", rate_limited_for("100"), 100..=102, true),
        ("429, a day", rate_limited_for("86400"), DAY..=DAY + 2, true),
        ("429, absurd", rate_limited_for("999999999"), 1..=3, false),
        ("429, a date", rate_limited_for(in_an_hour), 3598..=3602, true),
        ("429, garbage", rate_limited_for("soon"), 1..=3, false),
        ("429, nothing", ScriptedResponse::RateLimited { retry_after: None }, 1..=3, false),
        ("503, 20", unavailable_for(Some("20")), 20..=21, false),
        ("503, 600", unavailable_for(Some("600")), 600..=602, true),
        ("503, nothing", unavailable_for(None), 1..=3, false),
        ("202, 5", ScriptedResponse::Accepted { retry_after: Some("5".to_owned()) }, 5..=6, false),
        ("202, 300", ScriptedResponse::Accepted { retry_after: Some("300".to_owned()) }, 300..=302, true),
    ] {
        let mut world = SimEnv::with_operator();
        let acme = world.connect_enterprise("acme", 100);
        acme.queue_response(1, answer, EndpointFilter::Users);
        let status = world.wait_for_connection("acme", |s| s.last_sync.is_some() || s.failures.is_some()).await;
        let in_status = status.failures.as_ref().is_some_and(|f| f.retry_after);
        world.wait_until_synced("acme").await;
        let took = world.elapsed_secs();
        if !within.contains(&took) || in_status != expect_in_status {
            wrong.push(format!("{what}: {took} s, in the status: {in_status}"));
        }
        world.kill_operator().await;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn a_long_wait_releases_its_permit_and_survives_restarts_and_requests() {
    let mut world = SimEnv::new();
    world.options.max_concurrent_syncs = 1;
    let acme = world.connect_enterprise("acme", 100);
    acme.queue_response(1, rate_limited_for("3000"), EndpointFilter::Users);
    world.spawn_operator();
    let status = world.wait_for_connection("acme", |s| s.failures.is_some()).await;
    let retry: Timestamp = status.failures.and_then(|f| f.retry_time).expect("set").0;
    assert_eq!(format_condition(&status.conditions, "Synced"), "False RateLimited");
    assert_eq!(format_condition(&status.conditions, "Connected"), "True Connected");
    world.connect_enterprise("globex", 100);
    world.wait_until_synced("globex").await;
    assert!(world.elapsed_secs() < 60, "the only permit is free");
    world.create_request("r", "acme");
    acme.clear_calls();
    for _ in 0..4 {
        sleep_secs(600).await;
        world.kill_operator().await;
        world.spawn_operator();
    }
    assert_eq!(acme.call_counts().total(), 0, "no call before the retry time");
    assert!(request_succeeded(&world.wait_until_finished("r").await));
    let late = retry.duration_until(world.clock.now()).as_secs();
    assert!((0..=secs(5).as_secs() as i64).contains(&late), "{late} s after the retry time");
}

#[tokio::test(start_paused = true)]
async fn the_history_records_the_number_of_calls_of_an_attempt() {
    let world = SimEnv::with_operator();
    let acme = world.connect_enterprise("acme", 2500);
    acme.queue_response(2, rate_limited_for("1"), EndpointFilter::Users);
    world.wait_until_synced("acme").await;
    let recorded_calls = world.connection_status("acme").history[0].calls;
    assert_eq!(u64::try_from(recorded_calls).expect("positive"), acme.call_counts().total());
    assert_eq!(recorded_calls, 1 + 1 + 2 + 3, "token, users/me, two rate-limited calls, three pages");
}
