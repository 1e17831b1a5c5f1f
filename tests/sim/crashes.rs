//! The crash matrix: a scenario runs once to count the operator's writes, then once for each write and each fault.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use box_sim::Enterprise;
use boxsync::api::{SliceState, UserSyncRequest, UserSyncRequestStatus};
use kube_sim::{Fault, FaultAction, KubeSim};
use tokio::{sync::Notify, task::JoinHandle};

use crate::{
    env::{OPERATOR, OperatorFactory, SimEnv, request_succeeded, secs, sleep_secs},
    reader::{UsersById, box_users},
};

/// Enough for two slices.
const USERS: usize = 400;

/// What happens to a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WriteFault {
    None,
    KilledBefore,
    KilledAfter,
    Conflict,
    Timeout,
    ResponseLost,
    WatchesFrozen,
}

/// Injects the fault into the operator's write number `write_index`. Returns the count of writes.
fn inject_write_fault(kube: &KubeSim, write_index: usize, fault: WriteFault, frozen: Arc<Notify>) -> Arc<AtomicUsize> {
    let writes = Arc::new(AtomicUsize::new(0));
    let (count, sim) = (writes.clone(), kube.clone());
    kube.on_write(move |_, call| {
        // Events do not count as state.
        if call.user != OPERATOR
            || call.resource == "events"
            || count.fetch_add(1, Ordering::Relaxed) + 1 != write_index
        {
            return None;
        }
        match fault {
            WriteFault::None => None,
            WriteFault::KilledBefore => Some(Fault::Before(FaultAction::Kill)),
            WriteFault::KilledAfter => Some(Fault::After(FaultAction::Kill)),
            WriteFault::Conflict => Some(Fault::Before(FaultAction::Status(409))),
            WriteFault::Timeout => Some(Fault::Before(FaultAction::Status(504))),
            WriteFault::ResponseLost => Some(Fault::After(FaultAction::Disconnect)),
            WriteFault::WatchesFrozen => {
                sim.freeze_watches();
                frozen.notify_one();
                None
            }
        }
    });
    writes
}

/// Starts a new operator whenever one is killed, and thaws the watches some time after they were frozen, until
/// `finished` is notified.
fn supervise_operator(
    factory: OperatorFactory,
    kube: KubeSim,
    frozen: Arc<Notify>,
    finished: Arc<Notify>,
) -> JoinHandle<()> {
    let mut running = factory.start_as(OPERATOR);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                () = finished.notified() => return running.abort().await,
                () = kube.killed() => {
                    running.abort().await;
                    sleep_secs(3).await;
                    running = factory.start_as(OPERATOR);
                }
                () = frozen.notified() => {
                    sleep_secs(100).await;
                    kube.thaw_watches();
                }
            }
        }
    })
}

/// Three lists: the initial one; one user added, one updated, one removed; one more removed and one renamed. Returns the
/// lists in Box, and the results of the requests.
async fn run_scenario(world: &SimEnv, acme: &Enterprise) -> (Vec<UsersById>, Vec<UserSyncRequestStatus>) {
    let mut answers = vec![box_users(acme)];
    world.wait_until_synced("acme").await;
    sleep_secs(30).await;
    let users = acme.users();
    acme.add_user("Jane", "jane@acme.com");
    acme.deactivate_user(users[200].id);
    acme.remove_user(users[10].id);
    answers.push(box_users(acme));
    let first = world.run_request("first", "acme").await;
    sleep_secs(30).await;
    acme.remove_user(users[100].id);
    acme.update_user(users[300].id, |u| u.login = format!("new.{}", u.login));
    answers.push(box_users(acme));
    let second = world.run_request("second", "acme").await;
    (answers, vec![first, second])
}

/// Runs the scenario with the fault at write number `write_index`; returns the number of writes.
async fn run_with_fault(write_index: usize, fault: WriteFault) -> usize {
    let world = SimEnv::new();
    let acme = world.connect_enterprise("acme", USERS);
    let frozen = Arc::new(Notify::new());
    let writes = inject_write_fault(&world.kube, write_index, fault, frozen.clone());
    let finished = Arc::new(Notify::new());
    let supervisor = supervise_operator(world.operator_factory(), world.kube.clone(), frozen, finished.clone());
    let reader = world.start_reader("acme", secs(1));
    let (answers, ended) = run_scenario(&world, &acme).await;
    let what = format!("{fault:?} at write {write_index}");
    for (request, changed) in ended.iter().zip([[1, 1, 1], [0, 1, 1]]) {
        assert!(request_succeeded(request), "{what}: {request:?}");
        assert_eq!(
            [request.added, request.updated, request.removed],
            changed.map(Some),
            "{what}: the changes of the sync"
        );
    }
    sleep_secs(60).await;
    let finished_requests: Vec<_> = world.kube.objects::<UserSyncRequest>();
    sleep_secs(4500).await;
    reader.assert_saw_only(&answers);
    assert_eq!(world.kube.objects::<UserSyncRequest>(), finished_requests, "{what}: finished requests are untouched");
    assert_eq!(world.orphan_slices("acme"), Vec::<String>::new(), "{what}");
    assert_eq!(world.published_users("acme").await, box_users(&acme), "{what}");
    let mark = world.kube.log_position();
    sleep_secs(3600).await;
    assert_eq!(world.writes_since(mark), Vec::<String>::new(), "{what}: no more writes");
    let status = world.connection_status("acme");
    assert_eq!(status.roster_ref.expect("published").revision, world.get_roster("acme").spec.revision, "{what}");
    let journal_changes: i64 =
        world.get_roster("acme").spec.journal.iter().map(|e| e.added + e.updated + e.removed).sum();
    assert_eq!(journal_changes, USERS as i64 + 3 + 2, "{what}: every change is in the journal once");
    let live = world.get_roster("acme").spec.slices.iter().filter(|s| s.state == SliceState::Live).count();
    assert!(live > 1, "the test needs at least two live slices");
    finished.notify_one();
    supervisor.await.expect("the supervisor did not panic");
    writes.load(Ordering::Relaxed)
}

/// Runs the scenario with the fault at every write in turn.
async fn test_every_write(fault: WriteFault) {
    let writes = run_with_fault(0, WriteFault::None).await;
    assert!(writes > 12, "{writes} writes");
    for write_index in 1..=writes {
        run_with_fault(write_index, fault).await;
    }
}

/// One test per fault, so that they run in parallel.
macro_rules! columns {
    ($($name:ident: $meets:ident,)*) => {$(
        #[tokio::test(start_paused = true)]
        async fn $name() {
            test_every_write(WriteFault::$meets).await;
        }
    )*};
}

columns! {
    a_crash_before_any_write_leaves_no_partial_list_and_loses_no_result: KilledBefore,
    a_crash_after_any_write_leaves_no_partial_list_and_loses_no_result: KilledAfter,
    a_conflict_at_any_write_shows_no_partial_list_and_loses_no_result: Conflict,
    a_timeout_at_any_write_shows_no_partial_list_and_loses_no_result: Timeout,
    a_lost_response_to_any_write_shows_no_partial_list_and_loses_no_result: ResponseLost,
    watches_frozen_at_any_write_show_no_partial_list_and_lose_no_result: WatchesFrozen,
}
