//! The chart inside of other tools: as a dependency of an umbrella chart, through kubectl, and through kustomize.

use std::fs;
use std::path::Path;

use harness::{Helm, Kubectl, exclusive_control_plane};
use serde_json::{Value, json};

use crate::{
    env::{SERVICE_ACCOUNT, chart_path, expect_no_warning},
    helm_release::{NAMESPACE, copy_dir},
    rendered::RenderedChart,
};

/// An umbrella chart beside a copy of the chart, which is its dependency twice: by its name, and as `second`.
fn write_umbrella(folder: &Path) -> String {
    copy_dir(&chart_path(), &folder.join("charts/boxsync-operator"));
    let umbrella = folder.join("umbrella");
    fs::create_dir_all(&umbrella).expect("made");
    let dependency = |more: &str| {
        format!(
            "  - name: boxsync-operator\n    version: {}\n    repository: file://../charts/boxsync-operator\n{more}",
            env!("CARGO_PKG_VERSION")
        )
    };
    let chart = format!(
        "apiVersion: v2\nname: platform\nversion: 0.0.1\ndependencies:\n{}{}",
        dependency("    condition: boxsync-operator.enabled\n"),
        dependency("    alias: second\n    condition: second.enabled\n"),
    );
    fs::write(umbrella.join("Chart.yaml"), chart).expect("written");
    let alone = "crds: {install: false}, userRoles: {create: false}, rosterReader: {create: false}";
    let values = format!("boxsync-operator: {{enabled: true}}\nsecond: {{enabled: false, {alone}}}\n");
    fs::write(umbrella.join("values.yaml"), values).expect("written");
    umbrella.display().to_string()
}

