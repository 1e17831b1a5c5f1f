//! Leader election: at most one replica works at any time.

use std::sync::{Arc, Mutex};

use boxsync::{
    leader_election::{ElectionConfig, ElectionTiming, LeadershipLost, run_as_leader},
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
use tracing::subscriber::DefaultGuard;

use crate::env::{START, capture_log, secs, sleep_secs};

const NAMESPACE: &str = "boxsync";

/// When each replica worked: one entry every tenth of a second.
#[derive(Clone)]
struct WorkLog {
    entries: Arc<Mutex<Vec<(String, f64)>>>,
    started: Instant,
}

impl WorkLog {
    /// Works until `stop` is canceled, or forever.
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
        let entries = self.entries.lock().expect("no panic");
        entries.iter().filter(|(who, _)| who == name).map(|(_, at)| *at).collect()
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

/// How the work reacts when it is canceled.
#[derive(Clone, Copy)]
enum StopBehaviour {
    Immediate,
    Never,
}

struct ElectionEnv {
    kube: KubeSim,
    work_log: WorkLog,
    timing: ElectionTiming,
    _log: DefaultGuard,
}

struct Replica {
    stop: CancellationToken,
    task: JoinHandle<Result<(), LeadershipLost>>,
}

impl ElectionEnv {
    fn new() -> Self {
        let work_log = WorkLog { entries: Arc::default(), started: Instant::now() };
        let clock = new_clock();
        let timing = ElectionTiming::default();
        Self { kube: KubeSim::new(clock.clock_fn(), []), work_log, timing, _log: capture_log(&clock) }
    }

    fn start_replica(&self, name: &str) -> Replica {
        self.start_replica_with(name, &new_clock(), StopBehaviour::Immediate)
    }

    fn start_replica_with(&self, name: &str, clock: &SimClock, end: StopBehaviour) -> Replica {
        let (stop, clock, name) = (CancellationToken::new(), clock.clone(), name.to_owned());
        let config = ElectionConfig { namespace: NAMESPACE.to_owned(), identity: name.clone(), timing: self.timing };
        let (client, work_log) = (self.kube.client_as(&name), self.work_log.clone());
        let clock = Clock::from_fn(move || clock.now());
        let leadership = watch::Sender::default();
        let work = move |leading| work_log.run_work(name, leading, end);
        Replica { task: tokio::spawn(run_as_leader(client, config, clock, stop.clone(), leadership, work)), stop }
    }

    /// Starts a leader, `one`, and a standby, `two`.
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

    /// Cuts off a replica: its requests hang and are not applied.
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
    let env = ElectionEnv::new();
    let (one, _two) = env.start_leader_and_standby().await;
    let killed = env.work_log.elapsed_secs();
    one.task.abort();
    sleep_secs(60).await;
    let after = env.work_log.first_work_time("two") - killed;
    assert!((10.0..20.0).contains(&after), "{after} s");
    assert_eq!(
        (env.get_lease_spec().holder_identity.as_deref(), env.get_lease_spec().lease_transitions),
        (Some("two"), Some(1))
    );
}

#[tokio::test(start_paused = true)]
async fn a_longer_lease_survives_a_longer_outage_and_delays_the_takeover() {
    let mut env = ElectionEnv::new();
    env.timing = ElectionTiming::new(secs(60), secs(40), secs(5)).expect("valid");
    let (one, _two) = env.start_leader_and_standby().await;
    assert_eq!(env.get_lease_spec().lease_duration_seconds, Some(60));
    env.kube.start_outage();
    sleep_secs(30).await;
    env.kube.end_outage();
    sleep_secs(60).await;
    assert!(env.work_log.work_times("two").is_empty(), "the leader has renewed the Lease");
    env.hang_requests_of("one");
    let cut_off = env.work_log.elapsed_secs();
    assert_eq!(one.join().await, Err(LeadershipLost::NotRenewed(secs(40))));
    sleep_secs(60).await;
    let ended = env.work_log.last_work_time("one") - cut_off;
    let after = env.work_log.first_work_time("two") - cut_off;
    // The last renewal before the cut is up to 6 s old: the retry period of 5 s with its jitter.
    assert!((34.0..41.0).contains(&ended) && (54.0..66.0).contains(&after), "{ended} s, {after} s");
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_stops_is_replaced_within_three_seconds() {
    let env = ElectionEnv::new();
    let (one, two) = env.start_leader_and_standby().await;
    let stopped = env.work_log.elapsed_secs();
    one.stop.cancel();
    assert_eq!(one.join().await, Ok(()));
    let ended = env.work_log.elapsed_secs() - stopped;
    assert!(ended < 1.0, "{ended} s");
    sleep_secs(10).await;
    let after = env.work_log.first_work_time("two") - stopped;
    assert!(after < 3.0 && env.work_log.first_work_time("two") > env.work_log.last_work_time("one"), "{after} s");

    two.stop.cancel();
    assert_eq!(two.join().await, Ok(()));
    let released = env.get_lease_spec();
    assert_eq!((released.holder_identity.as_deref(), released.lease_duration_seconds), (Some(""), Some(1)));
}

#[tokio::test(start_paused = true)]
async fn a_leader_without_network_ends_its_work_before_the_next_leader_starts() {
    for end in [StopBehaviour::Immediate, StopBehaviour::Never] {
        for tenth in (0..20).step_by(3) {
            let env = ElectionEnv::new();
            let one = env.start_replica_with("one", &new_clock(), end);
            let _two = env.start_replica("two");
            sleep_secs(30).await;
            tokio::time::sleep(secs(tenth) / 10).await;
            env.hang_requests_of("one");
            sleep_secs(60).await;
            let (last, first) = (env.work_log.last_work_time("one"), env.work_log.first_work_time("two"));
            assert!(last + 1.9 <= first && first < 30.0 + 20.0, "one worked until {last} s, two from {first} s");
            assert_eq!(one.join().await, Err(LeadershipLost::NotRenewed(secs(10))));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_six_second_api_server_outage_does_not_lose_leadership() {
    let env = ElectionEnv::new();
    let (one, _two) = env.start_leader_and_standby().await;
    for _ in 0..5 {
        env.kube.start_outage();
        sleep_secs(6).await;
        env.kube.end_outage();
        sleep_secs(10).await;
    }
    assert!(!one.task.is_finished() && env.work_log.work_times("two").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_lease_changed_by_someone_else_is_lost_and_the_work_ends_at_once() {
    let env = ElectionEnv::new();
    let one = env.start_replica_with("one", &new_clock(), StopBehaviour::Never);
    sleep_secs(30).await;
    let changed = env.work_log.elapsed_secs();
    env.kube.edit("Lease", NAMESPACE, "boxsync-operator", |lease| lease["spec"]["holderIdentity"] = "admin".into());
    assert_eq!(one.join().await, Err(LeadershipLost::Changed));
    assert!(env.work_log.last_work_time("one") - changed < 2.2, "{}", env.work_log.last_work_time("one") - changed);
    assert_eq!(env.get_lease_spec().holder_identity.as_deref(), Some("admin"), "the Lease is not overwritten");
}

#[tokio::test(start_paused = true)]
async fn a_deleted_lease_is_lost() {
    let env = ElectionEnv::new();
    let one = env.start_replica("one");
    sleep_secs(30).await;
    env.kube.delete("Lease", NAMESPACE, "boxsync-operator");
    assert_eq!(one.join().await, Err(LeadershipLost::Removed));
}

#[tokio::test(start_paused = true)]
async fn a_renewal_whose_response_is_lost_does_not_lose_leadership() {
    for fault in [FaultAction::Status(504), FaultAction::Disconnect, FaultAction::Hang] {
        let env = ElectionEnv::new();
        let (one, _two) = env.start_leader_and_standby().await;
        let renewal = |call: &kube_sim::Call| call.user == "one" && call.verb == Verb::Update;
        env.kube.fail_next(1, renewal, Fault::After(fault));
        sleep_secs(60).await;
        assert!(!one.task.is_finished() && env.work_log.work_times("two").is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn wall_clock_skew_of_hours_has_no_effect() {
    for hours in [-5_i32, 5] {
        let (env, skewed_clock) = (ElectionEnv::new(), new_clock());
        match hours {
            ..0 => skewed_clock.rewind(secs(3600) * hours.unsigned_abs()),
            0.. => skewed_clock.advance(secs(3600) * hours.unsigned_abs()),
        }
        let one = env.start_replica("one");
        sleep_secs(5).await;
        let _two = env.start_replica_with("two", &skewed_clock, StopBehaviour::Immediate);
        sleep_secs(120).await;
        assert!(env.work_log.work_times("two").is_empty(), "one keeps renewing");
        let killed = env.work_log.elapsed_secs();
        one.task.abort();
        sleep_secs(60).await;
        let after = env.work_log.first_work_time("two") - killed;
        assert!((10.0..20.0).contains(&after), "{after} s");
    }
}

#[tokio::test(start_paused = true)]
async fn a_container_restarted_in_its_pod_reacquires_its_lease_at_once() {
    let env = ElectionEnv::new();
    let (one, _two) = env.start_leader_and_standby().await;
    one.task.abort();
    let killed = env.work_log.elapsed_secs();
    let _restarted = env.start_replica("one");
    sleep_secs(60).await;
    let times = env.work_log.work_times("one");
    assert!(times.iter().any(|at| (killed..killed + 0.5).contains(at)), "at once");
    assert!(env.work_log.work_times("two").is_empty());
    assert_eq!(env.get_lease_spec().lease_transitions, Some(0));
}

#[tokio::test(start_paused = true)]
async fn of_five_replicas_started_together_exactly_one_works() {
    let env = ElectionEnv::new();
    let names = ["a", "b", "c", "d", "e"];
    let replicas = names.map(|name| env.start_replica(name));
    sleep_secs(60).await;
    assert_eq!(names.iter().filter(|name| !env.work_log.work_times(name).is_empty()).count(), 1);
    assert!(replicas.iter().all(|replica| !replica.task.is_finished()));
}

#[tokio::test(start_paused = true)]
async fn a_standby_stops_at_once_without_writing_the_lease() {
    let env = ElectionEnv::new();
    let (_one, two) = env.start_leader_and_standby().await;
    let (stopped, mark) = (env.work_log.elapsed_secs(), env.kube.log_position());
    two.stop.cancel();
    assert_eq!(two.join().await, Ok(()));
    assert!(env.work_log.elapsed_secs() - stopped < 0.1);
    assert!(env.kube.writes_since(mark).iter().all(|write| write.user == "one"));
}

#[tokio::test(start_paused = true)]
async fn a_replica_without_lease_permissions_waits_until_they_are_granted() {
    let env = ElectionEnv::new();
    env.kube.forbid(|call| call.resource == "leases");
    let _one = env.start_replica("one");
    sleep_secs(60).await;
    assert!(env.work_log.work_times("one").is_empty());
    env.kube.clear_faults();
    sleep_secs(3).await;
    assert!(!env.work_log.work_times("one").is_empty());
}
