//! The pinned kubectl with one kubeconfig, as one user in one namespace.
//!
//! The user's own kubectl configuration is not read: no context, no kuberc, no cache. The exception is
//! [`Kubectl::from_user_config`], for an existing cluster.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::error::{Context as _, Error, Result};

/// The limit of every command; `wait` and similar commands have their own, shorter one.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(120);

#[derive(Clone)]
pub struct Kubectl {
    program: PathBuf,
    kubeconfig: Option<PathBuf>,
    context: Option<String>,
    namespace: Option<String>,
    cache_dir: Option<PathBuf>,
    dir: Option<PathBuf>,
}

impl Kubectl {
    pub fn new(program: &Path, kubeconfig: &Path) -> Self {
        Self { program: program.to_owned(), kubeconfig: Some(kubeconfig.to_owned()), ..Self::from_user_config("") }
    }

    /// The kubectl on the PATH with the user's own kubeconfig; an empty context is the current one.
    pub fn from_user_config(context: &str) -> Self {
        Self {
            program: PathBuf::from("kubectl"),
            kubeconfig: None,
            context: Some(context.to_owned()).filter(|name| !name.is_empty()),
            namespace: None,
            cache_dir: None,
            dir: None,
        }
    }

    pub fn program(&self) -> &Path {
        &self.program
    }

    /// A kubectl plugin with the same kubeconfig, context and namespace.
    #[must_use]
    pub fn for_plugin(&self, program: &Path) -> Self {
        // Plugins do not use kubectl's cache.
        Self { program: program.to_owned(), cache_dir: None, ..self.clone() }
    }

    /// The discovery cache directory.
    #[must_use]
    pub fn with_cache_dir(mut self, folder: &Path) -> Self {
        self.cache_dir = Some(folder.to_owned());
        self
    }

    #[must_use]
    pub fn namespace(mut self, namespace: &str) -> Self {
        self.namespace = Some(namespace.to_owned());
        self
    }

    /// The working directory of relative file names.
    #[must_use]
    pub fn current_dir(mut self, folder: &Path) -> Self {
        self.dir = Some(folder.to_owned());
        self
    }

    /// Runs it and returns its output. An error means that it did not start or timed out.
    pub async fn run<A: AsRef<str>>(&self, args: impl IntoIterator<Item = A>) -> Result<CommandOutput> {
        self.run_with_stdin(args, "").await
    }

    /// Like `run`, with stdin.
    pub async fn run_with_stdin<A: AsRef<str>>(
        &self,
        args: impl IntoIterator<Item = A>,
        stdin: &str,
    ) -> Result<CommandOutput> {
        let mut command = std::process::Command::new(&self.program);
        command.env("KUBERC", "off");
        if let Some(kubeconfig) = &self.kubeconfig {
            command.env("KUBECONFIG", kubeconfig);
        }
        if let Some(folder) = &self.dir {
            command.current_dir(folder);
        }
        if let Some(context) = &self.context {
            command.args(["--context", context]);
        }
        if let Some(namespace) = &self.namespace {
            command.args(["--namespace", namespace]);
        }
        if let Some(cache) = &self.cache_dir {
            command.arg("--cache-dir").arg(cache);
        }
        let args: Vec<_> = args.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
        command.args(&args);
        run_command(command, stdin, format!("kubectl {}", args.join(" "))).await
    }

    /// `kubectl apply -f -`, any number of documents.
    pub async fn apply_yaml(&self, yaml: &str) -> Result<CommandOutput> {
        self.run_with_stdin(["apply", "-f", "-"], yaml).await
    }

    pub async fn create_yaml(&self, yaml: &str) -> Result<CommandOutput> {
        self.run_with_stdin(["create", "-f", "-"], yaml).await
    }

    /// Like Flux and Argo CD.
    pub async fn apply_server_side(&self, yaml: &str, manager: &str) -> Result<CommandOutput> {
        let manager = format!("--field-manager={manager}");
        self.run_with_stdin(["apply", "--server-side", &manager, "-f", "-"], yaml).await
    }

    /// `kubectl get … -o json`, parsed.
    pub async fn get_json<A: AsRef<str>>(&self, args: impl IntoIterator<Item = A>) -> Result<serde_json::Value> {
        let mut all = vec!["get".to_owned(), "--output=json".to_owned()];
        all.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        let text = self.run(all).await?.into_stdout()?;
        serde_json::from_str(&text).with_context(|| "kubectl get did not print JSON".to_owned())
    }

    /// The API server's message when it rejects this; an error if it does not. Nothing is stored.
    pub async fn expect_rejected(&self, yaml: &str) -> Result<String> {
        let output = self.run_with_stdin(["create", "--dry-run=server", "-f", "-"], yaml).await?;
        if output.status.success() {
            return Err(Error::new(format!("expected the API server to reject this:\n{yaml}")));
        }
        Ok(output.stderr)
    }
}

/// The output of a command line tool.
#[derive(Clone, Debug)]
pub struct CommandOutput {
    pub command: String,
    pub stdout: String,
    pub stderr: String,
    pub status: ExitStatus,
}

impl CommandOutput {
    /// Its stdout, or an error with its complete output.
    pub fn into_stdout(self) -> Result<String> {
        if self.status.success() {
            return Ok(self.stdout);
        }
        let Self { command, stdout, stderr, status } = self;
        Err(Error::new(format!("{command}: {status}\n{stdout}{stderr}")))
    }
}

/// Runs a command line tool until it exits; it is killed if the future is dropped.
pub(crate) async fn run_command(
    command: std::process::Command,
    stdin: &str,
    command_line: String,
) -> Result<CommandOutput> {
    let mut child = Command::from(command)
        // Ctrl-C is handled by this process: a tool that exits first would look like a failure.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot start {command_line}"))?;
    let pipe = child.stdin.take();
    let write_stdin = async {
        if let Some(mut pipe) = pipe {
            // A tool that does not read all of its input reports why by its exit status.
            let _ = pipe.write_all(stdin.as_bytes()).await;
        }
    };
    let finished =
        tokio::time::timeout(COMMAND_TIMEOUT, async { tokio::join!(write_stdin, child.wait_with_output()).1 });
    let output = finished
        .await
        .map_err(|_| Error::new(format!("{command_line}: timed out after {COMMAND_TIMEOUT:?}")))?
        .with_context(|| command_line.clone())?;
    Ok(CommandOutput {
        command: command_line,
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        status: output.status,
    })
}
