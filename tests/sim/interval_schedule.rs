//! Interval schedules over several days.

use box_sim::{EndpointFilter, ScriptedResponse};

use crate::env::{SimEnv, count_listings, format_condition, format_conditions, secs, sleep_secs};

const DAY: u64 = 86_400;

#[tokio::test(start_paused = true)]
async fn a_new_connection_is_ready_with_its_counts() {
    let world = SimEnv::with_operator();
    let acme = world.connect_enterprise("acme", 1200);
    let status = world.wait_until_ready("acme").await;
    assert_eq!(format_conditions(&status), "Ready=True Synced, Connected=True Connected, Synced=True Synced");
    assert_eq!(status.users.expect("has counts").total, 1200);
    assert_eq!(status.enterprise.expect("known").name, "acme");
    assert_eq!(status.observed_generation, Some(1));
    assert_eq!(acme.call_counts().total(), 4, "token, account, two pages: {:?}", acme.call_counts());
    assert!(world.elapsed_secs() < 5);
}

#[tokio::test(start_paused = true)]
async fn three_days_have_a_first_sync_and_one_sync_a_day_at_the_same_time() {
    let world = SimEnv::with_operator();
    let acme = world.connect_enterprise("acme", 1200);
    let mut times = Vec::new();
    let mut last = None;
    for _ in 0..4 {
        let status =
            world.wait_for_connection("acme", |s| s.last_sync.as_ref().map(|l| &l.start_time) != last.as_ref()).await;
        last = status.last_sync.map(|l| l.start_time);
        times.push(world.elapsed_secs());
    }
    let gaps: Vec<i64> = times.windows(2).map(|w| w[1] - w[0]).collect();
    assert!(gaps[0] <= 86_400, "never longer than the interval: {gaps:?}");
    assert!(gaps[1..].iter().all(|g| (86_395..=86_405).contains(g)), "{gaps:?}");
    assert_eq!(count_listings(&acme), 4);
}

