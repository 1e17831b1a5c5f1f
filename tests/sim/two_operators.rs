//! Two operators at once: an old leader that was paused before one of its writes, and a new one that went on.

use boxsync::{
    api::{Change, Trigger},
    cluster::Cluster,
    roster::{self, Builder, Entry, LIST, List, Order, Published, Role, Status, Store},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube_sim::{Fault, Gate, Trouble, Verb};

use crate::reader::answer;
use crate::world::{NAMESPACE, OPERATOR, START, World, pass, secs};

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

/// What another operator does while a publisher stands still before one of its writes.
#[derive(Clone, Copy, Debug)]
enum Meanwhile {
    /// It deletes every slice that nobody names, their time being over.
    Sweeps,
    /// It publishes the same list.
    PublishesTheSame,
    /// It publishes another list, and then sweeps.
    PublishesAndSweeps,
}

/// A list of so many users, the first of whom are called by `name`.
fn list(users: usize, name: &str) -> List {
    let texts: Vec<(String, String)> =
        (0..users).map(|n| ((10_000 + n).to_string(), format!("{}{n}", if n < 400 { name } else { "U" }))).collect();
    let mut builder = Builder::default();
    builder.push_page(texts.iter().map(|(id, name)| Entry {
        id,
        login: name,
        name,
        job_title: "",
        language: "en",
        timezone: "UTC",
        status: Status::Active,
        role: Role::User,
        app: false,
        created_at: None,
        space_amount: -1,
    }));
    builder.finish()
}

async fn publish(store: &Store, list: &List) -> Published {
    let change = Change {
        trigger: Trigger::Scheduled,
        start_time: Time(START.parse().expect("a time")),
        added: 0,
        updated: 0,
        removed: 0,
        calls: 1,
        requests: Vec::new(),
        requested_at: None,
        requested_by: Vec::new(),
        approved: None,
    };
    let order = Order {
        owner: "owner",
        enterprise_id: "1000",
        retention: secs(720 * 3600),
        max_removal_percent: 20,
        approve: None,
        known: None,
        change,
    };
    roster::publish(store, &order, list, || START.parse().expect("a time")).await.expect("published")
}

/// A publisher stands still before its `k`th write; returns whether it came to that.
async fn still_before(k: usize, meanwhile: Meanwhile, published_before: Option<&str>) -> bool {
    let world = World::new();
    let store = |user: &str| Store::new(Cluster::new(world.kube.client_as(user)), NAMESPACE, "acme");
    let (first, other) = (store("first"), store("other"));
    if let Some(name) = published_before {
        publish(&other, &list(1000, name)).await;
    }
    let gate = Gate::new();
    let (hold, mut count) = (gate.clone(), 0);
    world.kube.on_write(move |_, call| {
        count += usize::from(call.user == "first");
        (call.user == "first" && count == k).then(|| Fault::Before(Trouble::Hold(hold.clone())))
    });
    let publisher = tokio::spawn(async move { publish(&first, &list(1000, "Jane")).await });
    let reached = tokio::time::timeout(secs(5), gate.reached()).await.is_ok();
    let now = START.parse().expect("a time");
    let sweeps = async || drop(roster::sweep(&other, "owner", "1000", |_| true, now).await.expect("swept"));
    match meanwhile {
        Meanwhile::Sweeps => sweeps().await,
        Meanwhile::PublishesTheSame => drop(publish(&other, &list(1000, "Jane")).await),
        Meanwhile::PublishesAndSweeps => {
            publish(&other, &list(1000, "Joan")).await;
            sweeps().await;
        }
    }
    gate.open();
    publisher.await.expect("published in the end");
    let what = format!("{meanwhile:?} before write {k}, on {published_before:?}");
    let read = roster::read(&other, LIST, None).await.unwrap_or_else(|e| panic!("{what}: {e}"));
    assert_eq!(LIST.iter().flat_map(|state| read.lines(*state)).count(), 1000, "{what}");
    reached
}

#[tokio::test(start_paused = true)]
async fn a_publisher_that_stood_still_never_names_a_slice_that_was_swept_meanwhile() {
    for published_before in [None, Some("June")] {
        for meanwhile in [Meanwhile::Sweeps, Meanwhile::PublishesTheSame, Meanwhile::PublishesAndSweeps] {
            let mut k = 1;
            while still_before(k, meanwhile, published_before).await {
                k += 1;
            }
            assert!(k > 3, "it stood still before {} writes", k - 1);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_sweep_that_stood_still_hits_no_slice_that_was_published_meanwhile() {
    let world = World::new();
    let store = |user: &str| Store::new(Cluster::new(world.kube.client_as(user)), NAMESPACE, "acme");
    publish(&store("other"), &list(1000, "June")).await;
    // Somebody wrote slices, and was killed before they were published.
    world.kube.fail_next(
        1,
        |c| c.user == "killed" && c.resource == "userrosters" && c.verb.is_write(),
        Fault::Before(Trouble::Kill),
    );
    let killed = store("killed");
    let killed = tokio::spawn(async move { publish(&killed, &list(1000, "Jane")).await });
    world.kube.killed().await;
    killed.abort();
    let gate = Gate::new();
    let held = Fault::Before(Trouble::Hold(gate.clone()));
    world.kube.fail_next(1, |c| c.user == "sweeper" && c.is(Verb::Delete, "userslices"), held);
    let sweeper = store("sweeper");
    let sweep = tokio::spawn(async move {
        roster::sweep(&sweeper, "owner", "1000", |_| true, START.parse().expect("a time")).await
    });
    gate.reached().await;
    publish(&store("other"), &list(1000, "Jane")).await;
    gate.open();
    let swept = sweep.await.expect("it ends").expect("swept");
    assert!(swept.deleted > 0);
    let read = roster::read(&store("reader"), LIST, None).await.expect("every slice is there");
    assert_eq!(LIST.iter().flat_map(|state| read.lines(*state)).count(), 1000);
}
