//! The chart: invalid values are rejected, and it grants exactly the required permissions.

use std::collections::BTreeSet;

use harness::{Helm, service_account_user};
use serde_json::{Value, json};

use crate::env::{E2eEnv, SERVICE_ACCOUNT, chart_path};

#[tokio::test]
async fn the_chart_lints_cleanly_and_rejects_unknown_values() {
    let helm = Helm::new().await.expect("helm");
    helm.lint(&chart_path(), &json!({})).await.expect("clean");
    let env_entry = |name: &str| json!({"name": name, "value": "false"});
    for (values, words) in [
        (json!({"serviceAcount": {}}), "serviceAcount"),
        (json!({"serviceAccount": {"creat": true}}), "creat"),
        (json!({"serviceAccount": {"name": "Not A Name"}}), "/serviceAccount/name"),
        (json!({"rbac": {"create": "yes"}}), "/rbac/create"),
        (json!({"rosterReader": {"name": "mine"}}), "name"),
        (json!({"image": {"tag": "with space"}}), "/image/tag"),
        (json!({"image": {"digest": "latest"}}), "/image/digest"),
        (json!({"replicaCount": "two"}), "/replicaCount"),
        (json!({"watchNamespaces": "team-a"}), "/watchNamespaces"),
        (json!({"watchNamespaces": ["Team A"]}), "/watchNamespaces/0"),
        (json!({"boxApiUrl": "api.box.com"}), "/boxApiUrl"),
        (json!({"proxy": {"https": "http://me:password@proxy"}}), "/proxy/https"),
        (json!({"extraArgs": ["run"]}), "/extraArgs/0"),
        (json!({"extraArgs": ["--oauth"]}), "extraArgs: --oauth cannot be set here: set oauth.enabled"),
        (json!({"extraArgs": ["--listen=[::]:9090"]}), "extraArgs: --listen cannot be set here"),
        (json!({"extraArgs": ["--lease-namespace=elsewhere"]}), "extraArgs: --lease-namespace cannot be set here"),
        (json!({"extraArgs": ["--leader-elect=false"]}), "--leader-elect=false needs replicaCount=1"),
        (
            json!({"extraArgs": ["--leader-elect=false"], "replicaCount": 1, "strategy": {"type": "RollingUpdate"}}),
            "--leader-elect=false needs strategy.type=Recreate",
        ),
        (json!({"extraArgs": ["--log=info", "--log=debug"]}), "extraArgs: --log occurs twice"),
        (json!({"extraEnv": {"A": "b"}}), "/extraEnv"),
        (json!({"extraEnv": [{"value": "b"}]}), "/extraEnv/0"),
        (json!({"extraEnv": [{"name": "A", "value": 5}]}), "/extraEnv/0/value"),
        (json!({"extraEnv": [env_entry("A"), env_entry("A")]}), "extraEnv: A occurs twice"),
        (json!({"extraEnv": [env_entry("POD_NAMESPACE")]}), "extraEnv: POD_NAMESPACE cannot be set here"),
        (json!({"extraEnv": [env_entry("BOXSYNC_PAUSED")]}), "extraEnv: BOXSYNC_PAUSED cannot be set here: set paused"),
        (
            json!({"extraEnv": [env_entry("BOXSYNC_CA_BUNDLE")]}),
            "extraEnv: BOXSYNC_CA_BUNDLE cannot be set here: set caBundle",
        ),
        (json!({"extraEnv": [env_entry("BOXSYNC_LEADER_ELECT")]}), "--leader-elect=false needs replicaCount=1"),
        (
            json!({"proxy": {"https": "http://proxy:3128"}, "extraEnv": [env_entry("https_proxy")]}),
            "extraEnv: https_proxy cannot be set here: proxy.https sets it",
        ),
        (
            json!({"proxy": {"except": "a"}, "extraEnv": [env_entry("NO_PROXY")]}),
            "extraEnv: NO_PROXY cannot be set here: proxy.except sets it",
        ),
        (json!({"extraVolumes": [{"name": "a"}, {"name": "a"}]}), "extraVolumes: a occurs twice"),
        (
            json!({"extraVolumes": [{"name": "ca-bundle"}], "caBundle": {"secret": "a"}}),
            "extraVolumes: the volume ca-bundle is the one of caBundle",
        ),
        (
            json!({"extraVolumeMounts": [{"mountPath": "/a"}, {"mountPath": "/a"}]}),
            "extraVolumeMounts: /a occurs twice",
        ),
        (json!({"hostAliases": [{"ip": "::1"}, {"ip": "::1"}]}), "hostAliases: ::1 occurs twice"),
        (json!({"caBundle": {"configMap": "a", "secret": "b"}}), "caBundle: configMap and secret exclude each other"),
        (json!({"caBundle": {"key": ""}}), "/caBundle/key"),
        (json!({"enabled": false}), "enabled=false has no effect here"),
        (json!({"global": {"imagePullSecrets": [{"nam": "a"}]}}), "/global/imagePullSecrets/0"),
        (json!({"livenessProbe": {"httpGet": {"path": "/"}}}), "httpGet"),
        (json!({"strategy": {"type": "Replace"}}), "/strategy/type"),
        (json!({"dnsPolicy": "First"}), "/dnsPolicy"),
        (json!({"revisionHistoryLimit": -1}), "/revisionHistoryLimit"),
        (json!({"metrics": {"service": {"ipFamilyPolicy": "DualStack"}}}), "/metrics/service/ipFamilyPolicy"),
        (json!({"metrics": {"podMonitor": {"scrapeTimeout": "soon"}}}), "/metrics/podMonitor/scrapeTimeout"),
        (json!({"resources": {"memory": "1Gi"}}), "memory"),
        (json!({"podDisruptionBudget": {"maxUnavailable": 0}}), "/podDisruptionBudget/maxUnavailable"),
        (json!({"networkPolicy": {"egressPorts": []}}), "/networkPolicy/egressPorts"),
        (json!({"networkPolicy": {"dnsPorts": ["dns"]}}), "/networkPolicy/dnsPorts/0"),
        (json!({"metrics": {"serviceMonitor": {"interval": "often"}}}), "/metrics/serviceMonitor/interval"),
        (json!({"metrics": {"prometheusRule": {"disabled": ["BoxsyncStale"]}}}), "/metrics/prometheusRule/disabled/0"),
        (json!({"metrics": {"prometheusRule": {"severities": {"warning": "ticket"}}}}), "warning"),
        (
            json!({"metrics": {"prometheusRule": {"runbookUrl": "docs/alerts.md#"}}}),
            "/metrics/prometheusRule/runbookUrl",
        ),
        (json!({"metrics": {"dashboard": {"labels": {"grafana_dashboard": 1}}}}), "/metrics/dashboard/labels"),
        (json!({"oauth": {"enabled": "yes"}}), "/oauth/enabled"),
        (json!({"commonLabels": {"year": 2026}}), "/commonLabels/year"),
        (json!({"commonLabels": {"team": "not a label"}}), "/commonLabels/team"),
        (
            json!({"commonLabels": {"app.kubernetes.io/name": "a"}}),
            "commonLabels: the chart sets the label app.kubernetes.io/name itself",
        ),
        (
            json!({"podLabels": {"app.kubernetes.io/instance": "a"}}),
            "podLabels: the chart sets the label app.kubernetes.io/instance itself",
        ),
        (
            json!({"metrics": {"prometheusRule": {"alertLabels": {"namespace": "a"}}}}),
            "metrics.prometheusRule.alertLabels: the alerts set the label namespace themselves",
        ),
        (json!({"objectLabels": {"owner": "a b"}}), "/objectLabels/owner"),
        (json!({"objectLabels": {"own er": "a"}}), "own er"),
        (json!({"objectLabels": {"year": 2026}}), "/objectLabels/year"),
        (json!({"objectAnnotations": ["a=b"]}), "/objectAnnotations"),
        (
            json!({"objectLabels": {"boxsync.dev/connection": "a"}}),
            "objectLabels: the operator sets boxsync.dev/connection itself",
        ),
        (
            json!({"objectAnnotations": {"app.kubernetes.io/managed-by": "a"}}),
            "objectAnnotations: the operator sets app.kubernetes.io/managed-by itself",
        ),
        (
            json!({"extraArgs": ["--object-labels=a=b"]}),
            "extraArgs: --object-labels cannot be set here: set objectLabels",
        ),
        (
            json!({"extraEnv": [env_entry("BOXSYNC_OBJECT_ANNOTATIONS")]}),
            "extraEnv: BOXSYNC_OBJECT_ANNOTATIONS cannot be set here: set objectAnnotations",
        ),
        (json!({"admission": {"lists": true}}), "/admission/lists"),
        (json!({"admission": {"lists": {"exceptFor": ["velero"]}}}), "/admission/lists/exceptFor"),
        (json!({"admission": {"approvals": {"enabled": "yes"}}}), "/admission/approvals/enabled"),
    ] {
        let refused = helm.template(&chart_path(), "any", "any", &values).await.expect_err("rejected").to_string();
        assert!(refused.contains(words), "{values}: {refused}");
    }
}

