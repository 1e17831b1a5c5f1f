//! Days of schedule.

use box_sim::{Answer, On};

use crate::world::{World, condition, listings, pass, secs, state};

const DAY: u64 = 86_400;

#[tokio::test(start_paused = true)]
async fn a_new_connection_is_ready_with_its_counts() {
    let world = World::running();
    let acme = world.connect("acme", 1200);
    let status = world.until("acme", |s| condition(&s.conditions, "Ready") == "True Synced").await;
    assert_eq!(state(&status), "Ready=True Synced, Connected=True Connected, Synced=True Synced");
    assert_eq!(status.users.expect("counted").total, 1200);
    assert_eq!(status.enterprise.expect("known").name, "acme");
    assert_eq!(status.observed_generation, Some(1));
    assert_eq!(acme.calls().total(), 4, "token, account, two pages: {:?}", acme.calls());
    assert!(world.elapsed() < 5);
}

#[tokio::test(start_paused = true)]
async fn three_days_are_a_first_sync_and_one_a_day_at_the_same_time_of_day() {
    let world = World::running();
    let acme = world.connect("acme", 1200);
    let mut times = Vec::new();
    let mut last = None;
    for _ in 0..4 {
        let status = world.until("acme", |s| s.last_sync.as_ref().map(|l| &l.start_time) != last.as_ref()).await;
        last = status.last_sync.map(|l| l.start_time);
        times.push(world.elapsed());
    }
    let gaps: Vec<i64> = times.windows(2).map(|w| w[1] - w[0]).collect();
    assert!(gaps[0] <= 86_400, "never longer than the interval: {gaps:?}");
    assert!(gaps[1..].iter().all(|g| (86_395..=86_405).contains(g)), "{gaps:?}");
    assert_eq!(listings(&acme), 4);
}

