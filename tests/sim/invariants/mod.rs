//! What must hold at every minute of every story: checked while its time passes, and once more when it ends. A breach
//! fails the story when its environment is dropped.
//!
//! A story in which one of them cannot hold names an [`Exemption`].

mod memory;
mod permits;
mod promises;
mod writes;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use box_sim::BoxSim;
use boxsync::metrics::Metrics;
use jiff::{SignedDuration, Timestamp};
use kube_sim::{KubeSim, SimClock};
use serde_json::Value;
use tokio::{task::JoinHandle, time::sleep};

use self::{memory::MemoryCheck, permits::PermitCheck, promises::PromiseCheck, writes::WriteCheck};
use crate::{network::Network, operator::Processes};

const CHECK_INTERVAL: Duration = Duration::from_secs(60);
/// The longest pause of the operator after errors of the API server, with its jitter.
const RECOVERY: Duration = Duration::from_secs(400);
/// The operator's timers do not follow a step of the clock; it looks again after this time.
const AFTER_CLOCK_STEP: Duration = Duration::from_secs(3700);
/// A story says so many, each once.
const MAX_BREACHES: usize = 20;

/// Why an invariant cannot hold in a story.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Exemption {
    /// Watches deliver nothing and do not end, which no API server does for long: what must be done is not known.
    SilentWatches,
    /// Requests wait, as documented, until an operator with `--paused` is started without it.
    PausedOperator,
    /// The deletion of an object is not seen where its kind cannot be read; it is forgotten after an hour.
    UnreadableNamespace,
}

/// Checks the invariants of one story until it is dropped.
pub(crate) struct Invariants {
    monitor: Arc<Mutex<Monitor>>,
    task: JoinHandle<()>,
}

/// What the checks read, and what they have found.
struct Monitor {
    world: World,
    breaches: Vec<String>,
    writes: WriteCheck,
    promises: PromiseCheck,
    memory: MemoryCheck,
    permits: PermitCheck,
}

/// The parts of the environment that the checks read.
pub(crate) struct World {
    pub(crate) kube: KubeSim,
    pub(crate) box_sim: BoxSim,
    pub(crate) clock: SimClock,
    pub(crate) operator_ahead: Arc<AtomicI64>,
    pub(crate) network: Network,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) processes: Processes,
}

impl World {
    fn operator_time(&self) -> Timestamp {
        self.clock.now() + SignedDuration::from_secs(self.operator_ahead.load(Ordering::Relaxed))
    }
}

impl Invariants {
    pub(crate) fn check_regularly(world: World) -> Self {
        let monitor = Arc::new(Mutex::new(Monitor {
            writes: WriteCheck::new(&world.kube),
            promises: PromiseCheck::new(&world),
            memory: MemoryCheck::default(),
            permits: PermitCheck::default(),
            world,
            breaches: Vec::new(),
        }));
        let checked = monitor.clone();
        let task = tokio::spawn(async move {
            loop {
                let pause = lock(&checked).next_pause();
                sleep(pause).await;
                let mut monitor = lock(&checked);
                monitor.check_permits();
                // Between two samples of the permits less than a minute has passed.
                if monitor.writes.elapsed() >= CHECK_INTERVAL {
                    monitor.check_minute();
                }
            }
        });
        Self { monitor, task }
    }

    /// Begins an exemption.
    pub(crate) fn exempt(&self, exemption: Exemption) {
        lock(&self.monitor).promises.exemptions.insert(exemption);
    }

    /// Ends an exemption; what was late may be late for a little longer.
    pub(crate) fn end_exemption(&self, exemption: Exemption) {
        let mut monitor = lock(&self.monitor);
        if monitor.promises.exemptions.remove(&exemption) {
            monitor.promises.disturbed(RECOVERY);
        }
    }

    /// The breaches so far, which do not fail the story any more.
    pub(crate) fn take_breaches(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.monitor).breaches)
    }

    /// Fails if an invariant was broken so far.
    pub(crate) fn assert_hold(&self) {
        let breaches = self.take_breaches();
        assert!(breaches.is_empty(), "broken invariants:\n{}", breaches.join("\n"));
    }

    /// The most writes to one object in a minute, to see how far the limit is.
    pub(crate) fn most_writes(&self) -> usize {
        lock(&self.monitor).writes.most
    }
}

impl Drop for Invariants {
    fn drop(&mut self) {
        self.task.abort();
        lock(&self.monitor).check_minute();
        if std::thread::panicking() {
            lock(&self.monitor).breaches.iter().for_each(|breach| eprintln!("broken invariant: {breach}"));
        } else {
            self.assert_hold();
        }
    }
}

impl Monitor {
    fn next_pause(&self) -> Duration {
        if self.permits.is_suspicious() { permits::SAMPLE_INTERVAL } else { CHECK_INTERVAL }
    }

    fn check_permits(&mut self) {
        let found = self.permits.check(&self.world);
        self.record(found);
    }

    /// Checks what has happened in the last minute.
    fn check_minute(&mut self) {
        let Self { world, writes, promises, memory, .. } = self;
        let calls = writes.take_calls(&world.kube);
        promises.observe(world, &calls);
        let mut found = writes.check(world, &calls);
        found.extend(promises.check(world));
        if promises.is_steady() && !promises.is_exempt(Exemption::UnreadableNamespace) {
            found.extend(memory.check(world));
        } else {
            memory.reset();
        }
        self.record(found);
    }

    fn record(&mut self, found: Vec<String>) {
        for breach in found {
            if self.breaches.len() < MAX_BREACHES && !self.breaches.iter().any(|known| known.ends_with(&breach)) {
                tracing::error!("broken invariant: {breach}");
                self.breaches.push(format!("{}: {breach}", self.world.clock.now()));
            }
        }
    }
}

fn lock(monitor: &Mutex<Monitor>) -> MutexGuard<'_, Monitor> {
    monitor.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Namespace and name of an object.
type ObjectName = (String, String);

fn name_of(object: &Value) -> ObjectName {
    let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
    (text("namespace"), text("name"))
}

fn is_being_deleted(object: &Value) -> bool {
    object["metadata"]["deletionTimestamp"].is_string()
}

fn is_finished(request: &Value) -> bool {
    matches!(request["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
}
