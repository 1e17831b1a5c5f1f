//! etcd, API server and controller manager as processes on free loopback ports.
//!
//! The garbage collector detects a new CRD within 30 s (the controller manager's period), so dependents of a custom
//! object may be deleted that much later.
//!
//! A control plane is not bound to an async runtime and may outlive the one that started it. Clients are bound to one,
//! so every caller gets a new client.

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

use crate::{
    audit::AuditLog,
    error::{Context as _, Error, Result},
    kubectl::Kubectl,
    process::Process,
    temp_dir::TempDir,
    tools::{self, Tool},
};

use commands::ProcessLauncher;

/// Two seconds on an idle machine; the limit is for a busy one.
const START_TIMEOUT: Duration = Duration::from_secs(90);
const MAX_START_ATTEMPTS: usize = 5;

/// Fields are dropped in order: the processes exit before their directory is removed.
pub struct ControlPlane {
    controller_manager: Process,
    api_server: Process,
    etcd: Process,
    launcher: ProcessLauncher,
    kubectl: PathBuf,
    admin: PathBuf,
    temp_dir: Arc<TempDir>,
}

impl ControlPlane {
    /// Starts all three and returns when the API server is ready. The name becomes part of the log directory's.
    pub async fn start(name: &str) -> Result<Self> {
        const NEEDED: &[Tool] = &[Tool::Etcd, Tool::KubeApiserver, Tool::KubeControllerManager, Tool::Kubectl];
        crate::install_crypto_provider();
        let tools = tools::find_tools(NEEDED).await?;
        let [etcd, api_server, controller_manager, kubectl] = tools.as_slice() else {
            return Err(Error::new("not all tools were found"));
        };
        let temp_dir = Arc::new(TempDir::new(name)?);
        let started = async {
            let deadline = Instant::now() + START_TIMEOUT;
            let mut launcher = ProcessLauncher::new(temp_dir.path())?;
            let (etcd, api_server) = launcher.start_etcd_and_api_server(etcd, api_server, deadline).await?;
            let ca = launcher.wait_for_certificate(&api_server, deadline).await?;
            let admin = temp_dir.path().join("admin.kubeconfig");
            kubeconfig::write_kubeconfig(&admin, &launcher.url(), &ca, launcher.token(), "default")?;
            // It waits for the API server.
            let command = launcher.controller_manager_command(controller_manager, &admin);
            let controller_manager = launcher.spawn_process("kube-controller-manager", &command)?;
            let plane = Self {
                controller_manager,
                api_server,
                etcd,
                launcher,
                kubectl: kubectl.clone(),
                admin,
                temp_dir: Arc::clone(&temp_dir),
            };
            plane.wait_until_ready(deadline).await?;
            Ok(plane)
        };
        started.await.map_err(|e: Error| {
            temp_dir.keep();
            Error::new(format!("{e}\nlogs kept in {}", temp_dir.path().display()))
        })
    }

