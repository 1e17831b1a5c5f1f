//! env — the environment of an operator process: one real control plane for all groups, and per group a namespace, a
//! ServiceAccount with the operator's permissions, and a simulated Box.

use std::collections::HashSet;
use std::fmt::Debug;
use std::future;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use boxsync::{
    api::{BoxConnection, ConditionStatus, ConditionsExt as _, UserSyncRequest},
    kube_client::KubeClient,
    roster::Store,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use harness::{AuditLog, ControlPlane, Operator, OperatorCommand, TempDir};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ListParams, PostParams};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Client, ResourceExt as _};
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::sync::{OnceCell, oneshot};
use tokio::task::JoinHandle;

use crate::{
    Result, image, log_progress,
    simulator::{CLIENT_ID, CLIENT_SECRET, Simulator, TrackingCodes},
};

const RBAC_MANIFEST: &str = include_str!("rights.yaml");
const SERVICE_ACCOUNT: &str = "boxsync-operator";
/// The Secret with valid credentials.
pub(crate) const SECRET_NAME: &str = "box";
/// Maximum number of concurrent creates and changes.
pub(crate) const CONCURRENCY: usize = 8;
/// Limit of every wait, sufficient on a busy machine.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(300);

pub(crate) struct Bench {
    operator: PathBuf,
    temp_dir: TempDir,
    plane: OnceCell<ControlPlane>,
}

impl Bench {
    pub(crate) fn new(operator: PathBuf) -> Result<Self> {
        Ok(Self { operator, temp_dir: TempDir::new("bench")?, plane: OnceCell::new() })
    }

    pub(crate) fn log_dir(&self) -> &Path {
        self.temp_dir.path()
    }

    /// Keeps the logs for debugging after something could not be measured.
    pub(crate) fn keep_logs(&self) {
        let folders = std::iter::once(self.log_dir()).chain(self.plane.get().map(ControlPlane::dir));
        for folder in folders {
            log_progress(&format!("logs are kept in {}", folder.display()));
        }
        self.temp_dir.keep();
        if let Some(plane) = self.plane.get() {
            plane.keep_dir();
        }
    }

    async fn control_plane(&self) -> Result<&ControlPlane> {
        self.plane
            .get_or_try_init(async || {
                log_progress("starting the control plane");
                let plane = ControlPlane::start("bench-plane").await?;
                let crds = Command::new(&self.operator).arg("crds").output()?;
                plane.kubectl().apply_yaml(&String::from_utf8(crds.stdout)?).await?.into_stdout()?;
                let established = ["wait", "--for=condition=Established", "crd", "--all"];
                plane.kubectl().run(established).await?.into_stdout()?;
                Ok(plane)
            })
            .await
    }

    pub(crate) async fn new_env(&self, name: &str) -> Result<BenchEnv<'_>> {
        let plane = self.control_plane().await?;
        let namespace = plane.create_namespace(name).await?;
        namespace.kubectl().apply_yaml(RBAC_MANIFEST).await?.into_stdout()?;
        let kubeconfig = plane.kubeconfig_for(&namespace.name, SERVICE_ACCOUNT).await?;
        let sim = Simulator::start_process(self.log_dir(), name).await?;
        let settings = OperatorCommand::new(&self.operator, kubeconfig)
            .name(&namespace.name)
            .flag("--watch-namespace", &namespace.name)
            .flag("--lease-namespace", &namespace.name)
            // A fixed identity: a restarted operator reacquires its Lease at once, as a container restarted in its pod does.
            .flag("--identity", "bench")
            .flag("--box-api-url", sim.base_url());
        let settings = image::image_env().fold(settings, |settings, (name, value)| settings.env(name, value));
        let user = harness::service_account_user(&namespace.name, SERVICE_ACCOUNT);
        let env = BenchEnv {
            plane,
            client: namespace.client().await?,
            namespace: namespace.name,
            operator_user: user,
            settings,
            sim,
        };
        env.create_secret(SECRET_NAME, CLIENT_SECRET).await?;
        Ok(env)
    }
}

