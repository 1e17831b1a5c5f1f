//! The crash matrix, generated: a story is told once and its writes are counted; then it is told again for each write
//! and each kind of trouble that can meet it.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use box_sim::Enterprise;
use boxsync::api::{SliceState, UserSyncRequest, UserSyncRequestStatus};
use kube_sim::{Fault, KubeSim, Trouble};
use tokio::{sync::Notify, task::JoinHandle};

use crate::reader::{People, answer};
use crate::world::{Machine, OPERATOR, World, pass, secs, succeeded};

/// Enough for two slices.
const USERS: usize = 400;

/// What meets a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meets {
    Nothing,
    KilledBefore,
    KilledAfter,
    Conflict,
    Timeout,
    AppliedAndLost,
    WatchesFrozen,
}

/// Lets the `k`th write of the operator meet its trouble. Returns how many there were.
fn arrange(kube: &KubeSim, k: usize, meets: Meets, frozen: Arc<Notify>) -> Arc<AtomicUsize> {
    let writes = Arc::new(AtomicUsize::new(0));
    let (count, sim) = (writes.clone(), kube.clone());
    kube.on_write(move |_, call| {
        // Events are no state.
        if call.user != OPERATOR || call.resource == "events" || count.fetch_add(1, Ordering::Relaxed) + 1 != k {
            return None;
        }
        match meets {
            Meets::Nothing => None,
            Meets::KilledBefore => Some(Fault::Before(Trouble::Kill)),
            Meets::KilledAfter => Some(Fault::After(Trouble::Kill)),
            Meets::Conflict => Some(Fault::Before(Trouble::Status(409))),
            Meets::Timeout => Some(Fault::Before(Trouble::Status(504))),
            Meets::AppliedAndLost => Some(Fault::After(Trouble::Drop)),
            Meets::WatchesFrozen => {
                sim.freeze_watches();
                frozen.notify_one();
                None
            }
        }
    });
    writes
}

/// Starts a new operator whenever one is killed, and thaws the watches some time after they were frozen; until it is
/// told that the story is over.
fn nurse(machine: Machine, kube: KubeSim, frozen: Arc<Notify>, over: Arc<Notify>) -> JoinHandle<()> {
    let mut running = machine.operator_as(OPERATOR);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                () = over.notified() => return running.kill().await,
                () = kube.killed() => {
                    running.kill().await;
                    pass(3).await;
                    running = machine.operator_as(OPERATOR);
                }
                () = frozen.notified() => {
                    pass(100).await;
                    kube.thaw_watches();
                }
            }
        }
    })
}

/// Three lists: the first, one with a user hired, one edited and one gone, and one with another gone and one renamed.
/// Returns Box's answers, and how the requests ended.
async fn story(world: &World, acme: &Enterprise) -> (Vec<People>, Vec<UserSyncRequestStatus>) {
    let mut answers = vec![answer(acme)];
    world.until("acme", |s| s.last_sync.is_some()).await;
    pass(30).await;
    let users = acme.users();
    acme.add_user("Jane", "jane@acme.com");
    acme.deactivate(users[200].id);
    acme.remove_user(users[10].id);
    answers.push(answer(acme));
    world.request("first", "acme");
    let first = world.ended("first").await;
    pass(30).await;
    acme.remove_user(users[100].id);
    acme.edit(users[300].id, |u| u.login = format!("new.{}", u.login));
    answers.push(answer(acme));
    world.request("second", "acme");
    let second = world.ended("second").await;
    (answers, vec![first, second])
}

/// Tells the story with this trouble at the `k`th write; returns how many writes there were.
async fn told(k: usize, meets: Meets) -> usize {
    let world = World::new();
    let acme = world.connect("acme", USERS);
    let frozen = Arc::new(Notify::new());
    let writes = arrange(&world.kube, k, meets, frozen.clone());
    let over = Arc::new(Notify::new());
    let nurse = nurse(world.machine(), world.kube.clone(), frozen, over.clone());
    let reader = world.reader("acme", secs(1));
    let (answers, ended) = story(&world, &acme).await;
    let what = format!("{meets:?} at write {k}");
    for (done, changed) in ended.iter().zip([[1, 1, 1], [0, 1, 1]]) {
        assert!(succeeded(done), "{what}: {done:?}");
        assert_eq!(
            [done.added, done.updated, done.removed],
            changed.map(Some),
            "{what}: exactly what the sync changed"
        );
    }
    pass(60).await;
    let finished: Vec<_> = world.kube.objects::<UserSyncRequest>();
    pass(4500).await;
    reader.saw_only(&answers);
    assert_eq!(world.kube.objects::<UserSyncRequest>(), finished, "{what}: finished requests are untouched");
    assert_eq!(world.orphans("acme"), Vec::<String>::new(), "{what}");
    assert_eq!(world.people("acme").await, answer(&acme), "{what}");
    let mark = world.kube.mark();
    pass(3600).await;
    assert_eq!(world.writes_since(mark), Vec::<String>::new(), "{what}: then nothing is written");
    let status = world.status("acme");
    assert_eq!(status.roster_ref.expect("published").revision, world.roster("acme").spec.revision, "{what}");
    let told: i64 = world.roster("acme").spec.journal.iter().map(|e| e.added + e.updated + e.removed).sum();
    assert_eq!(told, USERS as i64 + 3 + 2, "{what}: every change is in the record once");
    let live = world.roster("acme").spec.slices.iter().filter(|s| s.state == SliceState::Live).count();
    assert!(live > 1, "one slice can hardly be half a list");
    over.notify_one();
    nurse.await.expect("the nurse did not panic");
    writes.load(Ordering::Relaxed)
}

/// Every write of the story met by this trouble, in turn.
async fn matrix(meets: Meets) {
    let writes = told(0, Meets::Nothing).await;
    assert!(writes > 12, "{writes} writes");
    for k in 1..=writes {
        told(k, meets).await;
    }
}

/// One test a column of the matrix, so that they share the processors.
macro_rules! columns {
    ($($name:ident: $meets:ident,)*) => {$(
        #[tokio::test(start_paused = true)]
        async fn $name() {
            matrix(Meets::$meets).await;
        }
    )*};
}

columns! {
    an_operator_killed_before_any_of_its_writes_leaves_no_half_list_and_loses_no_result: KilledBefore,
    an_operator_killed_after_any_of_its_writes_leaves_no_half_list_and_loses_no_result: KilledAfter,
    a_conflict_at_any_write_shows_no_half_list_and_loses_no_result: Conflict,
    a_timeout_at_any_write_shows_no_half_list_and_loses_no_result: Timeout,
    a_lost_answer_to_any_write_shows_no_half_list_and_loses_no_result: AppliedAndLost,
    watches_frozen_at_any_write_show_no_half_list_and_lose_no_result: WatchesFrozen,
}
