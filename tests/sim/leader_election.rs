//! Replicas of which one works: whoever holds the Lease, and for as long as it surely does.

use std::sync::{Arc, Mutex};

use boxsync::{
    leader_election::{ElectionConfig, LeadershipLost, run_as_leader},
    runtime::Clock,
};
use k8s_openapi::api::coordination::v1::LeaseSpec;
use kube_sim::{Fault, FaultAction, KubeSim, SimClock, Verb};
use serde_json::json;
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, interval},
};
use tokio_util::sync::CancellationToken;

use crate::env::{START, secs, sleep_secs};

const NAMESPACE: &str = "boxsync";

/// Who worked when: a note every tenth of a second.
#[derive(Clone)]
struct WorkLog {
    entries: Arc<Mutex<Vec<(String, f64)>>>,
    started: Instant,
}

impl WorkLog {
    /// Works until it is told to stop, or for ever.
    async fn run_work(self, name: String, stop: CancellationToken, end: StopBehaviour) {
        let mut ticks = interval(secs(1) / 10);
        loop {
            ticks.tick().await;
            match (stop.is_cancelled(), end) {
                (true, StopBehaviour::Immediate) => return,
                (true, StopBehaviour::Never) | (false, _) => self.record_tick(&name),
            }
        }
    }

    fn record_tick(&self, name: &str) {
        self.entries.lock().expect("no panic").push((name.to_owned(), self.started.elapsed().as_secs_f64()));
    }

    fn work_times(&self, name: &str) -> Vec<f64> {
        let notes = self.entries.lock().expect("no panic");
        notes.iter().filter(|(who, _)| who == name).map(|(_, at)| *at).collect()
    }

    fn first_work_time(&self, name: &str) -> f64 {
        self.work_times(name).first().copied().unwrap_or(f64::INFINITY)
    }

    fn last_work_time(&self, name: &str) -> f64 {
        self.work_times(name).last().copied().unwrap_or(f64::NEG_INFINITY)
    }

    fn elapsed_secs(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }
}

/// How work behaves that is told to end.
#[derive(Clone, Copy)]
enum StopBehaviour {
    Immediate,
    Never,
}

struct ElectionEnv {
    kube: KubeSim,
    work_log: WorkLog,
}

struct Replica {
    stop: CancellationToken,
    task: JoinHandle<Result<(), LeadershipLost>>,
}

impl ElectionEnv {
    fn new() -> Self {
        let work_log = WorkLog { entries: Arc::default(), started: Instant::now() };
        Self { kube: KubeSim::new(new_clock().clock_fn(), []), work_log }
    }

    fn start_replica(&self, name: &str) -> Replica {
        self.start_replica_with(name, &new_clock(), StopBehaviour::Immediate)
    }

    fn start_replica_with(&self, name: &str, clock: &SimClock, end: StopBehaviour) -> Replica {
        let (stop, clock, name) = (CancellationToken::new(), clock.clone(), name.to_owned());
        let settings = ElectionConfig { namespace: NAMESPACE.to_owned(), identity: name.clone() };
        let (client, work_log) = (self.kube.client_as(&name), self.work_log.clone());
        let clock = Clock::from_fn(move || clock.now());
        let standing = watch::Sender::default();
        let work = move |leading| work_log.run_work(name, leading, end);
        Replica { task: tokio::spawn(run_as_leader(client, settings, clock, stop.clone(), standing, work)), stop }
    }

    /// One that leads, and one that waits.
    async fn start_leader_and_standby(&self) -> (Replica, Replica) {
        let one = self.start_replica("one");
        sleep_secs(5).await;
        let two = self.start_replica("two");
        sleep_secs(30).await;
        assert!(self.work_log.first_work_time("one") < 1.0);
        assert!(self.work_log.work_times("two").is_empty(), "one holds the Lease");
        (one, two)
    }

    fn get_lease_spec(&self) -> LeaseSpec {
        let lease = self.kube.get("Lease", NAMESPACE, "boxsync-operator").expect("a Lease");
        assert_eq!(lease["metadata"]["labels"], json!({"app.kubernetes.io/name": "boxsync-operator"}));
        serde_json::from_value(lease["spec"].clone()).expect("a spec")
    }

