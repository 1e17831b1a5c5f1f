//! From `helm install` to a user whom `kubectl boxsync users` names, and on to the next version: what it brings can be
//! used, and what was there goes on without being fetched again.

use std::fs;
use std::path::{Path, PathBuf};

use boxsync::api::BoxConnection;
use harness::{Options, exclusive, reaches};
use kube::ResourceExt as _;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::release::{NAMESPACE, PLUGIN, Release};
use crate::stage::{SOON, Stage, acme, chart, connection, pages};

/// The chart as it might have been a version earlier: its connections know no `historyRetention` and tell no `nextSync`.
fn earlier(folder: &Path) -> PathBuf {
    let earlier = folder.join("earlier");
    copy(&chart(), &earlier);
    let edit = |file: &str, change: &dyn Fn(String) -> String| {
        let path = earlier.join(file);
        fs::write(&path, change(fs::read_to_string(&path).expect("readable"))).expect("written");
    };
    edit("Chart.yaml", &|text| text.replace(concat!("version: ", env!("CARGO_PKG_VERSION")), "version: 0.0.9"));
    edit("files/crds/boxconnections.yaml", &|text| {
        let mut crd: Value = serde_saphyr::from_str(&text).expect("YAML");
        let properties = &mut crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"];
        for (part, field) in [("spec", "historyRetention"), ("status", "nextSync")] {
            let fields = properties[part]["properties"].as_object_mut().expect("fields");
            assert!(fields.remove(field).is_some(), "{field} is there to be removed");
        }
        serde_saphyr::to_string(&crd).expect("YAML")
    });
    earlier
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("made");
    for entry in fs::read_dir(from).expect("readable") {
        let entry = entry.expect("readable");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).expect("copied");
        }
    }
}

/// `kubectl boxsync users acme`, with an admin's rights.
async fn users(stage: &Stage) -> String {
    let mut plugin = Command::new(PLUGIN);
    plugin.args(["users", "acme", "--namespace", &stage.namespace]).env("KUBECONFIG", stage.admin_kubeconfig());
    let said = plugin.output().await.expect("runs");
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    String::from_utf8(said.stdout).expect("UTF-8")
}

#[tokio::test]
async fn an_upgrade_brings_what_is_new_and_fetches_no_list_again() {
    let options = Options { name: "upgrading".to_owned(), ..Options::default() };
    let plane = exclusive(options).await.expect("control plane");
    let kubectl = plane.kubectl();
    let run = async |words: &[&str]| kubectl.run(words).await.expect("kubectl").succeeded().expect("done");
    run(&["create", "namespace", "team-a"]).await;
    let release = Release::on(&plane).await.of(&earlier(plane.folder()));
    release.helm(&["install", "--create-namespace"], &json!({})).await;
    run(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"]).await;

    let mut stage = Stage::installed(&plane, NAMESPACE).await;
    let acme = acme(&stage.sim);
    acme.add_user("Jane Doe", "jane@acme.example");
    let operator = release.operator(&stage).await;
    stage.go_to("team-a");
    stage.connect("acme", &acme).await;
    let before = stage.ready("acme").await;
    let listed = users(&stage).await;
    assert!(listed.lines().any(|line| line.contains("Jane Doe") && line.contains("jane@acme.example")));
    let newer = connection("acme", acme.id(), "clientCredentials", "  historyRetention: 48h");
    let refused = stage.kubectl.run_with(["apply", "--validate=strict", "-f", "-"], &newer).await.expect("kubectl");
    assert!(refused.stderr.contains("historyRetention"), "this version does not know it: {refused:?}");
    stage.end(operator).await;

    let fetched = pages(&acme);
    let release = release.of(&chart());
    release.helm(&["upgrade", "--reset-then-reuse-values"], &json!({})).await;
    let operator = release.operator(&stage).await;
    stage.apply(&newer).await;
    let looked_at = |c: &BoxConnection| c.status.as_ref().and_then(|s| s.observed_generation) == Some(2);
    let after = reaches(&stage.connections(), "acme", "looked at by the new version", SOON, looked_at).await;
    assert_eq!(after.uid(), before.uid(), "the same connection");
    assert_eq!(users(&stage).await, listed);
    let status = |c: &BoxConnection| c.status.clone().expect("a status");
    assert_eq!(status(&after).roster_ref, status(&before).roster_ref, "the same revision of the same list");
    assert_eq!(status(&after).last_sync, status(&before).last_sync);
    assert_eq!(pages(&acme), fetched, "nothing was fetched again");

    let request = stage.finished(&stage.ask("acme").await).await;
    let done = request.status.expect("a status");
    assert_eq!((done.added, done.updated, done.removed), (Some(0), Some(0), Some(0)), "{done:?}");
    let told = stage.get(&["boxconnection", "acme"]).await;
    assert!(told["status"]["nextSync"].is_string(), "{told:#}");
    stage.end(operator).await;
}
