//! The manifests in docs/gitops.md, docs/flux.md, docs/argocd.md and config/argocd work on the real API server.

use std::fs;

use harness::Helm;
use serde_json::{Value, json};

use crate::{
    env::{assert_no_warning, chart_path, expect_no_warning, repo_path, shared_plane},
    manifests::connection_yaml,
};

/// Kinds of other projects that the page shows; the test cluster does not serve them.
const FOREIGN_KINDS: &[&str] = &["Application", "ApplicationSet", "HelmRelease", "Kustomization", "OCIRepository"];

/// The documents in the pages' YAML blocks, including items of lists.
fn page_manifests() -> Vec<Value> {
    let read = |page: &str| fs::read_to_string(repo_path("docs").join(page)).expect("readable");
    let page = ["gitops.md", "flux.md", "argocd.md"].map(read).join("\n");
    let mut documents = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(indent) = line.strip_suffix("```yaml").map(str::len) else { continue };
        let block = lines.by_ref().take_while(|line| line.trim() != "```");
        let block: Vec<&str> = block.map(|line| line.get(indent..).unwrap_or_default()).collect();
        documents.extend(block.join("\n").split("\n---\n").map(|d| serde_saphyr::from_str::<Value>(d).expect("YAML")));
    }
    documents
}

#[tokio::test]
async fn every_manifest_of_the_pages_is_accepted() {
    let kubectl = shared_plane().await.kubectl();
    let mut ours = 0;
    for object in page_manifests() {
        let kind = object["kind"].as_str().unwrap_or_default();
        let group = object["apiVersion"].as_str().unwrap_or_default();
        if group == "v1" || group == "boxsync.dev/v1alpha1" {
            let verb = if object["metadata"]["generateName"].is_string() { "create" } else { "apply" };
            // The others are to be in it.
            let dry_run = if kind == "Namespace" { "--dry-run=none" } else { "--dry-run=server" };
            let args = [verb, dry_run, "--validate=strict", "-f", "-"];
            let output = kubectl.run_with_stdin(args, &object.to_string()).await.expect("kubectl");
            assert_no_warning(&output);
            output.into_stdout().unwrap_or_else(|e| panic!("{object:#}: {e}"));
            ours += 1;
        } else {
            // Other documents are parts of a Kustomization; another test compares them with their file.
            let part = group.is_empty() && object["spec"]["healthCheckExprs"].is_array();
            assert!(part || FOREIGN_KINDS.contains(&kind), "{object:#}");
        }
    }
    assert_eq!(ours, 5, "a namespace, a Secret, two connections and a request");
}

#[tokio::test]
async fn the_chart_takes_the_values_that_the_pages_show() {
    let helm = Helm::new().await.expect("helm");
    let of_kind = |kind: &str| page_manifests().into_iter().find(|object| object["kind"] == kind).expect("shown");
    let values = [
        of_kind("HelmRelease")["spec"]["values"].clone(),
        of_kind("Application")["spec"]["source"]["helm"]["valuesObject"].clone(),
    ];
    for values in values {
        let rendered = helm.template(&chart_path(), "boxsync-operator", "boxsync", &values).await.expect("rendered");
        assert!(rendered.contains("image: \"REGISTRY/boxsync-operator:"), "{rendered}");
        assert!(rendered.contains("kind: ServiceMonitor"), "{rendered}");
    }
}

#[tokio::test]
async fn the_health_checks_are_merged_into_an_existing_argocd_config() {
    let kubectl = shared_plane().await.create_namespace("argocd").await.expect("namespace").kubectl();
    let initial = "
apiVersion: v1
kind: ConfigMap
metadata:
  name: argocd-cm
data:
  url: https://argocd.example.com
";
    kubectl.apply_yaml(initial).await.expect("kubectl").into_stdout().expect("applied");
    for file in ["argocd-cm.yaml", "argocd-cm-exclusions.yaml"] {
        let text = fs::read_to_string(repo_path(&format!("config/argocd/{file}"))).expect("readable");
        let command = "kubectl patch configmap argocd-cm --namespace argocd --type merge --patch-file ";
        assert!(text.contains(&format!("{command}{file}\n")), "{file} lacks its kubectl patch command");
        let patch = text.replace("  namespace: argocd\n", "");
        let args = ["patch", "configmap", "argocd-cm", "--type", "merge", "--patch-file", "/dev/stdin"];
        expect_no_warning(kubectl.run_with_stdin(args, &patch).await.expect("kubectl"));
    }
    // An upgrade of Argo CD applies its own ConfigMap again.
    kubectl.apply_yaml(initial).await.expect("kubectl").into_stdout().expect("applied");
    let data = kubectl.get_json(["configmap", "argocd-cm"]).await.expect("read")["data"].clone();
    assert_eq!(data["url"], "https://argocd.example.com");
    for kind in ["BoxConnection", "UserRoster", "UserSyncRequest"] {
        let check = data[format!("resource.customizations.health.boxsync.dev_{kind}")].as_str().expect("a check");
        let file = repo_path(&format!("config/argocd/boxsync.dev/{kind}/health.lua"));
        assert_eq!(check, fs::read_to_string(file).expect("readable"));
    }
    let exclusions: Value =
        serde_saphyr::from_str(data["resource.exclusions"].as_str().expect("a text")).expect("YAML");
    assert_eq!(exclusions, json!([{ "apiGroups": ["boxsync.dev"], "kinds": ["UserSlice"], "clusters": ["*"] }]));
}

#[tokio::test]
async fn an_annotation_with_its_own_field_manager_survives_gitops_applies() {
    let kubectl = shared_plane().await.create_namespace("on demand").await.expect("namespace").kubectl();
    let git = connection_yaml("acme", "1001", "clientCredentials", "");
    for manager in ["kustomize-controller", "argocd-controller"] {
        let git_apply = async || {
            let applied = kubectl.apply_server_side(&git, manager).await.expect("kubectl");
            applied.into_stdout().expect("applied")
        };
        git_apply().await;
        let annotation = format!("{}={manager}", boxsync::api::REQUESTED_AT_ANNOTATION);
        let args = ["annotate", "boxconnection", "acme", "--overwrite", "--field-manager=on-demand", &annotation];
        kubectl.run(args).await.expect("kubectl").into_stdout().expect("annotated");
        git_apply().await;
        let object = kubectl.get_json(["boxconnection", "acme"]).await.expect("read");
        assert_eq!(object["metadata"]["annotations"][boxsync::api::REQUESTED_AT_ANNOTATION], manager);
    }
}
