//! operator — the operator's binary as a process, under the rights of a ServiceAccount.
//!
//! However it ends, its log is then looked through for the secrets that the test has planted.

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

/// kube's client takes `HTTPS_PROXY` for every address of a kubeconfig, loopback included, and would fail.
/// A test that wants a proxy for Box sets it by [`OperatorCommand::env`].
const PROXY_VARIABLES: &[&str] = &["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"];

/// How to start it: binary, kubeconfig, flags, environment.
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

    /// Becomes the log's name.
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

    /// What must not stand in its log.
    #[must_use]
    pub fn secrets(mut self, secrets: &Secrets) -> Self {
        self.secrets = secrets.clone();
        self
    }

    /// Runs another of its commands to its end: what it printed.
    pub async fn run_subcommand<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Result<String> {
        let mut command = Command::new(&self.binary);
        let args: Vec<_> = args.into_iter().collect();
        command.args(&args);
        crate::kubectl::run_command(command, "", format!("boxsync-operator {}", args.join(" "))).await?.into_stdout()
    }

    /// Starts it; the log goes into `folder`, usually the control plane's.
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
            // Many may run on one machine.
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
    /// Memory, CPU, pid, whether it runs, pause and resume.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// When it was started last.
    pub fn started_at(&self) -> Instant {
        self.started_at
    }

    /// As a crash: SIGKILL.
    pub fn kill(&mut self) -> Result<ExitStatus> {
        self.process.kill()
    }

    /// As Kubernetes ends a pod: SIGTERM, and an error where it needs longer than `limit`.
    pub async fn terminate(&mut self, limit: Duration) -> Result<ExitStatus> {
        self.process.terminate(limit).await
    }

    /// Kills it if it still runs, and starts it with the same settings and the same log.
    pub fn restart(&mut self) -> Result<()> {
        self.process.kill()?;
        self.process = self.command.spawn_operator(&self.log)?;
        self.started_at = Instant::now();
        Ok(())
    }

    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// Everything it has printed, over all of its starts.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// The log's lines that are JSON objects (`--log-format=json`).
    pub fn log_lines(&self) -> Vec<serde_json::Value> {
        self.log().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Asks it at its port, as it was started last: the status and the text of the page.
    pub async fn http_get(&self, path: &str) -> Result<(u16, String)> {
        let lines = self.log_lines();
        let listening = lines.iter().rfind(|line| line["message"] == "listening").and_then(|l| l["address"].as_str());
        let address = listening.ok_or_else(|| Error::new("the operator does not say that it is listening"))?;
        let exchange = async {
            let mut socket = TcpStream::connect(address).await?;
            socket.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await?;
            let mut response = String::new();
            socket.read_to_string(&mut response).await.map(|_| response)
        };
        let response = exchange.await.with_context(|| format!("the operator did not answer {path} at {address}"))?;
        let (head, text) = response.split_once("\r\n\r\n").unwrap_or_default();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        Ok((status.ok_or_else(|| Error::new(format!("no answer: {head}")))?, text.to_owned()))
    }

    /// Fails if one of the planted secrets stands in the log so far.
    pub fn assert_no_secret_in_log(&self) {
        self.command.secrets.assert_absent(&self.log.display().to_string(), &self.log());
    }

    /// For a failure's message: the last lines it printed.
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
