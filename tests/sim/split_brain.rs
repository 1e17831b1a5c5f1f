//! Split brain: an old leader resumes after it was paused before one of its writes, while a new leader runs.

use std::collections::HashSet;

use boxsync::{
    api::{LeaseRef, OperatorRef},
    kube_client::KubeClient,
    roster::{self, GcScope, PublishRequest, PublishResult, RosterVersion, Store},
    user_list::{User, UserList, UserListBuilder},
};
use jiff::Timestamp;
use kube_sim::{Fault, FaultAction, Gate, Verb};

use crate::{
    env::{NAMESPACE, OPERATOR, START, SimEnv, request_succeeded, secs, sleep_secs},
    publish_request::{ENTERPRISE, publish_confirmed, scheduled_publish},
    reader::{box_users, read_users},
};

const OWNER: &str = "owner";
const OLD_LEADER: &str = "system:serviceaccount:boxsync:old";

/// Pauses the old leader before write number `write_index`. Returns whether it got that far.
async fn run_with_paused_leader(write_index: usize, seconds: u64) -> bool {
    let mut world = SimEnv::new();
    let acme = world.connect_enterprise("acme", 400);
    let first = box_users(&acme);
    let gate = Gate::new();
    let (held_gate, mut count) = (gate.clone(), 0);
    world.kube.on_write(move |_, call| {
        if call.user != OLD_LEADER || call.resource == "events" {
            return None;
        }
        count += 1;
        (count == write_index).then(|| Fault::Before(FaultAction::Hold(held_gate.clone())))
    });
    let old = world.operator_factory().start_as(OLD_LEADER);
    let reader = world.start_reader("acme", secs(5));
    let reached = tokio::time::timeout(secs(60), gate.reached()).await.is_ok();
    // The new leader publishes, and deletes unreferenced slices.
    let users = acme.users();
    acme.remove_user(users[20].id);
    acme.add_user("Jane", "jane@acme.com");
    let second = box_users(&acme);
    world.spawn_operator();
    world.wait_for_connection("acme", |s| s.last_sync.as_ref().is_some_and(|l| l.revision >= 1)).await;
    sleep_secs(seconds).await;
    gate.open();
    sleep_secs(7200).await;
    world.run_request("r", "acme").await;
    let what = format!("paused before write {write_index} for {seconds} s");
    reader.assert_saw_only(&[first, second.clone()]);
    assert_eq!(world.published_users("acme").await, second, "{what}");
    sleep_secs(3600).await;
    assert_eq!(world.orphan_slices("acme"), Vec::<String>::new(), "{what}: the old leader's slices are deleted");
    old.shut_down().await;
    world.stop_operator().await;
    assert!(world.kube.get("UserRoster", NAMESPACE, "acme").is_some());
    reached
}

#[tokio::test(start_paused = true)]
async fn a_resumed_old_leader_does_no_damage() {
    assert_ne!(OLD_LEADER, OPERATOR);
    for seconds in [1, 1000] {
        let mut write_index = 1;
        while run_with_paused_leader(write_index, seconds).await {
            write_index += 1;
        }
        assert!(write_index > 4, "slices, the roster and the status: paused before {} writes", write_index - 1);
    }
}

#[tokio::test(start_paused = true)]
async fn two_operators_of_one_connection_do_not_write_against_each_other() {
    let (mut world, _acme) = SimEnv::with_synced("acme", 40).await;
    let lease_ref = LeaseRef { namespace: "elsewhere".to_owned(), name: "boxsync-operator".to_owned() };
    let newcomer = OperatorRef { lease_ref: Some(lease_ref) };
    assert_eq!(world.connection_status("acme").operator, Some(OperatorRef::default()));
    world.options.operator = newcomer.clone();
    let second = world.operator_factory().start_as(OLD_LEADER);
    sleep_secs(60).await;
    assert_eq!(world.connection_status("acme").operator, Some(newcomer));
    let mark = world.kube.log_position();
    sleep_secs(3 * 3600).await;
    let writes = world.writes_since(mark);
    assert!(writes.len() <= 12, "each names itself with its probes: {writes:?}");
    second.shut_down().await;
    world.stop_operator().await;
}

