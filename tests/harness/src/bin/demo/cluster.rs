//! The cluster of the demo: a control plane of its own, or the user's cluster.
//! Invariant: in a user's cluster, the demo creates only its own namespace and missing CRDs, and deletes both at the
//! end.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use harness::{AuditLog, ControlPlane, Error, Kubectl, Operator, Result, TempDir};
use serde_json::{Value, json};

use crate::screen::Screen;

pub(crate) const SERVICE_ACCOUNT: &str = "boxsync-operator";
pub(crate) const CRDS: [&str; 4] =
    ["boxconnections.boxsync.dev", "usersyncrequests.boxsync.dev", "userrosters.boxsync.dev", "userslices.boxsync.dev"];

enum Backend {
    /// None until it is started.
    Local(Option<Box<ControlPlane>>),
    External {
        context: String,
        temp_dir: TempDir,
    },
}

pub(crate) struct DemoCluster {
    pub(crate) namespace: String,
    /// Stopped before the control plane.
    pub(crate) operator: Option<Operator>,
    backend: Backend,
    /// What `clean_up` must remove from a user's cluster.
    created_namespace: bool,
    created_crds: bool,
}

impl DemoCluster {
    pub(crate) fn new(context: Option<String>) -> Result<Self> {
        let (namespace, backend) = match context {
            None => ("boxsync-demo".to_owned(), Backend::Local(None)),
            Some(context) => (format!("boxsync-demo-{}", unique_suffix()), Backend::external(context)?),
        };
        Ok(Self { namespace, operator: None, backend, created_namespace: false, created_crds: false })
    }

    /// The context of the user's kubeconfig, for a user's cluster.
    pub(crate) fn context(&self) -> Option<&str> {
        match &self.backend {
            Backend::Local(_) => None,
            Backend::External { context, .. } => Some(context),
        }
    }

    /// Starts the control plane, or checks that the user's cluster responds.
    pub(crate) async fn prepare(&mut self) -> Result<()> {
        match &mut self.backend {
            Backend::Local(plane) => {
                *plane = Some(Box::new(ControlPlane::start("demo").await?));
            }
            Backend::External { context, .. } => {
                let output = Kubectl::from_user_config(context).run(["version", "--request-timeout=15s"]).await;
                let asked = output.map_err(|e| Error::new(format!("--context needs kubectl on the PATH: {e}")))?;
                if !asked.status.success() {
                    let why = asked.stderr.trim();
                    return Err(Error::new(format!("cannot reach the cluster of context {context}: {why}")));
                }
            }
        }
        Ok(())
    }

    /// The directory of files, kubeconfigs and logs, removed at the end.
    pub(crate) fn dir(&self) -> Result<&Path> {
        match &self.backend {
            Backend::Local(_) => Ok(self.control_plane()?.dir()),
            Backend::External { temp_dir: scratch, .. } => Ok(scratch.path()),
        }
    }

    pub(crate) fn kubectl(&self) -> Result<Kubectl> {
        Ok(match &self.backend {
            Backend::Local(_) => self.control_plane()?.kubectl(),
            Backend::External { context, .. } => Kubectl::from_user_config(context),
        })
    }

    /// The admin kubeconfig of the demo's own control plane.
    pub(crate) fn admin_kubeconfig(&self) -> Option<&Path> {
        match &self.backend {
            Backend::Local(plane) => plane.as_ref().map(|plane| plane.admin_kubeconfig()),
            Backend::External { .. } => None,
        }
    }

    /// Not available in a user's cluster.
    pub(crate) fn audit_log(&self) -> Option<AuditLog> {
        match &self.backend {
            Backend::Local(plane) => plane.as_ref().map(|plane| plane.audit_log()),
            Backend::External { .. } => None,
        }
    }

