//! Generated files in the repository; `UPDATE_GENERATED=1` regenerates them.

use std::process::Command;

use harness::{Helm, eventually};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::ResourceExt;
use serde_json::{Value, json};

use crate::{
    env::{SHORT_TIMEOUT, chart_path, shared_plane},
    test_support::assert_generated,
};

#[tokio::test]
async fn the_printed_crds_and_the_install_manifest_match_the_types() {
    let mut stream = String::new();
    for crd in boxsync::api::crds() {
        stream.push_str("---\n");
        stream.push_str(&serde_saphyr::to_string(&crd).expect("YAML"));
    }
    let printed = Command::new(env!("CARGO_BIN_EXE_boxsync-operator")).arg("crds").output().expect("runs");
    assert!(printed.status.success());
    assert_eq!(String::from_utf8(printed.stdout).expect("text"), stream, "`boxsync-operator crds` prints the same");

    // Generated from the files above: the chart with default values, in a namespace with Pod Security "restricted".
    let helm = Helm::new().await.expect("helm");
    let rendered = helm.template(&chart_path(), "boxsync-operator", "boxsync", &json!({})).await.expect("rendered");
    for crd in boxsync::api::crds() {
        let documents = rendered.split("\n---\n").filter_map(|d| serde_saphyr::from_str::<Value>(d).ok());
        let found =
            documents.filter(|d| d["kind"] == "CustomResourceDefinition" && d["metadata"]["name"] == crd.name_any());
        let found: Vec<_> = found.collect();
        let [found] = found.as_slice() else { panic!("{} of {}", found.len(), crd.name_any()) };
        let found: CustomResourceDefinition = serde_json::from_value(found.clone()).expect("a CRD");
        assert_eq!(found.spec, crd.spec);
        assert_eq!(found.annotations()["helm.sh/resource-policy"], "keep");
    }
    let namespace = "\
# Made from charts/boxsync-operator by `make generate`, for those without Helm: docs/installing.md.
apiVersion: v1
kind: Namespace
metadata:
  name: boxsync
  labels:
    pod-security.kubernetes.io/enforce: restricted
";
    assert_generated("config/install.yaml", &format!("{namespace}{rendered}"));
}

