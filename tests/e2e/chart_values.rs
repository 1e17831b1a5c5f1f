//! What single values of the chart change.

use serde_json::{Value, json};

use crate::rendered::{RenderedChart, matches_labels};

/// The variables of the operator's container with a value.
fn variables(rendered: &RenderedChart) -> Vec<(&str, &str)> {
    let [pod, _] = rendered.pod_specs();
    let listed = pod["containers"][0]["env"].as_array().expect("variables");
    listed.iter().filter_map(|one| Some((one["name"].as_str()?, one["value"].as_str()?))).collect()
}

#[tokio::test]
async fn an_umbrella_chart_sets_registry_and_pull_secrets_of_all_its_charts() {
    for (repository, image) in [
        ("boxsync-operator", "mirror.example.com/a/boxsync-operator:0.1.0"),
        ("team/boxsync-operator", "mirror.example.com/a/team/boxsync-operator:0.1.0"),
        ("registry.example.com/team/boxsync-operator", "mirror.example.com/a/team/boxsync-operator:0.1.0"),
        ("localhost/boxsync-operator", "mirror.example.com/a/boxsync-operator:0.1.0"),
        ("registry:5000/boxsync-operator", "mirror.example.com/a/boxsync-operator:0.1.0"),
    ] {
        let rendered = RenderedChart::new(&json!({
            "global": {"imageRegistry": "mirror.example.com/a/", "imagePullSecrets": ["one", {"name": "two"}]},
            "image": {"repository": repository, "tag": "0.1.0"},
            "imagePullSecrets": [{"name": "three"}, "one"],
        }))
        .await;
        for pod in rendered.pod_specs() {
            assert_eq!(pod["containers"][0]["image"], image);
            assert_eq!(pod["imagePullSecrets"], json!([{"name": "three"}, {"name": "one"}, {"name": "two"}]));
        }
    }
}

#[tokio::test]
async fn no_user_id_is_fixed_unless_asked_for() {
    let default = RenderedChart::new(&json!({})).await;
    let asked = RenderedChart::new(&json!({"podSecurityContext": {"runAsUser": 1000, "fsGroup": 1000}})).await;
    for (default, asked) in default.pod_specs().into_iter().zip(asked.pod_specs()) {
        let context = json!({"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}});
        assert_eq!(default["securityContext"], context);
        assert_eq!(asked["securityContext"]["runAsUser"], 1000);
        assert_eq!(asked["securityContext"]["runAsNonRoot"], true);
    }
}

#[tokio::test]
async fn the_pods_of_the_deployment_and_of_the_test_run_in_the_same_way() {
    let fields = json!({
        "automountServiceAccountToken": false,
        "hostAliases": [{"ip": "192.0.2.1", "hostnames": ["proxy.example.com"]}],
        "dnsPolicy": "Default",
        "dnsConfig": {"options": [{"name": "ndots", "value": "1"}]},
        "runtimeClassName": "gvisor",
        "priorityClassName": "system-cluster-critical",
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"key": "dedicated", "operator": "Exists"}],
    });
    let mut values = fields.clone();
    values["extraVolumes"] = json!([{"name": "token", "emptyDir": {}}]);
    values["extraVolumeMounts"] = json!([{"name": "token", "mountPath": "/token"}]);
    values["podLabels"] = json!({"policy": "yes"});
    values["podAnnotations"] = json!({"sidecar": "no"});
    let rendered = RenderedChart::new(&values).await;
    for pod in rendered.pod_specs() {
        for (field, value) in fields.as_object().expect("fields") {
            assert_eq!(pod[field], *value, "{field}");
        }
        assert_eq!(pod["volumes"], values["extraVolumes"]);
        assert_eq!(pod["containers"][0]["volumeMounts"], values["extraVolumeMounts"]);
        assert_eq!(pod["enableServiceLinks"], false);
    }
    for pod in [rendered.single("Pod"), &rendered.single("Deployment")["spec"]["template"]] {
        assert_eq!(
            (&pod["metadata"]["labels"]["policy"], &pod["metadata"]["annotations"]["sidecar"]),
            (&json!("yes"), &json!("no"))
        );
    }
}

