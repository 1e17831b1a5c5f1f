//! Two operators at once: an old leader that was paused before one of its writes, and a new one that went on.

use kube_sim::{Fault, Gate, Trouble};

use crate::reader::answer;
use crate::world::{NAMESPACE, OPERATOR, World, pass, secs};

const OLD: &str = "system:serviceaccount:boxsync:old";

/// The old leader is held before its `k`th write, for so long. Returns whether it got that far.
async fn paused_before(k: usize, seconds: u64) -> bool {
    let mut world = World::new();
    let acme = world.connect("acme", 400);
    let first = answer(&acme);
    let gate = Gate::new();
    let (hold, mut count) = (gate.clone(), 0);
    world.kube.on_write(move |_, call| {
        if call.user != OLD || call.resource == "events" {
            return None;
        }
        count += 1;
        (count == k).then(|| Fault::Before(Trouble::Hold(hold.clone())))
    });
    let old = world.machine().operator_as(OLD);
    let reader = world.reader("acme", secs(5));
    let reached = tokio::time::timeout(secs(60), gate.reached()).await.is_ok();
    // The new one publishes, and sweeps what it finds unnamed.
    let users = acme.users();
    acme.remove_user(users[20].id);
    acme.add_user("Jane", "jane@acme.com");
    let second = answer(&acme);
    world.start();
    world.until("acme", |s| s.last_sync.as_ref().is_some_and(|l| l.revision >= 1)).await;
    pass(seconds).await;
    gate.open();
    pass(7200).await;
    world.request("r", "acme");
    world.ended("r").await;
    let what = format!("held before write {k} for {seconds} s");
    reader.saw_only(&[first, second.clone()]);
    assert_eq!(world.people("acme").await, second, "{what}");
    pass(3600).await;
    assert_eq!(world.orphans("acme"), Vec::<String>::new(), "{what}: the loser's slices are gone");
    old.stop().await;
    world.stop().await;
    assert!(world.kube.get("UserRoster", NAMESPACE, "acme").is_some());
    reached
}

#[tokio::test(start_paused = true)]
async fn an_old_leader_that_wakes_up_breaks_nothing() {
    assert_ne!(OLD, OPERATOR);
    for seconds in [1, 1000] {
        let mut k = 1;
        while paused_before(k, seconds).await {
            k += 1;
        }
        assert!(k > 4, "slices, the roster and the status: held before {} writes", k - 1);
    }
}
