//! kubectl — the pinned kubectl with one kubeconfig, as one user in one namespace.
//!
//! Nothing of the user's own kubectl is read: no context, no kuberc, no cache. The exception is
//! [`Kubectl::of_user`], for a cluster that somebody has already.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::error::{Context as _, Error, Result};

/// For every command; `wait` and the like say their own, shorter one.
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

    /// A plugin of kubectl's, as kubectl would start it: with the same kubeconfig, context and namespace.
    #[must_use]
    pub fn for_plugin(&self, program: &Path) -> Self {
        // The cache is kubectl's own.
        Self { program: program.to_owned(), cache_dir: None, ..self.clone() }
    }

    /// The folder for what it learns about the API server.
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

    /// The folder that relative file names belong to.
    #[must_use]
    pub fn current_dir(mut self, folder: &Path) -> Self {
        self.dir = Some(folder.to_owned());
        self
    }

    /// Runs it and hands back whatever it said. An error means that it did not run or did not end.
    pub async fn run<A: AsRef<str>>(&self, args: impl IntoIterator<Item = A>) -> Result<CommandOutput> {
        self.run_with_stdin(args, "").await
    }

    /// As `run`, with something on stdin.
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

    /// As Flux and Argo CD apply.
    pub async fn apply_server_side(&self, yaml: &str, manager: &str) -> Result<CommandOutput> {
        let manager = format!("--field-manager={manager}");
        self.run_with_stdin(["apply", "--server-side", &manager, "-f", "-"], yaml).await
    }

    /// `kubectl get … -o json`, parsed.
    pub async fn get_json<A: AsRef<str>>(&self, args: impl IntoIterator<Item = A>) -> Result<serde_json::Value> {
        let mut all = vec!["get".to_owned(), "--output=json".to_owned()];
        all.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        let text = self.run(all).await?.into_stdout()?;
        serde_json::from_str(&text).with_context(|| "kubectl get printed no JSON".to_owned())
    }

    /// What the API server says when it refuses this; an error where it does not. Nothing is stored.
    pub async fn expect_rejected(&self, yaml: &str) -> Result<String> {
        let output = self.run_with_stdin(["create", "--dry-run=server", "-f", "-"], yaml).await?;
        if output.status.success() {
            return Err(Error::new(format!("the API server accepts this:\n{yaml}")));
        }
        Ok(output.stderr)
    }
}

/// What a command line tool said.
#[derive(Clone, Debug)]
pub struct CommandOutput {
    pub command: String,
    pub stdout: String,
    pub stderr: String,
    pub status: ExitStatus,
}

impl CommandOutput {
    /// Its stdout, or an error that shows all of it.
    pub fn into_stdout(self) -> Result<String> {
        if self.status.success() {
            return Ok(self.stdout);
        }
        let Self { command, stdout, stderr, status } = self;
        Err(Error::new(format!("{command}: {status}\n{stdout}{stderr}")))
    }
}

/// Runs a command line tool to its end; it is killed when nobody awaits it any more.
pub(crate) async fn run_command(
    command: std::process::Command,
    stdin: &str,
    command_line: String,
) -> Result<CommandOutput> {
    let mut child = Command::from(command)
        // A terminal's Ctrl-C is ours to handle: a tool that ends first would look like a failure.
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
            // One that does not read all of its input says why by its exit status.
            let _ = pipe.write_all(stdin.as_bytes()).await;
        }
    };
    let finished =
        tokio::time::timeout(COMMAND_TIMEOUT, async { tokio::join!(write_stdin, child.wait_with_output()).1 });
    let output = finished
        .await
        .map_err(|_| Error::new(format!("{command_line}: no end after {COMMAND_TIMEOUT:?}")))?
        .with_context(|| command_line.clone())?;
    Ok(CommandOutput {
        command: command_line,
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        status: output.status,
    })
}