#[tokio::test]
async fn the_deployment_rolls_out_as_asked() {
    let rendered = RenderedChart::new(&json!({
        "strategy": {"rollingUpdate": {"maxSurge": 0}}, "revisionHistoryLimit": 0,
        "deploymentAnnotations": {"reloader.stakater.com/auto": "true"},
        "livenessProbe": {"failureThreshold": 10}, "readinessProbe": {"periodSeconds": 30},
    }))
    .await;
    let deployment = rendered.single("Deployment");
    assert_eq!(deployment["spec"]["strategy"], json!({"rollingUpdate": {"maxSurge": 0}}));
    assert_eq!(deployment["spec"]["revisionHistoryLimit"], 0);
    assert_eq!(deployment["metadata"]["annotations"], json!({"reloader.stakater.com/auto": "true"}));
    let [pod, _] = rendered.pod_specs();
    let container = &pod["containers"][0];
    let liveness = json!({"httpGet": {"path": "/livez", "port": "http"}, "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 10});
    assert_eq!(container["livenessProbe"], liveness);
    assert_eq!(container["readinessProbe"]["periodSeconds"], 30);
}

#[tokio::test]
async fn without_leader_election_one_replica_is_replaced_and_no_test_looks_for_a_leader() {
    let flag = json!({"replicaCount": 1, "extraArgs": ["--leader-elect=false"]});
    let variable = json!({"replicaCount": 1, "extraEnv": [{"name": "BOXSYNC_LEADER_ELECT", "value": "false"}]});
    for values in [flag, variable] {
        let rendered = RenderedChart::new(&values).await;
        assert_eq!(rendered.single("Deployment")["spec"]["strategy"], json!({"type": "Recreate"}));
        assert_eq!(rendered.of_kind("Pod"), Vec::<&Value>::new());
    }
    let elects = RenderedChart::new(&json!({"extraArgs": ["--leader-elect=true"]})).await;
    assert_eq!(elects.single("Deployment")["spec"]["strategy"], Value::Null);
    assert_eq!(elects.of_kind("Pod").len(), 1);
    let untested = RenderedChart::new(&json!({"tests": {"enabled": false}})).await;
    assert_eq!(untested.of_kind("Pod"), Vec::<&Value>::new());
}

#[tokio::test]
async fn a_ca_bundle_is_mounted_where_the_operator_is_told_to_read_it() {
    for (bundle, volume) in [
        (
            json!({"configMap": "trusted", "key": "ca-bundle.crt"}),
            json!({"configMap": {"name": "trusted", "items": [{"key": "ca-bundle.crt", "path": "ca.crt"}]}}),
        ),
        (
            json!({"secret": "trusted"}),
            json!({"secret": {"secretName": "trusted", "items": [{"key": "ca.crt", "path": "ca.crt"}]}}),
        ),
    ] {
        let rendered =
            RenderedChart::new(&json!({"caBundle": bundle, "extraVolumes": [{"name": "b", "emptyDir": {}}]})).await;
        let path = "/etc/boxsync/ca-bundle/ca.crt";
        assert!(variables(&rendered).contains(&("BOXSYNC_CA_BUNDLE", path)), "{:?}", variables(&rendered));
        let [pod, _] = rendered.pod_specs();
        let mut expected = volume;
        expected["name"] = "ca-bundle".into();
        assert_eq!(pod["volumes"], json!([expected, {"name": "b", "emptyDir": {}}]));
        let mount = json!([{"name": "ca-bundle", "mountPath": "/etc/boxsync/ca-bundle", "readOnly": true}]);
        assert_eq!(pod["containers"][0]["volumeMounts"], mount);
    }
    let without = RenderedChart::new(&json!({"caBundle": {"key": "tls.crt"}})).await;
    let [pod, _] = without.pod_specs();
    assert_eq!((&pod["volumes"], variables(&without)), (&Value::Null, Vec::new()));
}

#[tokio::test]
async fn monitors_and_alerts_find_the_operator_from_another_namespace() {
    let monitor = json!({
        "enabled": true, "namespace": "monitoring", "interval": "1m", "scrapeTimeout": "20s",
        "relabelings": [{"targetLabel": "cluster", "replacement": "eu"}],
        "metricRelabelings": [{"action": "labeldrop", "regex": "version"}],
    });
    let rendered = RenderedChart::new(&json!({"metrics": {
        "serviceMonitor": monitor, "podMonitor": monitor,
        "prometheusRule": {"enabled": true, "namespace": "monitoring"},
    }}))
    .await;
    for (kind, endpoints) in [("ServiceMonitor", "endpoints"), ("PodMonitor", "podMetricsEndpoints")] {
        let object = rendered.single(kind);
        assert_eq!(object["metadata"]["namespace"], "monitoring");
        assert_eq!(object["spec"]["namespaceSelector"], json!({"matchNames": ["boxsync"]}));
        let endpoint = json!({
            "port": "http", "interval": "1m", "scrapeTimeout": "20s",
            "relabelings": monitor["relabelings"], "metricRelabelings": monitor["metricRelabelings"],
        });
        assert_eq!(object["spec"][endpoints], json!([endpoint]));
    }
    let rule = rendered.single("PrometheusRule");
    assert_eq!(rule["metadata"]["namespace"], "monitoring");
    // The job of a PodMonitor is its namespace and name; the label namespace is the operator's.
    let down = rule["spec"]["groups"][0]["rules"][0]["expr"].as_str().expect("an expression");
    assert!(down.contains(r#"job=~"boxsync-operator|monitoring/boxsync-operator", namespace="boxsync""#), "{down}");
}

/// Argo CD replaces this label in the metadata of all objects that it manages, but in no selector and no pod template.
#[tokio::test]
async fn every_selector_holds_when_argo_cd_replaces_the_instance_label() {
    let rendered = RenderedChart::new(&json!({
        "metrics": {"serviceMonitor": {"enabled": true}, "podMonitor": {"enabled": true}},
        "networkPolicy": {"enabled": true},
    }))
    .await;
    let managed_by_argo = |object: &Value| {
        let mut labels = object["metadata"]["labels"].clone();
        labels["app.kubernetes.io/instance"] = "boxsync-prod".into();
        labels
    };
    let service = rendered.single("Service");
    let pods = &rendered.single("Deployment")["spec"]["template"]["metadata"]["labels"];
    let selector = |kind: &str| rendered.single(kind)["spec"]["selector"]["matchLabels"].clone();
    assert!(matches_labels(&selector("ServiceMonitor"), &managed_by_argo(service)), "{service:#}");
    for (kind, selector) in [
        ("Service", service["spec"]["selector"].clone()),
        ("Deployment", selector("Deployment")),
        ("PodMonitor", selector("PodMonitor")),
        ("PodDisruptionBudget", selector("PodDisruptionBudget")),
        ("NetworkPolicy", rendered.single("NetworkPolicy")["spec"]["podSelector"]["matchLabels"].clone()),
    ] {
        assert!(matches_labels(&selector, pods), "{kind}");
        assert!(!matches_labels(&selector, &managed_by_argo(rendered.single("Pod"))), "{kind} selects the test's pod");
    }
}

#[tokio::test]
async fn labels_of_a_policy_are_on_every_object_and_the_closer_ones_win() {
    let rendered = RenderedChart::new(&json!({
        "commonLabels": {"team": "identity"}, "podLabels": {"team": "box"},
        "metrics": {
            "service": {"ipFamilyPolicy": "PreferDualStack"},
            "serviceMonitor": {"enabled": true, "labels": {"team": "metrics"}}, "dashboard": {"enabled": true},
        },
        "admission": {"lists": {"enabled": true}, "approvals": {"enabled": true}},
        "networkPolicy": {"enabled": true},
    }))
    .await;
    for kind in [
        "ServiceAccount",
        "Deployment",
        "Service",
        "PodDisruptionBudget",
        "NetworkPolicy",
        "ConfigMap",
        "ClusterRoleBinding",
        "Role",
        "RoleBinding",
    ] {
        assert_eq!(rendered.single(kind)["metadata"]["labels"]["team"], "identity", "{kind}");
    }
    for kind in
        ["CustomResourceDefinition", "ClusterRole", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"]
    {
        let objects = rendered.of_kind(kind);
        assert!(!objects.is_empty() && objects.iter().all(|o| o["metadata"]["labels"]["team"] == "identity"), "{kind}");
    }
    assert_eq!(rendered.single("ServiceMonitor")["metadata"]["labels"]["team"], "metrics");
    assert_eq!(rendered.single("Pod")["metadata"]["labels"]["team"], "box");
    assert_eq!(rendered.single("Deployment")["spec"]["template"]["metadata"]["labels"]["team"], "box");
    assert_eq!(rendered.single("Service")["spec"]["ipFamilyPolicy"], "PreferDualStack");
}
