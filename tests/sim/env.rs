//! The test environment: in-memory API server, simulated Box and the real controllers in one process on paused time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64},
    },
    time::Duration,
};

use box_sim::{AuthMethod, BoxSim, Enterprise, EnterpriseConfig};
use boxsync::{
    api::{
        self, BoxConnection, BoxConnectionStatus, OperatorRef, RequestPhase, UserSyncRequest, UserSyncRequestStatus,
    },
    controller::{ControllerOptions, WatchScopes},
    metrics::{Metrics, PerConnectionMetrics},
};
use harness::MetricsPage;
use jiff::Timestamp;
use kube_sim::{Call, KubeSim, LogPosition, Resource, SimClock};
use serde_json::{Value, json};
use tokio::sync::watch;
use tracing::subscriber::DefaultGuard;

use crate::{
    invariants::{Invariants, World},
    log::capture_log,
    network::Network,
    operator::{OperatorFactory, Processes, RunningOperator},
    sign_in::secret_data,
};

pub(crate) const NAMESPACE: &str = "backup";
pub(crate) const START: &str = "2026-11-22T12:00:00Z";
pub(crate) const OPERATOR: &str = "system:serviceaccount:boxsync:boxsync-operator";
/// Longer than any wait of the operator: a test that waits longer is stuck.
const WAIT_LIMIT: Duration = Duration::from_secs(40 * 86_400);

pub(crate) struct SimEnv {
    pub(crate) kube: KubeSim,
    pub(crate) box_sim: BoxSim,
    pub(crate) clock: SimClock,
    /// By how many seconds the operator's clock is ahead of the API server's and Box's.
    pub(crate) operator_ahead: Arc<AtomicI64>,
    pub(crate) options: ControllerOptions,
    /// The value of `--watch-namespace`; none: all namespaces.
    pub(crate) namespaces: Vec<String>,
    /// What the watches of the last operator have read.
    pub(crate) scopes: watch::Sender<WatchScopes>,
    /// Makes the operator panic whenever it calls Box.
    pub(crate) panic_on_call: Arc<AtomicBool>,
    /// Injects faults into calls to Box.
    pub(crate) network: Network,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) invariants: Invariants,
    pub(crate) processes: Processes,
    operator: Option<RunningOperator>,
    _log: DefaultGuard,
}

impl SimEnv {
    /// An environment without an operator; see [`SimEnv::spawn_operator`].
    pub(crate) fn new() -> Self {
        let start: Timestamp = START.parse().expect("a time");
        let clock = SimClock::new(start);
        let log = capture_log(&clock);
        let kinds: Vec<Resource> = api::crds().iter().map(Resource::from_crd).collect();
        let world = World {
            kube: KubeSim::new(clock.clock_fn(), kinds),
            // Box has its own clock, which does not follow when a test rewinds the operator's.
            box_sim: BoxSim::new(SimClock::new(start).clock_fn()),
            clock,
            operator_ahead: Arc::default(),
            network: Network::default(),
            metrics: Arc::new(Metrics::new("0.0.0", PerConnectionMetrics::Enabled)),
            processes: Processes::default(),
        };
        Self {
            kube: world.kube.clone(),
            box_sim: world.box_sim.clone(),
            clock: world.clock.clone(),
            operator_ahead: world.operator_ahead.clone(),
            options: ControllerOptions {
                max_concurrent_syncs: 4,
                min_sync_gap: secs(15),
                probe_interval: secs(3600),
                oauth: true,
                schedule_spread: secs(900),
                paused: false,
                extra_metadata: Arc::default(),
                operator: OperatorRef::default(),
            },
            namespaces: Vec::new(),
            scopes: watch::Sender::default(),
            panic_on_call: Arc::default(),
            network: world.network.clone(),
            metrics: world.metrics.clone(),
            processes: world.processes.clone(),
            invariants: Invariants::check_regularly(world),
            operator: None,
            _log: log,
        }
    }

