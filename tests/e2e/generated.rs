//! Files in the repository that are made from others; `UPDATE_GENERATED=1` makes them anew.

use std::process::Command;

use harness::{Helm, eventually};
use serde_json::json;

use crate::stage::{SOON, chart, plane, repository};
use crate::testing::assert_generated;

#[test]
fn the_crds_are_those_of_the_types() {
    let mut stream = String::new();
    for crd in boxsync::api::crds() {
        let yaml = serde_saphyr::to_string(&crd).expect("YAML");
        stream.push_str("---\n");
        stream.push_str(&yaml);
        assert_generated(&format!("crds/{}.yaml", crd.spec.names.plural), &yaml);
    }
    let printed = Command::new(env!("CARGO_BIN_EXE_boxsync-operator")).arg("crds").output().expect("runs");
    assert!(printed.status.success());
    assert_eq!(String::from_utf8(printed.stdout).expect("text"), stream, "`boxsync-operator crds` prints the same");
}

#[test]
fn there_is_no_crd_that_no_type_has() {
    let mut files: Vec<String> = std::fs::read_dir(repository("crds"))
        .expect("readable")
        .map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned())
        .collect();
    files.sort();
    let mut expected: Vec<String> =
        boxsync::api::crds().iter().map(|crd| format!("{}.yaml", crd.spec.names.plural)).collect();
    expected.sort();
    assert_eq!(files, expected);
}

#[tokio::test]
async fn the_chart_renders_as_it_did() {
    let helm = Helm::new().await.expect("helm");
    let default = helm.template(&chart(), "boxsync-operator", "boxsync", &json!({})).await.expect("rendered");
    assert_generated("tests/e2e/renders/default.yaml", &default);
    let chosen = json!({
        "fullnameOverride": "users-of-box",
        "commonLabels": {"team": "identity"},
        "serviceAccount": {"name": "reader", "annotations": {"example.com/owner": "identity"}},
    });
    let chosen = helm.template(&chart(), "anything", "boxsync", &chosen).await.expect("rendered");
    assert_generated("tests/e2e/renders/names-and-labels.yaml", &chosen);
}

/// What stands between the line `<!-- FILE -->` and the end of the code block below it is the file.
#[test]
fn the_page_on_reading_shows_the_examples_as_they_are() {
    let mut page = std::fs::read_to_string(repository("docs/reading.md")).expect("readable");
    for (file, language) in [("read.sh", "sh"), ("read.py", "python"), ("read.rs", "rust")] {
        let begin = format!("<!-- docs/examples/{file} -->\n");
        let (before, rest) = page.split_once(&begin).unwrap_or_else(|| panic!("no line {begin}"));
        let (_, after) = rest.split_once("\n```\n").expect("a code block with an end");
        let text = std::fs::read_to_string(repository(&format!("docs/examples/{file}"))).expect("readable");
        page = format!("{before}{begin}```{language}\n{}\n```\n{after}", text.trim_end());
    }
    assert_generated("docs/reading.md", &page);
}

#[tokio::test]
async fn kubectl_explains_every_field_as_it_did() {
    let kubectl = plane().await.kubectl();
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
        // What a new CRD means is published a moment after it is served.
        let explain = async || kubectl.run(["explain", path]).await?.succeeded();
        let printed = eventually("kubectl explains it", SOON, explain).await;
        let lines: Vec<&str> = printed.trim_end().lines().map(str::trim_end).collect();
        all.push_str(&format!("$ kubectl explain {path}\n{}\n\n", lines.join("\n")));
    }
    assert_generated("tests/e2e/explain.txt", &all);
}
