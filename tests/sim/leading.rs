//! Replicas of which one works: whoever holds the Lease, and for as long as it surely does.

use std::sync::{Arc, Mutex};

use boxsync::runtime::{
    Clock,
    lease::{Lost, Settings, lead},
};
use k8s_openapi::api::coordination::v1::LeaseSpec;
use kube_sim::{Fault, KubeSim, SimClock, Trouble, Verb};
use serde_json::json;
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, interval},
};
use tokio_util::sync::CancellationToken;

use crate::world::{START, pass, secs};

const NAMESPACE: &str = "boxsync";

/// Who worked when: a note every tenth of a second.
#[derive(Clone)]
struct Journal {
    notes: Arc<Mutex<Vec<(String, f64)>>>,
    begun: Instant,
}

impl Journal {
    /// Works until it is told to stop, or for ever.
    async fn work(self, name: String, stop: CancellationToken, end: End) {
        let mut turns = interval(secs(1) / 10);
        loop {
            turns.tick().await;
            match (stop.is_cancelled(), end) {
                (true, End::AtOnce) => return,
                (true, End::Never) | (false, _) => self.note(&name),
            }
        }
    }

    fn note(&self, name: &str) {
        self.notes.lock().expect("no panic").push((name.to_owned(), self.begun.elapsed().as_secs_f64()));
    }

    fn times(&self, name: &str) -> Vec<f64> {
        let notes = self.notes.lock().expect("no panic");
        notes.iter().filter(|(who, _)| who == name).map(|(_, at)| *at).collect()
    }

    fn first(&self, name: &str) -> f64 {
        self.times(name).first().copied().unwrap_or(f64::INFINITY)
    }

    fn last(&self, name: &str) -> f64 {
        self.times(name).last().copied().unwrap_or(f64::NEG_INFINITY)
    }

    fn now(&self) -> f64 {
        self.begun.elapsed().as_secs_f64()
    }
}

/// How work behaves that is told to end.
#[derive(Clone, Copy)]
enum End {
    AtOnce,
    Never,
}

struct Ground {
    kube: KubeSim,
    journal: Journal,
}

struct Replica {
    stop: CancellationToken,
    task: JoinHandle<Result<(), Lost>>,
}

impl Ground {
    fn new() -> Self {
        let journal = Journal { notes: Arc::default(), begun: Instant::now() };
        Self { kube: KubeSim::new(clock().reader(), []), journal }
    }

    fn replica(&self, name: &str) -> Replica {
        self.replica_with(name, &clock(), End::AtOnce)
    }

    fn replica_with(&self, name: &str, clock: &SimClock, end: End) -> Replica {
        let (stop, clock, name) = (CancellationToken::new(), clock.clone(), name.to_owned());
        let settings = Settings { namespace: NAMESPACE.to_owned(), identity: name.clone() };
        let (client, journal) = (self.kube.client_as(&name), self.journal.clone());
        let clock = Clock::telling(move || clock.now());
        let standing = watch::Sender::default();
        let work = move |leading| journal.work(name, leading, end);
        Replica { task: tokio::spawn(lead(client, settings, clock, stop.clone(), standing, work)), stop }
    }

    /// One that leads, and one that waits.
    async fn pair(&self) -> (Replica, Replica) {
        let one = self.replica("one");
        pass(5).await;
        let two = self.replica("two");
        pass(30).await;
        assert!(self.journal.first("one") < 1.0);
        assert!(self.journal.times("two").is_empty(), "one holds the Lease");
        (one, two)
    }

    fn lease(&self) -> LeaseSpec {
        let lease = self.kube.get("Lease", NAMESPACE, "boxsync-operator").expect("a Lease");
        assert_eq!(lease["metadata"]["labels"], json!({"app.kubernetes.io/name": "boxsync-operator"}));
        serde_json::from_value(lease["spec"].clone()).expect("a spec")
    }

    /// Cuts a replica off: its requests are sent and never answered, nor applied.
    fn cut_off(&self, name: &'static str) {
        self.kube.fail_next(usize::MAX, move |call| call.user == name, Fault::Before(Trouble::Hang));
    }
}

impl Replica {
    async fn ended(self) -> Result<(), Lost> {
        self.task.await.expect("no panic")
    }
}

fn clock() -> SimClock {
    SimClock::new(START.parse().expect("a time"))
}

