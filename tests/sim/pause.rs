//! An operator that is paused for days.

use box_sim::Behaviour;
use serde_json::json;

use crate::{
    env::{SimEnv, count_listings, format_condition, format_conditions, request_succeeded, sleep_secs},
    invariants::Exemption,
};

const DAY: u64 = 86_400;

#[tokio::test(start_paused = true)]
async fn a_paused_operator_makes_no_box_calls_keeps_its_status_and_resumes_by_itself() {
    let mut world = SimEnv::with_operator();
    let acme = world.connect_enterprise("acme", 100);
    let globex = world.connect_enterprise("globex", 100);
    world.wait_until_synced("acme").await;
    world.wait_until_synced("globex").await;
    globex.enable_behaviour(Behaviour::InternalError);
    world.create_request_with("tried", "globex", &json!({ "activeDeadlineSeconds": 7200 }));
    world.wait_for_request("tried", |s| s.attempts > 0).await;
    world.stop_operator().await;
    globex.reset_behaviours();

    world.options.paused = true;
    world.invariants.exempt(Exemption::PausedOperator);
    world.spawn_operator();
    let initech = world.connect_enterprise("initech", 100);
    world.create_request("requested", "acme");
    let all = [&acme, &globex, &initech];
    all.iter().for_each(|enterprise| enterprise.clear_calls());
    let status = world.wait_for_condition("acme", "Paused", "True Paused").await;
    assert_eq!(
        format_conditions(&status),
        "Ready=True Synced, Connected=True Connected, Synced=True Synced, Paused=True Paused",
        "the status stays"
    );
    assert_eq!((status.next_sync_time, status.next_sync), (None, None));
    let new = world.wait_for_condition("initech", "Paused", "True Paused").await;
    assert_eq!(format_condition(&new.conditions, "Ready"), "Unknown Paused");
    for name in ["requested", "tried"] {
        let waiting =
            world.wait_for_request(name, |s| format_condition(&s.conditions, "Reconciling") == "True Paused").await;
        assert!(!waiting.phase.is_finished());
    }
    sleep_secs(60).await;
    let mark = world.kube.log_position();
    sleep_secs(DAY).await;
    assert_eq!(world.writes_since(mark), Vec::<String>::new(), "a pause writes nothing");
    sleep_secs(DAY).await;
    assert_eq!(
        format_conditions(&world.connection_status("acme")),
        "Ready=False Stale, Connected=True Connected, Synced=True Synced, Paused=True Paused"
    );
    for name in ["requested", "tried"] {
        assert_eq!(format_condition(&world.request_status(name).conditions, "Reconciling"), "True Paused", "{name}");
    }
    let calls: Vec<u64> = all.iter().map(|enterprise| enterprise.call_counts().total()).collect();
    assert_eq!(calls, [0, 0, 0]);
    world.stop_operator().await;

    world.options.paused = false;
    world.spawn_operator();
    world.invariants.end_exemption(Exemption::PausedOperator);
    for name in ["requested", "tried"] {
        assert!(request_succeeded(&world.wait_until_finished(name).await), "{name} runs after the pause");
    }
    for name in ["acme", "globex", "initech"] {
        let status = world.wait_until_ready(name).await;
        assert_eq!(
            format_conditions(&status),
            "Ready=True Synced, Connected=True Connected, Synced=True Synced",
            "{name}"
        );
        assert!(status.next_sync_time.is_some());
    }
    sleep_secs(600).await;
    assert_eq!(all.map(count_listings), [1, 1, 1], "it catches up once");
}
