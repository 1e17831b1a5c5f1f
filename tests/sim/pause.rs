//! The operator is paused, for days.

use box_sim::Behaviour;
use serde_json::json;

use crate::world::{World, condition, listings, pass, state, succeeded};

const DAY: u64 = 86_400;

#[tokio::test(start_paused = true)]
async fn a_paused_operator_asks_box_nothing_tells_what_it_knows_and_goes_on_by_itself() {
    let mut world = World::running();
    let acme = world.connect("acme", 100);
    let globex = world.connect("globex", 100);
    world.until("acme", |s| s.last_sync.is_some()).await;
    world.until("globex", |s| s.last_sync.is_some()).await;
    globex.behave(Behaviour::InternalError);
    world.request_with("tried", "globex", &json!({ "activeDeadlineSeconds": 7200 }));
    world.asked_until("tried", |s| s.attempts > 0).await;
    world.stop().await;
    globex.normal();

    world.rules.paused = true;
    world.start();
    let initech = world.connect("initech", 100);
    world.request("asked", "acme");
    let all = [&acme, &globex, &initech];
    all.iter().for_each(|enterprise| enterprise.forget_calls());
    let status = world.until("acme", |s| condition(&s.conditions, "Paused") == "True Paused").await;
    assert_eq!(
        state(&status),
        "Ready=True Synced, Connected=True Connected, Synced=True Synced, Paused=True Paused",
        "what is known stays told"
    );
    assert_eq!((status.next_sync_time, status.next_sync), (None, None));
    let new = world.until("initech", |s| condition(&s.conditions, "Paused") == "True Paused").await;
    assert_eq!(condition(&new.conditions, "Ready"), "Unknown Paused");
    for name in ["asked", "tried"] {
        let waiting = world.asked_until(name, |s| condition(&s.conditions, "Reconciling") == "True Paused").await;
        assert!(!waiting.phase.finished());
    }
    pass(60).await;
    let mark = world.kube.mark();
    pass(DAY).await;
    assert_eq!(world.writes_since(mark), Vec::<String>::new(), "a pause writes nothing");
    pass(DAY).await;
    assert_eq!(
        state(&world.status("acme")),
        "Ready=False Stale, Connected=True Connected, Synced=True Synced, Paused=True Paused"
    );
    for name in ["asked", "tried"] {
        assert_eq!(condition(&world.asked(name).conditions, "Reconciling"), "True Paused", "{name}");
    }
    let calls: Vec<u64> = all.iter().map(|enterprise| enterprise.calls().total()).collect();
    assert_eq!(calls, [0, 0, 0]);
    world.stop().await;

    world.rules.paused = false;
    world.start();
    for name in ["asked", "tried"] {
        assert!(succeeded(&world.ended(name).await), "{name} has its time after the pause");
    }
    for name in ["acme", "globex", "initech"] {
        let status = world.until(name, |s| condition(&s.conditions, "Ready") == "True Synced").await;
        assert_eq!(state(&status), "Ready=True Synced, Connected=True Connected, Synced=True Synced", "{name}");
        assert!(status.next_sync_time.is_some());
    }
    pass(600).await;
    assert_eq!(all.map(listings), [1, 1, 1], "it catches up once");
}
