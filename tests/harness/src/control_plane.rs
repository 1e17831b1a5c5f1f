//! control_plane — etcd, API server and controller manager as processes on free loopback ports.
//!
//! Garbage collection learns of a new CRD within 30 s (the controller manager's own period): what a custom
//! object owned may go that much later.
//!
//! Nothing in here belongs to an async runtime, so a control plane may outlive the one that started it;
//! clients do belong to one and are therefore made anew for every caller.

mod commands;
mod identity;
mod kubeconfig;
mod ports;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{Api, PostParams};
use kube::{Client, Config};

use crate::audit::Audit;
use crate::error::{Error, Result, While as _};
use crate::kubectl::Kubectl;
use crate::process::Process;
use crate::scratch::Scratch;
use crate::tools::{self, Tool};

use commands::Plan;

/// Two seconds on an idle machine; the limit is for a busy one.
const START: Duration = Duration::from_secs(90);
const ATTEMPTS: usize = 5;

pub struct Options {
    /// Appears in the name of the folder with the logs.
    pub name: String,
    /// Further flags of the API server.
    pub api_server_args: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { name: "control-plane".to_owned(), api_server_args: Vec::new() }
    }
}

/// Fields are dropped in order: the processes end before their folder goes.
pub struct ControlPlane {
    controller_manager: Process,
    api_server: Process,
    etcd: Process,
    plan: Plan,
    kubectl: PathBuf,
    admin: PathBuf,
    scratch: Arc<Scratch>,
}

impl ControlPlane {
    /// Starts all three and returns when the API server is ready.
    pub async fn start(options: Options) -> Result<Self> {
        const NEEDED: &[Tool] = &[Tool::Etcd, Tool::KubeApiserver, Tool::KubeControllerManager, Tool::Kubectl];
        crate::install_crypto();
        let tools = tools::find_all(NEEDED).await?;
        let [etcd, api_server, controller_manager, kubectl] = tools.as_slice() else {
            return Err(Error::new("not all tools were found"));
        };
        let scratch = Arc::new(Scratch::new(&options.name)?);
        let started = async {
            let deadline = Instant::now() + START;
            let mut plan = Plan::new(scratch.path(), options.api_server_args)?;
            let (etcd, api_server) = plan.start(etcd, api_server, deadline).await?;
            let ca = plan.certificate(&api_server, deadline).await?;
            let admin = scratch.path().join("admin.kubeconfig");
            kubeconfig::write(&admin, &plan.url(), &ca, plan.token(), "default")?;
            // It waits for the API server by itself.
            let command = plan.controller_manager(controller_manager, &admin);
            let controller_manager = plan.spawn("kube-controller-manager", &command)?;
            let plane = Self {
                controller_manager,
                api_server,
                etcd,
                plan,
                kubectl: kubectl.clone(),
                admin,
                scratch: Arc::clone(&scratch),
            };
            plane.ready(deadline).await?;
            Ok(plane)
        };
        started.await.map_err(|e: Error| {
            scratch.keep();
            Error::new(format!("{e}\nlogs are kept in {}", scratch.path().display()))
        })
    }

