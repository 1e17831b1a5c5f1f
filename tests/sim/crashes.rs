//! The crash matrix: a scenario runs once to count the operator's writes, then once for each write and each fault, with two
//! replicas: where the leader crashes, the standby takes over.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use box_sim::Enterprise;
use boxsync::{
    api::{SliceState, UserSyncRequest, UserSyncRequestStatus},
    leader_election::ElectionTiming,
};
use kube_sim::{Fault, FaultAction, KubeSim};
use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    task::JoinHandle,
};

use crate::{
    env::{OPERATOR, SimEnv, is_state_write, request_succeeded, secs, sleep_secs},
    operator::{OperatorFactory, RunningOperator},
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

/// How the operator runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deployment {
    /// A leader, and a standby that takes over.
    TwoReplicas,
    /// One process, which is started again.
    Single,
}

/// What the supervisor does next.
enum SupervisorEvent {
    /// This replica was killed.
    Killed(String),
    WatchesFrozen,
    Finished,
}

/// Injects the fault into the operator's write number `write_index`. Returns the count of writes.
fn inject_write_fault(
    kube: &KubeSim,
    write_index: usize,
    fault: WriteFault,
    events: UnboundedSender<SupervisorEvent>,
) -> Arc<AtomicUsize> {
    let writes = Arc::new(AtomicUsize::new(0));
    let (count, sim) = (writes.clone(), kube.clone());
    kube.on_write(move |_, call| {
        if !is_state_write(call) || count.fetch_add(1, Ordering::Relaxed) + 1 != write_index {
            return None;
        }
        if matches!(fault, WriteFault::KilledBefore | WriteFault::KilledAfter) {
            let _ = events.send(SupervisorEvent::Killed(call.user.clone()));
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
                let _ = events.send(SupervisorEvent::WatchesFrozen);
                None
            }
        }
    });
    writes
}

/// Starts a new process whenever one is killed, and thaws the watches some time after they were frozen.
fn supervise_operator(
    factory: OperatorFactory,
    deployment: Deployment,
    mut events: UnboundedReceiver<SupervisorEvent>,
) -> JoinHandle<()> {
    let mut started = 0;
    let mut start = move |factory: &OperatorFactory| {
        started += 1;
        match deployment {
            Deployment::TwoReplicas => {
                let user = format!("{OPERATOR}-{started}");
                let timing = ElectionTiming::new(secs(15), secs(10), secs(5)).expect("valid");
                (user.clone(), factory.start_replica(&user, timing))
            }
            Deployment::Single => (OPERATOR.to_owned(), factory.start_as(OPERATOR)),
        }
    };
    let replicas = if deployment == Deployment::Single { 1 } else { 2 };
    let mut running: Vec<(String, RunningOperator)> = (0..replicas).map(|_| start(&factory)).collect();
    tokio::spawn(async move {
        while let Some(event) = events.recv().await {
            match event {
                SupervisorEvent::Killed(user) => {
                    let at = running.iter().position(|(name, _)| *name == user).expect("it runs");
                    running.remove(at).1.abort().await;
                    sleep_secs(3).await;
                    running.push(start(&factory));
                }
                SupervisorEvent::WatchesFrozen => {
                    sleep_secs(100).await;
                    factory.kube.thaw_watches();
                }
                SupervisorEvent::Finished => break,
            }
        }
        for (_, replica) in running {
            replica.abort().await;
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
async fn run_with_fault(deployment: Deployment, write_index: usize, fault: WriteFault) -> usize {
    let world = SimEnv::new();
    let acme = world.connect_enterprise("acme", USERS);
    let (events, received) = unbounded_channel();
    let writes = inject_write_fault(&world.kube, write_index, fault, events.clone());
    let supervisor = supervise_operator(world.operator_factory(), deployment, received);
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
    if deployment == Deployment::TwoReplicas {
        let killed = matches!(fault, WriteFault::KilledBefore | WriteFault::KilledAfter);
        let lease = world.kube.get("Lease", "boxsync", "boxsync-operator").expect("two replicas share it");
        let takeovers = lease["spec"]["leaseTransitions"].as_i64().unwrap_or_default();
        assert_eq!(takeovers, i64::from(killed), "{what}: the standby takes over");
    }
    events.send(SupervisorEvent::Finished).expect("the supervisor did not panic");
    supervisor.await.expect("the supervisor did not panic");
    writes.load(Ordering::Relaxed)
}

/// Runs the scenario with the fault at every write in turn.
async fn test_every_write(deployment: Deployment, fault: WriteFault) {
    let writes = run_with_fault(deployment, 0, WriteFault::None).await;
    assert!(writes > 12, "{writes} writes");
    for write_index in 1..=writes {
        run_with_fault(deployment, write_index, fault).await;
    }
}

/// One test per fault, so that they run in parallel.
macro_rules! columns {
    ($($name:ident: $deployment:ident $meets:ident,)*) => {$(
        #[tokio::test(start_paused = true)]
        async fn $name() {
            test_every_write(Deployment::$deployment, WriteFault::$meets).await;
        }
    )*};
}

columns! {
    a_crash_before_any_write_leaves_no_partial_list_and_loses_no_result: TwoReplicas KilledBefore,
    a_crash_after_any_write_leaves_no_partial_list_and_loses_no_result: TwoReplicas KilledAfter,
    a_conflict_at_any_write_shows_no_partial_list_and_loses_no_result: TwoReplicas Conflict,
    a_timeout_at_any_write_shows_no_partial_list_and_loses_no_result: TwoReplicas Timeout,
    a_lost_response_to_any_write_shows_no_partial_list_and_loses_no_result: TwoReplicas ResponseLost,
    a_crash_of_the_only_replica_after_any_write_loses_no_result: Single KilledAfter,
    watches_frozen_at_any_write_show_no_partial_list_and_lose_no_result: TwoReplicas WatchesFrozen,
}
