//! Box asks to wait: for how long, who waits, and that nobody forgets it.

use box_sim::{Answer, On};
use jiff::Timestamp;

use crate::world::{World, condition, pass, secs, succeeded};

const DAY: i64 = 86_400;

fn limited(retry_after: &str) -> Answer {
    Answer::RateLimited { retry_after: Some(retry_after.to_owned()) }
}

fn unavailable(retry_after: Option<&str>) -> Answer {
    Answer::Unavailable { retry_after: retry_after.map(str::to_owned) }
}

/// What the next answer to a listing is; after how many seconds the list is there; whether Box's wait stands in the
/// status meanwhile.
#[tokio::test(start_paused = true)]
async fn a_wait_is_as_long_as_box_says_where_that_makes_sense() {
    let in_an_hour = "Sun, 22 Nov 2026 13:00:00 GMT";
    let mut wrong = Vec::new();
    for (what, answer, within, told) in [
        ("429, 0", limited("0"), 1..=3, false),
        ("429, 1", limited("1"), 1..=2, false),
        ("429, 60", limited("60"), 60..=61, false),
        ("429, 100", limited("100"), 100..=102, true),
        ("429, a day", limited("86400"), DAY..=DAY + 2, true),
        ("429, absurd", limited("999999999"), 1..=3, false),
        ("429, a date", limited(in_an_hour), 3598..=3602, true),
        ("429, garbage", limited("soon"), 1..=3, false),
        ("429, nothing", Answer::RateLimited { retry_after: None }, 1..=3, false),
        ("503, 20", unavailable(Some("20")), 20..=21, false),
        ("503, 600", unavailable(Some("600")), 600..=602, true),
        ("503, nothing", unavailable(None), 1..=3, false),
        ("202, 5", Answer::Accepted { retry_after: Some("5".to_owned()) }, 5..=6, false),
        ("202, 300", Answer::Accepted { retry_after: Some("300".to_owned()) }, 300..=302, true),
    ] {
        let mut world = World::running();
        let acme = world.connect("acme", 100);
        acme.next(1, answer, On::Users);
        let status = world.until("acme", |s| s.last_sync.is_some() || s.failures.is_some()).await;
        let in_status = status.failures.as_ref().is_some_and(|f| f.retry_after);
        world.until("acme", |s| s.last_sync.is_some()).await;
        let took = world.elapsed();
        if !within.contains(&took) || in_status != told {
            wrong.push(format!("{what}: {took} s, in the status: {in_status}"));
        }
        world.kill().await;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn a_long_wait_leaves_the_place_and_survives_restarts_and_requests() {
    let mut world = World::new();
    world.rules.max_concurrent_syncs = 1;
    let acme = world.connect("acme", 100);
    acme.next(1, limited("3000"), On::Users);
    world.start();
    let status = world.until("acme", |s| s.failures.is_some()).await;
    let retry: Timestamp = status.failures.and_then(|f| f.retry_time).expect("told").0;
    assert_eq!(condition(&status.conditions, "Synced"), "False RateLimited");
    assert_eq!(condition(&status.conditions, "Connected"), "True Connected");
    world.connect("globex", 100);
    world.until("globex", |s| s.last_sync.is_some()).await;
    assert!(world.elapsed() < 60, "the only place is free");
    world.request("r", "acme");
    acme.forget_calls();
    for _ in 0..4 {
        pass(600).await;
        world.kill().await;
        world.start();
    }
    assert_eq!(acme.calls().total(), 0, "nobody asks Box before its time");
    assert!(succeeded(&world.ended("r").await));
    let late = retry.duration_until(world.clock.now()).as_secs();
    assert!((0..=secs(5).as_secs() as i64).contains(&late), "{late} s after the time that Box named");
}

#[tokio::test(start_paused = true)]
async fn the_history_says_how_many_calls_an_attempt_took() {
    let world = World::running();
    let acme = world.connect("acme", 2500);
    acme.next(2, limited("1"), On::Users);
    world.until("acme", |s| s.last_sync.is_some()).await;
    let told = world.status("acme").history[0].calls;
    assert_eq!(u64::try_from(told).expect("positive"), acme.calls().total());
    assert_eq!(told, 1 + 1 + 2 + 3, "a token, who we are, two that were limited, three pages");
}
