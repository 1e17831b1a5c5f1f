//! Command lines of the control plane, and starting it on free ports.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::{MAX_START_ATTEMPTS, exited_error, identity::AdminCredentials, ports};
use crate::{
    error::{Context as _, Error, Result},
    process::Process,
};

/// Metadata of every request, once, when it is answered; a watch also when it begins. Questions about
/// health would only fill the log.
const AUDIT_POLICY: &str = "\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: None
  nonResourceURLs: [/healthz*, /livez*, /readyz*]
- level: Metadata
";

/// What a cluster without nodes needs: garbage is collected, namespaces are emptied, every namespace has
/// its `default` ServiceAccount, aggregated ClusterRoles are filled, quotas count, Jobs make their pods.
const CONTROLLERS: &str = "garbage-collector-controller,namespace-controller,serviceaccount-controller,\
    clusterrole-aggregation-controller,resourcequota-controller,job-controller";

pub(super) struct ProcessLauncher {
    dir: PathBuf,
    credentials: AdminCredentials,
    etcd_port: u16,
    api_port: u16,
    api_server: PathBuf,
}

impl ProcessLauncher {
    pub(super) fn new(folder: &Path) -> Result<Self> {
        let policy = folder.join("audit-policy.yaml");
        fs::write(&policy, AUDIT_POLICY).with_context(|| format!("cannot write {}", policy.display()))?;
        Ok(Self {
            dir: folder.to_owned(),
            credentials: AdminCredentials::create(folder)?,
            etcd_port: 0,
            api_port: 0,
            api_server: PathBuf::new(),
        })
    }

    pub(super) fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.api_port)
    }

    pub(super) fn token(&self) -> &str {
        &self.credentials.token
    }

    pub(super) fn audit_log_path(&self) -> PathBuf {
        self.dir.join("audit.log")
    }

    /// Starts etcd and the API server together: the latter waits for the former. Between looking for a free
    /// port and listening on it somebody else may have taken it; then both are started anew.
    pub(super) async fn start_etcd_and_api_server(
        &mut self,
        etcd: &Path,
        api_server: &Path,
        deadline: Instant,
    ) -> Result<(Process, Process)> {
        self.api_server = api_server.to_owned();
        let mut attempt = 1;
        loop {
            self.etcd_port = ports::find_free_port()?;
            self.api_port = ports::find_free_port()?;
            let data = self.dir.join(format!("etcd-{attempt}"));
            let etcd = self.spawn_process("etcd", &self.etcd_command(etcd, &data))?;
            let api_server = self.start_api_server()?;
            match self.wait_until_listening(&etcd, &api_server, deadline).await {
                Ok(()) => return Ok((etcd, api_server)),
                Err(e) if attempt == MAX_START_ATTEMPTS || !is_port_taken(&etcd, &api_server) => return Err(e),
                Err(_) => attempt += 1,
            }
        }
    }

    pub(super) fn start_api_server(&self) -> Result<Process> {
        self.spawn_process("kube-apiserver", &self.api_server_command())
    }

    pub(super) fn spawn_process(&self, name: &str, command: &Command) -> Result<Process> {
        Process::spawn(name, command, &self.dir.join(format!("{name}.log")))
    }

    /// The API server creates its certificate and the CA that signed it at its first start.
    pub(super) async fn wait_for_certificate(&self, api_server: &Process, deadline: Instant) -> Result<String> {
        loop {
            // The file exists before it is complete.
            if let Ok(pem) = self.read_certificate()
                && pem.trim_end().ends_with("-----END CERTIFICATE-----")
            {
                return Ok(pem);
            }
            if !api_server.is_running() || Instant::now() >= deadline {
                return Err(Error::new("the API server wrote no certificate"));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(super) fn read_certificate(&self) -> Result<String> {
        let path = self.dir.join("certificates/apiserver.crt");
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    }

    fn etcd_command(&self, program: &Path, data: &Path) -> Command {
        let url = format!("http://127.0.0.1:{}", self.etcd_port);
        let mut command = Command::new(program);
        command
            .arg("--data-dir")
            .arg(data)
            .arg(format!("--listen-client-urls={url}"))
            .arg(format!("--advertise-client-urls={url}"))
            .args(["--listen-peer-urls=http://127.0.0.1:0", "--log-level=warn"])
            // The data is temporary.
            .arg("--unsafe-no-fsync");
        command
    }

    fn api_server_command(&self) -> Command {
        let file = |name: &str| self.dir.join(name).display().to_string();
        let mut command = Command::new(&self.api_server);
        command
            .arg(format!("--etcd-servers=http://127.0.0.1:{}", self.etcd_port))
            .args(["--bind-address=127.0.0.1", "--advertise-address=127.0.0.1"])
            .arg(format!("--secure-port={}", self.api_port))
            .arg(format!("--cert-dir={}", file("certificates")))
            // It would publish a loopback address as an Endpoint, which validation rejects.
            .arg("--endpoint-reconciler-type=none")
            .args(["--authorization-mode=RBAC", "--service-cluster-ip-range=10.0.0.0/24"])
            .arg(format!("--token-auth-file={}", file("tokens.csv")))
            .arg("--service-account-issuer=https://kubernetes.default.svc")
            .arg(format!("--service-account-key-file={}", file("service-accounts.pub")))
            .arg(format!("--service-account-signing-key-file={}", file("service-accounts.key")))
            .arg(format!("--audit-policy-file={}", file("audit-policy.yaml")))
            // Never rotated: offsets are positions in the file.
            .args([format!("--audit-log-path={}", file("audit.log")), "--audit-log-maxsize=100000".into()]);
        command
    }

    pub(super) fn controller_manager_command(&self, program: &Path, kubeconfig: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .arg(format!("--kubeconfig={}", kubeconfig.display()))
            .arg(format!("--controllers={CONTROLLERS}"))
            .arg("--service-account-private-key-file")
            .arg(self.dir.join("service-accounts.key"))
            .args(["--use-service-account-credentials", "--leader-elect=false"])
            // It does not need to listen.
            .args(["--bind-address=127.0.0.1", "--secure-port=0"]);
        command
    }

    async fn wait_until_listening(&self, etcd: &Process, api_server: &Process, deadline: Instant) -> Result<()> {
        // Not by connecting: another process may be listening on the port.
        let serving = format!("Serving securely on 127.0.0.1:{}", self.api_port);
        loop {
            for process in [etcd, api_server] {
                if !process.is_running() {
                    return Err(exited_error(process));
                }
            }
            if api_server.log().contains(&serving) {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(Error::new("the API server is not listening"));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn is_port_taken(etcd: &Process, api_server: &Process) -> bool {
    [etcd, api_server].iter().any(|process| process.log().contains("address already in use"))
}