#[tokio::test]
async fn an_umbrella_chart_switches_its_dependency_on_and_off() {
    let plane = exclusive_control_plane("umbrella").await.expect("control plane");
    let kubectl = plane.kubectl().namespace(NAMESPACE);
    let umbrella = write_umbrella(plane.dir());
    for helm in [Helm::new().await.expect("helm"), Helm::new_v3().await.expect("helm")] {
        let helm = helm.kubeconfig(plane.admin_kubeconfig());
        helm.run(&["dependency", "build", &umbrella], &json!({})).await.expect("built");
        let helm_run = async |words: &[&str], values: Value| {
            let args = [words, &["--namespace", NAMESPACE, "--values", "-"]].concat();
            helm.run(&args, &values).await.expect("helm")
        };
        let deployments = async || {
            let found = kubectl.get_json(["deployments"]).await.expect("read");
            let items = found["items"].as_array().expect("items").clone();
            items.into_iter().map(|d| d["metadata"]["name"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
        };
        let global = json!({"global": {"imageRegistry": "mirror.example.com", "imagePullSecrets": ["mirror"]}});
        helm_run(&["install", "p", &umbrella, "--create-namespace"], global).await;
        assert_eq!(deployments().await, ["p-boxsync-operator"]);
        let deployed = kubectl.get_json(["deployment", "p-boxsync-operator"]).await.expect("read");
        let pod = &deployed["spec"]["template"]["spec"];
        let image = pod["containers"][0]["image"].as_str().expect("an image");
        assert!(image.starts_with("mirror.example.com/boxsync-operator:"), "{image}");
        assert_eq!(pod["imagePullSecrets"], json!([{"name": "mirror"}]));

        helm_run(&["upgrade", "p", &umbrella], json!({"second": {"enabled": true}})).await;
        assert_eq!(deployments().await, ["p-boxsync-operator", "p-second"]);
        let off = json!({"boxsync-operator": {"enabled": false}, "second": {"enabled": false}});
        helm_run(&["upgrade", "p", &umbrella], off).await;
        assert_eq!(deployments().await, [""; 0]);
        helm.run(&["uninstall", "p", "--namespace", NAMESPACE], &json!({})).await.expect("uninstalled");
    }
}

/// Applies manifests as `kubectl apply` does, twice; returns the image of the Deployment afterwards.
async fn apply_twice(kubectl: &Kubectl, manifests: &str, server_side: bool) -> String {
    let flag = format!("--server-side={server_side}");
    for _ in 0..2 {
        expect_no_warning(kubectl.run_with_stdin(["apply", &flag, "-f", "-"], manifests).await.expect("kubectl"));
    }
    let deployment = kubectl.get_json(["deployment", SERVICE_ACCOUNT, "--namespace", NAMESPACE]).await.expect("read");
    deployment["spec"]["template"]["spec"]["containers"][0]["image"].as_str().expect("an image").to_owned()
}

#[tokio::test]
async fn kubectl_applies_what_helm_and_kustomize_render_again_and_with_other_values() {
    let plane = exclusive_control_plane("applied").await.expect("control plane");
    let kubectl = plane.kubectl();
    kubectl.run(["create", "namespace", NAMESPACE]).await.expect("kubectl").into_stdout().expect("created");
    let (v4, v3) = (Helm::new().await.expect("helm"), Helm::new_v3().await.expect("helm"));
    let chart = chart_path().display().to_string();

    // The pod of `helm test` is among the manifests; other values change what cannot be changed in a pod.
    for (server_side, tag, memory) in [(false, "1.0", "64Mi"), (false, "1.1", "65Mi"), (true, "1.2", "66Mi")] {
        let values = json!({"image": {"tag": tag}, "resources": {"limits": {"memory": memory}}});
        let args = ["template", SERVICE_ACCOUNT, &chart, "--namespace", NAMESPACE, "--values", "-"];
        let manifests = v4.run(&args, &values).await.expect("rendered");
        let by_v3 = RenderedChart::parse(&v3.run(&args, &values).await.expect("rendered"));
        assert!(RenderedChart::parse(&manifests) == by_v3, "both versions of Helm render the same");
        assert_eq!(apply_twice(&kubectl, &manifests, server_side).await, format!("boxsync-operator:{tag}"));
    }

    let folder = plane.dir().join("kustomize");
    copy_dir(&chart_path(), &folder.join("charts/boxsync-operator"));
    for (tag, memory) in [("2.0", "67Mi"), ("2.1", "68Mi")] {
        let kustomization = json!({
            "helmCharts": [{
                "name": "boxsync-operator", "releaseName": SERVICE_ACCOUNT, "namespace": NAMESPACE,
                "valuesInline": {
                    "image": {"repository": "registry.example.com/boxsync-operator", "tag": tag},
                    "resources": {"limits": {"memory": memory}},
                },
            }],
            "helmGlobals": {"chartHome": "charts"},
        });
        // JSON is YAML.
        fs::write(folder.join("kustomization.yaml"), kustomization.to_string()).expect("written");
        let build = async |helm: &Helm| {
            let (program, folder) = (helm.program().display().to_string(), folder.display().to_string());
            let args = ["kustomize", "--enable-helm", "--helm-command", &program, &folder];
            expect_no_warning(kubectl.run(args).await.expect("kubectl"))
        };
        let manifests = build(&v4).await;
        assert!(manifests == build(&v3).await, "both versions of Helm render the same");
        let image = format!("registry.example.com/boxsync-operator:{tag}");
        assert_eq!(apply_twice(&kubectl, &manifests, true).await, image);
    }

    // What Artifact Hub shows as an example of each kind is one.
    let text = fs::read_to_string(chart_path().join("Chart.yaml")).expect("readable");
    let chart: Value = serde_saphyr::from_str(&text).expect("YAML");
    let examples = chart["annotations"]["artifacthub.io/crdsExamples"].as_str().expect("examples");
    let examples: Vec<Value> = serde_saphyr::from_str(examples).expect("YAML");
    for example in examples {
        let create = ["create", "--dry-run=server", "--validate=strict", "--namespace", NAMESPACE, "-f", "-"];
        expect_no_warning(kubectl.run_with_stdin(create, &example.to_string()).await.expect("kubectl"));
    }
}