    /// `https://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        self.plan.url()
    }

    /// The folder with the logs, kubeconfigs and data; for more of the kind. It goes with the control plane.
    pub fn folder(&self) -> &Path {
        self.scratch.path()
    }

    /// From now on the folder stays when the control plane ends, for somebody to look at.
    pub fn keep_folder(&self) {
        self.scratch.keep();
    }

    pub fn audit(&self) -> Audit {
        Audit::at(self.plan.audit_log())
    }

    pub fn api_server(&self) -> &Process {
        &self.api_server
    }

    pub fn etcd(&self) -> &Process {
        &self.etcd
    }

    pub fn controller_manager(&self) -> &Process {
        &self.controller_manager
    }

    /// May do everything (`system:masters`).
    pub fn admin_kubeconfig(&self) -> &Path {
        &self.admin
    }

    /// A new client with the admin's rights, for this runtime.
    pub async fn admin_client(&self) -> Result<Client> {
        client(&self.admin).await
    }

    /// kubectl with the admin's rights.
    pub fn kubectl(&self) -> Kubectl {
        self.kubectl_as(&self.admin)
    }

    pub fn kubectl_as(&self, kubeconfig: &Path) -> Kubectl {
        Kubectl::new(&self.kubectl, kubeconfig).cache(&self.folder().join("kubectl-cache"))
    }

    /// A kubeconfig that acts as the ServiceAccount, by a token of a day. Its default namespace is the
    /// ServiceAccount's.
    pub async fn kubeconfig_for(&self, namespace: &str, account: &str) -> Result<PathBuf> {
        let asking = || format!("no token for ServiceAccount {namespace}/{account}");
        let accounts: Api<ServiceAccount> = Api::namespaced(self.admin_client().await?, namespace);
        let spec = TokenRequestSpec { expiration_seconds: Some(24 * 3600), ..TokenRequestSpec::default() };
        let request = TokenRequest { spec, ..TokenRequest::default() };
        let granted = accounts.create_token_request(account, &PostParams::default(), &request).await.during(asking)?;
        let token = granted.status.map(|status| status.token).ok_or_else(|| Error::new(asking()))?;
        let path = self.folder().join(format!("{namespace}.{account}.kubeconfig"));
        let ca = self.plan.read_certificate()?;
        kubeconfig::write(&path, &self.url(), &ca, &token, namespace)?;
        Ok(path)
    }

    /// A new client that acts as the ServiceAccount, for this runtime.
    pub async fn client_for(&self, namespace: &str, account: &str) -> Result<Client> {
        client(&self.kubeconfig_for(namespace, account).await?).await
    }

    /// Ends the API server hard: connections break, the port is closed. The data stays in etcd.
    pub fn stop_api_server(&mut self) -> Result<()> {
        self.api_server.kill().map(drop)
    }

    /// Starts it again on the same port and with the same certificate, and waits until it is ready.
    pub async fn start_api_server(&mut self) -> Result<()> {
        let deadline = Instant::now() + START;
        self.api_server = self.plan.start_api_server_again()?;
        self.ready(deadline).await
    }

    /// Freezes the API server: connections stay open, nobody answers.
    pub async fn pause_api_server(&self) -> Result<()> {
        self.api_server.pause().await
    }

    pub async fn resume_api_server(&self) -> Result<()> {
        self.api_server.resume().await
    }

    async fn ready(&self, deadline: Instant) -> Result<()> {
        let client = client(&self.admin).await?;
        loop {
            let request = http::Request::get("/readyz").body(Vec::new());
            let request = request.during(|| "no request".to_owned())?;
            let asked = tokio::time::timeout(Duration::from_secs(2), client.request_text(request));
            let seen = match asked.await {
                Ok(Ok(_)) => return Ok(()),
                Ok(Err(e)) => e.to_string(),
                Err(_) => "no answer in 2 s".to_owned(),
            };
            for process in [&self.etcd, &self.api_server] {
                if !process.is_running() {
                    return Err(ended(process));
                }
            }
            if Instant::now() >= deadline {
                return Err(Error::new(format!("the API server is not ready after {START:?}: {seen}")));
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }
}

fn ended(process: &Process) -> Error {
    let log = process.log();
    let lines: Vec<_> = log.lines().collect();
    let end = lines.split_at(lines.len().saturating_sub(15)).1.join("\n");
    Error::new(format!("{} ended:\n{end}", process.name()))
}

/// Reads the kubeconfig. No retries by the client: whoever awaits something here tries again anyway, and
/// fifteen silent tries would hide what a test is about.
async fn client(path: &Path) -> Result<Client> {
    let reading = || format!("cannot use {}", path.display());
    let text = fs::read_to_string(path).during(reading)?;
    let parsed = kube::config::Kubeconfig::from_yaml(&text).during(reading)?;
    let mut config = Config::from_custom_kubeconfig(parsed, &Default::default()).await.during(reading)?;
    config.default_retry = false;
    config.proxy_url = None;
    Client::try_from(config).during(reading)
}
