//! helm — the pinned helm, used for what needs no cluster: rendering a chart and linting it.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Error, Result};
use crate::kubectl;
use crate::scratch::Scratch;
use crate::tools::{self, Tool};

pub struct Helm {
    program: PathBuf,
    /// It must not read the user's own repositories and plugins.
    home: Scratch,
}

impl Helm {
    pub async fn new() -> Result<Self> {
        let found = tools::find_all(&[Tool::Helm]).await?;
        let program = found.into_iter().next().ok_or_else(|| Error::new("helm was not found"))?;
        Ok(Self { program, home: Scratch::new("helm")? })
    }

    /// The chart's manifests with these values.
    pub async fn template(
        &self,
        chart: &Path,
        release: &str,
        namespace: &str,
        values: &serde_json::Value,
    ) -> Result<String> {
        let chart = chart.display().to_string();
        self.run(&["template", release, &chart, "--namespace", namespace, "--values", "-"], values).await
    }

    pub async fn lint(&self, chart: &Path, values: &serde_json::Value) -> Result<String> {
        let chart = chart.display().to_string();
        self.run(&["lint", "--strict", &chart, "--values", "-"], values).await
    }

    async fn run(&self, args: &[&str], values: &serde_json::Value) -> Result<String> {
        let mut command = Command::new(&self.program);
        command.args(args);
        for (name, folder) in [("HELM_CACHE_HOME", "cache"), ("HELM_CONFIG_HOME", "config"), ("HELM_DATA_HOME", "data")]
        {
            command.env(name, self.home.path().join(folder));
        }
        // JSON is YAML.
        let line = format!("helm {}", args.join(" "));
        kubectl::run(command, &values.to_string(), line).await?.succeeded()
    }
}