#[tokio::test]
async fn the_chart_renders_as_recorded() {
    let helm = Helm::new().await.expect("helm");
    let some_namespaces = json!({
        "watchNamespaces": ["boxsync", "team-a"],
        "userRoles": {"create": false},
        "admission": {"lists": {"enabled": true}, "approvals": {"enabled": true}, "requesters": {"enabled": true}},
    });
    let names_and_labels = json!({
        "fullnameOverride": "users-of-box",
        "commonLabels": {"team": "identity"},
        "podLabels": {"team": "box", "tier": "backend"},
        "serviceAccount": {"name": "reader", "annotations": {"example.com/owner": "identity"}},
    });
    let mut everything = json!({
        "image": {"repository": "images.example.com/boxsync-operator", "digest": format!("sha256:{}", "0".repeat(64))},
        "imagePullSecrets": [{"name": "registry"}],
        "global": {"imageRegistry": "mirror.example.com", "imagePullSecrets": ["mirror"]},
        "replicaCount": 3,
        "leaderElection": {"leaseDuration": "60s", "renewDeadline": "40s", "retryPeriod": "5s"},
        "boxApiUrl": "https://box.example.com",
        "paused": true,
        "oauth": {"enabled": true},
        "proxy": {"https": "http://proxy.example.com:3128", "except": ".example.com"},
        "extraArgs": ["--log-format=text"],
        "extraEnv": [{"name": "RUST_BACKTRACE", "value": "1"}],
        "extraVolumes": [{"name": "scratch", "emptyDir": {}}],
        "extraVolumeMounts": [{"name": "scratch", "mountPath": "/scratch"}],
        "caBundle": {"configMap": "trusted"},
        "strategy": {"type": "Recreate"},
        "revisionHistoryLimit": 2,
        "livenessProbe": {"failureThreshold": 5},
        "hostAliases": [{"ip": "192.0.2.1", "hostnames": ["proxy.example.com"]}],
        "dnsPolicy": "ClusterFirst",
        "dnsConfig": {"options": [{"name": "ndots", "value": "1"}]},
        "runtimeClassName": "gvisor",
        "deploymentAnnotations": {"reloader.stakater.com/auto": "true"},
        "priorityClassName": "system-cluster-critical",
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"key": "dedicated", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "topologySpreadConstraints": [
            {"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "DoNotSchedule"},
        ],
        "podAnnotations": {"example.com/owner": "identity"},
        "podSecurityContext": {"runAsUser": 65532},
        "podDisruptionBudget": {"maxUnavailable": "50%"},
        "admission": {
            "lists": {
                "enabled": true,
                "exceptFor": {"users": ["system:serviceaccount:velero:velero"], "groups": ["backup-admins"]},
            },
            "approvals": {"enabled": true},
            "requesters": {"enabled": true},
        },
        "metrics": {
            "service": {"annotations": {"example.com/scrape": "true"}, "ipFamilyPolicy": "PreferDualStack"},
            "serviceMonitor": {"enabled": true, "labels": {"release": "prometheus"}, "scrapeTimeout": "5s"},
            "podMonitor": {"enabled": true, "interval": "1m", "namespace": "monitoring"},
            "prometheusRule": {
                "enabled": true,
                "labels": {"release": "prometheus"},
                "alertLabels": {"team": "identity"},
                "runbookUrl": "https://docs.example.com/alerts.html",
            },
        },
        "networkPolicy": {"enabled": true, "egressPorts": [443, 6443, 3128]},
    });
    everything["objectLabels"] = json!({"owner": "identity", "example.com/cost-centre": "42"});
    everything["objectAnnotations"] = json!({"example.com/contact": "Jane, \"Box\" team"});
    let bare = json!({
        "replicaCount": 1,
        "serviceAccount": {"create": false},
        "rbac": {"create": false},
        "userRoles": {"create": false},
        "rosterReader": {"create": false},
    });
    for (name, release, mut values) in [
        ("default", "boxsync-operator", json!({})),
        ("some-namespaces", "boxsync-operator", some_namespaces),
        ("names-and-labels", "anything", names_and_labels),
        ("everything", "boxsync-operator", everything),
        ("bare", "boxsync-operator", bare),
    ] {
        values["crds"] = json!({"install": false});
        helm.lint(&chart_path(), &values).await.expect("clean");
        let rendered = helm.template(&chart_path(), release, "boxsync", &values).await.expect("rendered");
        assert_generated(&format!("tests/e2e/renders/{name}.yaml"), &rendered);
    }
}

#[tokio::test]
async fn kubectl_explain_prints_every_field_as_recorded() {
    let kubectl = shared_plane().await.kubectl();
    let mut all = String::new();
    for path in [
        "boxconn",
        "boxconn.spec",
        "boxconn.spec.auth",
        "boxconn.spec.auth.jwt",
        "boxconn.spec.auth.jwt.secretRef",
        "boxconn.status",
        "boxconn.status.failures",
        "boxconn.status.users",
        "usersync",
        "usersync.spec",
        "usersync.status",
    ] {
        // The schema of a new CRD is published shortly after the CRD is served.
        let explain = async || kubectl.run(["explain", path]).await?.into_stdout();
        let printed = eventually("kubectl explains it", SHORT_TIMEOUT, explain).await;
        let lines: Vec<&str> = printed.trim_end().lines().map(str::trim_end).collect();
        all.push_str(&format!("$ kubectl explain {path}\n{}\n\n", lines.join("\n")));
    }
    assert_generated("tests/e2e/explain.txt", &all);
}
