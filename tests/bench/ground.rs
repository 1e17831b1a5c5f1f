//! ground — where an operator process is measured: one real control plane for all groups, and for each group
//! a namespace, an account with the operator's rights in it, and a simulator.

use std::collections::HashSet;
use std::fmt::Debug;
use std::future;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use boxsync::api::{BoxConnection, Conditions as _, State, UserSyncRequest};
use boxsync::cluster::Cluster;
use boxsync::roster::Store;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use harness::{Audit, ControlPlane, Operator, Options, Scratch, Settings};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ListParams, PostParams};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Client, ResourceExt as _};
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::sync::{OnceCell, oneshot};
use tokio::task::JoinHandle;

use crate::image;
use crate::simulator::{CLIENT_ID, CLIENT_SECRET, Simulator};
use crate::{Result, say};

const RIGHTS: &str = include_str!("rights.yaml");
const ACCOUNT: &str = "boxsync-operator";
/// The Secret with the right credentials.
pub(crate) const SECRET: &str = "box";
/// What is created or changed at once.
pub(crate) const AT_ONCE: usize = 8;
/// Everything that is awaited comes within this, on a busy machine too.
pub(crate) const LIMIT: Duration = Duration::from_secs(300);

pub(crate) struct Bench {
    operator: PathBuf,
    scratch: Scratch,
    plane: OnceCell<ControlPlane>,
}

impl Bench {
    pub(crate) fn new(operator: PathBuf) -> Result<Self> {
        Ok(Self { operator, scratch: Scratch::new("bench")?, plane: OnceCell::new() })
    }

    pub(crate) fn folder(&self) -> &Path {
        self.scratch.path()
    }

    /// Something could not be measured: the logs stay, for somebody to look at.
    pub(crate) fn keep_logs(&self) {
        let folders = std::iter::once(self.folder()).chain(self.plane.get().map(ControlPlane::folder));
        for folder in folders {
            say(&format!("logs are kept in {}", folder.display()));
        }
        self.scratch.keep();
        if let Some(plane) = self.plane.get() {
            plane.keep_folder();
        }
    }

    async fn plane(&self) -> Result<&ControlPlane> {
        self.plane
            .get_or_try_init(async || {
                say("starting the control plane");
                let plane =
                    ControlPlane::start(Options { name: "bench-plane".to_owned(), ..Options::default() }).await?;
                let crds = Command::new(&self.operator).arg("crds").output()?;
                plane.kubectl().apply_yaml(&String::from_utf8(crds.stdout)?).await?.succeeded()?;
                let established = ["wait", "--for=condition=Established", "crd", "--all"];
                plane.kubectl().run(established).await?.succeeded()?;
                Ok(plane)
            })
            .await
    }

    pub(crate) async fn ground(&self, name: &str) -> Result<Ground<'_>> {
        let plane = self.plane().await?;
        let namespace = plane.namespace(name).await?;
        namespace.kubectl().apply_yaml(RIGHTS).await?.succeeded()?;
        let kubeconfig = plane.kubeconfig_for(&namespace.name, ACCOUNT).await?;
        let sim = Simulator::start(self.folder(), name).await?;
        let settings = Settings::new(&self.operator, kubeconfig)
            .name(&namespace.name)
            .flag("--watch-namespace", &namespace.name)
            .flag("--lease-namespace", &namespace.name)
            // One that is killed and started again takes its Lease at once, as a container restarted in its pod.
            .flag("--identity", "bench")
            .flag("--box-api-url", sim.url());
        let settings = image::environment().fold(settings, |settings, (name, value)| settings.env(name, value));
        let user = harness::account_user(&namespace.name, ACCOUNT);
        let ground =
            Ground { plane, client: namespace.client().await?, namespace: namespace.name, user, settings, sim };
        ground.secret(SECRET, CLIENT_SECRET).await?;
        Ok(ground)
    }
}

pub(crate) struct Ground<'a> {
    pub(crate) plane: &'a ControlPlane,
    pub(crate) sim: Simulator,
    /// What the audit log calls the operator.
    pub(crate) user: String,
    pub(crate) namespace: String,
    settings: Settings,
    client: Client,
}