#[tokio::test]
async fn helm_3_lints_the_chart_cleanly_and_shows_the_same_reasons() {
    let helm = Helm::new_v3().await.expect("helm");
    helm.lint(&chart_path(), &json!({})).await.expect("clean");
    for (values, words) in [
        (json!({"serviceAccount": {"creat": true}}), "creat"),
        (json!({"watchNamespaces": ["Team A"]}), "/watchNamespaces/0"),
        (json!({"extraEnv": [{"name": "POD_NAMESPACE"}]}), "extraEnv: POD_NAMESPACE cannot be set here"),
    ] {
        let refused = helm.template(&chart_path(), "any", "any", &values).await.expect_err("rejected").to_string();
        assert!(refused.contains(words), "{values}: {refused}");
    }
}

#[tokio::test]
async fn values_reset_by_null_render_like_empty_values() {
    let helm = Helm::new().await.expect("helm");
    let monitor = json!({"enabled": true, "labels": null});
    let values = json!({
        "watchNamespaces": null, "extraArgs": null, "extraEnv": null, "imagePullSecrets": null, "commonLabels": null,
        "podLabels": null, "podAnnotations": null, "objectLabels": null, "objectAnnotations": null, "nodeSelector": null, "affinity": null, "tolerations": null,
        "metrics": {
            "serviceMonitor": monitor, "podMonitor": monitor,
            "prometheusRule": {"enabled": true, "labels": null, "alertLabels": null, "disabled": null},
            "dashboard": {"enabled": true, "labels": null, "annotations": null},
        },
        "networkPolicy": {"enabled": true, "ingressFrom": null},
        "admission": {"lists": {"enabled": true, "exceptFor": {"users": null, "groups": null}}},
    });
    let rendered = helm.template(&chart_path(), "any", "any", &values).await.expect("rendered");
    // The dashboard is JSON and contains nulls.
    let mut yaml = rendered.lines().filter(|line| !line.trim_start().starts_with('"'));
    assert!(!yaml.any(|line| line.ends_with(": null")), "{rendered}");
}