/// What happened to the leader that has the older answer, 340 of 400 users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OldLeader {
    /// It was killed after it had sent the roster, which is in flight for an hour.
    Killed,
    /// It was cut off from the rosters after it had fetched the list, and works on minutes later.
    CutOff,
}

async fn publish_older_answer_late(old_leader: OldLeader) {
    let mut world = SimEnv::new();
    let acme = world.connect_enterprise("acme", 400);
    let old = world.operator_factory().start_as(OLD_LEADER);
    world.wait_for_connection("acme", |s| s.last_sync.is_some()).await;
    sleep_secs(60).await;
    let all = acme.users();
    all.iter().take(60).for_each(|user| drop(acme.remove_user(user.id)));
    let gate = Gate::new();
    match old_leader {
        OldLeader::Killed => {
            let fault = Fault::Late(gate.clone());
            world.kube.fail_next(1, |c| c.user == OLD_LEADER && c.matches(Verb::Update, "userrosters"), fault);
        }
        OldLeader::CutOff => acme.set_latency(secs(5)),
    }
    world.create_request("older", "acme");
    match old_leader {
        OldLeader::Killed => {
            gate.reached().await;
            world.kube.kill(OLD_LEADER);
        }
        OldLeader::CutOff => {
            sleep_secs(3).await;
            let cut_off = Fault::Before(FaultAction::Hold(gate.clone()));
            world.kube.fail_next(usize::MAX, |c| c.user == OLD_LEADER && c.matches(Verb::Get, "userrosters"), cut_off);
            gate.reached().await;
            acme.set_latency(secs(0));
        }
    }
    all.into_iter().for_each(|user| acme.put_user(user));
    world.spawn_operator();
    world.create_request("newer", "acme");
    let newer = world.wait_until_finished("newer").await;
    assert!(request_succeeded(&newer), "{newer:?}");
    assert_eq!([newer.added, newer.updated, newer.removed], [Some(0); 3], "the newer answer changed nothing");
    sleep_secs(if old_leader == OldLeader::Killed { 3600 } else { 200 }).await;
    let newest = box_users(&acme);
    assert_eq!(newest.len(), 400);
    let reader = world.start_reader("acme", secs(1));
    gate.open();
    sleep_secs(600).await;
    reader.assert_saw_only(&[newest]);
    match old_leader {
        OldLeader::Killed => old.abort().await,
        OldLeader::CutOff => old.shut_down().await,
    }
    world.stop_operator().await;
}

#[tokio::test(start_paused = true)]
async fn an_older_answer_is_not_published_over_a_newer_one_that_changed_nothing() {
    for old_leader in [OldLeader::Killed, OldLeader::CutOff] {
        publish_older_answer_late(old_leader).await;
    }
}

/// What another operator does while a publisher is paused before one of its writes.
#[derive(Clone, Copy, Debug)]
enum ConcurrentAction {
    /// Deletes every unreferenced slice, as if its grace period had passed.
    CollectGarbage,
    /// Publishes the same list.
    PublishSameList,
    /// Publishes another list, then collects garbage.
    PublishAndCollectGarbage,
}

/// A list in which the names of the first 400 users start with `name`.
fn build_list(users: usize, name: &str) -> UserList {
    let texts: Vec<(String, String)> =
        (0..users).map(|n| ((10_000 + n).to_string(), format!("{}{n}", if n < 400 { name } else { "U" }))).collect();
    let mut builder = UserListBuilder::default();
    builder.push_users(texts.iter().map(|(id, name)| User { id, login: name, name, ..User::default() }));
    builder.build()
}

fn start_time() -> Timestamp {
    START.parse().expect("a time")
}

/// Publishes the list, as a sync that begins again if it was superseded.
async fn publish_list(store: &Store, list: &UserList) -> PublishResult {
    loop {
        match try_publish_list(store, list).await {
            Err(roster::Error::Superseded) => {}
            published => return published.expect("published"),
        }
    }
}

async fn try_publish_list(store: &Store, list: &UserList) -> Result<PublishResult, roster::Error> {
    let now = start_time();
    let base = store.get_roster().await?.as_ref().map(RosterVersion::of);
    let request = PublishRequest { base, ..scheduled_publish(OWNER, now) };
    publish_confirmed(store, &request, list, || now).await
}

