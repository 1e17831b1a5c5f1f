//! Credential plugins of a kubeconfig: the program that is run, and what it prints
//! (`client.authentication.k8s.io`, versions v1 and v1beta1).

use std::{
    io::{self, Read, Write as _},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};

use super::kubeconfig::{ExecConfig, KubeconfigCluster};
use crate::text::clamp_text;

const GROUP: &str = "client.authentication.k8s.io";
/// Certificates with their chain have some KiB.
const MAX_STDOUT_BYTES: u64 = 1 << 20;
/// Of what it says on stderr, the end counts: there the error stands.
const KEPT_STDERR_BYTES: usize = 4 << 10;
const MAX_STDERR_CHARS: usize = 500;
const MAX_HINT_CHARS: usize = 1_000;
/// How long what a finished plugin wrote to stderr is waited for, if a process that it left behind holds the pipe.
const STDERR_TIMEOUT: Duration = Duration::from_secs(1);
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Why the `exec` of a kubeconfig cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidExecConfig {
    #[error("the credential plugin of the kubeconfig has no command")]
    NoCommand,
    #[error("the credential plugin {0} needs apiVersion {GROUP}/v1 or v1beta1")]
    ApiVersion(String),
    #[error("the credential plugin {0} needs interactiveMode Never, IfAvailable or Always")]
    InteractiveMode(String),
}

/// Why a credential plugin gave no credentials. The texts hold neither its standard output nor values of its `env`.
#[derive(Debug, thiserror::Error)]
pub enum ExecPluginError {
    #[error("the credential plugin {command} was not found{hint}")]
    NotFound { command: String, hint: String },
    #[error("the credential plugin {command} cannot be run: {cause}{hint}")]
    NotStarted { command: String, cause: io::Error, hint: String },
    #[error(
        "the credential plugin {command} must ask at a terminal (interactiveMode: Always), and standard input is none"
    )]
    NoTerminal { command: String },
    #[error("the credential plugin {command} {outcome}{stderr}{hint}")]
    Failed { command: String, outcome: String, stderr: String, hint: String },
    #[error("the credential plugin {command} printed {what}")]
    InvalidOutput { command: String, what: String },
}

/// How plugins may be run.
#[derive(Clone, Copy, Debug)]
pub struct ExecSettings {
    /// Standard input is a terminal with a person at it. Otherwise a plugin must not read it: it may hold something for
    /// this process.
    pub interactive: bool,
    /// What a plugin writes to stderr is shown at once, since it may ask the person to open a page.
    pub show_stderr: bool,
    pub timeout: Option<Duration>,
}