    /// An environment with a running operator.
    pub(crate) fn with_operator() -> Self {
        let mut env = Self::new();
        env.spawn_operator();
        env
    }

    /// An environment with a running operator and this connection, synced once.
    pub(crate) async fn with_synced(name: &str, users: usize) -> (Self, Enterprise) {
        let env = Self::with_operator();
        let enterprise = env.connect_enterprise(name, users);
        env.wait_until_synced(name).await;
        (env, enterprise)
    }

    pub(crate) fn spawn_operator(&mut self) {
        self.operator = Some(self.operator_factory().start_as(OPERATOR));
    }

    pub(crate) fn operator_factory(&self) -> OperatorFactory {
        OperatorFactory {
            kube: self.kube.clone(),
            box_sim: self.box_sim.clone(),
            clock: self.clock.clone(),
            operator_ahead: self.operator_ahead.clone(),
            options: self.options.clone(),
            namespaces: self.namespaces.clone(),
            scopes: self.scopes.clone(),
            panic_on_call: self.panic_on_call.clone(),
            network: self.network.clone(),
            metrics: self.metrics.clone(),
            processes: self.processes.clone(),
        }
    }

    /// SIGKILL: running work is lost.
    pub(crate) async fn kill_operator(&mut self) {
        self.operator.take().expect("an operator runs").abort().await;
    }

    /// SIGTERM; waits until the operator exits.
    pub(crate) async fn stop_operator(&mut self) {
        self.operator.take().expect("an operator runs").shut_down().await;
    }

    /// Adds an enterprise to Box, and its Secret and a connection of the same name to the cluster.
    pub(crate) fn connect_enterprise(&self, name: &str, users: usize) -> Enterprise {
        self.connect_enterprise_in(NAMESPACE, name, users)
    }

    /// The same in another namespace.
    pub(crate) fn connect_enterprise_in(&self, namespace: &str, name: &str, users: usize) -> Enterprise {
        let enterprise = self.add_enterprise(name, users);
        self.apply_secret_in(namespace, name, &secret_data(&enterprise, AuthMethod::ClientCredentials));
        self.apply_connection_in(namespace, name, enterprise.id(), &json!({}));
        enterprise
    }

    /// The same with `extra_spec` merged into the default spec.
    pub(crate) fn connect_with_spec(&self, name: &str, users: usize, extra_spec: &Value) -> Enterprise {
        self.connect_in(NAMESPACE, name, users, extra_spec)
    }

    /// The same in any namespace.
    pub(crate) fn connect_in(&self, namespace: &str, name: &str, users: usize, extra_spec: &Value) -> Enterprise {
        let enterprise = self.add_enterprise(name, users);
        self.apply_secret_in(namespace, name, &secret_data(&enterprise, AuthMethod::ClientCredentials));
        self.apply_connection_in(namespace, name, enterprise.id(), extra_spec);
        enterprise
    }

    pub(crate) fn add_enterprise(&self, name: &str, users: usize) -> Enterprise {
        self.add_enterprise_with_auth(name, users, AuthMethod::ClientCredentials)
    }

    pub(crate) fn add_enterprise_with_auth(&self, name: &str, users: usize, auth: AuthMethod) -> Enterprise {
        let seed = u64::try_from(self.box_sim.enterprises().len()).expect("few");
        let id = (1000 + seed).to_string();
        self.box_sim.add_enterprise(EnterpriseConfig::new(id).name(name).users(users).seed(seed).auth(auth))
    }

    /// Writes the enterprise's current credentials into the Secret.
    pub(crate) fn apply_credentials(&self, enterprise: &Enterprise, name: &str) {
        self.apply_secret(name, &secret_data(enterprise, AuthMethod::ClientCredentials));
    }

    pub(crate) fn apply_secret(&self, name: &str, data: &Value) {
        self.apply_secret_in(NAMESPACE, name, data);
    }