    /// `https://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        self.launcher.url()
    }

    /// The directory of logs, kubeconfigs and data. It is removed with the control plane.
    pub fn dir(&self) -> &Path {
        self.temp_dir.path()
    }

    /// Keeps the directory when the control plane stops.
    pub fn keep_dir(&self) {
        self.temp_dir.keep();
    }

    pub fn audit_log(&self) -> AuditLog {
        AuditLog::open(self.launcher.audit_log_path())
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

    /// Has all rights (`system:masters`).
    pub fn admin_kubeconfig(&self) -> &Path {
        &self.admin
    }

    /// A new admin client, for this runtime.
    pub async fn admin_client(&self) -> Result<Client> {
        client_from_kubeconfig(&self.admin).await
    }

    /// kubectl as admin.
    pub fn kubectl(&self) -> Kubectl {
        self.kubectl_as(&self.admin)
    }

    pub fn kubectl_as(&self, kubeconfig: &Path) -> Kubectl {
        Kubectl::new(&self.kubectl, kubeconfig).with_cache_dir(&self.dir().join("kubectl-cache"))
    }

    /// A kubeconfig that acts as the ServiceAccount, by a token of a day. Its default namespace is the
    /// ServiceAccount's.
    pub async fn kubeconfig_for(&self, namespace: &str, account: &str) -> Result<PathBuf> {
        let error_context = || format!("no token for ServiceAccount {namespace}/{account}");
        let accounts: Api<ServiceAccount> = Api::namespaced(self.admin_client().await?, namespace);
        let spec = TokenRequestSpec { expiration_seconds: Some(24 * 3600), ..TokenRequestSpec::default() };
        let request = TokenRequest { spec, ..TokenRequest::default() };
        let granted = accounts
            .create_token_request(account, &PostParams::default(), &request)
            .await
            .with_context(error_context)?;
        let token = granted.status.map(|status| status.token).ok_or_else(|| Error::new(error_context()))?;
        let path = self.dir().join(format!("{namespace}.{account}.kubeconfig"));
        let ca = self.launcher.read_certificate()?;
        kubeconfig::write_kubeconfig(&path, &self.url(), &ca, &token, namespace)?;
        Ok(path)
    }

    /// A new client of the ServiceAccount, for this runtime.
    pub async fn client_for(&self, namespace: &str, account: &str) -> Result<Client> {
        client_from_kubeconfig(&self.kubeconfig_for(namespace, account).await?).await
    }

    /// Kills the API server: connections break, the port is closed. The data stays in etcd.
    pub fn stop_api_server(&mut self) -> Result<()> {
        self.api_server.kill().map(drop)
    }

    /// Restarts the API server with the same port and certificate, and waits until it is ready.
    pub async fn start_api_server(&mut self) -> Result<()> {
        let deadline = Instant::now() + START_TIMEOUT;
        self.api_server = self.launcher.start_api_server()?;
        self.wait_until_ready(deadline).await
    }

    /// Freezes the API server: connections stay open without responses.
    pub async fn pause_api_server(&self) -> Result<()> {
        self.api_server.pause().await
    }

    pub async fn resume_api_server(&self) -> Result<()> {
        self.api_server.resume().await
    }

    async fn wait_until_ready(&self, deadline: Instant) -> Result<()> {
        let client = client_from_kubeconfig(&self.admin).await?;
        loop {
            let request = http::Request::get("/readyz").body(Vec::new());
            let request = request.with_context(|| "no request".to_owned())?;
            let attempt = tokio::time::timeout(Duration::from_secs(2), client.request_text(request));
            let last_error = match attempt.await {
                Ok(Ok(_)) => return Ok(()),
                Ok(Err(e)) => e.to_string(),
                Err(_) => "no response within 2 s".to_owned(),
            };
            for process in [&self.etcd, &self.api_server] {
                if !process.is_running() {
                    return Err(exited_error(process));
                }
            }
            if Instant::now() >= deadline {
                return Err(Error::new(format!("API server not ready after {START_TIMEOUT:?}: {last_error}")));
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }
}

fn exited_error(process: &Process) -> Error {
    let log = process.log();
    let lines: Vec<_> = log.lines().collect();
    let end = lines.split_at(lines.len().saturating_sub(15)).1.join("\n");
    Error::new(format!("{} ended:\n{end}", process.name()))
}

/// A client without retries: callers that wait for something retry anyway, and 15 silent retries would hide errors from
/// a test.
async fn client_from_kubeconfig(path: &Path) -> Result<Client> {
    let error_context = || format!("cannot use {}", path.display());
    let text = fs::read_to_string(path).with_context(error_context)?;
    let parsed = kube::config::Kubeconfig::from_yaml(&text).with_context(error_context)?;
    let mut config = Config::from_custom_kubeconfig(parsed, &Default::default()).await.with_context(error_context)?;
    config.default_retry = false;
    config.proxy_url = None;
    Client::try_from(config).with_context(error_context)
}