    /// The kubeconfig of the operator's ServiceAccount.
    pub(crate) async fn operator_kubeconfig(&self) -> Result<PathBuf> {
        let Backend::External { temp_dir: scratch, .. } = &self.backend else {
            return self.control_plane()?.kubeconfig_for(&self.namespace, SERVICE_ACCOUNT).await;
        };
        let kubectl = self.kubectl()?;
        let args = ["--namespace", &self.namespace, "create", "token", SERVICE_ACCOUNT, "--duration=24h"];
        let token = kubectl.run(args).await?.into_stdout()?;
        let view = ["config", "view", "--minify", "--flatten", "--raw", "--output=json"];
        let config: Value = serde_json::from_str(&kubectl.run(view).await?.into_stdout()?)
            .map_err(|e| Error::new(format!("kubectl config view: {e}")))?;
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "demo",
            "clusters": [{"name": "demo", "cluster": config["clusters"][0]["cluster"]}],
            "users": [{"name": "demo", "user": {"token": token.trim()}}],
            "contexts": [{"name": "demo", "context": {"cluster": "demo", "user": "demo", "namespace": self.namespace}}],
        });
        let path = scratch.path().join("operator.kubeconfig");
        // JSON is YAML; only this user can read the directory.
        fs::write(&path, config.to_string())
            .map_err(|e| Error::new(format!("cannot write {}: {e}", path.display())))?;
        Ok(path)
    }

    /// Records that the CRDs are created by the demo, so that they are removed at the end.
    pub(crate) const fn mark_crds_created(&mut self) {
        self.created_crds = true;
    }

    pub(crate) const fn mark_namespace_created(&mut self) {
        self.created_namespace = true;
    }

    pub(crate) fn keep_logs(&self, screen: &Screen) {
        if self.operator.is_none() {
            return;
        }
        match &self.backend {
            Backend::Local(Some(plane)) => plane.keep_dir(),
            Backend::Local(None) => return,
            Backend::External { temp_dir: scratch, .. } => scratch.keep(),
        }
        if let Ok(folder) = self.dir() {
            screen.print(&format!("Logs kept in {}", folder.display()));
        }
    }

    /// Stops the operator, deletes what the demo created, stops the control plane.
    pub(crate) async fn clean_up(&mut self, screen: &Screen) {
        if let Some(mut operator) = self.operator.take()
            && operator.process().is_running()
            && let Err(e) = operator.terminate(Duration::from_secs(10)).await
        {
            screen.print_error(e);
        }
        match &mut self.backend {
            Backend::Local(plane) => drop(plane.take()),
            Backend::External { context, .. } => {
                let kubectl = Kubectl::from_user_config(context);
                let mut remove: Vec<Vec<&str>> = Vec::new();
                if self.created_namespace {
                    remove.push(vec!["namespace", &self.namespace]);
                }
                if self.created_crds {
                    remove.push([&["crd"], &CRDS[..]].concat());
                }
                for what in remove {
                    let flags = ["delete", "--ignore-not-found", "--timeout=90s"];
                    match kubectl.run(flags.iter().chain(&what)).await.and_then(|output| output.into_stdout()) {
                        Ok(_) => screen.print_dimmed(&format!("Removed {}.", what.join(" "))),
                        Err(e) => screen.print_error(e),
                    }
                }
            }
        }
    }

    fn control_plane(&self) -> Result<&ControlPlane> {
        match &self.backend {
            Backend::Local(Some(plane)) => Ok(plane),
            Backend::Local(None) | Backend::External { .. } => Err(Error::new("the control plane was not started")),
        }
    }
}

impl Backend {
    fn external(context: String) -> Result<Self> {
        Ok(Self::External { context, temp_dir: TempDir::new("demo")? })
    }
}

/// A random suffix of five characters.
fn unique_suffix() -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let mut n = now.as_micros() ^ (u128::from(std::process::id()) << 20);
    let mut word = String::new();
    for _ in 0..5 {
        word.push(char::from(LETTERS[(n % LETTERS.len() as u128) as usize]));
        n /= LETTERS.len() as u128;
    }
    word
}