#[tokio::test(start_paused = true)]
async fn a_steady_state_writes_nothing() {
    let world = World::running();
    world.connect("acme", 1200);
    let status = world.until("acme", |s| s.last_sync.is_some()).await;
    let next = status.next_sync_time.expect("scheduled").0;
    pass(30).await;
    let mark = world.kube.mark();
    pass(u64::try_from(world.clock.now().duration_until(next).as_secs()).expect("ahead") - 60).await;
    assert_eq!(world.writes_since(mark), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_429_delays_the_sync_by_what_box_asks_for() {
    let world = World::new();
    let acme = world.connect("acme", 1200);
    acme.next(1, Answer::RateLimited { retry_after: Some("7200".to_owned()) }, On::Users);
    let mut world = world;
    world.start();
    let status = world.until("acme", |s| s.failures.is_some()).await;
    assert_eq!(
        state(&status),
        "Ready=False RateLimited, Connected=True Connected, Synced=False RateLimited, Reconciling=True RateLimited"
    );
    let failures = status.failures.expect("told");
    assert!(failures.retry_after);
    let begun = world.elapsed();
    world.until("acme", |s| s.last_sync.is_some()).await;
    let waited = world.elapsed() - begun;
    assert!((7195..=7210).contains(&waited), "{waited}");
    assert_eq!(listings(&acme), 2);
}

#[tokio::test(start_paused = true)]
async fn a_failed_night_leaves_the_list_ready_and_a_long_outage_makes_it_stale() {
    let world = World::running();
    let acme = world.connect("acme", 1200);
    world.until("acme", |s| s.last_sync.is_some()).await;
    acme.behave(box_sim::Behaviour::InternalError);
    let status = world.until("acme", |s| s.failures.is_some()).await;
    assert_eq!(condition(&status.conditions, "Ready"), "True LastAttemptFailed");
    assert_eq!(condition(&status.conditions, "Synced"), "False BoxUnavailable");
    assert_eq!(condition(&status.conditions, "Connected"), "True Connected", "trouble that passes never flips it");
    let status = world.until("acme", |s| condition(&s.conditions, "Ready").starts_with("False")).await;
    assert_eq!(condition(&status.conditions, "Ready"), "False Stale");
    assert_eq!(condition(&status.conditions, "Reconciling"), "True BoxUnavailable");
    assert!((2 * 86_400..2 * 86_400 + 4000).contains(&world.elapsed()), "{}", world.elapsed());
    acme.normal();
    let status = world.until("acme", |s| s.failures.is_none()).await;
    assert_eq!(state(&status), "Ready=True Synced, Connected=True Connected, Synced=True Synced");
    assert_eq!(status.history.len(), 3, "{:?}", status.history);
    assert!(status.history[1].attempts > 20, "one entry for all that failed alike: {:?}", status.history[1]);
}

#[tokio::test(start_paused = true)]
async fn a_clock_set_back_by_a_day_delays_no_retry_and_no_sync() {
    let world = World::new();
    let acme = world.connect("acme", 1200);
    acme.next(10, Answer::InternalError, On::Users);
    let mut world = world;
    world.start();
    world.until("acme", |s| s.failures.is_some()).await;
    world.clock.set_back(secs(DAY));
    let begun = tokio::time::Instant::now();
    world.until("acme", |s| s.last_sync.is_some()).await;
    assert!(begun.elapsed() < secs(200), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn many_connections_share_the_places_and_all_get_their_turn() {
    let world = World::running();
    let all: Vec<_> = (0..30).map(|n| world.connect(&format!("c{n:02}"), 50)).collect();
    for n in 0..30 {
        world.until(&format!("c{n:02}"), |s| s.last_sync.is_some()).await;
    }
    assert!(all.iter().all(|e| listings(e) == 1));
    assert!(world.elapsed() < 30, "a freed place wakes the next: {} s", world.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_suspended_connection_is_left_alone_until_its_list_is_stale() {
    let world = World::running();
    let acme = world.connect("acme", 100);
    world.until("acme", |s| s.last_sync.is_some()).await;
    let before = world.status("acme").conditions;
    world.edit("acme", |c| c["spec"]["suspend"] = true.into());
    let status = world.until("acme", |s| s.observed_generation == Some(2)).await;
    assert_eq!(status.next_sync_time, None);
    let told = |s: &[k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition]| -> Vec<String> {
        s.iter().map(|c| format!("{} {} {}", c.type_, c.status, c.message)).collect()
    };
    assert_eq!(told(&status.conditions), told(&before), "suspending changes no condition");
    acme.forget_calls();
    let status = world.until("acme", |s| condition(&s.conditions, "Ready") == "False Stale").await;
    assert_eq!(acme.calls().total(), 0);
    assert_eq!(condition(&status.conditions, "Reconciling"), "");
    world.edit("acme", |c| c["spec"]["suspend"] = false.into());
    world.until("acme", |s| condition(&s.conditions, "Ready") == "True Synced").await;
    assert_eq!(listings(&acme), 1);
}

#[tokio::test(start_paused = true)]
async fn a_connection_suspended_from_the_start_waits_without_a_call() {
    let world = World::running();
    let acme = world.enterprise("acme", 10);
    world.secret(&acme, "acme");
    world.connection("acme", acme.id(), &serde_json::json!({ "suspend": true }));
    let status = world.until("acme", |s| s.observed_generation == Some(1)).await;
    assert_eq!(state(&status), "Ready=Unknown Suspended, Connected=Unknown NotChecked, Synced=Unknown Suspended");
    pass(3 * DAY).await;
    assert_eq!(acme.calls().total(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_long_first_sync_says_that_box_lets_it_in() {
    let world = World::running();
    let globex = world.connect("globex", 30_000);
    globex.latency(secs(1));
    let status = world.until("globex", |s| s.current_sync.is_some()).await;
    assert_eq!(
        state(&status),
        "Ready=Unknown Syncing, Connected=True Connected, Synced=Unknown Syncing, Reconciling=True Syncing"
    );
    assert_eq!(status.enterprise.expect("known").name, "globex");
    let began = status.conditions[0].last_transition_time.0;
    assert!(began.as_second() > 0, "not the time of the CRD's default: {began}");
    let status = world.until("globex", |s| s.last_sync.is_some()).await;
    assert_eq!(state(&status), "Ready=True Synced, Connected=True Connected, Synced=True Synced");
    let connected = world.kube.list("Event").into_iter().filter(|e| e["reason"] == "Connected").count();
    assert_eq!(connected, 1);
}