#[tokio::test(start_paused = true)]
async fn a_killed_leader_is_replaced_within_twenty_seconds() {
    let ground = Ground::new();
    let (one, _two) = ground.pair().await;
    let killed = ground.journal.now();
    one.task.abort();
    pass(60).await;
    let after = ground.journal.first("two") - killed;
    assert!((10.0..20.0).contains(&after), "{after} s");
    assert_eq!((ground.lease().holder_identity.as_deref(), ground.lease().lease_transitions), (Some("two"), Some(1)));
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_stops_is_replaced_within_three_seconds() {
    let ground = Ground::new();
    let (one, two) = ground.pair().await;
    let stopped = ground.journal.now();
    one.stop.cancel();
    assert_eq!(one.ended().await, Ok(()));
    let ended = ground.journal.now() - stopped;
    assert!(ended < 1.0, "{ended} s");
    pass(10).await;
    let after = ground.journal.first("two") - stopped;
    assert!(after < 3.0 && ground.journal.first("two") > ground.journal.last("one"), "{after} s");

    two.stop.cancel();
    assert_eq!(two.ended().await, Ok(()));
    let released = ground.lease();
    assert_eq!((released.holder_identity.as_deref(), released.lease_duration_seconds), (Some(""), Some(1)));
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_cut_off_has_ended_its_work_before_the_next_one_begins() {
    for end in [End::AtOnce, End::Never] {
        for tenth in (0..20).step_by(3) {
            let ground = Ground::new();
            let one = ground.replica_with("one", &clock(), end);
            let _two = ground.replica("two");
            pass(30).await;
            tokio::time::sleep(secs(tenth) / 10).await;
            ground.cut_off("one");
            pass(60).await;
            let (last, first) = (ground.journal.last("one"), ground.journal.first("two"));
            assert!(last + 1.9 <= first && first < 30.0 + 20.0, "one worked until {last} s, two from {first} s");
            assert_eq!(one.ended().await, Err(Lost::NotRenewed));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_is_away_for_six_seconds_costs_no_leadership() {
    let ground = Ground::new();
    let (one, _two) = ground.pair().await;
    for _ in 0..5 {
        ground.kube.down();
        pass(6).await;
        ground.kube.up();
        pass(10).await;
    }
    assert!(!one.task.is_finished() && ground.journal.times("two").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_somebody_has_changed_is_lost_and_the_work_ends_at_once() {
    let ground = Ground::new();
    let one = ground.replica_with("one", &clock(), End::Never);
    pass(30).await;
    let changed = ground.journal.now();
    ground.kube.edit("Lease", NAMESPACE, "boxsync-operator", |lease| lease["spec"]["holderIdentity"] = "admin".into());
    assert_eq!(one.ended().await, Err(Lost::Changed));
    assert!(ground.journal.last("one") - changed < 2.2, "{}", ground.journal.last("one") - changed);
    assert_eq!(ground.lease().holder_identity.as_deref(), Some("admin"), "it overwrites nothing");
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_deleted_is_lost() {
    let ground = Ground::new();
    let one = ground.replica("one");
    pass(30).await;
    ground.kube.delete("Lease", NAMESPACE, "boxsync-operator");
    assert_eq!(one.ended().await, Err(Lost::Removed));
}

#[tokio::test(start_paused = true)]
async fn a_renewal_whose_answer_was_lost_costs_no_leadership() {
    for trouble in [Trouble::Status(504), Trouble::Drop, Trouble::Hang] {
        let ground = Ground::new();
        let (one, _two) = ground.pair().await;
        let renewal = |call: &kube_sim::Call| call.user == "one" && call.verb == Verb::Update;
        ground.kube.fail_next(1, renewal, Fault::After(trouble));
        pass(60).await;
        assert!(!one.task.is_finished() && ground.journal.times("two").is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn wall_clocks_that_differ_by_hours_change_nothing() {
    for hours in [-5_i32, 5] {
        let (ground, wrong) = (Ground::new(), clock());
        match hours {
            ..0 => wrong.set_back(secs(3600) * hours.unsigned_abs()),
            0.. => wrong.advance(secs(3600) * hours.unsigned_abs()),
        }
        let one = ground.replica("one");
        pass(5).await;
        let _two = ground.replica_with("two", &wrong, End::AtOnce);
        pass(120).await;
        assert!(ground.journal.times("two").is_empty(), "one renews, whatever the time");
        let killed = ground.journal.now();
        one.task.abort();
        pass(60).await;
        let after = ground.journal.first("two") - killed;
        assert!((10.0..20.0).contains(&after), "{after} s");
    }
}

#[tokio::test(start_paused = true)]
async fn a_container_that_is_restarted_in_its_pod_does_not_wait_for_its_ghost() {
    let ground = Ground::new();
    let (one, _two) = ground.pair().await;
    one.task.abort();
    let killed = ground.journal.now();
    let _again = ground.replica("one");
    pass(60).await;
    let times = ground.journal.times("one");
    assert!(times.iter().any(|at| (killed..killed + 0.5).contains(at)), "at once");
    assert!(ground.journal.times("two").is_empty());
    assert_eq!(ground.lease().lease_transitions, Some(0));
}

#[tokio::test(start_paused = true)]
async fn of_five_that_start_together_one_works() {
    let ground = Ground::new();
    let names = ["a", "b", "c", "d", "e"];
    let replicas = names.map(|name| ground.replica(name));
    pass(60).await;
    assert_eq!(names.iter().filter(|name| !ground.journal.times(name).is_empty()).count(), 1);
    assert!(replicas.iter().all(|replica| !replica.task.is_finished()));
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_waits_stops_at_once_and_leaves_the_lease_alone() {
    let ground = Ground::new();
    let (_one, two) = ground.pair().await;
    let (stopped, mark) = (ground.journal.now(), ground.kube.mark());
    two.stop.cancel();
    assert_eq!(two.ended().await, Ok(()));
    assert!(ground.journal.now() - stopped < 0.1);
    assert!(ground.kube.writes_since(mark).iter().all(|write| write.user == "one"));
}

#[tokio::test(start_paused = true)]
async fn a_replica_without_rights_waits_until_it_has_them() {
    let ground = Ground::new();
    ground.kube.forbid(|call| call.resource == "leases");
    let _one = ground.replica("one");
    pass(60).await;
    assert!(ground.journal.times("one").is_empty());
    ground.kube.clear_faults();
    pass(3).await;
    assert!(!ground.journal.times("one").is_empty());
}
