//! Installing the chart with many values, by Helm 4 and by Helm 3, and upgrading the chart that landed last.

use std::fs;
use std::path::{Path, PathBuf};

use harness::{ControlPlane, Helm, Kubectl, exclusive_control_plane};
use serde_json::{Value, json};

use crate::{
    env::{SERVICE_ACCOUNT, chart_path, expect_no_warning, repo_path, shared_plane},
    helm_release::{NAMESPACE, assert_pod_admitted, pod_of_deployment},
};

/// Values, with the words that name them in a failure. The namespace is the release's, `monitoring` another one.
fn value_sets(namespace: &str, monitoring: &str) -> Vec<(&'static str, Value)> {
    vec![
        ("defaults", json!({})),
        ("its own namespace alone", json!({"watchNamespaces": [namespace]})),
        ("no leader election", json!({"replicaCount": 1, "extraArgs": ["--leader-elect=false"]})),
        ("a CA bundle in a ConfigMap", json!({"caBundle": {"configMap": "trusted", "key": "ca-bundle.crt"}})),
        (
            "a CA bundle in a Secret, and a proxy whose URL is one",
            json!({
                "caBundle": {"secret": "proxy"}, "proxy": {"except": ".example.com"},
                "extraEnv": [{"name": "HTTPS_PROXY", "valueFrom": {"secretKeyRef": {"name": "proxy", "key": "url"}}}],
            }),
        ),
        (
            "the registry and the pull secrets of an umbrella chart",
            json!({
                "global": {"imageRegistry": "mirror.example.com/box", "imagePullSecrets": ["mirror"], "other": 1},
                "image": {"repository": "registry.example.com/boxsync-operator"},
                "imagePullSecrets": [{"name": "registry"}, "mirror"],
            }),
        ),
        (
            "labels and annotations of the cluster's policies",
            json!({
                "commonLabels": {"team": "identity"}, "podLabels": {"team": "box", "tier": "backend"},
                "deploymentAnnotations": {"reloader.stakater.com/auto": "true"},
                "podAnnotations": {"kubectl.kubernetes.io/default-container": "operator", "a": "b"},
                "serviceAccount": {"annotations": {"a": "b"}},
            }),
        ),
        (
            "an existing ServiceAccount with rights of its own",
            json!({"serviceAccount": {"create": false}, "rbac": {"create": false}}),
        ),
        (
            "monitors and alerts in another namespace",
            json!({"metrics": {
                "serviceMonitor": {
                    "enabled": true, "namespace": monitoring, "labels": {"release": "prometheus"}, "scrapeTimeout": "5s",
                    "relabelings": [{"action": "replace", "targetLabel": "cluster", "replacement": "eu"}],
                    "metricRelabelings": [{"action": "labeldrop", "regex": "version"}],
                },
                "podMonitor": {"enabled": true, "namespace": monitoring, "interval": "1m"},
                "prometheusRule": {"enabled": true, "namespace": monitoring, "alertLabels": {"team": "identity"}},
                "dashboard": {"enabled": true, "namespace": monitoring},
            }}),
        ),
        (
            "monitors and alerts beside the operator",
            json!({"metrics": {
                "serviceMonitor": {"enabled": true}, "podMonitor": {"enabled": true},
                "prometheusRule": {"enabled": true, "disabled": ["BoxsyncPaused"]}, "dashboard": {"enabled": true},
            }}),
        ),
        (
            "a network policy for MicroK8s",
            json!({"networkPolicy": {"enabled": true, "ingressFrom": [], "egressPorts": [443, 16443]}}),
        ),
        ("a Deployment that is recreated", json!({"strategy": {"type": "Recreate"}, "revisionHistoryLimit": 0})),
        (
            "a rolling update without a surge",
            json!({"strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}, "revisionHistoryLimit": 2}),
        ),
        (
            "names resolved by other means",
            json!({
                "hostAliases": [{"ip": "192.0.2.1", "hostnames": ["proxy.example.com"]}],
                "dnsPolicy": "None", "dnsConfig": {"nameservers": ["192.0.2.53"], "searches": ["example.com"]},
            }),
        ),
        (
            "a runtime and a priority",
            json!({"runtimeClassName": "sandboxed", "priorityClassName": "system-cluster-critical"}),
        ),
        (
            "a token that the pods mount themselves",
            json!({
                "automountServiceAccountToken": false,
                "extraVolumes": [{"name": "token", "projected": {"sources": [
                    {"serviceAccountToken": {"path": "token", "expirationSeconds": 3600}},
                    {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                    {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
                ]}}],
                "extraVolumeMounts": [
                    {"name": "token", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "readOnly": true},
                ],
            }),
        ),
        ("a user id that is asked for", json!({"podSecurityContext": {"runAsUser": 65532, "runAsGroup": 65532}})),
        (
            "slow probes",
            json!({
                "livenessProbe": {"initialDelaySeconds": 30, "failureThreshold": 10},
                "readinessProbe": {"periodSeconds": 30, "successThreshold": 2},
            }),
        ),
        (
            "both IP families if there are two",
            json!({"metrics": {"service": {"ipFamilyPolicy": "PreferDualStack", "annotations": {"a": "b"}}}}),
        ),
        (
            "every admission policy",
            json!({
                "watchNamespaces": [namespace],
                "admission": {
                    "lists": {"enabled": true, "exceptFor": {"users": ["velero"], "groups": ["backup"]}},
                    "approvals": {"enabled": true}, "requesters": {"enabled": true},
                },
            }),
        ),
        (
            "every switch of the operator",
            json!({
                "oauth": {"enabled": true}, "paused": true, "boxApiUrl": "https://box.example.com",
                "proxy": {"https": "http://proxy.example.com:3128"}, "extraArgs": ["--log=debug", "--log-format=text"],
                "leaderElection": {"leaseDuration": "60s", "renewDeadline": "40s", "retryPeriod": "5s"},
            }),
        ),
        (
            "names of their own",
            json!({"nameOverride": "box", "serviceAccount": {"name": "reader.of.box"}, "image": {"tag": "1.0"}}),
        ),
        (
            "names that look like numbers",
            json!({"fullnameOverride": "12e3", "serviceAccount": {"name": "0x11"}, "watchNamespaces": [namespace]}),
        ),
        (
            "scaled to zero, without a test",
            json!({"replicaCount": 0, "tests": {"enabled": false}, "podDisruptionBudget": {"enabled": false}}),
        ),
        (
            "nodes of their own",
            json!({
                "nodeSelector": {"kubernetes.io/os": "linux"}, "tolerations": [{"key": "dedicated", "operator": "Exists"}],
                "affinity": {"nodeAffinity": {}}, "podDisruptionBudget": {"maxUnavailable": "50%"},
                "topologySpreadConstraints": [{
                    "maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "DoNotSchedule",
                }],
                "resources": {"requests": {"cpu": "100m"}, "limits": {"memory": "1Gi"}},
            }),
        ),
        (
            "values reset by null",
            json!({
                "global": null, "strategy": null, "commonLabels": null, "extraEnv": null, "livenessProbe": null,
                "networkPolicy": {"enabled": true, "ingressFrom": null},
            }),
        ),
    ]
}

/// What several releases in one cluster cannot all create.
fn among_others(mut values: Value) -> Value {
    for name in ["userRoles", "rosterReader"] {
        values[name] = json!({"create": false});
    }
    values["crds"] = json!({"install": false});
    values
}

/// A release in a namespace that enforces Pod Security "restricted".
struct InstalledRelease<'a> {
    helm: &'a Helm,
    kubectl: &'a Kubectl,
    namespace: &'a str,
    name: String,
    values: Value,
}

impl InstalledRelease<'_> {
    async fn run_helm(&self, words: &[&str]) -> String {
        let args = [words, &["--namespace", self.namespace]].concat();
        let output = self.helm.run_with_warnings(&args, &self.values).await.expect("helm");
        assert!(!output.stderr.to_lowercase().contains("warn"), "{}: {output:?}", self.values);
        output.into_stdout().unwrap_or_else(|e| panic!("{}: {e}", self.values))
    }

    /// Installs it, and upgrades it with the same values, which changes nothing; returns its Deployment.
    async fn install_and_upgrade(&self) -> Value {
        let chart = chart_path().display().to_string();
        for verb in ["install", "upgrade"] {
            self.run_helm(&[verb, &self.name, &chart, "--values", "-"]).await;
        }
        let instance = format!("app.kubernetes.io/instance={}", self.name);
        let found = self.kubectl.get_json(["deployments", "--selector", &instance]).await.expect("read");
        let deployment = &found["items"][0];
        assert_eq!(deployment["metadata"]["generation"], 1, "changed by the same values: {}", self.values);
        deployment.clone()
    }

    async fn assert_pods_admitted(&self, deployment: &Value) {
        let hooks = self.run_helm(&["get", "hooks", &self.name]).await;
        let pods = format!("{}\n---\n{hooks}", pod_of_deployment(deployment));
        assert_pod_admitted(self.kubectl, &pods).await;
    }
}

/// Kinds that values refer to; the Prometheus operator's with the fields that the chart uses.
async fn create_prerequisites(plane: &ControlPlane) {
    let crds = fs::read_to_string(repo_path("tests/e2e/prometheus-operator.yaml")).expect("readable");
    let runtime =
        "\n---\n{apiVersion: node.k8s.io/v1, kind: RuntimeClass, metadata: {name: sandboxed}, handler: sandboxed}\n";
    let kubectl = plane.kubectl();
    expect_no_warning(kubectl.apply_yaml(&format!("{crds}{runtime}")).await.expect("kubectl"));
    let established = ["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"];
    kubectl.run(established).await.expect("kubectl").into_stdout().expect("established");
}

#[tokio::test]
async fn each_set_of_values_installs_and_upgrades_without_a_warning_by_both_versions_of_helm() {
    let plane = shared_plane().await;
    create_prerequisites(plane).await;
    let install_all = async |helm: Helm, version: &str| {
        let namespace = plane.create_namespace(&format!("helm {version}")).await.expect("namespace");
        let monitoring = plane.create_namespace("monitoring").await.expect("namespace");
        let enforced = ["label", "namespace", &namespace.name, "pod-security.kubernetes.io/enforce=restricted"];
        plane.kubectl().run(enforced).await.expect("kubectl").into_stdout().expect("labelled");
        let (helm, kubectl) = (helm.kubeconfig(plane.admin_kubeconfig()), namespace.kubectl());
        let sets = value_sets(&namespace.name, &monitoring.name);
        assert!(sets.len() >= 20, "{}", sets.len());
        for (n, (set, values)) in sets.into_iter().enumerate() {
            println!("Helm {version}: {set}");
            let release = InstalledRelease {
                helm: &helm,
                kubectl: &kubectl,
                namespace: &namespace.name,
                name: format!("{}-{n}", namespace.name),
                values: among_others(values),
            };
            let deployment = release.install_and_upgrade().await;
            // Both versions render the same pods, as chart_embedded.rs shows.
            if version == "4" {
                release.assert_pods_admitted(&deployment).await;
            }
            release.run_helm(&["uninstall", &release.name]).await;
        }
    };
    let (v4, v3) = (Helm::new().await.expect("helm"), Helm::new_v3().await.expect("helm"));
    tokio::join!(install_all(v4, "4"), install_all(v3, "3"));
}

/// A chart that installs what landed last.
fn landed_chart(folder: &Path) -> PathBuf {
    let chart = folder.join("landed");
    fs::create_dir_all(chart.join("templates")).expect("made");
    fs::write(chart.join("Chart.yaml"), "apiVersion: v2\nname: boxsync-operator\nversion: 0.0.9\n").expect("written");
    let landed = |file: &str| fs::read_to_string(repo_path("tests/e2e/landed").join(file)).expect("readable");
    assert!(!landed("manifests.yaml").contains("{{"), "would be a template");
    fs::write(chart.join("templates/all.yaml"), landed("manifests.yaml")).expect("written");
    fs::write(chart.join("values.yaml"), landed("values.yaml")).expect("written");
    chart
}

#[tokio::test]
async fn the_chart_that_landed_last_is_upgraded_in_place_and_can_be_rolled_back_to() {
    let plane = exclusive_control_plane("landed").await.expect("control plane");
    let kubectl = plane.kubectl().namespace(NAMESPACE);
    let (landed, current) = (landed_chart(plane.dir()).display().to_string(), chart_path().display().to_string());
    for helm in [Helm::new().await.expect("helm"), Helm::new_v3().await.expect("helm")] {
        let helm = helm.kubeconfig(plane.admin_kubeconfig());
        let helm_run = async |words: &[&str]| {
            let args = [words, &["--namespace", NAMESPACE]].concat();
            helm.run(&args, &json!({})).await.expect("helm")
        };
        let uids = async || {
            let kinds = "deployments,services,serviceaccounts,roles,rolebindings,poddisruptionbudgets";
            let found = kubectl.get_json([kinds, "--selector", "app.kubernetes.io/name"]).await.expect("read");
            let items = found["items"].as_array().expect("items").clone();
            items.into_iter().map(|object| object["metadata"]["uid"].clone()).collect::<Vec<_>>()
        };
        helm_run(&["install", SERVICE_ACCOUNT, &landed, "--create-namespace"]).await;
        let before = uids().await;
        assert_eq!(before.len(), 6, "{before:?}");
        helm_run(&["upgrade", SERVICE_ACCOUNT, &current]).await;
        assert_eq!(uids().await, before, "objects were replaced");
        let deployment = kubectl.get_json(["deployment", SERVICE_ACCOUNT]).await.expect("read");
        assert_eq!(deployment["spec"]["template"]["spec"]["automountServiceAccountToken"], true, "upgraded");
        helm_run(&["rollback", SERVICE_ACCOUNT, "1"]).await;
        // Without the defaults of new values.
        helm_run(&["upgrade", SERVICE_ACCOUNT, &current, "--reuse-values"]).await;
        assert_eq!(uids().await, before, "objects were replaced");
        let reused = kubectl.get_json(["deployment", SERVICE_ACCOUNT]).await.expect("read");
        assert_eq!(reused["spec"]["template"]["spec"]["automountServiceAccountToken"], true, "the token is mounted");
        let hooks = helm_run(&["get", "hooks", SERVICE_ACCOUNT]).await;
        assert!(hooks.contains("kind: Pod"), "no pod for helm test: {hooks}");
        helm_run(&["uninstall", SERVICE_ACCOUNT]).await;
    }
}