#[tokio::test(start_paused = true)]
async fn a_steady_state_writes_nothing() {
    let world = SimEnv::with_operator();
    world.connect_enterprise("acme", 1200);
    let status = world.wait_until_synced("acme").await;
    let next = status.next_sync_time.expect("scheduled").0;
    sleep_secs(30).await;
    let mark = world.kube.log_position();
    sleep_secs(u64::try_from(world.clock.now().duration_until(next).as_secs()).expect("ahead") - 60).await;
    assert_eq!(world.writes_since(mark), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_429_delays_the_sync_by_its_retry_after() {
    let mut world = SimEnv::new();
    let acme = world.connect_enterprise("acme", 1200);
    acme.queue_response(
        1,
        ScriptedResponse::RateLimited { retry_after: Some("7200".to_owned()) },
        EndpointFilter::Users,
    );
    world.spawn_operator();
    let status = world.wait_for_connection("acme", |s| s.failures.is_some()).await;
    assert_eq!(
        format_conditions(&status),
        "Ready=False RateLimited, Connected=True Connected, Synced=False RateLimited, Reconciling=True RateLimited"
    );
    let failures = status.failures.expect("set");
    assert!(failures.retry_after);
    let begun = world.elapsed_secs();
    world.wait_until_synced("acme").await;
    let waited = world.elapsed_secs() - begun;
    assert!((7195..=7210).contains(&waited), "{waited}");
    assert_eq!(count_listings(&acme), 2);
}

#[tokio::test(start_paused = true)]
async fn a_failed_sync_leaves_the_list_ready_and_a_long_outage_makes_it_stale() {
    let (world, acme) = SimEnv::with_synced("acme", 1200).await;
    acme.enable_behaviour(box_sim::Behaviour::InternalError);
    let status = world.wait_for_connection("acme", |s| s.failures.is_some()).await;
    assert_eq!(format_condition(&status.conditions, "Ready"), "True LastAttemptFailed");
    assert_eq!(format_condition(&status.conditions, "Synced"), "False BoxUnavailable");
    assert_eq!(
        format_condition(&status.conditions, "Connected"),
        "True Connected",
        "transient failures do not change it"
    );
    let status =
        world.wait_for_connection("acme", |s| format_condition(&s.conditions, "Ready").starts_with("False")).await;
    assert_eq!(format_condition(&status.conditions, "Ready"), "False Stale");
    assert_eq!(format_condition(&status.conditions, "Reconciling"), "True BoxUnavailable");
    assert!((2 * 86_400..2 * 86_400 + 4000).contains(&world.elapsed_secs()), "{}", world.elapsed_secs());
    acme.reset_behaviours();
    let status = world.wait_for_connection("acme", |s| s.failures.is_none()).await;
    assert_eq!(format_conditions(&status), "Ready=True Synced, Connected=True Connected, Synced=True Synced");
    assert_eq!(status.history.len(), 3, "{:?}", status.history);
    assert!(status.history[1].attempts > 20, "one entry for equal failures: {:?}", status.history[1]);
}

#[tokio::test(start_paused = true)]
async fn a_clock_set_back_by_a_day_delays_no_retry_and_no_sync() {
    let mut world = SimEnv::new();
    let acme = world.connect_enterprise("acme", 1200);
    acme.queue_response(10, ScriptedResponse::InternalError, EndpointFilter::Users);
    world.spawn_operator();
    world.wait_for_connection("acme", |s| s.failures.is_some()).await;
    world.clock.rewind(secs(DAY));
    let begun = tokio::time::Instant::now();
    world.wait_until_synced("acme").await;
    assert!(begun.elapsed() < secs(200), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn many_connections_share_the_permits_and_all_are_synced() {
    let world = SimEnv::with_operator();
    let all: Vec<_> = (0..30).map(|n| world.connect_enterprise(&format!("c{n:02}"), 50)).collect();
    for n in 0..30 {
        world.wait_until_synced(&format!("c{n:02}")).await;
    }
    assert!(all.iter().all(|e| count_listings(e) == 1));
    assert!(world.elapsed_secs() < 30, "a released permit wakes the next connection: {} s", world.elapsed_secs());
}

#[tokio::test(start_paused = true)]
async fn a_suspended_connection_changes_nothing_until_its_list_is_stale() {
    let (world, acme) = SimEnv::with_synced("acme", 100).await;
    let before = world.connection_status("acme").conditions;
    world.edit_connection("acme", |c| c["spec"]["suspend"] = true.into());
    let status = world.wait_for_connection("acme", |s| s.observed_generation == Some(2)).await;
    assert_eq!(status.next_sync_time, None);
    let summarize = |s: &[k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition]| -> Vec<String> {
        s.iter().map(|c| format!("{} {}", c.type_, c.status)).collect()
    };
    assert_eq!(summarize(&status.conditions), summarize(&before), "suspending changes no condition");
    assert_eq!(format_condition(&status.conditions, "Ready"), "True Suspended", "but it is shown");
    acme.clear_calls();
    let status = world.wait_for_condition("acme", "Ready", "False Stale").await;
    assert_eq!(acme.call_counts().total(), 0);
    assert_eq!(format_condition(&status.conditions, "Reconciling"), "");
    world.edit_connection("acme", |c| c["spec"]["suspend"] = false.into());
    world.wait_until_ready("acme").await;
    assert_eq!(count_listings(&acme), 1);
}

#[tokio::test(start_paused = true)]
async fn a_connection_suspended_from_the_start_waits_without_a_call() {
    let world = SimEnv::with_operator();
    let acme = world.connect_with_spec("acme", 10, &serde_json::json!({ "suspend": true }));
    let status = world.wait_for_connection("acme", |s| s.observed_generation == Some(1)).await;
    assert_eq!(
        format_conditions(&status),
        "Ready=Unknown Suspended, Connected=Unknown NotChecked, Synced=Unknown Suspended"
    );
    sleep_secs(3 * DAY).await;
    assert_eq!(acme.call_counts().total(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_long_first_sync_reports_connected_while_it_runs() {
    let world = SimEnv::with_operator();
    let globex = world.connect_enterprise("globex", 30_000);
    globex.set_latency(secs(1));
    let status = world.wait_for_connection("globex", |s| s.current_sync.is_some()).await;
    assert_eq!(
        format_conditions(&status),
        "Ready=Unknown Syncing, Connected=True Connected, Synced=Unknown Syncing, Reconciling=True Syncing"
    );
    assert_eq!(status.enterprise.expect("known").name, "globex");
    let began = status.conditions[0].last_transition_time.0;
    assert!(began.as_second() > 0, "not the default of the CRD: {began}");
    let status = world.wait_until_synced("globex").await;
    assert_eq!(format_conditions(&status), "Ready=True Synced, Connected=True Connected, Synced=True Synced");
    assert_eq!(world.events_with_reason("Connected").len(), 1);
}
