//! The operator's process: starting and ending it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicI64, Ordering},
};

use box_sim::BoxSim;
use boxsync::{
    box_client::Limits,
    controller::{self, BoxClientConfig, ControllerOptions, Dependencies, WatchScopes},
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
}

impl OperatorFactory {
    pub(crate) fn start_as(&self, user: &str) -> RunningOperator {
        let (clock, ahead) = (self.clock.clone(), self.operator_ahead.clone());
        let background = Arc::new(BackgroundTasks::default());
        let deps = Dependencies {
            client: self.kube.client_as(user),
            namespaces: self.namespaces.clone(),
            box_client_config: BoxClientConfig {
                transport: in_process_transport(&self.box_sim, &self.panic_on_call, &self.network),
                base_url: "http://127.0.0.1".parse().expect("a URL"),
                limits: Limits::default(),
            },
            clock: Clock::from_fn(move || clock.now() + SignedDuration::from_secs(ahead.load(Ordering::Relaxed))),
            options: self.options.clone(),
            background: background.clone(),
            metrics: self.metrics.clone(),
            scopes: self.scopes.clone(),
        };
        self.scopes.send_replace(WatchScopes::new(&self.namespaces));
        let stop = CancellationToken::new();
        RunningOperator { stop: stop.clone(), task: tokio::spawn(controller::run(deps, stop)), background }
    }
}