/// Deletes every unreferenced slice, as if its grace period had passed. Returns how many.
async fn collect_all_garbage(world: &SimEnv, store: &Store, now: Timestamp) -> usize {
    let client = KubeClient::new(world.kube.client_as("lister"));
    let slices = roster::list_all_slices(&client, &[]).await.expect("a list of slices");
    let due = slices.into_values().flatten().collect();
    let scope = GcScope {
        owner_uid: OWNER,
        enterprise_id: ENTERPRISE,
        was_published: true,
        due: &due,
        fenced: &HashSet::new(),
    };
    let collected = roster::collect_garbage(store, &scope, now).await.expect("garbage collected");
    assert_eq!(collected.error, None);
    collected.deleted
}

/// Pauses a publisher before write number `write_index`; returns whether it got that far.
async fn run_with_paused_publisher(
    write_index: usize,
    action: ConcurrentAction,
    published_before: Option<&str>,
) -> bool {
    let world = SimEnv::new();
    let store = |user: &str| world.store_as(user, "acme");
    let (first, other) = (store("first"), store("other"));
    if let Some(name) = published_before {
        publish_list(&other, &build_list(1000, name)).await;
    }
    let gate = Gate::new();
    let (held_gate, mut count) = (gate.clone(), 0);
    world.kube.on_write(move |_, call| {
        count += usize::from(call.user == "first");
        (call.user == "first" && count == write_index).then(|| Fault::Before(FaultAction::Hold(held_gate.clone())))
    });
    let publisher = tokio::spawn(async move { publish_list(&first, &build_list(1000, "Jane")).await });
    let reached = tokio::time::timeout(secs(5), gate.reached()).await.is_ok();
    let now = start_time();
    let collect_garbage = async || collect_all_garbage(&world, &other, now).await;
    match action {
        ConcurrentAction::CollectGarbage => drop(collect_garbage().await),
        ConcurrentAction::PublishSameList => drop(publish_list(&other, &build_list(1000, "Jane")).await),
        ConcurrentAction::PublishAndCollectGarbage => {
            publish_list(&other, &build_list(1000, "Joan")).await;
            collect_garbage().await;
        }
    }
    gate.open();
    publisher.await.expect("published in the end");
    let what = format!("{action:?} before write {write_index}, on {published_before:?}");
    let users = read_users(&other).await.unwrap_or_else(|e| panic!("{what}: {e}"));
    assert_eq!(users.len(), 1000, "{what}");
    reached
}

#[tokio::test(start_paused = true)]
async fn a_paused_publisher_never_references_a_garbage_collected_slice() {
    for published_before in [None, Some("June")] {
        for action in [
            ConcurrentAction::CollectGarbage,
            ConcurrentAction::PublishSameList,
            ConcurrentAction::PublishAndCollectGarbage,
        ] {
            let mut write_index = 1;
            while run_with_paused_publisher(write_index, action, published_before).await {
                write_index += 1;
            }
            assert!(write_index > 3, "paused before {} writes", write_index - 1);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_paused_garbage_collection_deletes_no_slice_published_meanwhile() {
    let world = SimEnv::new();
    let store = |user: &str| world.store_as(user, "acme");
    publish_list(&store("other"), &build_list(1000, "June")).await;
    // A publisher wrote slices and was killed before it published them.
    world.kube.fail_next(
        1,
        |c| c.user == "killed" && c.resource == "userrosters" && c.verb.is_write(),
        Fault::Before(FaultAction::Kill),
    );
    let killed = store("killed");
    let killed = tokio::spawn(async move { publish_list(&killed, &build_list(1000, "Jane")).await });
    world.kube.killed().await;
    killed.abort();
    let gate = Gate::new();
    let hold_fault = Fault::Before(FaultAction::Hold(gate.clone()));
    world.kube.fail_next(1, |c| c.user == "sweeper" && c.matches(Verb::Delete, "userslices"), hold_fault);
    let gc_store = store("sweeper");
    let collecting = collect_all_garbage(&world, &gc_store, start_time());
    let publishing = async {
        gate.reached().await;
        publish_list(&store("other"), &build_list(1000, "Jane")).await;
        gate.open();
    };
    let (deleted, ()) = tokio::join!(collecting, publishing);
    assert!(deleted > 0);
    assert_eq!(read_users(&store("reader")).await.expect("every slice exists").len(), 1000);
}
