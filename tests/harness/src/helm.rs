//! The pinned Helm 4 and Helm 3: they render, lint and install charts.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{
    error::{Error, Result},
    kubectl::{self, CommandOutput},
    temp_dir::TempDir,
    tools::{self, Tool},
};

/// What the pinned API server serves and a chart may ask for: without a server helm knows groups and versions, no kinds.
const EXTRA_API_VERSION: &str = "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy";

pub struct Helm {
    program: PathBuf,
    /// It must not read the user's own repositories and plugins.
    home: TempDir,
    kubeconfig: Option<PathBuf>,
}

impl Helm {
    pub async fn new() -> Result<Self> {
        Self::from_tools(&[Tool::Helm]).await
    }

    pub async fn new_v3() -> Result<Self> {
        Self::from_tools(&[Tool::Helm3]).await
    }

    async fn from_tools(tool: &'static [Tool]) -> Result<Self> {
        let found = tools::find_tools(tool).await?;
        let program = found.into_iter().next().ok_or_else(|| Error::new("helm was not found"))?;
        Ok(Self { program, home: TempDir::new("helm")?, kubeconfig: None })
    }

    pub fn program(&self) -> &Path {
        &self.program
    }

    /// With the rights of this kubeconfig, where a command needs a cluster.
    #[must_use]
    pub fn kubeconfig(mut self, kubeconfig: &Path) -> Self {
        self.kubeconfig = Some(kubeconfig.to_owned());
        self
    }

    /// The chart's manifests with these values, but not the pods of `helm test`.
    pub async fn template(
        &self,
        chart: &Path,
        release: &str,
        namespace: &str,
        values: &serde_json::Value,
    ) -> Result<String> {
        let chart = chart.display().to_string();
        let args = ["template", release, &chart, "--namespace", namespace, "--skip-tests", "--values", "-"];
        self.run(&[&args[..], &["--api-versions", EXTRA_API_VERSION]].concat(), values).await
    }

    pub async fn lint(&self, chart: &Path, values: &serde_json::Value) -> Result<String> {
        let chart = chart.display().to_string();
        self.run(&["lint", "--strict", &chart, "--values", "-"], values).await
    }

    /// Any command; those with `--values -` read the values.
    pub async fn run(&self, args: &[&str], values: &serde_json::Value) -> Result<String> {
        self.run_with_warnings(args, values).await?.into_stdout()
    }

    /// Likewise, with what it wrote to stderr.
    pub async fn run_with_warnings(&self, args: &[&str], values: &serde_json::Value) -> Result<CommandOutput> {
        let mut command = Command::new(&self.program);
        command.args(args);
        for (name, folder) in [("HELM_CACHE_HOME", "cache"), ("HELM_CONFIG_HOME", "config"), ("HELM_DATA_HOME", "data")]
        {
            command.env(name, self.home.path().join(folder));
        }
        if let Some(kubeconfig) = &self.kubeconfig {
            command.env("KUBECONFIG", kubeconfig);
        }
        // JSON is YAML.
        let line = format!("helm {}", args.join(" "));
        kubectl::run_command(command, &values.to_string(), line).await
    }
}
