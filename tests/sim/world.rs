//! A cluster, a Box and an operator, all in this process and all on one paused clock.

use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use box_sim::{BoxSim, Enterprise, EnterpriseSpec};
use boxsync::{
    api::{self, BoxConnection, BoxConnectionStatus, Phase, UserSyncRequest, UserSyncRequestStatus},
    boxapi::Caps,
    controller::{self, BoxSide, Deps, Rules},
    metrics::{Metrics, PerConnection},
    runtime::{Clock, Shelter},
};
use harness::Scrape;
use jiff::Timestamp;
use kube_sim::{KubeSim, Mark, Resource, SimClock};
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::line::{Line, in_process};

pub(crate) const NAMESPACE: &str = "backup";
pub(crate) const START: &str = "2026-11-22T12:00:00Z";
pub(crate) const OPERATOR: &str = "system:serviceaccount:boxsync:boxsync-operator";
/// Longer than any wait of the operator: a story that goes on beyond it is stuck.
const LIMIT: Duration = Duration::from_secs(40 * 86_400);

pub(crate) struct World {
    pub(crate) kube: KubeSim,
    pub(crate) boxes: BoxSim,
    pub(crate) clock: SimClock,
    pub(crate) rules: Rules,
    /// Makes the operator panic whenever it calls Box.
    pub(crate) panics: Arc<AtomicBool>,
    /// What happens to calls on their way to Box and back.
    pub(crate) line: Line,
    pub(crate) metrics: Arc<Metrics>,
    operator: Option<Running>,
}

/// An operator's process.
pub(crate) struct Running {
    stop: CancellationToken,
    task: JoinHandle<()>,
    shelter: Arc<Shelter>,
}

impl Running {
    /// SIGKILL: whatever was under way is gone.
    pub(crate) async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }

    /// SIGTERM, and waiting for the end.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.task.await.expect("the operator ends in good order");
        self.shelter.finish(secs(20)).await;
    }
}

/// What it takes to start an operator.
#[derive(Clone)]
pub(crate) struct Machine {
    kube: KubeSim,
    boxes: BoxSim,
    clock: SimClock,
    rules: Rules,
    panics: Arc<AtomicBool>,
    line: Line,
    metrics: Arc<Metrics>,
}

impl Machine {
    pub(crate) fn operator_as(&self, user: &str) -> Running {
        let clock = self.clock.clone();
        let shelter = Arc::new(Shelter::default());
        let deps = Deps {
            client: self.kube.client_as(user),
            namespaces: Vec::new(),
            box_side: BoxSide {
                transport: in_process(&self.boxes, &self.panics, &self.line),
                base: "http://127.0.0.1".parse().expect("a URL"),
                caps: Caps::default(),
            },
            clock: Clock::telling(move || clock.now()),
            rules: self.rules.clone(),
            shelter: shelter.clone(),
            metrics: self.metrics.clone(),
            listed: watch::Sender::default(),
        };
        let stop = CancellationToken::new();
        Running { stop: stop.clone(), task: tokio::spawn(controller::run(deps, stop)), shelter }
    }
}

impl World {
    /// A world without an operator: see [`World::start`].
    pub(crate) fn new() -> Self {
        let start: Timestamp = START.parse().expect("a time");
        let clock = SimClock::new(start);
        let kinds: Vec<Resource> = api::crds().iter().map(Resource::of_crd).collect();
        Self {
            kube: KubeSim::new(clock.reader(), kinds),
            // Box's clock is its own: it does not follow when a test sets ours back.
            boxes: BoxSim::new(SimClock::new(start).reader()),
            clock,
            rules: Rules {
                max_concurrent_syncs: 4,
                min_sync_gap: secs(15),
                probe_interval: secs(3600),
                oauth: true,
                schedule_spread: secs(900),
                paused: false,
            },
            panics: Arc::default(),
            line: Line::default(),
            metrics: Arc::new(Metrics::new("0.0.0", PerConnection::Shown)),
            operator: None,
        }
    }

    /// A world with a running operator.
    pub(crate) fn running() -> Self {
        let mut world = Self::new();
        world.start();
        world
    }

    pub(crate) fn start(&mut self) {
        self.operator = Some(self.machine().operator_as(OPERATOR));
    }

    pub(crate) fn machine(&self) -> Machine {
        Machine {
            kube: self.kube.clone(),
            boxes: self.boxes.clone(),
            clock: self.clock.clone(),
            rules: self.rules.clone(),
            panics: self.panics.clone(),
            line: self.line.clone(),
            metrics: self.metrics.clone(),
        }
    }

    /// SIGKILL: whatever was under way is gone.
    pub(crate) async fn kill(&mut self) {
        self.operator.take().expect("an operator runs").kill().await;
    }

    /// SIGTERM, and waiting for the end.
    pub(crate) async fn stop(&mut self) {
        self.operator.take().expect("an operator runs").stop().await;
    }

    /// An enterprise in Box, its Secret, and its connection of the same name in the cluster.
    pub(crate) fn connect(&self, name: &str, users: usize) -> Enterprise {
        let enterprise = self.enterprise(name, users);
        self.secret(&enterprise, name);
        self.connection(name, enterprise.id(), &json!({}));
        enterprise
    }

    pub(crate) fn enterprise(&self, name: &str, users: usize) -> Enterprise {
        let seed = u64::try_from(self.boxes.enterprises().len()).expect("few");
        let id = (1000 + seed).to_string();
        self.boxes.enterprise(EnterpriseSpec::new(id).named(name).users(users).seed(seed))
    }