    fn apply_secret_in(&self, namespace: &str, name: &str, data: &Value) {
        self.kube.apply(json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": { "name": format!("{name}-box"), "namespace": namespace }, "data": data,
        }));
    }

    /// A connection with `extra_spec` merged into the default spec.
    pub(crate) fn apply_connection(&self, name: &str, enterprise: &str, extra_spec: &Value) {
        self.apply_connection_in(NAMESPACE, name, enterprise, extra_spec);
    }

    fn apply_connection_in(&self, namespace: &str, name: &str, enterprise: &str, extra_spec: &Value) {
        let mut spec = json!({
            "enterpriseId": enterprise, "suspend": false,
            "auth": { "clientCredentials": { "secretRef": { "name": format!("{name}-box") } } },
        });
        spec.as_object_mut().expect("an object").extend(extra_spec.as_object().cloned().unwrap_or_default());
        self.kube.apply(json!({
            "apiVersion": "boxsync.dev/v1alpha1", "kind": "BoxConnection",
            "metadata": { "name": name, "namespace": namespace }, "spec": spec,
        }));
    }

    /// Scrapes the metrics and checks their format.
    pub(crate) fn scrape_metrics(&self) -> MetricsPage {
        let page = self.metrics.encode_openmetrics();
        MetricsPage::parse(&page).unwrap_or_else(|problem| panic!("{problem}\n{page}"))
    }

    pub(crate) fn edit_connection(&self, name: &str, change: impl FnOnce(&mut Value)) {
        self.kube.edit("BoxConnection", NAMESPACE, name, change);
    }

    pub(crate) fn create_request(&self, name: &str, connection: &str) {
        self.create_request_with(name, connection, &json!({}));
    }

    pub(crate) fn create_request_with(&self, name: &str, connection: &str, extra_spec: &Value) {
        let mut spec = json!({ "connectionRef": { "name": connection }, "activeDeadlineSeconds": 3600 });
        spec.as_object_mut().expect("an object").extend(extra_spec.as_object().cloned().unwrap_or_default());
        self.kube.create(json!({
            "apiVersion": "boxsync.dev/v1alpha1", "kind": "UserSyncRequest",
            "metadata": { "name": name, "namespace": NAMESPACE }, "spec": spec,
        }));
    }

    pub(crate) fn connection_status(&self, name: &str) -> BoxConnectionStatus {
        self.kube.object::<BoxConnection>(NAMESPACE, name).and_then(|c| c.status).expect("a status")
    }

    pub(crate) fn request_status(&self, name: &str) -> UserSyncRequestStatus {
        self.kube.object::<UserSyncRequest>(NAMESPACE, name).and_then(|r| r.status).expect("a status")
    }

    /// Lets time pass until the connection's status fulfills `holds`.
    pub(crate) async fn wait_for_connection(
        &self,
        name: &str,
        holds: impl Fn(&BoxConnectionStatus) -> bool,
    ) -> BoxConnectionStatus {
        let typed =
            |v: &Value| serde_json::from_value::<BoxConnectionStatus>(v["status"].clone()).is_ok_and(|s| holds(&s));
        self.kube.wait_until(WAIT_LIMIT, "BoxConnection", NAMESPACE, name, typed).await;
        self.connection_status(name)
    }

    /// Lets time pass until the connection has a condition with this status and reason: `True Synced`.
    pub(crate) async fn wait_for_condition(&self, name: &str, kind: &str, expected: &str) -> BoxConnectionStatus {
        self.wait_for_connection(name, |s| format_condition(&s.conditions, kind) == expected).await
    }

    pub(crate) async fn wait_until_ready(&self, name: &str) -> BoxConnectionStatus {
        self.wait_for_condition(name, "Ready", "True Synced").await
    }

    /// Lets time pass until the connection has been synced, now or earlier.
    pub(crate) async fn wait_until_synced(&self, name: &str) -> BoxConnectionStatus {
        self.wait_for_connection(name, |s| s.last_sync.is_some()).await
    }

    /// Creates a request and lets time pass until it is finished.
    pub(crate) async fn run_request(&self, name: &str, connection: &str) -> UserSyncRequestStatus {
        self.create_request(name, connection);
        self.wait_until_finished(name).await
    }

    /// Lets time pass until the request is finished.
    pub(crate) async fn wait_until_finished(&self, name: &str) -> UserSyncRequestStatus {
        self.wait_for_request(name, |s| s.phase.is_finished()).await
    }

    pub(crate) async fn wait_for_request(
        &self,
        name: &str,
        holds: impl Fn(&UserSyncRequestStatus) -> bool,
    ) -> UserSyncRequestStatus {
        let typed =
            |v: &Value| serde_json::from_value::<UserSyncRequestStatus>(v["status"].clone()).is_ok_and(|s| holds(&s));
        self.kube.wait_until(WAIT_LIMIT, "UserSyncRequest", NAMESPACE, name, typed).await;
        self.request_status(name)
    }

    /// The message of a condition of the connection; empty if there is none.
    pub(crate) fn condition_message(&self, name: &str, kind: &str) -> String {
        let conditions = self.connection_status(name).conditions;
        conditions.into_iter().find(|c| c.type_ == kind).map(|c| c.message).unwrap_or_default()
    }

    pub(crate) fn events_with_reason(&self, reason: &str) -> Vec<Value> {
        self.kube.list("Event").into_iter().filter(|e| e["reason"] == reason).collect()
    }

    /// Simulated seconds since the start of the test.
    pub(crate) fn elapsed_secs(&self) -> i64 {
        START.parse::<Timestamp>().expect("a time").duration_until(self.clock.now()).as_secs()
    }

    /// Writes of the operator since `mark`, as "verb resource/subresource name"; without events and Leases.
    pub(crate) fn writes_since(&self, mark: LogPosition) -> Vec<String> {
        let writes = self.kube.writes_since(mark).into_iter().filter(|call| is_state_write(call));
        writes.map(|w| format!("{w:?}")).collect()
    }
}

