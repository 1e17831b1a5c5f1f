//! Tests of the control plane itself.

use std::time::{Duration, Instant};

use futures::StreamExt as _;
use harness::{eventually, exclusive_control_plane, service_account_user, shared_control_plane, wait_for_object};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, ObjectMeta, Patch, PostParams, WatchParams};

const LIMIT: Duration = Duration::from_secs(60);

fn config_map(name: &str) -> ConfigMap {
    let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
    ConfigMap { metadata, ..ConfigMap::default() }
}

#[tokio::test]
async fn the_control_plane_starts_and_answers() {
    let client = shared_control_plane().await.admin_client().await.expect("client");
    let version = client.apiserver_version().await.expect("version");
    assert_eq!(version.major, "1");
}

#[tokio::test]
async fn kubectl_lists_namespaces_and_reports_rejections() {
    let plane = shared_control_plane().await;
    let namespace = plane.create_namespace("kubectl").await.expect("namespace");
    let listed = plane.kubectl().run(["get", "ns", "-o", "name"]).await.expect("kubectl");
    let listed = listed.into_stdout().expect("listed");
    assert!(listed.lines().any(|line| line == format!("namespace/{}", namespace.name)), "{listed}");

    let yaml = "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {key: value}}";
    let kubectl = namespace.kubectl();
    kubectl.apply_yaml(yaml).await.expect("kubectl").into_stdout().expect("applied");
    kubectl.apply_server_side(yaml, "flux").await.expect("kubectl").into_stdout().expect("applied");
    let read = kubectl.get_json(["configmap", "a"]).await.expect("read");
    assert_eq!(read["data"]["key"], "value");

    let refused = yaml.replace("name: a", "name: A_");
    let words = kubectl.expect_rejected(&refused).await.expect("refused");
    assert!(words.contains("metadata.name: Invalid value"), "{words}");
    let accepted = yaml.replace("name: a", "name: b");
    kubectl.expect_rejected(&accepted).await.expect_err("nothing is wrong with it");
}

#[tokio::test]
async fn a_service_account_may_do_only_what_rbac_grants() {
    let plane = shared_control_plane().await;
    let namespace = plane.create_namespace("rbac").await.expect("namespace");
    let grants = "
apiVersion: v1
kind: ServiceAccount
metadata: {name: reader}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader}
rules: [{apiGroups: [''], resources: [configmaps], verbs: [list]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: reader}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
subjects: [{kind: ServiceAccount, name: reader}]
";
    namespace.kubectl().apply_yaml(grants).await.expect("kubectl").into_stdout().expect("applied");
    let client = plane.client_for(&namespace.name, "reader").await.expect("client");
    let maps: Api<ConfigMap> = Api::namespaced(client, &namespace.name);
    // The authorizer gets new roles through a watch.
    eventually("the role is in force", LIMIT, async || maps.list(&Default::default()).await).await;
    let refused = maps.create(&PostParams::default(), &config_map("a")).await;
    assert!(matches!(&refused, Err(kube::Error::Api(status)) if status.code == 403), "{refused:?}");
}