pub(crate) struct BenchEnv<'a> {
    pub(crate) plane: &'a ControlPlane,
    pub(crate) sim: Simulator,
    /// The operator's user name in the audit log.
    pub(crate) operator_user: String,
    pub(crate) namespace: String,
    settings: OperatorCommand,
    client: Client,
}

impl BenchEnv<'_> {
    pub(crate) fn start_operator(&self) -> Result<Operator> {
        Ok(self.settings.start(self.plane.dir())?)
    }

    pub(crate) fn start_operator_with_flag(&self, flag: &str, value: &str) -> Result<Operator> {
        Ok(self.settings.clone().flag(flag, value).start(self.plane.dir())?)
    }

    pub(crate) fn audit(&self) -> AuditLog {
        self.plane.audit_log()
    }

    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The store of a reader of the published list.
    pub(crate) fn reader_store(&self, enterprise: &str) -> Store {
        Store::new(KubeClient::new(self.client.clone()), &self.namespace, &connection_name(enterprise))
    }

    pub(crate) async fn create_secret(&self, name: &str, client_secret: &str) -> Result<()> {
        let secret: Secret = serde_json::from_value(json!({
            "metadata": {"name": name},
            "stringData": {"clientId": CLIENT_ID, "clientSecret": client_secret},
        }))?;
        self.api().create(&PostParams::default(), &secret).await?;
        Ok(())
    }

    /// Replaces invalid credentials in a Secret with valid ones.
    pub(crate) async fn fix_secret(&self, name: &str) -> Result<()> {
        let patch = json!({"stringData": {"clientSecret": CLIENT_SECRET}});
        let merge = kube::api::Patch::Merge(&patch);
        self.api::<Secret>().patch(name, &kube::api::PatchParams::default(), &merge).await?;
        Ok(())
    }

    /// Creates `count` enterprises with `users` users each; returns their IDs.
    pub(crate) async fn create_enterprises(&self, count: usize, users: usize) -> Result<Vec<String>> {
        self.create_enterprises_with(TrackingCodes::None, count, users).await
    }

    /// The same with tracking codes.
    pub(crate) async fn create_enterprises_with(
        &self,
        codes: TrackingCodes,
        count: usize,
        users: usize,
    ) -> Result<Vec<String>> {
        let ids: Vec<String> = (0..count).map(|number| (1_000_000 + number).to_string()).collect();
        stream::iter(&ids)
            .map(|id| self.sim.create_enterprise(id, users, codes))
            .buffer_unordered(CONCURRENCY)
            .try_collect::<()>()
            .await?;
        Ok(ids)
    }

    /// Creates a connection to the enterprise; see [`connection_name`].
    pub(crate) async fn connect_enterprise(&self, enterprise: &str, secret: &str) -> Result<()> {
        let connection: BoxConnection = serde_json::from_value(json!({
            "metadata": {"name": connection_name(enterprise)},
            "spec": {
                "enterpriseId": enterprise,
                // With a daily interval, a thousand connections would have two syncs due in three minutes.
                "syncInterval": "8760h",
                "auth": {"clientCredentials": {"secretRef": {"name": secret}}},
            },
        }))?;
        self.api().create(&PostParams::default(), &connection).await?;
        Ok(())
    }

    /// Connects the enterprise and waits until its list is published.
    pub(crate) async fn sync_enterprise(&self, enterprise: &str) -> Result<()> {
        let published = self.watch_connection(enterprise, is_ready).await?;
        self.connect_enterprise(enterprise, SECRET_NAME).await?;
        published.reached_at().await.map(drop)
    }

    /// Starts a watch that ends when this enterprise's connection has reached the condition.
    pub(crate) async fn watch_connection(
        &self,
        enterprise: &str,
        is_reached: fn(&BoxConnection) -> bool,
    ) -> Result<ConditionWatch> {
        start_watch(self.api(), Some(&connection_name(enterprise)), 1, is_reached).await
    }

    pub(crate) async fn connect_enterprises(&self, enterprises: &[String]) -> Result<()> {
        let all = stream::iter(enterprises).map(|id| self.connect_enterprise(id, SECRET_NAME));
        all.buffer_unordered(CONCURRENCY).try_collect::<()>().await
    }

    pub(crate) async fn create_sync_request(&self, name: &str, enterprise: &str) -> Result<()> {
        let request: UserSyncRequest = serde_json::from_value(json!({
            "metadata": {"name": name},
            "spec": {"connectionRef": {"name": connection_name(enterprise)}},
        }))?;
        self.api().create(&PostParams::default(), &request).await?;
        Ok(())
    }

    /// The time from the creation of a request to its condition Complete.
    pub(crate) async fn time_request(&self, name: &str, enterprise: &str) -> Result<Duration> {
        let completed = start_watch(self.api(), Some(name), 1, is_complete).await?;
        let begin = Instant::now();
        self.create_sync_request(name, enterprise).await?;
        Ok(completed.reached_at().await? - begin)
    }

    /// Waits until the operator has written nothing for some seconds, plus a margin.
    pub(crate) async fn wait_until_idle(&self) -> Result<()> {
        self.audit().wait_until_idle(&self.operator_user, Duration::from_secs(3), TIMEOUT).await?;
        tokio::time::sleep(Duration::from_secs(5)).await;
        Ok(())
    }
}

