//! cluster — where the story plays: a control plane of its own, or a cluster that the user has already.
//! Invariant: of a user's cluster, nothing is touched but a namespace of the demo's own and, where they are
//! missing, the CRDs; both are gone at the end.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use harness::{Audit, ControlPlane, Error, Kubectl, Operator, Options, Result, Scratch};
use serde_json::{Value, json};

use crate::screen::Screen;

pub(crate) const ACCOUNT: &str = "boxsync-operator";
pub(crate) const CRDS: [&str; 4] =
    ["boxconnections.boxsync.dev", "usersyncrequests.boxsync.dev", "userrosters.boxsync.dev", "userslices.boxsync.dev"];

enum Ground {
    /// Not there before it is started.
    Own(Option<Box<ControlPlane>>),
    Users {
        context: String,
        scratch: Scratch,
    },
}

pub(crate) struct Cluster {
    pub(crate) namespace: String,
    /// Ended before the control plane is.
    pub(crate) operator: Option<Operator>,
    ground: Ground,
    /// What `clear` has to remove from a user's cluster.
    namespace_is_ours: bool,
    crds_are_ours: bool,
}

impl Cluster {
    pub(crate) fn new(context: Option<String>) -> Result<Self> {
        let (namespace, ground) = match context {
            None => ("boxsync-demo".to_owned(), Ground::Own(None)),
            Some(context) => (format!("boxsync-demo-{}", unique()), Ground::users(context)?),
        };
        Ok(Self { namespace, operator: None, ground, namespace_is_ours: false, crds_are_ours: false })
    }

    /// The context of the user's kubeconfig, if it is theirs.
    pub(crate) fn context(&self) -> Option<&str> {
        match &self.ground {
            Ground::Own(_) => None,
            Ground::Users { context, .. } => Some(context),
        }
    }

    /// Starts the control plane, or sees whether the user's cluster answers.
    pub(crate) async fn open(&mut self) -> Result<()> {
        match &mut self.ground {
            Ground::Own(plane) => {
                let options = Options { name: "demo".to_owned(), ..Options::default() };
                *plane = Some(Box::new(ControlPlane::start(options).await?));
            }
            Ground::Users { context, .. } => {
                let asked = Kubectl::of_user(context).run(["version", "--request-timeout=15s"]).await;
                let asked =
                    asked.map_err(|e| Error::new(format!("kubectl is needed on the PATH for --context: {e}")))?;
                if !asked.status.success() {
                    let why = asked.stderr.trim();
                    return Err(Error::new(format!("no cluster answers in context {context}: {why}")));
                }
            }
        }
        Ok(())
    }

    /// For the demo's files, kubeconfigs and logs; it goes with the demo.
    pub(crate) fn folder(&self) -> Result<&Path> {
        match &self.ground {
            Ground::Own(_) => Ok(self.plane()?.folder()),
            Ground::Users { scratch, .. } => Ok(scratch.path()),
        }
    }

    pub(crate) fn kubectl(&self) -> Result<Kubectl> {
        Ok(match &self.ground {
            Ground::Own(_) => self.plane()?.kubectl(),
            Ground::Users { context, .. } => Kubectl::of_user(context),
        })
    }

    /// A kubeconfig for the user of a control plane of our own.
    pub(crate) fn admin_kubeconfig(&self) -> Option<&Path> {
        match &self.ground {
            Ground::Own(plane) => plane.as_ref().map(|plane| plane.admin_kubeconfig()),
            Ground::Users { .. } => None,
        }
    }

    /// Nobody shows a stranger the audit log of their cluster.
    pub(crate) fn audit(&self) -> Option<Audit> {
        match &self.ground {
            Ground::Own(plane) => plane.as_ref().map(|plane| plane.audit()),
            Ground::Users { .. } => None,
        }
    }

    /// A kubeconfig that acts as the operator's ServiceAccount.
    pub(crate) async fn operator_kubeconfig(&self) -> Result<PathBuf> {
        let Ground::Users { scratch, .. } = &self.ground else {
            return self.plane()?.kubeconfig_for(&self.namespace, ACCOUNT).await;
        };
        let kubectl = self.kubectl()?;
        let asked = ["--namespace", &self.namespace, "create", "token", ACCOUNT, "--duration=24h"];
        let token = kubectl.run(asked).await?.succeeded()?;
        let view = ["config", "view", "--minify", "--flatten", "--raw", "--output=json"];
        let config: Value = serde_json::from_str(&kubectl.run(view).await?.succeeded()?)
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
        // JSON is YAML; the folder is for this user only.
        fs::write(&path, config.to_string())
            .map_err(|e| Error::new(format!("cannot write {}: {e}", path.display())))?;
        Ok(path)
    }

    /// The CRDs are about to be created, and to be removed at the end.
    pub(crate) const fn owns_crds(&mut self) {
        self.crds_are_ours = true;
    }

    pub(crate) const fn owns_namespace(&mut self) {
        self.namespace_is_ours = true;
    }

    pub(crate) fn keep_logs(&self, screen: &Screen) {
        if self.operator.is_none() {
            return;
        }
        match &self.ground {
            Ground::Own(Some(plane)) => plane.keep_folder(),
            Ground::Own(None) => return,
            Ground::Users { scratch, .. } => scratch.keep(),
        }
        if let Ok(folder) = self.folder() {
            screen.say(&format!("Logs are kept in {}", folder.display()));
        }
    }

    /// Ends the operator, removes what the demo created, ends the control plane.
    pub(crate) async fn clear(&mut self, screen: &Screen) {
        if let Some(mut operator) = self.operator.take()
            && operator.process().is_running()
            && let Err(e) = operator.terminate(Duration::from_secs(10)).await
        {
            screen.stopped(e);
        }
        match &mut self.ground {
            Ground::Own(plane) => drop(plane.take()),
            Ground::Users { context, .. } => {
                let kubectl = Kubectl::of_user(context);
                let mut remove: Vec<Vec<&str>> = Vec::new();
                if self.namespace_is_ours {
                    remove.push(vec!["namespace", &self.namespace]);
                }
                if self.crds_are_ours {
                    remove.push([&["crd"], &CRDS[..]].concat());
                }
                for what in remove {
                    let flags = ["delete", "--ignore-not-found", "--timeout=90s"];
                    match kubectl.run(flags.iter().chain(&what)).await.and_then(|output| output.succeeded()) {
                        Ok(_) => screen.note(&format!("Removed {}.", what.join(" "))),
                        Err(e) => screen.stopped(e),
                    }
                }
            }
        }
    }

    fn plane(&self) -> Result<&ControlPlane> {
        match &self.ground {
            Ground::Own(Some(plane)) => Ok(plane),
            Ground::Own(None) | Ground::Users { .. } => Err(Error::new("the control plane was not started")),
        }
    }
}

impl Ground {
    fn users(context: String) -> Result<Self> {
        Ok(Self::Users { context, scratch: Scratch::new("demo")? })
    }
}

/// Five characters that no other demo of this moment has.
fn unique() -> String {
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
