//! The chart as a release of Helm, and the operator as its Deployment would start it.

use std::path::{Path, PathBuf};

use harness::{ControlPlane, Helm, Kubectl, Operator, eventually};
use serde_json::{Value, json};

use crate::stage::{ACCOUNT, SOON, Stage, chart, without_warning};

pub(crate) const NAMESPACE: &str = "boxsync";
pub(crate) const PLUGIN: &str = env!("CARGO_BIN_EXE_kubectl-boxsync");

pub(crate) struct Release {
    pub(crate) kubectl: Kubectl,
    helm: Helm,
    chart: PathBuf,
}

impl Release {
    pub(crate) async fn on(plane: &ControlPlane) -> Self {
        let helm = Helm::new().await.expect("helm").kubeconfig(plane.admin_kubeconfig());
        Self { helm, kubectl: plane.kubectl().namespace(NAMESPACE), chart: chart() }
    }

    /// From now on of this chart.
    pub(crate) fn of(self, chart: &Path) -> Self {
        Self { chart: chart.to_owned(), ..self }
    }

    /// `helm install` or `helm upgrade`; what it said.
    pub(crate) async fn helm(&self, words: &[&str], values: &Value) -> String {
        let (verb, more) = words.split_first().expect("a command");
        let chart = self.chart.display().to_string();
        let all = [&[*verb, ACCOUNT, &chart, "--namespace", NAMESPACE, "--values", "-"], more].concat();
        self.helm.run(&all, values).await.expect(verb)
    }

    async fn arguments(&self) -> Vec<String> {
        let deployment = self.kubectl.get_json(["deployment", ACCOUNT]).await.expect("read");
        let arguments = &deployment["spec"]["template"]["spec"]["containers"][0]["args"];
        serde_json::from_value(arguments.clone()).expect("texts")
    }

    /// As the Deployment starts it.
    pub(crate) async fn operator(&self, stage: &Stage) -> Operator {
        let arguments = self.arguments().await;
        let (task, flags) = arguments.split_first().expect("a task");
        assert_eq!(task, "run");
        let flags = flags.iter().map(|flag| flag.split_once('=').expect("a flag and its value"));
        stage.start(&flags.fold(stage.settings_everywhere(), |settings, (name, value)| settings.flag(name, value)))
    }

    /// As `helm test` runs the plugin, under the operator's account.
    pub(crate) async fn test(&self, stage: &Stage) {
        let hooks =
            self.helm.run(&["get", "hooks", ACCOUNT, "--namespace", NAMESPACE], &json!({})).await.expect("hooks");
        self.admits(&hooks).await;
        let pod: Value = serde_saphyr::from_str(hooks.trim_start_matches("---")).expect("one pod");
        let container = &pod["spec"]["containers"][0];
        assert_eq!(container["command"], json!(["/usr/local/bin/kubectl-boxsync"]));
        let arguments: Vec<String> = serde_json::from_value(container["args"].clone()).expect("texts");
        eventually("helm test succeeds", SOON, async || {
            let mut plugin = tokio::process::Command::new(PLUGIN);
            let said =
                plugin.args(&arguments).env("KUBECONFIG", stage.operator_kubeconfig()).output().await.expect("runs");
            if said.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&said.stderr).into_owned()) }
        })
        .await;
    }

    /// The API server would run this pod, under Pod Security "restricted".
    pub(crate) async fn admits(&self, pod: &str) {
        let dry = ["create", "--dry-run=server", "--validate=strict", "-f", "-"];
        let admitted = self.kubectl.run_with(dry, pod).await.expect("kubectl");
        without_warning(&admitted);
        admitted.succeeded().expect("admitted");
    }

    pub(crate) async fn uninstall(&self) {
        self.helm.run(&["uninstall", ACCOUNT, "--namespace", NAMESPACE], &json!({})).await.expect("uninstalled");
    }
}
