//! Installing the chart with kubectl and Helm, cluster-wide and for some namespaces: the operator runs with the arguments
//! and permissions of its Deployment, and uninstalling keeps the users' objects.

use std::fs;

use harness::{Helm, Kubectl, eventually, exclusive_control_plane, service_account_user};
use serde_json::json;

use crate::{
    env::{
        E2eEnv, SERVICE_ACCOUNT, SHORT_TIMEOUT, chart_path, count_listed_pages, create_acme, expect_no_warning,
        repo_path,
    },
    helm_release::{NAMESPACE, Release, assert_pod_admitted, pod_of_deployment},
};

async fn can_i(kubectl: &Kubectl, user: &str, verb: &str, resource: &str, namespace: &str) -> bool {
    let args = ["auth", "can-i", verb, resource, "--as", user, "--namespace", namespace];
    kubectl.run(args).await.expect("kubectl").stdout.trim() == "yes"
}

#[tokio::test]
async fn the_chart_works_cluster_wide_or_namespaced_and_uninstall_keeps_the_lists() {
    let plane = exclusive_control_plane("installing").await.expect("control plane");
    let release = Release::on_plane(&plane).await;
    let kubectl = plane.kubectl();

    // Without Helm: the API server accepts every object without a warning.
    let manifests = fs::read_to_string(repo_path("config/install.yaml")).expect("readable");
    let applied = kubectl.run_with_stdin(["apply", "--server-side", "--validate=strict", "-f", "-"], &manifests).await;
    expect_no_warning(applied.expect("kubectl"));
    let run = async |words: &[&str]| kubectl.run(words).await.expect("kubectl").into_stdout().expect("done");
    run(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"]).await;
    for namespace in ["team-a", "team-b", "elsewhere"] {
        run(&["create", "namespace", namespace]).await;
    }

    // Helm adopts the objects that kubectl created, as docs/installing.md describes.
    let options = json!({"networkPolicy": {"enabled": true}});
    let notes = release.run_helm(&["install", "--take-ownership", "--force-conflicts"], &options).await;
    assert!(notes.contains("The operator watches connections in all namespaces."), "{notes}");
    assert!(notes.contains("8443 with minikube, 16443 with MicroK8s"), "{notes}");
    let deployment = release.kubectl.get_json(["deployment", SERVICE_ACCOUNT]).await.expect("read");
    assert_pod_admitted(&release.kubectl, &pod_of_deployment(&deployment).to_string()).await;

    let mut env = E2eEnv::for_installed_chart(&plane, NAMESPACE).await;
    let (acme, user) = (create_acme(&env.sim), env.operator_user.clone());
    let cluster_wide_operator = release.start_deployed_operator(&env).await;
    release.run_helm_test(&env).await;
    env.switch_namespace("team-a");
    env.connect_by_client_credentials("acme", &acme).await;
    env.wait_until_ready("acme").await;
    assert!(can_i(&kubectl, &user, "get", "secrets/any", "elsewhere").await);
    env.stop_and_verify(cluster_wide_operator).await;

    // Switch to two namespaces.
    let two_namespaces = json!({
        "watchNamespaces": ["team-a", "team-b"],
        "admission": {"lists": {"enabled": true}, "approvals": {"enabled": true}, "requesters": {"enabled": true}},
    });
    let notes = release.run_helm(&["upgrade", "--force-conflicts"], &two_namespaces).await;
    assert!(notes.contains("The operator watches connections in team-a, team-b."), "{notes}");
    let cluster_roles =
        release.kubectl.get_json(["clusterroles,clusterrolebindings", "-l", "app.kubernetes.io/instance"]);
    let cluster_roles = cluster_roles.await.expect("read");
    let names: Vec<_> =
        cluster_roles["items"].as_array().expect("items").iter().map(|i| i["metadata"]["name"].clone()).collect();
    let user_roles = [
        "boxsync-edit",
        "boxsync-operator-approver",
        "boxsync-roster-consumer",
        "boxsync-roster-reader",
        "boxsync-view",
    ];
    assert_eq!(names, user_roles, "cluster roles of the operator remain");
    let namespaced_operator = release.start_deployed_operator(&env).await;
    release.run_helm_test(&env).await;
    let elsewhere = env.sim.add_enterprise(box_sim::EnterpriseConfig::new("1003").users(5));
    env.switch_namespace("elsewhere");
    env.connect_by_client_credentials("acme", &elsewhere).await;
    for namespace in ["team-b", "team-a"] {
        env.switch_namespace(namespace);
        env.connect_by_client_credentials("again", &acme).await;
        env.wait_until_ready("again").await;
        env.run_request("again").await;
        assert!(can_i(&kubectl, &user, "get", "secrets/any", namespace).await);
    }
    assert_eq!(count_listed_pages(&elsewhere), 0, "synced an unwatched namespace");
    assert!(!can_i(&kubectl, &user, "get", "secrets/any", "elsewhere").await);
    assert!(
        !namespaced_operator.log().contains("WARN") && !namespaced_operator.log().contains("ERROR"),
        "{}",
        namespaced_operator.log()
    );
    env.stop_and_verify(namespaced_operator).await;

    release.uninstall().await;
    let remaining = release.kubectl.run(["get", "deployments,serviceaccounts,roles,services", "-o", "name"]).await;
    let remaining = remaining.expect("kubectl").into_stdout().expect("read");
    assert_eq!(remaining.trim(), "serviceaccount/default");
    let list = run(&["get", "boxconnections,userrosters", "--namespace", "team-a", "-o", "name"]).await;
    assert_eq!(list.lines().count(), 4, "two connections and their lists stay: {list}");
}

#[tokio::test]
async fn namespace_editors_can_edit_connections_but_not_read_lists() {
    let env = E2eEnv::new("user roles").await;
    let roles = json!({
        "replicaCount": 0, "crds": {"install": false}, "rbac": {"create": false}, "serviceAccount": {"create": false},
        "rosterReader": {"create": false},
    });
    let helm = Helm::new().await.expect("helm");
    env.apply_manifest(&helm.template(&chart_path(), "roles", &env.namespace, &roles).await.expect("rendered")).await;
    for (role, verbs) in [("view", &["get", "list", "watch"][..]), ("edit", &["get", "create", "patch", "delete"])] {
        env.run(&["create", "serviceaccount", role]).await;
        let subject = format!("--serviceaccount={}:{role}", env.namespace);
        env.run(&["create", "rolebinding", role, &format!("--clusterrole={role}"), &subject]).await;
        let user = service_account_user(&env.namespace, role);
        for resource in ["boxconnections.boxsync.dev", "usersyncrequests.boxsync.dev"] {
            for verb in verbs {
                eventually(&format!("{role} may {verb} {resource}"), SHORT_TIMEOUT, async || {
                    if can_i(&env.kubectl, &user, verb, resource, &env.namespace).await {
                        Ok(())
                    } else {
                        Err("not yet")
                    }
                })
                .await;
            }
        }
        for (verb, resource) in [("get", "userslices.boxsync.dev"), ("get", "userrosters.boxsync.dev")] {
            assert!(!can_i(&env.kubectl, &user, verb, resource, &env.namespace).await, "{role}: {verb} {resource}");
        }
    }
    let viewer = service_account_user(&env.namespace, "view");
    assert!(!can_i(&env.kubectl, &viewer, "create", "boxconnections.boxsync.dev", &env.namespace).await);
}