/// What a plugin gave.
pub(super) struct IssuedCredentials {
    pub(super) token: Option<SecretString>,
    /// Certificates and key in PEM.
    pub(super) identity: Option<(String, SecretString)>,
    pub(super) expires: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum InteractiveMode {
    Never,
    IfAvailable,
    Always,
}

#[derive(Clone, Debug)]
pub(super) struct ExecPlugin {
    command: String,
    args: Vec<String>,
    env: Vec<(String, SecretString)>,
    api_version: String,
    mode: InteractiveMode,
    hint: String,
    cluster_info: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExecCredential {
    api_version: Option<String>,
    kind: Option<String>,
    status: Option<ExecCredentialStatus>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExecCredentialStatus {
    token: Option<SecretString>,
    client_certificate_data: Option<String>,
    client_key_data: Option<SecretString>,
    expiration_timestamp: Option<Timestamp>,
}

impl ExecPlugin {
    /// `ca` is the cluster's certificate authority, base64 of PEM, for plugins that ask for the cluster.
    ///
    /// # Errors
    /// A field is missing, or has a value that kubectl rejects.
    pub(super) fn new(
        config: ExecConfig,
        cluster: &KubeconfigCluster,
        ca: Option<String>,
    ) -> Result<Self, InvalidExecConfig> {
        let ExecConfig { api_version, command, args, env, install_hint, interactive_mode, provide_cluster_info } =
            config;
        let command = command.filter(|command| !command.is_empty()).ok_or(InvalidExecConfig::NoCommand)?;
        let shown = || clamp_text(&command, MAX_STDERR_CHARS);
        let api_version = api_version.unwrap_or_default();
        let is_beta = api_version == format!("{GROUP}/v1beta1");
        if !is_beta && api_version != format!("{GROUP}/v1") {
            return Err(InvalidExecConfig::ApiVersion(shown()));
        }
        let mode = match interactive_mode.as_deref().filter(|mode| !mode.is_empty()) {
            Some("Never") => InteractiveMode::Never,
            Some("IfAvailable") => InteractiveMode::IfAvailable,
            Some("Always") => InteractiveMode::Always,
            None if is_beta => InteractiveMode::IfAvailable,
            Some(_) | None => return Err(InvalidExecConfig::InteractiveMode(shown())),
        };
        let hint = install_hint.map(|hint| clamp_lines(&hint)).filter(|hint| !hint.is_empty());
        Ok(Self {
            args: args.unwrap_or_default(),
            env: env.into_iter().flatten().map(|v| (v.name, v.value.unwrap_or_default())).collect(),
            api_version,
            mode,
            hint: hint.map_or_else(String::new, |hint| format!(".\n{hint}")),
            cluster_info: provide_cluster_info.unwrap_or_default().then(|| cluster_info(cluster, ca)),
            command,
        })
    }

    /// Runs the plugin and waits until it exits.
    ///
    /// # Errors
    /// It could not be run, failed, took too long, or printed no credentials.
    pub(super) fn run(&self, settings: ExecSettings) -> Result<IssuedCredentials, ExecPluginError> {
        let interactive = match self.mode {
            InteractiveMode::Never => false,
            InteractiveMode::IfAvailable => settings.interactive,
            InteractiveMode::Always if settings.interactive => true,
            InteractiveMode::Always => return Err(ExecPluginError::NoTerminal { command: self.shown_command() }),
        };
        let mut child = self.start(interactive)?;
        let stdout = child.stdout.take().map(|stdout| {
            thread::spawn(move || {
                let mut bytes = Vec::new();
                stdout.take(MAX_STDOUT_BYTES).read_to_end(&mut bytes).map(|_| bytes)
            })
        });
        let stderr = child.stderr.take().map(|stderr| StderrReader::start(stderr, settings.show_stderr));
        let status = wait(&mut child, settings.timeout);
        let failure = match status {
            Ok(Some(status)) if status.success() => None,
            Ok(Some(status)) => Some(describe_exit(status)),
            Ok(None) => Some(format!("was stopped after {} s", settings.timeout.unwrap_or_default().as_secs())),
            Err(cause) => Some(format!("was lost: {cause}")),
        };
        if let Some(outcome) = failure {
            let said = stderr.map(StderrReader::finish).unwrap_or_default();
            return Err(ExecPluginError::Failed {
                command: self.shown_command(),
                outcome,
                stderr: self.quote_stderr(&said),
                hint: self.hint.clone(),
            });
        }
        let output = stdout.and_then(|reader| reader.join().ok()).and_then(io::Result::ok).unwrap_or_default();
        self.parse_output(&output)
            .map_err(|what| ExecPluginError::InvalidOutput { command: self.shown_command(), what })
    }

    fn start(&self, interactive: bool) -> Result<Child, ExecPluginError> {
        let mut spec = json!({"interactive": interactive});
        if let Some(cluster) = &self.cluster_info {
            spec["cluster"] = cluster.clone();
        }
        let info = json!({"apiVersion": self.api_version, "kind": "ExecCredential", "spec": spec});
        let mut command = Command::new(&self.command);
        command
            .args(&self.args)
            .envs(self.env.iter().map(|(name, value)| (name, value.expose_secret())))
            .env("KUBERNETES_EXEC_INFO", info.to_string())
            .stdin(if interactive { Stdio::inherit() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.spawn().map_err(|cause| {
            let (command, hint) = (self.shown_command(), self.hint.clone());
            match cause.kind() {
                io::ErrorKind::NotFound => ExecPluginError::NotFound { command, hint },
                _ => ExecPluginError::NotStarted { command, cause, hint },
            }
        })
    }

    /// Its standard output holds secrets: what is wrong is said without quoting it.
    fn parse_output(&self, output: &[u8]) -> Result<IssuedCredentials, String> {
        let credential: ExecCredential = serde_json::from_slice(output)
            .map_err(|e| format!("no ExecCredential (line {}, column {})", e.line(), e.column()))?;
        if credential.kind.as_deref() != Some("ExecCredential") {
            return Err("an object of another kind than ExecCredential".to_owned());
        }
        if credential.api_version.as_deref() != Some(&self.api_version) {
            return Err(format!("an ExecCredential of another version than {}", self.api_version));
        }
        let status = credential.status.ok_or("an ExecCredential without status")?;
        let token = status.token.filter(|token| !token.expose_secret().is_empty());
        let certificate = status.client_certificate_data.filter(|data| !data.is_empty());
        let key = status.client_key_data.filter(|data| !data.expose_secret().is_empty());
        let identity = match (certificate, key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => return Err("a certificate without its key, or a key without its certificate".to_owned()),
        };
        if token.is_none() && identity.is_none() {
            return Err("neither a token nor a certificate".to_owned());
        }
        Ok(IssuedCredentials { token, identity, expires: status.expiration_timestamp })
    }

    pub(super) fn shown_command(&self) -> String {
        clamp_text(&self.command, MAX_STDERR_CHARS)
    }

    /// What it said last, without the values of its `env`.
    fn quote_stderr(&self, said: &str) -> String {
        let mut text = said.trim().to_owned();
        for (_, value) in self.env.iter().filter(|(_, value)| !value.expose_secret().is_empty()) {
            text = text.replace(value.expose_secret(), "…");
        }
        let skipped = text.chars().count().saturating_sub(MAX_STDERR_CHARS);
        let end: String = text.chars().skip(skipped).collect();
        // Line ends are no control characters worth showing.
        let line = clamp_text(&end.split_whitespace().collect::<Vec<_>>().join(" "), MAX_STDERR_CHARS);
        match (line.is_empty(), skipped) {
            (true, _) => String::new(),
            (false, 0) => format!(": {line}"),
            (false, _) => format!(": …{line}"),
        }
    }
}

/// The `Cluster` of an ExecCredential's spec.
fn cluster_info(cluster: &KubeconfigCluster, ca: Option<String>) -> Value {
    let fields = [
        ("server", cluster.server.clone().map(Value::from)),
        ("tls-server-name", cluster.tls_server_name.clone().map(Value::from)),
        ("insecure-skip-tls-verify", cluster.insecure_skip_tls_verify.filter(|skip| *skip).map(Value::from)),
        ("certificate-authority-data", ca.map(Value::from)),
        ("proxy-url", cluster.proxy_url.clone().map(Value::from)),
        ("disable-compression", cluster.disable_compression.filter(|disabled| *disabled).map(Value::from)),
        ("config", cluster.exec_extension().cloned()),
    ];
    fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// The lines of a hint, each cleaned.
fn clamp_lines(hint: &str) -> String {
    let bounded: String = hint.trim().chars().take(MAX_HINT_CHARS).collect();
    bounded.lines().map(|line| clamp_text(line.trim_end(), MAX_HINT_CHARS)).collect::<Vec<_>>().join("\n")
}

/// `None`: it was killed after the timeout.
fn wait(child: &mut Child, timeout: Option<Duration>) -> io::Result<Option<ExitStatus>> {
    let Some(timeout) = timeout else { return child.wait().map(Some) };
    let started = Instant::now();
    while started.elapsed() < timeout {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        thread::sleep(POLL_INTERVAL);
    }
    child.kill()?;
    child.wait()?;
    Ok(None)
}

fn describe_exit(status: ExitStatus) -> String {
    status.code().map_or_else(|| format!("ended by {status}"), |code| format!("failed with exit code {code}"))
}

/// Reads stderr while the plugin runs, and keeps its end.
struct StderrReader {
    kept: Arc<Mutex<Vec<u8>>>,
    reader: thread::JoinHandle<()>,
}

impl StderrReader {
    fn start(mut stderr: impl Read + Send + 'static, show: bool) -> Self {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let end = kept.clone();
        let reader = thread::spawn(move || {
            let mut buffer = [0; 1024];
            while let Ok(length @ 1..) = stderr.read(&mut buffer) {
                let Some(bytes) = buffer.get(..length) else { return };
                if show {
                    // Nobody is left to be told if this fails.
                    io::stderr().write_all(bytes).ok();
                }
                let mut end = end.lock().unwrap_or_else(PoisonError::into_inner);
                end.extend_from_slice(bytes);
                let surplus = end.len().saturating_sub(KEPT_STDERR_BYTES);
                end.drain(..surplus);
            }
        });
        Self { kept, reader }
    }

    fn finish(self) -> String {
        let started = Instant::now();
        while !self.reader.is_finished() && started.elapsed() < STDERR_TIMEOUT {
            thread::sleep(POLL_INTERVAL);
        }
        String::from_utf8_lossy(&self.kept.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}
