//! The chart installed: by kubectl, by helm, for the whole cluster and for some namespaces; the operator runs with the
//! arguments of its Deployment under what is installed, and nothing that people need goes with the chart.

use std::fs;

use harness::{Helm, Kubectl, Options, account_user, eventually, exclusive};
use serde_json::json;

use crate::release::{NAMESPACE, Release};
use crate::stage::{ACCOUNT, SOON, Stage, acme, chart, pages, repository, without_warning};

async fn may(kubectl: &Kubectl, user: &str, verb: &str, resource: &str, namespace: &str) -> bool {
    let words = ["auth", "can-i", verb, resource, "--as", user, "--namespace", namespace];
    kubectl.run(words).await.expect("kubectl").stdout.trim() == "yes"
}

#[tokio::test]
async fn the_chart_serves_the_whole_cluster_or_some_namespaces_and_leaves_the_lists_behind() {
    let plane =
        exclusive(Options { name: "installing".to_owned(), ..Options::default() }).await.expect("control plane");
    let release = Release::on(&plane).await;
    let kubectl = plane.kubectl();

    // Without Helm; every object is one that the API server knows, and none makes it warn.
    let manifests = fs::read_to_string(repository("config/install.yaml")).expect("readable");
    let applied = kubectl.run_with(["apply", "--server-side", "--validate=strict", "-f", "-"], &manifests).await;
    let applied = applied.expect("kubectl");
    without_warning(&applied);
    applied.succeeded().expect("applied");
    let run = async |words: &[&str]| kubectl.run(words).await.expect("kubectl").succeeded().expect("done");
    run(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"]).await;
    for namespace in ["team-a", "team-b", "elsewhere"] {
        run(&["create", "namespace", namespace]).await;
    }

    // Helm takes over what kubectl has made, as docs/installing.md says.
    let options = json!({"networkPolicy": {"enabled": true}});
    let told = release.helm(&["install", "--take-ownership", "--force-conflicts"], &options).await;
    assert!(told.contains("It looks after connections in all namespaces."), "{told}");
    let deployment = release.kubectl.get_json(["deployment", ACCOUNT]).await.expect("read");
    let mut pod = deployment["spec"]["template"].clone();
    pod["apiVersion"] = "v1".into();
    pod["kind"] = "Pod".into();
    pod["metadata"]["name"] = "as-the-deployment-makes-it".into();
    release.admits(&pod.to_string()).await;

    let mut stage = Stage::installed(&plane, NAMESPACE).await;
    let (acme, user) = (acme(&stage.sim), stage.user.clone());
    let everywhere = release.operator(&stage).await;
    release.test(&stage).await;
    stage.go_to("team-a");
    stage.connect("acme", &acme).await;
    stage.ready("acme").await;
    assert!(may(&kubectl, &user, "get", "secrets/any", "elsewhere").await);
    stage.end(everywhere).await;

    // From now on for two namespaces.
    let two_namespaces = json!({
        "watchNamespaces": ["team-a", "team-b"],
        "admission": {"lists": {"enabled": true}, "approvals": {"enabled": true}, "requesters": {"enabled": true}},
    });
    let told = release.helm(&["upgrade", "--force-conflicts"], &two_namespaces).await;
    assert!(told.contains("It looks after connections in team-a, team-b."), "{told}");
    let cluster_wide =
        release.kubectl.get_json(["clusterroles,clusterrolebindings", "-l", "app.kubernetes.io/instance"]);
    let kept = cluster_wide.await.expect("read");
    let names: Vec<_> =
        kept["items"].as_array().expect("items").iter().map(|i| i["metadata"]["name"].clone()).collect();
    let people = ["boxsync-edit", "boxsync-operator-approver", "boxsync-roster-reader", "boxsync-view"];
    assert_eq!(names, people, "and nothing for the operator");
    let of_two = release.operator(&stage).await;
    release.test(&stage).await;
    let elsewhere = stage.sim.enterprise(box_sim::EnterpriseSpec::new("1003").users(5));
    stage.go_to("elsewhere");
    stage.connect("acme", &elsewhere).await;
    for namespace in ["team-b", "team-a"] {
        stage.go_to(namespace);
        stage.connect("again", &acme).await;
        stage.ready("again").await;
        stage.finished(&stage.ask("again").await).await;
        assert!(may(&kubectl, &user, "get", "secrets/any", namespace).await);
    }
    assert_eq!(pages(&elsewhere), 0, "that is none of its namespaces");
    assert!(!may(&kubectl, &user, "get", "secrets/any", "elsewhere").await);
    assert!(!of_two.log().contains("WARN") && !of_two.log().contains("ERROR"), "{}", of_two.log());
    stage.end(of_two).await;

    release.uninstall().await;
    let gone = release.kubectl.run(["get", "deployments,serviceaccounts,roles,services", "-o", "name"]).await;
    let gone = gone.expect("kubectl").succeeded().expect("read");
    assert_eq!(gone.trim(), "serviceaccount/default");
    let list = run(&["get", "boxconnections,userrosters", "--namespace", "team-a", "-o", "name"]).await;
    assert_eq!(list.lines().count(), 4, "two connections and their lists stay: {list}");
}

#[tokio::test]
async fn whoever_may_edit_a_namespace_may_edit_its_connections_but_not_read_its_lists() {
    let stage = Stage::begin("user roles").await;
    let roles = json!({
        "replicaCount": 0, "crds": {"install": false}, "rbac": {"create": false}, "serviceAccount": {"create": false},
        "rosterReader": {"create": false},
    });
    let helm = Helm::new().await.expect("helm");
    stage.apply(&helm.template(&chart(), "roles", &stage.namespace, &roles).await.expect("rendered")).await;
    for (role, verbs) in [("view", &["get", "list", "watch"][..]), ("edit", &["get", "create", "patch", "delete"])] {
        stage.run(&["create", "serviceaccount", role]).await;
        let subject = format!("--serviceaccount={}:{role}", stage.namespace);
        stage.run(&["create", "rolebinding", role, &format!("--clusterrole={role}"), &subject]).await;
        let user = account_user(&stage.namespace, role);
        for resource in ["boxconnections.boxsync.dev", "usersyncrequests.boxsync.dev"] {
            for verb in verbs {
                eventually(&format!("{role} may {verb} {resource}"), SOON, async || {
                    if may(&stage.kubectl, &user, verb, resource, &stage.namespace).await {
                        Ok(())
                    } else {
                        Err("not yet")
                    }
                })
                .await;
            }
        }
        for (verb, resource) in [("get", "userslices.boxsync.dev"), ("get", "userrosters.boxsync.dev")] {
            assert!(!may(&stage.kubectl, &user, verb, resource, &stage.namespace).await, "{role}: {verb} {resource}");
        }
    }
    let viewer = account_user(&stage.namespace, "view");
    assert!(!may(&stage.kubectl, &viewer, "create", "boxconnections.boxsync.dev", &stage.namespace).await);
}