#[tokio::test]
async fn without_mutating_admission_policies_the_requesters_option_is_rejected() {
    let helm = Helm::new().await.expect("helm");
    let chart = chart_path().display().to_string();
    let values = json!({"admission": {"requesters": {"enabled": true}}});
    let render = async |served: &[&str]| {
        let words = [&["template", "any", &chart, "--values", "-"], served].concat();
        helm.run(&words, &values).await
    };
    let refused = render(&[]).await.expect_err("rejected").to_string();
    assert!(refused.contains("needs MutatingAdmissionPolicies") && refused.contains("Kubernetes 1.36"), "{refused}");
    let beta = "admissionregistration.k8s.io/v1beta1";
    let rendered = render(&["--api-versions", &format!("{beta}/MutatingAdmissionPolicy")]).await.expect("rendered");
    assert!(rendered.contains(&format!("apiVersion: {beta}\nkind: MutatingAdmissionPolicyBinding\n")), "{rendered}");
}

#[tokio::test]
async fn the_chart_does_not_create_what_exists_already() {
    let helm = Helm::new().await.expect("helm");
    let render = async |values: Value| helm.template(&chart_path(), "any", "any", &values).await.expect("rendered");
    let bound = render(json!({"serviceAccount": {"create": false, "name": "mine"}})).await;
    assert!(!bound.contains("\nkind: ServiceAccount\n") && bound.contains("serviceAccountName: \"mine\""), "{bound}");
    assert!(bound.contains("kind: ServiceAccount\n    name: \"mine\""), "{bound}");
    let unbound = render(json!({
        "rbac": {"create": false}, "rosterReader": {"create": false}, "userRoles": {"create": false},
        "crds": {"install": false},
    }))
    .await;
    assert!(unbound.contains("\nkind: ServiceAccount\n") && !unbound.contains("Role"), "{unbound}");
}