    /// Cuts a replica off: its requests are sent and never answered, nor applied.
    fn hang_requests_of(&self, name: &'static str) {
        self.kube.fail_next(usize::MAX, move |call| call.user == name, Fault::Before(FaultAction::Hang));
    }
}

impl Replica {
    async fn join(self) -> Result<(), LeadershipLost> {
        self.task.await.expect("no panic")
    }
}

fn new_clock() -> SimClock {
    SimClock::new(START.parse().expect("a time"))
}

#[tokio::test(start_paused = true)]
async fn a_crashed_leader_is_replaced_within_twenty_seconds() {
    let ground = ElectionEnv::new();
    let (one, _two) = ground.start_leader_and_standby().await;
    let killed = ground.work_log.elapsed_secs();
    one.task.abort();
    sleep_secs(60).await;
    let after = ground.work_log.first_work_time("two") - killed;
    assert!((10.0..20.0).contains(&after), "{after} s");
    assert_eq!(
        (ground.get_lease_spec().holder_identity.as_deref(), ground.get_lease_spec().lease_transitions),
        (Some("two"), Some(1))
    );
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_stops_is_replaced_within_three_seconds() {
    let ground = ElectionEnv::new();
    let (one, two) = ground.start_leader_and_standby().await;
    let stopped = ground.work_log.elapsed_secs();
    one.stop.cancel();
    assert_eq!(one.join().await, Ok(()));
    let ended = ground.work_log.elapsed_secs() - stopped;
    assert!(ended < 1.0, "{ended} s");
    sleep_secs(10).await;
    let after = ground.work_log.first_work_time("two") - stopped;
    assert!(after < 3.0 && ground.work_log.first_work_time("two") > ground.work_log.last_work_time("one"), "{after} s");

    two.stop.cancel();
    assert_eq!(two.join().await, Ok(()));
    let released = ground.get_lease_spec();
    assert_eq!((released.holder_identity.as_deref(), released.lease_duration_seconds), (Some(""), Some(1)));
}

#[tokio::test(start_paused = true)]
async fn a_leader_without_network_ends_its_work_before_the_next_leader_starts() {
    for end in [StopBehaviour::Immediate, StopBehaviour::Never] {
        for tenth in (0..20).step_by(3) {
            let ground = ElectionEnv::new();
            let one = ground.start_replica_with("one", &new_clock(), end);
            let _two = ground.start_replica("two");
            sleep_secs(30).await;
            tokio::time::sleep(secs(tenth) / 10).await;
            ground.hang_requests_of("one");
            sleep_secs(60).await;
            let (last, first) = (ground.work_log.last_work_time("one"), ground.work_log.first_work_time("two"));
            assert!(last + 1.9 <= first && first < 30.0 + 20.0, "one worked until {last} s, two from {first} s");
            assert_eq!(one.join().await, Err(LeadershipLost::NotRenewed));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_six_second_api_server_outage_does_not_lose_leadership() {
    let ground = ElectionEnv::new();
    let (one, _two) = ground.start_leader_and_standby().await;
    for _ in 0..5 {
        ground.kube.start_outage();
        sleep_secs(6).await;
        ground.kube.end_outage();
        sleep_secs(10).await;
    }
    assert!(!one.task.is_finished() && ground.work_log.work_times("two").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_lease_changed_by_someone_else_is_lost_and_the_work_ends_at_once() {
    let ground = ElectionEnv::new();
    let one = ground.start_replica_with("one", &new_clock(), StopBehaviour::Never);
    sleep_secs(30).await;
    let changed = ground.work_log.elapsed_secs();
    ground.kube.edit("Lease", NAMESPACE, "boxsync-operator", |lease| lease["spec"]["holderIdentity"] = "admin".into());
    assert_eq!(one.join().await, Err(LeadershipLost::Changed));
    assert!(
        ground.work_log.last_work_time("one") - changed < 2.2,
        "{}",
        ground.work_log.last_work_time("one") - changed
    );
    assert_eq!(ground.get_lease_spec().holder_identity.as_deref(), Some("admin"), "it overwrites nothing");
}

#[tokio::test(start_paused = true)]
async fn a_deleted_lease_is_lost() {
    let ground = ElectionEnv::new();
    let one = ground.start_replica("one");
    sleep_secs(30).await;
    ground.kube.delete("Lease", NAMESPACE, "boxsync-operator");
    assert_eq!(one.join().await, Err(LeadershipLost::Removed));
}

#[tokio::test(start_paused = true)]
async fn a_renewal_whose_response_is_lost_does_not_lose_leadership() {
    for trouble in [FaultAction::Status(504), FaultAction::Disconnect, FaultAction::Hang] {
        let ground = ElectionEnv::new();
        let (one, _two) = ground.start_leader_and_standby().await;
        let renewal = |call: &kube_sim::Call| call.user == "one" && call.verb == Verb::Update;
        ground.kube.fail_next(1, renewal, Fault::After(trouble));
        sleep_secs(60).await;
        assert!(!one.task.is_finished() && ground.work_log.work_times("two").is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn wall_clock_skew_of_hours_has_no_effect() {
    for hours in [-5_i32, 5] {
        let (ground, skewed_clock) = (ElectionEnv::new(), new_clock());
        match hours {
            ..0 => skewed_clock.rewind(secs(3600) * hours.unsigned_abs()),
            0.. => skewed_clock.advance(secs(3600) * hours.unsigned_abs()),
        }
        let one = ground.start_replica("one");
        sleep_secs(5).await;
        let _two = ground.start_replica_with("two", &skewed_clock, StopBehaviour::Immediate);
        sleep_secs(120).await;
        assert!(ground.work_log.work_times("two").is_empty(), "one renews, whatever the time");
        let killed = ground.work_log.elapsed_secs();
        one.task.abort();
        sleep_secs(60).await;
        let after = ground.work_log.first_work_time("two") - killed;
        assert!((10.0..20.0).contains(&after), "{after} s");
    }
}

#[tokio::test(start_paused = true)]
async fn a_container_restarted_in_its_pod_reacquires_its_lease_at_once() {
    let ground = ElectionEnv::new();
    let (one, _two) = ground.start_leader_and_standby().await;
    one.task.abort();
    let killed = ground.work_log.elapsed_secs();
    let _restarted = ground.start_replica("one");
    sleep_secs(60).await;
    let times = ground.work_log.work_times("one");
    assert!(times.iter().any(|at| (killed..killed + 0.5).contains(at)), "at once");
    assert!(ground.work_log.work_times("two").is_empty());
    assert_eq!(ground.get_lease_spec().lease_transitions, Some(0));
}

#[tokio::test(start_paused = true)]
async fn of_five_replicas_started_together_exactly_one_works() {
    let ground = ElectionEnv::new();
    let names = ["a", "b", "c", "d", "e"];
    let replicas = names.map(|name| ground.start_replica(name));
    sleep_secs(60).await;
    assert_eq!(names.iter().filter(|name| !ground.work_log.work_times(name).is_empty()).count(), 1);
    assert!(replicas.iter().all(|replica| !replica.task.is_finished()));
}

#[tokio::test(start_paused = true)]
async fn a_standby_stops_at_once_without_writing_the_lease() {
    let ground = ElectionEnv::new();
    let (_one, two) = ground.start_leader_and_standby().await;
    let (stopped, mark) = (ground.work_log.elapsed_secs(), ground.kube.log_position());
    two.stop.cancel();
    assert_eq!(two.join().await, Ok(()));
    assert!(ground.work_log.elapsed_secs() - stopped < 0.1);
    assert!(ground.kube.writes_since(mark).iter().all(|write| write.user == "one"));
}

#[tokio::test(start_paused = true)]
async fn a_replica_without_lease_permissions_waits_until_they_are_granted() {
    let ground = ElectionEnv::new();
    ground.kube.forbid(|call| call.resource == "leases");
    let _one = ground.start_replica("one");
    sleep_secs(60).await;
    assert!(ground.work_log.work_times("one").is_empty());
    ground.kube.clear_faults();
    sleep_secs(3).await;
    assert!(!ground.work_log.work_times("one").is_empty());
}