/// Whether the operator or one of its replicas writes its state. Events and Leases are none.
pub(crate) fn is_state_write(call: &Call) -> bool {
    call.verb.is_write() && call.user.starts_with(OPERATOR) && !matches!(call.resource.as_str(), "events" | "leases")
}

pub(crate) fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Lets `seconds` pass.
pub(crate) async fn sleep_secs(seconds: u64) {
    tokio::time::sleep(secs(seconds)).await;
}

pub(crate) fn encode_base64(text: &str) -> String {
    serde_json::to_value(k8s_openapi::ByteString(text.as_bytes().to_vec()))
        .expect("bytes")
        .as_str()
        .expect("base64")
        .to_owned()
}

pub(crate) fn request_succeeded(status: &UserSyncRequestStatus) -> bool {
    status.phase == RequestPhase::Succeeded
}

/// Status and reason of a condition.
pub(crate) fn format_condition(
    conditions: &[k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition],
    kind: &str,
) -> String {
    conditions.iter().find(|c| c.type_ == kind).map_or_else(String::new, |c| format!("{} {}", c.status, c.reason))
}

/// The conditions in short, in their order: `Ready=True Synced`.
pub(crate) fn format_conditions(status: &BoxConnectionStatus) -> String {
    let parts: Vec<String> =
        status.conditions.iter().map(|c| format!("{}={} {}", c.type_, c.status, c.reason)).collect();
    parts.join(", ")
}

/// Number of listings that Box received, counted by their first pages.
pub(crate) fn count_listings(enterprise: &Enterprise) -> usize {
    let calls = enterprise.recent_calls();
    calls.iter().filter(|c| c.path == "/2.0/users" && !c.params.iter().any(|p| p == "marker")).count()
}