/// The permissions of a ServiceAccount in the test namespace, as the API server reports them.
async fn granted_permissions(env: &E2eEnv, user: &str) -> BTreeSet<String> {
    let review = "{apiVersion: authorization.k8s.io/v1, kind: SelfSubjectRulesReview, spec: {namespace: NAMESPACE}}"
        .replace("NAMESPACE", &env.namespace);
    let mut args = ["create", "--validate=false", "--output=json", "-f", "-"].map(str::to_owned).to_vec();
    args.push(format!("--as={user}"));
    args.push("--as-group=system:authenticated".to_owned());
    args.push("--as-group=system:serviceaccounts".to_owned());
    args.push(format!("--as-group=system:serviceaccounts:{}", env.namespace));
    let answer = env.kubectl.run_with_stdin(&args, &review).await.expect("kubectl").into_stdout().expect("reviewed");
    let answer: Value = serde_json::from_str(&answer).expect("JSON");
    let texts = |value: &Value| -> BTreeSet<String> {
        value.as_array().into_iter().flatten().filter_map(|v| v.as_str().map(str::to_owned)).collect()
    };
    let mut granted = BTreeSet::new();
    for rule in answer["status"]["resourceRules"].as_array().expect("rules") {
        let names: String = texts(&rule["resourceNames"]).iter().map(|name| format!(" named {name}")).collect();
        let verbs: Vec<_> = texts(&rule["verbs"]).into_iter().collect();
        for group in texts(&rule["apiGroups"]) {
            for resource in texts(&rule["resources"]) {
                granted.insert(format!("{group}/{resource}{names} {}", verbs.join(" ")));
            }
        }
    }
    granted
}

#[tokio::test]
async fn the_operator_has_exactly_the_rights_that_are_documented() {
    let env = E2eEnv::new("rights").await;
    let expected: BTreeSet<String> = [
        "boxsync.dev/boxconnections get list watch",
        "boxsync.dev/boxconnections/status update",
        "boxsync.dev/usersyncrequests delete get list watch",
        "boxsync.dev/usersyncrequests/status update",
        "boxsync.dev/userrosters create delete get list update watch",
        "boxsync.dev/userslices create delete get list",
        "/secrets get",
        "events.k8s.io/events create",
        "coordination.k8s.io/leases create",
        "coordination.k8s.io/leases named boxsync-operator get update",
    ]
    .map(str::to_owned)
    .into();
    let default_permissions = granted_permissions(&env, &service_account_user(&env.namespace, "default")).await;
    let mut granted = granted_permissions(&env, &env.operator_user).await;
    granted.retain(|right| !default_permissions.contains(right));
    assert_eq!(granted, expected);

    let with_oauth = E2eEnv::with_oauth("rights with oauth").await;
    let mut more = granted_permissions(&with_oauth, &with_oauth.operator_user).await;
    more.retain(|right| !default_permissions.contains(right) && !expected.contains(right));
    assert_eq!(more, ["/secrets create get update".to_owned()].into());
}

#[tokio::test]
async fn the_operator_can_neither_list_secrets_nor_write_user_objects() {
    let env = E2eEnv::new("forbidden").await;
    let user = format!("--as={}", env.operator_user);
    let can_i = async |verb: &str, resource: &str| {
        let answer = env.kubectl.run(["auth", "can-i", verb, resource, &user]).await.expect("kubectl");
        answer.stdout.trim() == "yes"
    };
    assert!(env.operator_user.ends_with(SERVICE_ACCOUNT));
    assert!(can_i("get", "secrets/acme").await);
    for (verb, resource) in [
        ("list", "secrets"),
        ("watch", "secrets"),
        ("create", "secrets"),
        ("update", "secrets/acme"),
        ("delete", "secrets/acme"),
        ("create", "boxconnections.boxsync.dev"),
        ("update", "boxconnections.boxsync.dev"),
        ("patch", "boxconnections.boxsync.dev"),
        ("delete", "boxconnections.boxsync.dev"),
        ("create", "usersyncrequests.boxsync.dev"),
        ("patch", "usersyncrequests.boxsync.dev"),
        ("deletecollection", "usersyncrequests.boxsync.dev"),
        ("get", "pods"),
        ("get", "configmaps"),
        ("update", "leases.coordination.k8s.io/another"),
        ("delete", "leases.coordination.k8s.io/boxsync-operator"),
        ("impersonate", "users"),
    ] {
        assert!(!can_i(verb, resource).await, "{verb} {resource}");
    }
}
