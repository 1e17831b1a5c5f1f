//! The operator's binary as a process with the rights of a ServiceAccount.
//!
//! When it ends, its log is searched for the registered secrets.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::{
    error::{Context as _, Error, Result},
    process::Process,
    secrets::Secrets,
};

/// kube's client uses `HTTPS_PROXY` for every address of a kubeconfig, including loopback, and would fail.
/// A test that needs a proxy for Box sets it with [`OperatorCommand::env`].
pub const PROXY_VARIABLES: &[&str] =
    &["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"];

/// The command line: binary, kubeconfig, flags, environment.
#[derive(Clone)]
pub struct OperatorCommand {
    binary: PathBuf,
    kubeconfig: PathBuf,
    name: String,
    args: Vec<String>,
    env: Vec<(String, String)>,
    secrets: Secrets,
}

impl OperatorCommand {
    pub fn new(binary: impl Into<PathBuf>, kubeconfig: impl Into<PathBuf>) -> Self {
        Self {
            binary: binary.into(),
            kubeconfig: kubeconfig.into(),
            name: "operator".to_owned(),
            args: Vec::new(),
            env: Vec::new(),
            secrets: Secrets::default(),
        }
    }

    /// The name of the log file.
    #[must_use]
    pub fn name(mut self, name: &str) -> Self {
        self.name = name.to_owned();
        self
    }

    /// A flag of `boxsync-operator run`: `.flag("--box-api-url", url)`.
    #[must_use]
    pub fn flag(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        self.args.push(format!("{name}={value}"));
        self
    }

    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.push((name.to_owned(), value.into()));
        self
    }

    /// Secrets that must not appear in its log.
    #[must_use]
    pub fn secrets(mut self, secrets: &Secrets) -> Self {
        self.secrets = secrets.clone();
        self
    }

    /// Runs another subcommand. Returns its stdout.
    pub async fn run_subcommand<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Result<String> {
        let mut command = Command::new(&self.binary);
        let args: Vec<_> = args.into_iter().collect();
        command.args(&args);
        crate::kubectl::run_command(command, "", format!("boxsync-operator {}", args.join(" "))).await?.into_stdout()
    }

    /// Starts it with a log file in `folder`, usually the control plane's directory.
    pub fn start(&self, folder: &Path) -> Result<Operator> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let log = folder.join(format!("{}-{count}.log", self.name));
        let process = self.spawn_operator(&log)?;
        Ok(Operator { command: self.clone(), process, log, started_at: Instant::now() })
    }

    fn spawn_operator(&self, log: &Path) -> Result<Process> {
        let mut command = Command::new(&self.binary);
        for name in PROXY_VARIABLES {
            command.env_remove(name);
        }
        command
            .arg("run")
            .args(&self.args)
            .env("KUBECONFIG", &self.kubeconfig)
            // Several may run on one machine.
            .env("BOXSYNC_LISTEN", "127.0.0.1:0")
            .envs(self.env.iter().map(|(name, value)| (name, value)));
        Process::spawn(&self.name, &command, log)
    }
}

pub struct Operator {
    command: OperatorCommand,
    process: Process,
    log: PathBuf,
    started_at: Instant,
}

impl Operator {
    /// For memory, CPU time, pid, state, pause and resume.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// The time of the last start.
    pub fn started_at(&self) -> Instant {
        self.started_at
    }

    /// Simulates a crash: SIGKILL.
    pub fn kill(&mut self) -> Result<ExitStatus> {
        self.process.kill()
    }

    /// Like Kubernetes: SIGTERM; an error if it takes longer than `limit`.
    pub async fn terminate(&mut self, limit: Duration) -> Result<ExitStatus> {
        self.process.terminate(limit).await
    }

    /// Kills it if it is running, and starts it with the same settings and the same log.
    pub fn restart(&mut self) -> Result<()> {
        self.process.kill()?;
        self.process = self.command.spawn_operator(&self.log)?;
        self.started_at = Instant::now();
        Ok(())
    }

    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// Its output since the first start.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// The log's lines that are JSON objects (`--log-format=json`).
    pub fn log_lines(&self) -> Vec<serde_json::Value> {
        self.log().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Sends a GET request to its admin server. Returns status code and body.
    pub async fn http_get(&self, path: &str) -> Result<(u16, String)> {
        let lines = self.log_lines();
        let listening = lines.iter().rfind(|line| line["message"] == "listening").and_then(|l| l["address"].as_str());
        let address = listening.ok_or_else(|| Error::new("the operator log has no \"listening\" line"))?;
        let exchange = async {
            let mut socket = TcpStream::connect(address).await?;
            socket.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await?;
            let mut response = String::new();
            socket.read_to_string(&mut response).await.map(|_| response)
        };
        let response = exchange.await.with_context(|| format!("GET {path} at {address} failed"))?;
        let (head, text) = response.split_once("\r\n\r\n").unwrap_or_default();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        Ok((status.ok_or_else(|| Error::new(format!("invalid HTTP response: {head}")))?, text.to_owned()))
    }

    /// Panics if the log contains a registered secret.
    pub fn assert_no_secret_in_log(&self) {
        self.command.secrets.assert_absent(&self.log.display().to_string(), &self.log());
    }

    /// The last lines of the log, for failure messages.
    pub fn last_lines(&self, count: usize) -> Result<String> {
        let text = fs::read_to_string(&self.log).with_context(|| format!("cannot read {}", self.log.display()))?;
        let lines: Vec<_> = text.lines().collect();
        Ok(lines.split_at(lines.len().saturating_sub(count)).1.join("\n"))
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let Some(found) = self.command.secrets.find_in(&self.log.display().to_string(), &self.log()) else {
            return;
        };
        // A second panic would abort and hide the first.
        if std::thread::panicking() {
            eprintln!("{found}");
        } else {
            panic!("{found}");
        }
    }
}
