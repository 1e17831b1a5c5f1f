//! What docs/gitops.md and config/argocd say to those who keep connections in Git holds on the real API server.

use std::fs;

use harness::Helm;
use serde_json::{Value, json};

use crate::{
    manifests::connection,
    stage::{chart, plane, repository, without_warning},
};

/// Kinds of others that the page shows; nobody here serves them.
const OTHERS: &[&str] = &["Application", "ApplicationSet", "HelmRelease", "Kustomization", "OCIRepository"];

/// The documents in the page's blocks of YAML, those in a list too.
fn shown() -> Vec<Value> {
    let page = fs::read_to_string(repository("docs/gitops.md")).expect("readable");
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
async fn every_manifest_of_the_page_is_accepted() {
    let kubectl = plane().await.kubectl();
    let mut ours = 0;
    for object in shown() {
        let kind = object["kind"].as_str().unwrap_or_default();
        let group = object["apiVersion"].as_str().unwrap_or_default();
        if group == "v1" || group == "boxsync.dev/v1alpha1" {
            let verb = if object["metadata"]["generateName"].is_string() { "create" } else { "apply" };
            // The others are to be in it.
            let dry = if kind == "Namespace" { "--dry-run=none" } else { "--dry-run=server" };
            let args = [verb, dry, "--validate=strict", "-f", "-"];
            let output = kubectl.run_with(args, &object.to_string()).await.expect("kubectl");
            without_warning(&output);
            output.succeeded().unwrap_or_else(|e| panic!("{object:#}: {e}"));
            ours += 1;
        } else {
            // What stands for itself is a part of a Kustomization, compared with its file elsewhere.
            let part = group.is_empty() && object["spec"]["healthCheckExprs"].is_array();
            assert!(part || OTHERS.contains(&kind), "{object:#}");
        }
    }
    assert_eq!(ours, 5, "a namespace, a Secret, two connections and a request");
}

#[tokio::test]
async fn the_chart_takes_the_values_that_the_page_shows() {
    let helm = Helm::new().await.expect("helm");
    let of = |kind: &str| shown().into_iter().find(|object| object["kind"] == kind).expect("shown");
    let values = [
        of("HelmRelease")["spec"]["values"].clone(),
        of("Application")["spec"]["source"]["helm"]["valuesObject"].clone(),
    ];
    for values in values {
        let rendered = helm.template(&chart(), "boxsync-operator", "boxsync", &values).await.expect("rendered");
        assert!(rendered.contains("image: \"REGISTRY/boxsync-operator:"), "{rendered}");
        assert!(rendered.contains("kind: ServiceMonitor"), "{rendered}");
    }
}

#[tokio::test]
async fn the_checks_join_what_argo_cd_is_told_already() {
    let kubectl = plane().await.namespace("argocd").await.expect("namespace").kubectl();
    let there = "
apiVersion: v1
kind: ConfigMap
metadata:
  name: argocd-cm
data:
  url: https://argocd.example.com
";
    kubectl.apply_yaml(there).await.expect("kubectl").succeeded().expect("applied");
    for file in ["argocd-cm.yaml", "argocd-cm-exclusions.yaml"] {
        let text = fs::read_to_string(repository(&format!("config/argocd/{file}"))).expect("readable");
        let command = "kubectl patch configmap argocd-cm --namespace argocd --type merge --patch-file ";
        assert!(text.contains(&format!("{command}{file}\n")), "{file} does not say how it is used");
        let patch = text.replace("  namespace: argocd\n", "");
        let args = ["patch", "configmap", "argocd-cm", "--type", "merge", "--patch-file", "/dev/stdin"];
        let output = kubectl.run_with(args, &patch).await.expect("kubectl");
        without_warning(&output);
        output.succeeded().expect("patched");
    }
    // An upgrade of Argo CD applies its own again.
    kubectl.apply_yaml(there).await.expect("kubectl").succeeded().expect("applied");
    let data = kubectl.get_json(["configmap", "argocd-cm"]).await.expect("read")["data"].clone();
    assert_eq!(data["url"], "https://argocd.example.com");
    for kind in ["BoxConnection", "UserRoster", "UserSyncRequest"] {
        let check = data[format!("resource.customizations.health.boxsync.dev_{kind}")].as_str().expect("a check");
        let file = repository(&format!("config/argocd/boxsync.dev/{kind}/health.lua"));
        assert_eq!(check, fs::read_to_string(file).expect("readable"));
    }
    let exclusions: Value =
        serde_saphyr::from_str(data["resource.exclusions"].as_str().expect("a text")).expect("YAML");
    assert_eq!(exclusions, json!([{ "apiGroups": ["boxsync.dev"], "kinds": ["UserSlice"], "clusters": ["*"] }]));
}

#[tokio::test]
async fn an_annotation_under_a_manager_of_its_own_is_left_alone_by_git() {
    let kubectl = plane().await.namespace("on demand").await.expect("namespace").kubectl();
    let git = connection("acme", "1001", "clientCredentials", "");
    for manager in ["kustomize-controller", "argocd-controller"] {
        let apply = async || {
            let applied = kubectl.apply_server_side(&git, manager).await.expect("kubectl");
            applied.succeeded().expect("applied")
        };
        apply().await;
        let asked = format!("{}={manager}", boxsync::api::REQUESTED_AT);
        let args = ["annotate", "boxconnection", "acme", "--overwrite", "--field-manager=on-demand", &asked];
        kubectl.run(args).await.expect("kubectl").succeeded().expect("annotated");
        apply().await;
        let object = kubectl.get_json(["boxconnection", "acme"]).await.expect("read");
        assert_eq!(object["metadata"]["annotations"][boxsync::api::REQUESTED_AT], manager);
    }
}