    /// The enterprise's present credentials.
    pub(crate) fn secret(&self, enterprise: &Enterprise, name: &str) {
        let data = json!({
            "clientId": base64(&enterprise.client_id()),
            "clientSecret": base64(&enterprise.client_secret()),
        });
        self.secret_of(name, &data);
    }

    pub(crate) fn secret_of(&self, name: &str, data: &Value) {
        self.kube.apply(json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": { "name": format!("{name}-box"), "namespace": NAMESPACE }, "data": data,
        }));
    }

    /// A connection with these fields of the spec beside the usual ones.
    pub(crate) fn connection(&self, name: &str, enterprise: &str, more: &Value) {
        let mut spec = json!({
            "enterpriseId": enterprise, "suspend": false,
            "auth": { "clientCredentials": { "secretRef": { "name": format!("{name}-box") } } },
        });
        spec.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
        self.kube.apply(json!({
            "apiVersion": "boxsync.dev/v1alpha1", "kind": "BoxConnection",
            "metadata": { "name": name, "namespace": NAMESPACE }, "spec": spec,
        }));
    }

    /// What Prometheus would read now, which has to keep its rules.
    pub(crate) fn scrape(&self) -> Scrape {
        let page = self.metrics.page();
        Scrape::read(&page).unwrap_or_else(|problem| panic!("{problem}\n{page}"))
    }

    pub(crate) fn edit(&self, name: &str, change: impl FnOnce(&mut Value)) {
        self.kube.edit("BoxConnection", NAMESPACE, name, change);
    }

    pub(crate) fn request(&self, name: &str, connection: &str) {
        self.request_with(name, connection, &json!({}));
    }

    pub(crate) fn request_with(&self, name: &str, connection: &str, more: &Value) {
        let mut spec = json!({ "connectionRef": { "name": connection }, "activeDeadlineSeconds": 3600 });
        spec.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
        self.kube.create(json!({
            "apiVersion": "boxsync.dev/v1alpha1", "kind": "UserSyncRequest",
            "metadata": { "name": name, "namespace": NAMESPACE }, "spec": spec,
        }));
    }

    pub(crate) fn status(&self, name: &str) -> BoxConnectionStatus {
        self.kube.object::<BoxConnection>(NAMESPACE, name).and_then(|c| c.status).expect("a status")
    }

    pub(crate) fn asked(&self, name: &str) -> UserSyncRequestStatus {
        self.kube.object::<UserSyncRequest>(NAMESPACE, name).and_then(|r| r.status).expect("a status")
    }

    /// Lets time pass until the connection's status is as it is waited for.
    pub(crate) async fn until(&self, name: &str, holds: impl Fn(&BoxConnectionStatus) -> bool) -> BoxConnectionStatus {
        let typed =
            |v: &Value| serde_json::from_value::<BoxConnectionStatus>(v["status"].clone()).is_ok_and(|s| holds(&s));
        self.kube.until(LIMIT, "BoxConnection", NAMESPACE, name, typed).await;
        self.status(name)
    }

    /// Lets time pass until the request has ended.
    pub(crate) async fn ended(&self, name: &str) -> UserSyncRequestStatus {
        self.asked_until(name, |s| s.phase.finished()).await
    }

    pub(crate) async fn asked_until(
        &self,
        name: &str,
        holds: impl Fn(&UserSyncRequestStatus) -> bool,
    ) -> UserSyncRequestStatus {
        let typed =
            |v: &Value| serde_json::from_value::<UserSyncRequestStatus>(v["status"].clone()).is_ok_and(|s| holds(&s));
        self.kube.until(LIMIT, "UserSyncRequest", NAMESPACE, name, typed).await;
        self.asked(name)
    }

    /// How many seconds have passed since the world began.
    pub(crate) fn elapsed(&self) -> i64 {
        START.parse::<Timestamp>().expect("a time").duration_until(self.clock.now()).as_secs()
    }

    /// Writes of the operator since `mark`, as "verb resource/subresource name"; events are no state and don't count.
    pub(crate) fn writes_since(&self, mark: Mark) -> Vec<String> {
        let writes = self.kube.writes_since(mark).into_iter().filter(|w| w.user == OPERATOR && w.resource != "events");
        writes.map(|w| format!("{w:?}")).collect()
    }
}

pub(crate) fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Lets `seconds` pass.
pub(crate) async fn pass(seconds: u64) {
    tokio::time::sleep(secs(seconds)).await;
}

pub(crate) fn base64(text: &str) -> String {
    serde_json::to_value(k8s_openapi::ByteString(text.as_bytes().to_vec()))
        .expect("bytes")
        .as_str()
        .expect("base64")
        .to_owned()
}

pub(crate) fn succeeded(status: &UserSyncRequestStatus) -> bool {
    status.phase == Phase::Succeeded
}

/// Status, reason and message of a condition, for a test to look at.
pub(crate) fn condition(
    conditions: &[k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition],
    kind: &str,
) -> String {
    conditions.iter().find(|c| c.type_ == kind).map_or_else(String::new, |c| format!("{} {}", c.status, c.reason))
}

/// The conditions in short: `Ready=True Synced`, in their order.
pub(crate) fn state(status: &BoxConnectionStatus) -> String {
    let told: Vec<String> =
        status.conditions.iter().map(|c| format!("{}={} {}", c.type_, c.status, c.reason)).collect();
    told.join(", ")
}

/// Listings that Box saw, by their first pages.
pub(crate) fn listings(enterprise: &Enterprise) -> usize {
    let seen = enterprise.seen();
    seen.iter().filter(|c| c.path == "/2.0/users" && !c.params.iter().any(|p| p == "marker")).count()
}
