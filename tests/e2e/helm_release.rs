//! A Helm release of the chart, and the operator started with the arguments of its Deployment.

use std::fs;
use std::path::{Path, PathBuf};

use harness::{ControlPlane, Helm, Kubectl, Operator, eventually};
use serde_json::{Value, json};

use crate::env::{E2eEnv, PLUGIN, SERVICE_ACCOUNT, SHORT_TIMEOUT, chart_path, expect_no_warning};

pub(crate) const NAMESPACE: &str = "boxsync";

/// A pod as this Deployment creates it.
pub(crate) fn pod_of_deployment(deployment: &Value) -> Value {
    let mut pod = deployment["spec"]["template"].clone();
    pod["apiVersion"] = "v1".into();
    pod["kind"] = "Pod".into();
    pod["metadata"]["name"] = "as-the-deployment-makes-it".into();
    pod
}

/// Checks that the API server accepts this pod under Pod Security "restricted".
pub(crate) async fn assert_pod_admitted(kubectl: &Kubectl, pod: &str) {
    let dry_run = ["create", "--dry-run=server", "--validate=strict", "-f", "-"];
    expect_no_warning(kubectl.run_with_stdin(dry_run, pod).await.expect("kubectl"));
}

/// Copies a chart, to change it.
pub(crate) fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("made");
    for entry in fs::read_dir(from).expect("readable") {
        let entry = entry.expect("readable");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).expect("copied");
        }
    }
}

pub(crate) struct Release {
    pub(crate) kubectl: Kubectl,
    helm: Helm,
    chart: PathBuf,
}

impl Release {
    pub(crate) async fn on_plane(plane: &ControlPlane) -> Self {
        let helm = Helm::new().await.expect("helm").kubeconfig(plane.admin_kubeconfig());
        Self { helm, kubectl: plane.kubectl().namespace(NAMESPACE), chart: chart_path() }
    }

    /// Uses this chart from now on.
    pub(crate) fn with_chart(self, chart: &Path) -> Self {
        Self { chart: chart.to_owned(), ..self }
    }

    /// Runs `helm install` or `helm upgrade`; returns its output.
    pub(crate) async fn run_helm(&self, args: &[&str], values: &Value) -> String {
        let (verb, more) = args.split_first().expect("a command");
        let chart = self.chart.display().to_string();
        let all = [&[*verb, SERVICE_ACCOUNT, &chart, "--namespace", NAMESPACE, "--values", "-"], more].concat();
        self.helm.run(&all, values).await.expect(verb)
    }

    async fn deployment_args(&self) -> Vec<String> {
        let deployment = self.kubectl.get_json(["deployment", SERVICE_ACCOUNT]).await.expect("read");
        let arguments = &deployment["spec"]["template"]["spec"]["containers"][0]["args"];
        serde_json::from_value(arguments.clone()).expect("texts")
    }

    /// Starts the operator as the Deployment does.
    pub(crate) async fn start_deployed_operator(&self, env: &E2eEnv) -> Operator {
        let arguments = self.deployment_args().await;
        let (task, flags) = arguments.split_first().expect("a task");
        assert_eq!(task, "run");
        let flags = flags.iter().map(|flag| flag.split_once('=').expect("a flag and its value"));
        env.start_operator_with(
            &flags.fold(env.cluster_wide_settings(), |settings, (name, value)| settings.flag(name, value)),
        )
    }

    /// Runs the plugin as `helm test` does, with the operator's ServiceAccount.
    pub(crate) async fn run_helm_test(&self, env: &E2eEnv) {
        let hooks = self
            .helm
            .run(&["get", "hooks", SERVICE_ACCOUNT, "--namespace", NAMESPACE], &json!({}))
            .await
            .expect("hooks");
        assert_pod_admitted(&self.kubectl, &hooks).await;
        let pod: Value = serde_saphyr::from_str(hooks.trim_start_matches("---")).expect("one pod");
        let container = &pod["spec"]["containers"][0];
        assert_eq!(container["command"], json!(["/usr/local/bin/kubectl-boxsync"]));
        let arguments: Vec<String> = serde_json::from_value(container["args"].clone()).expect("texts");
        let plugin = Kubectl::new(Path::new(PLUGIN), env.operator_kubeconfig());
        eventually("helm test succeeds", SHORT_TIMEOUT, async || {
            plugin.run(&arguments).await.expect("the plugin").into_stdout()
        })
        .await;
    }

    pub(crate) async fn uninstall(&self) {
        self.helm
            .run(&["uninstall", SERVICE_ACCOUNT, "--namespace", NAMESPACE], &json!({}))
            .await
            .expect("uninstalled");
    }
}