pub(crate) fn connection_name(enterprise: &str) -> String {
    format!("c{enterprise}")
}

pub(crate) fn is_ready(connection: &BoxConnection) -> bool {
    has_condition(connection, "Ready", ConditionStatus::True)
}

pub(crate) fn has_condition(connection: &BoxConnection, kind: &str, state: ConditionStatus) -> bool {
    connection.status.as_ref().is_some_and(|status| status.conditions.has_status(kind, state))
}

pub(crate) fn is_complete(request: &UserSyncRequest) -> bool {
    request.status.as_ref().is_some_and(|status| status.conditions.has_status("Complete", ConditionStatus::True))
}

/// A running watch that ends when the objects have reached the condition.
pub(crate) struct ConditionWatch(JoinHandle<Result<Instant>>);

impl ConditionWatch {
    /// When the condition was observed.
    pub(crate) async fn reached_at(self) -> Result<Instant> {
        self.0.await?
    }
}

/// Starts a watch that ends when `count` objects have reached the condition; with a name, only that object.
pub(crate) async fn start_watch<K>(
    api: Api<K>,
    name: Option<&str>,
    count: usize,
    is_reached: fn(&K) -> bool,
) -> Result<ConditionWatch>
where
    K: kube::Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let config = watcher::Config::default();
    let config = name.map_or(config.clone(), |name| config.fields(&format!("metadata.name={name}")));
    let (ready_sender, ready_receiver) = oneshot::channel();
    let task = tokio::spawn(async move {
        let watched = tokio::time::timeout(TIMEOUT, run_watch(api.clone(), config, count, is_reached, ready_sender));
        if let Ok(moment) = watched.await {
            return Ok(moment);
        }
        let reaching = api.list(&ListParams::default()).await?.iter().filter(|object| is_reached(object)).count();
        Err(format!("{reaching} of {count} objects reached the condition within {} s", TIMEOUT.as_secs()).into())
    });
    ready_receiver.await?;
    Ok(ConditionWatch(task))
}

async fn run_watch<K>(
    api: Api<K>,
    config: watcher::Config,
    count: usize,
    is_reached: fn(&K) -> bool,
    ready_sender: oneshot::Sender<()>,
) -> Instant
where
    K: kube::Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let (mut ready_sender, mut reaching) = (Some(ready_sender), HashSet::new());
    let mut events = watcher(api, config).default_backoff().boxed();
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Apply(object) | Event::InitApply(object)) if is_reached(&object) => {
                reaching.insert(object.name_any());
            }
            Ok(Event::Apply(object) | Event::InitApply(object) | Event::Delete(object)) => {
                reaching.remove(&object.name_any());
            }
            Ok(Event::InitDone) => drop(ready_sender.take().map(|begun| begun.send(()))),
            // The watcher restarts automatically.
            Ok(Event::Init) | Err(_) => {}
        }
        if ready_sender.is_none() && reaching.len() >= count {
            return Instant::now();
        }
    }
    future::pending().await
}

/// Resident memory in MB.
pub(crate) fn kib_to_mb(kib: Option<u64>) -> Result<f64> {
    Ok(kib.ok_or("the operator exited")? as f64 * 1024.0 / 1e6)
}
