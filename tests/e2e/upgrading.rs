//! From `helm install` to the first list, and an upgrade to the next version: new fields can be used, and existing lists
//! are not fetched again.

use std::fs;
use std::path::{Path, PathBuf};

use boxsync::api::BoxConnection;
use harness::{exclusive_control_plane, wait_for_object};
use kube::ResourceExt as _;
use serde_json::{Value, json};

use crate::{
    env::{E2eEnv, SHORT_TIMEOUT, chart_path, connection_yaml, count_listed_pages, create_acme},
    helm_release::{NAMESPACE, Release, copy_dir},
};

/// The chart as of a previous version: its CRDs lack `historyRetention` and `nextSync`.
fn previous_chart(folder: &Path) -> PathBuf {
    let previous = folder.join("earlier");
    copy_dir(&chart_path(), &previous);
    let edit = |file: &str, change: &dyn Fn(String) -> String| {
        let path = previous.join(file);
        fs::write(&path, change(fs::read_to_string(&path).expect("readable"))).expect("written");
    };
    edit("Chart.yaml", &|text| text.replace(concat!("version: ", env!("CARGO_PKG_VERSION")), "version: 0.0.9"));
    edit("files/crds/boxconnections.yaml", &|text| {
        let mut crd: Value = serde_saphyr::from_str(&text).expect("YAML");
        let properties = &mut crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"];
        for (part, field) in [("spec", "historyRetention"), ("status", "nextSync")] {
            let fields = properties[part]["properties"].as_object_mut().expect("fields");
            assert!(fields.remove(field).is_some(), "{field} exists");
        }
        serde_saphyr::to_string(&crd).expect("YAML")
    });
    previous
}

#[tokio::test]
async fn an_upgrade_brings_new_fields_and_fetches_no_list_again() {
    let plane = exclusive_control_plane("upgrading").await.expect("control plane");
    let kubectl = plane.kubectl();
    let run = async |words: &[&str]| kubectl.run(words).await.expect("kubectl").into_stdout().expect("done");
    run(&["create", "namespace", "team-a"]).await;
    let release = Release::on_plane(&plane).await.with_chart(&previous_chart(plane.dir()));
    release.run_helm(&["install", "--create-namespace"], &json!({})).await;
    run(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"]).await;

    let mut env = E2eEnv::for_installed_chart(&plane, NAMESPACE).await;
    let acme = create_acme(&env.sim);
    acme.add_user("Jane Doe", "jane@acme.example");
    let operator = release.start_deployed_operator(&env).await;
    env.switch_namespace("team-a");
    env.connect_by_client_credentials("acme", &acme).await;
    let before = env.wait_until_ready("acme").await;
    let listed = env.run_plugin(&["users", "acme"]).await;
    assert!(listed.lines().any(|line| line.contains("Jane Doe") && line.contains("jane@acme.example")));
    let newer = connection_yaml("acme", acme.id(), "clientCredentials", "  historyRetention: 48h");
    let refused = env.kubectl.run_with_stdin(["apply", "--validate=strict", "-f", "-"], &newer).await.expect("kubectl");
    assert!(refused.stderr.contains("historyRetention"), "old CRD accepted a new field: {refused:?}");
    env.stop_and_verify(operator).await;

    let fetched = count_listed_pages(&acme);
    let release = release.with_chart(&chart_path());
    release.run_helm(&["upgrade", "--reset-then-reuse-values"], &json!({})).await;
    let operator = release.start_deployed_operator(&env).await;
    env.apply_manifest(&newer).await;
    let is_observed = |c: &BoxConnection| c.status.as_ref().and_then(|s| s.observed_generation) == Some(2);
    let after =
        wait_for_object(&env.connections_api(), "acme", "observed by the new version", SHORT_TIMEOUT, is_observed)
            .await;
    assert_eq!(after.uid(), before.uid(), "the same connection");
    assert_eq!(env.run_plugin(&["users", "acme"]).await, listed);
    let status = |c: &BoxConnection| c.status.clone().expect("a status");
    assert_eq!(status(&after).roster_ref, status(&before).roster_ref, "the same revision of the same list");
    assert_eq!(status(&after).last_sync, status(&before).last_sync);
    assert_eq!(count_listed_pages(&acme), fetched, "the list was fetched again");

    let request = env.run_request("acme").await;
    let done = request.status.expect("a status");
    assert_eq!((done.added, done.updated, done.removed), (Some(0), Some(0), Some(0)), "{done:?}");
    let connection = env.get_json(&["boxconnection", "acme"]).await;
    assert!(connection["status"]["nextSync"].is_string(), "{connection:#}");
    env.stop_and_verify(operator).await;
}