impl Ground<'_> {
    pub(crate) fn operator(&self) -> Result<Operator> {
        Ok(self.settings.start(self.plane.folder())?)
    }

    pub(crate) fn operator_with(&self, flag: &str, value: &str) -> Result<Operator> {
        Ok(self.settings.clone().flag(flag, value).start(self.plane.folder())?)
    }

    pub(crate) fn audit(&self) -> Audit {
        self.plane.audit()
    }

    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The published list, as a reader sees it.
    pub(crate) fn store(&self, enterprise: &str) -> Store {
        Store::new(Cluster::new(self.client.clone()), &self.namespace, &connection(enterprise))
    }

    pub(crate) async fn secret(&self, name: &str, client_secret: &str) -> Result<()> {
        let secret: Secret = serde_json::from_value(json!({
            "metadata": {"name": name},
            "stringData": {"clientId": CLIENT_ID, "clientSecret": client_secret},
        }))?;
        self.api().create(&PostParams::default(), &secret).await?;
        Ok(())
    }

    /// The right credentials into a Secret that has others.
    pub(crate) async fn mend(&self, name: &str) -> Result<()> {
        let patch = json!({"stringData": {"clientSecret": CLIENT_SECRET}});
        let merge = kube::api::Patch::Merge(&patch);
        self.api::<Secret>().patch(name, &kube::api::PatchParams::default(), &merge).await?;
        Ok(())
    }

    /// So many enterprises with so many users each; their ids.
    pub(crate) async fn enterprises(&self, count: usize, users: usize) -> Result<Vec<String>> {
        let ids: Vec<String> = (0..count).map(|number| (1_000_000 + number).to_string()).collect();
        stream::iter(&ids)
            .map(|id| self.sim.enterprise(id, users))
            .buffer_unordered(AT_ONCE)
            .try_collect::<()>()
            .await?;
        Ok(ids)
    }

    /// A connection to the enterprise, by the name `c` and its id.
    pub(crate) async fn connect(&self, enterprise: &str, secret: &str) -> Result<()> {
        let connection: BoxConnection = serde_json::from_value(json!({
            "metadata": {"name": connection(enterprise)},
            "spec": {
                "enterpriseId": enterprise,
                // Of a thousand daily ones, two syncs in three minutes would be due.
                "syncInterval": "8760h",
                "auth": {"clientCredentials": {"secretRef": {"name": secret}}},
            },
        }))?;
        self.api().create(&PostParams::default(), &connection).await?;
        Ok(())
    }

    pub(crate) async fn connect_all(&self, enterprises: &[String]) -> Result<()> {
        let all = stream::iter(enterprises).map(|id| self.connect(id, SECRET));
        all.buffer_unordered(AT_ONCE).try_collect::<()>().await
    }

    pub(crate) async fn request(&self, name: &str, enterprise: &str) -> Result<()> {
        let request: UserSyncRequest = serde_json::from_value(json!({
            "metadata": {"name": name},
            "spec": {"connectionRef": {"name": connection(enterprise)}},
        }))?;
        self.api().create(&PostParams::default(), &request).await?;
        Ok(())
    }

    /// Waits until the operator has written nothing for some seconds, and then some.
    pub(crate) async fn rest(&self) -> Result<()> {
        self.audit().quiet(&self.user, Duration::from_secs(3), LIMIT).await?;
        tokio::time::sleep(Duration::from_secs(5)).await;
        Ok(())
    }
}

pub(crate) fn connection(enterprise: &str) -> String {
    format!("c{enterprise}")
}

pub(crate) fn ready(connection: &BoxConnection) -> bool {
    is(connection, "Ready", State::True)
}

pub(crate) fn is(connection: &BoxConnection, kind: &str, state: State) -> bool {
    connection.status.as_ref().is_some_and(|status| status.conditions.is(kind, state))
}

pub(crate) fn complete(request: &UserSyncRequest) -> bool {
    request.status.as_ref().is_some_and(|status| status.conditions.is("Complete", State::True))
}

/// A watch that has begun, and ends when what it awaits has come.
pub(crate) struct Awaited(JoinHandle<Result<Instant>>);

impl Awaited {
    /// The moment at which it was seen.
    pub(crate) async fn seen(self) -> Result<Instant> {
        self.0.await?
    }
}

/// Begins to watch until `count` objects are as awaited; with a name, that object only.
pub(crate) async fn awaiting<K>(
    api: Api<K>,
    name: Option<&str>,
    count: usize,
    reached: fn(&K) -> bool,
) -> Result<Awaited>
where
    K: kube::Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let config = watcher::Config::default();
    let config = name.map_or(config.clone(), |name| config.fields(&format!("metadata.name={name}")));
    let (begun, has_begun) = oneshot::channel();
    let task = tokio::spawn(async move {
        let watched = tokio::time::timeout(LIMIT, watched(api.clone(), config, count, reached, begun));
        if let Ok(moment) = watched.await {
            return Ok(moment);
        }
        let reaching = api.list(&ListParams::default()).await?.iter().filter(|object| reached(object)).count();
        Err(format!("{reaching} of {count} objects are as awaited after {} s", LIMIT.as_secs()).into())
    });
    has_begun.await?;
    Ok(Awaited(task))
}

async fn watched<K>(
    api: Api<K>,
    config: watcher::Config,
    count: usize,
    reached: fn(&K) -> bool,
    begun: oneshot::Sender<()>,
) -> Instant
where
    K: kube::Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let (mut begun, mut reaching) = (Some(begun), HashSet::new());
    let mut events = watcher(api, config).default_backoff().boxed();
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Apply(object) | Event::InitApply(object)) if reached(&object) => {
                reaching.insert(object.name_any());
            }
            Ok(Event::Apply(object) | Event::InitApply(object) | Event::Delete(object)) => {
                reaching.remove(&object.name_any());
            }
            Ok(Event::InitDone) => drop(begun.take().map(|begun| begun.send(()))),
            // It begins again by itself.
            Ok(Event::Init) | Err(_) => {}
        }
        if begun.is_none() && reaching.len() >= count {
            return Instant::now();
        }
    }
    future::pending().await
}

/// Resident memory in MB.
pub(crate) fn mb(kib: Option<u64>) -> Result<f64> {
    Ok(kib.ok_or("the operator has ended")? as f64 * 1024.0 / 1e6)
}

/// The part of it, in MB, that is no file: the rest is mostly the program's own text, and the kernel can drop that.
pub(crate) fn anonymous(operator: &Operator) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", operator.process().pid()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    mb(line.and_then(|line| line.split_whitespace().next()?.parse().ok()))
}
