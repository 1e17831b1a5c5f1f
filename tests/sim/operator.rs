//! The operator's process: starting and ending it.

use std::sync::{
    Arc, Mutex, Weak,
    atomic::{AtomicBool, AtomicI64, Ordering},
};

use box_sim::BoxSim;
use boxsync::{
    box_client::Limits,
    controller::{self, BoxClientConfig, ControllerOptions, Dependencies, WatchScopes},
    leader_election::{ElectionConfig, ElectionTiming, run_as_leader},
    metrics::Metrics,
    runtime::{BackgroundTasks, Clock},
};
use jiff::SignedDuration;
use kube_sim::{KubeSim, SimClock};
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{
    env::secs,
    network::{Network, in_process_transport},
};

/// The operator process.
pub(crate) struct RunningOperator {
    stop: CancellationToken,
    task: JoinHandle<()>,
    background: Arc<BackgroundTasks>,
}

impl RunningOperator {
    /// SIGKILL: running work is lost.
    pub(crate) async fn abort(self) {
        self.task.abort();
        let _ = self.task.await;
    }

    /// SIGTERM; waits until the operator exits.
    pub(crate) async fn shut_down(self) {
        self.stop.cancel();
        self.task.await.expect("the operator shuts down gracefully");
        self.background.wait_for_all(&self.stop, secs(20)).await;
    }

    /// The leadership is lost: the controllers end. The returned task ends when the process would exit.
    pub(crate) async fn lose_leadership(self) -> JoinHandle<()> {
        self.stop.cancel();
        self.task.await.expect("the controllers end");
        tokio::spawn(async move { self.background.wait_for_all(&CancellationToken::new(), secs(20)).await })
    }
}

/// The processes that a story has started.
#[derive(Clone, Default)]
pub(crate) struct Processes(Arc<Mutex<Vec<Process>>>);

struct Process {
    user: String,
    /// Gone when the controllers have ended.
    controllers: Weak<()>,
    background: Weak<BackgroundTasks>,
}

impl Processes {
    /// Whether the controllers of any process run.
    pub(crate) fn any_runs(&self) -> bool {
        self.any(|process| process.controllers.strong_count() > 0)
    }

    /// Whether an operator calls the API server as this user.
    pub(crate) fn include(&self, user: &str) -> bool {
        self.any(|process| process.user == user)
    }

    /// How many tasks continue without their caller: they renew the tokens of users.
    pub(crate) fn background_tasks(&self) -> usize {
        let processes = self.0.lock().expect("not poisoned");
        processes.iter().filter_map(|process| process.background.upgrade()).map(|tasks| tasks.unfinished()).sum()
    }

    /// A process that does nothing, until it is dropped.
    pub(crate) fn pretend(&self, user: &str) -> Arc<()> {
        let controllers = Arc::new(());
        self.add(user, &controllers, Weak::new());
        controllers
    }

    fn add(&self, user: &str, controllers: &Arc<()>, background: Weak<BackgroundTasks>) {
        let process = Process { user: user.to_owned(), controllers: Arc::downgrade(controllers), background };
        self.0.lock().expect("not poisoned").push(process);
    }

    fn any(&self, condition: impl Fn(&Process) -> bool) -> bool {
        self.0.lock().expect("not poisoned").iter().any(condition)
    }
}

/// Starts operators.
#[derive(Clone)]
pub(crate) struct OperatorFactory {
    pub(crate) kube: KubeSim,
    pub(crate) box_sim: BoxSim,
    pub(crate) clock: SimClock,
    pub(crate) operator_ahead: Arc<AtomicI64>,
    pub(crate) options: ControllerOptions,
    pub(crate) namespaces: Vec<String>,
    pub(crate) scopes: watch::Sender<WatchScopes>,
    pub(crate) panic_on_call: Arc<AtomicBool>,
    pub(crate) network: Network,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) processes: Processes,
}

impl OperatorFactory {
    pub(crate) fn start_as(&self, user: &str) -> RunningOperator {
        let (stop, background) = (CancellationToken::new(), Arc::default());
        let work = self.clone().run_controllers(user.to_owned(), Arc::clone(&background), stop.clone());
        RunningOperator { stop, task: tokio::spawn(work), background }
    }

    /// Starts a replica, which works while it holds the Lease.
    pub(crate) fn start_replica(&self, user: &str, timing: ElectionTiming) -> RunningOperator {
        let (stop, background) = (CancellationToken::new(), Arc::default());
        let (factory, identity, tasks) = (self.clone(), user.to_owned(), Arc::clone(&background));
        let config = ElectionConfig { namespace: "boxsync".to_owned(), identity: identity.clone(), timing };
        let (client, leadership) = (self.kube.client_as(user), watch::Sender::default());
        let work = |leading| factory.run_controllers(identity, tasks, leading);
        let election = run_as_leader(client, config, self.operator_clock(), stop.clone(), leadership, work);
        let task = tokio::spawn(async {
            if let Err(lost) = election.await {
                tracing::info!(%lost, "the process ends");
            }
        });
        RunningOperator { stop, task, background }
    }

    fn run_controllers(
        self,
        user: String,
        background: Arc<BackgroundTasks>,
        stop: CancellationToken,
    ) -> impl Future<Output = ()> + Send + 'static {
        let running = Arc::new(());
        self.processes.add(&user, &running, Arc::downgrade(&background));
        self.scopes.send_replace(WatchScopes::new(&self.namespaces));
        let deps = Dependencies {
            client: self.kube.client_as(&user),
            clock: self.operator_clock(),
            namespaces: self.namespaces,
            box_client_config: BoxClientConfig {
                transport: in_process_transport(&self.box_sim, &self.panic_on_call, &self.network),
                base_url: "http://127.0.0.1".parse().expect("a URL"),
                limits: Limits::default(),
            },
            options: self.options,
            background,
            metrics: self.metrics,
            scopes: self.scopes,
        };
        async move {
            Box::pin(controller::run(deps, stop)).await;
            drop(running);
        }
    }

    fn operator_clock(&self) -> Clock {
        let (clock, ahead) = (self.clock.clone(), self.operator_ahead.clone());
        Clock::from_fn(move || clock.now() + SignedDuration::from_secs(ahead.load(Ordering::Relaxed)))
    }
}