#[tokio::test]
async fn a_deleted_namespace_is_removed_with_its_objects() {
    let plane = shared_control_plane().await;
    let namespace = plane.create_namespace("going").await.expect("namespace");
    let client = plane.admin_client().await.expect("client");
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &namespace.name);
    maps.create(&PostParams::default(), &config_map("a")).await.expect("created");
    let namespaces: Api<Namespace> = Api::all(client);
    namespaces.delete(&namespace.name, &DeleteParams::default()).await.expect("deleted");
    eventually("the namespace is gone", LIMIT, async || match namespaces.get_opt(&namespace.name).await {
        Ok(None) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
}

#[tokio::test]
async fn dependents_of_a_deleted_object_are_garbage_collected() {
    let plane = shared_control_plane().await;
    let namespace = plane.create_namespace("garbage").await.expect("namespace");
    let client = plane.admin_client().await.expect("client");
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &namespace.name);
    let owner = maps.create(&PostParams::default(), &config_map("owner")).await.expect("created");
    let mut owned = config_map("owned");
    owned.metadata.owner_references = Some(vec![OwnerReference {
        api_version: "v1".to_owned(),
        kind: "ConfigMap".to_owned(),
        name: owner.name_any(),
        uid: owner.uid().expect("uid"),
        ..OwnerReference::default()
    }]);
    maps.create(&PostParams::default(), &owned).await.expect("created");
    maps.delete("owner", &DeleteParams::default()).await.expect("deleted");
    eventually("the owned one is gone", LIMIT, async || match maps.get_opt("owned").await {
        Ok(None) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    // Every namespace gets its ServiceAccount too.
    let accounts: Api<ServiceAccount> = Api::namespaced(client, &namespace.name);
    wait_for_object(&accounts, "default", "exists", LIMIT, |_| true).await;
}

#[tokio::test]
async fn the_audit_log_counts_the_writes_of_one_user() {
    let plane = shared_control_plane().await;
    let namespace = plane.create_namespace("audit").await.expect("namespace");
    let kubectl = namespace.kubectl();
    let run = async |args: &[&str]| {
        kubectl.run(args).await.expect("kubectl").into_stdout().expect("done");
    };
    run(&["create", "serviceaccount", "writer"]).await;
    run(&["create", "role", "writer", "--verb=get,list,watch,create,delete", "--resource=configmaps"]).await;
    let subject = format!("--serviceaccount={}:writer", namespace.name);
    run(&["create", "rolebinding", "writer", "--role=writer", &subject]).await;

    let user = service_account_user(&namespace.name, "writer");
    let audit = plane.audit_log();
    let client = plane.client_for(&namespace.name, "writer").await.expect("client");
    let maps: Api<ConfigMap> = Api::namespaced(client, &namespace.name);
    eventually("the role is in force", LIMIT, async || maps.list(&Default::default()).await).await;
    let mark = audit.wait_until_idle(&user, Duration::from_millis(300), LIMIT).await.expect("quiet");
    assert_eq!(audit.count_writes(&user, mark), 0);

    for name in ["a", "b"] {
        maps.create(&PostParams::default(), &config_map(name)).await.expect("created");
    }
    // A watch that ends after a second is logged when it begins and when it ends.
    let watch = maps.watch(&WatchParams::default().timeout(1), "0").await.expect("watched");
    assert!(watch.count().await > 0, "it shows what there is");
    maps.delete("a", &DeleteParams::default()).await.expect("deleted");
    let refused = maps.patch("b", &Default::default(), &Patch::Merge(config_map("b"))).await;
    refused.expect_err("patching was not granted");

    audit.wait_until_idle(&user, Duration::from_millis(300), LIMIT).await.expect("quiet");
    let writes = audit.entries_since(mark).by_user(&user).only_writes();
    let logged: Vec<_> =
        writes.iter().map(|w| (w.verb.as_str(), w.resource.as_str(), w.name.as_str(), w.code)).collect();
    let expected = [
        ("create", "configmaps", "a", 201),
        ("create", "configmaps", "b", 201),
        ("delete", "configmaps", "a", 200),
        ("patch", "configmaps", "b", 403),
    ];
    assert_eq!(logged, expected);
    assert_eq!(audit.count_writes(&user, mark), 4);
    let watches = audit.entries_since(mark).by_user(&user).filter(|entry| entry.verb == "watch");
    assert_eq!(watches.len(), 1, "a watch counts once, though it is logged twice:\n{watches}");
}

#[tokio::test]
async fn a_restarted_api_server_keeps_its_port_and_data() {
    let begin = Instant::now();
    let mut plane = exclusive_control_plane("outage").await.expect("control plane");
    println!("started in {:?}", begin.elapsed());
    let namespace = plane.create_namespace("outage").await.expect("namespace").name;
    let client = plane.admin_client().await.expect("client");
    let maps: Api<ConfigMap> = Api::namespaced(client, &namespace);
    maps.create(&PostParams::default(), &config_map("a")).await.expect("created");
    let url = plane.url();

    plane.stop_api_server().expect("stopped");
    assert!(!plane.api_server().is_running());
    maps.get("a").await.expect_err("nobody answers");
    let begin = Instant::now();
    plane.start_api_server().await.expect("started");
    println!("started again in {:?}", begin.elapsed());
    assert_eq!(plane.url(), url);
    eventually("the old client finds its object again", LIMIT, async || maps.get("a").await).await;
    assert!(plane.controller_manager().is_running());
    assert!(plane.api_server().cpu_time().is_some_and(|cpu| cpu > Duration::from_millis(100)));
    assert!(plane.api_server().rss_kib().is_some_and(|kib| kib > 10_000));

    plane.pause_api_server().await.expect("paused");
    let asked = tokio::time::timeout(Duration::from_millis(500), maps.get("a")).await;
    asked.expect_err("it hangs");
    plane.resume_api_server().await.expect("resumed");
    eventually("it goes on", LIMIT, async || maps.get("a").await).await;

    let folder = plane.dir().to_owned();
    let pid = plane.etcd().pid();
    drop(plane);
    assert!(!folder.exists(), "the folder goes with the control plane");
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
}
