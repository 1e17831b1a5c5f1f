//! Every file in config/samples can be applied and does what its comments describe.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use crate::env::{E2eEnv, assert_no_warning, connection_conditions, expect_condition, repo_path, shared_plane};

fn sample_files() -> Vec<(String, String)> {
    let mut files: Vec<(String, String)> = fs::read_dir(repo_path("config/samples"))
        .expect("readable")
        .map(|entry| entry.expect("readable").path())
        .map(|path| {
            let text = fs::read_to_string(&path).expect("readable");
            (path.file_name().expect("a name").to_string_lossy().into_owned(), text)
        })
        .collect();
    files.sort();
    files
}

fn parse_documents(text: &str) -> Vec<Value> {
    text.split("\n---\n").map(|document| serde_saphyr::from_str(document).expect("YAML")).collect()
}

#[tokio::test]
async fn every_sample_is_accepted_without_a_warning() {
    let kubectl = shared_plane().await.create_namespace("samples").await.expect("namespace").kubectl();
    for (name, text) in sample_files() {
        assert!(text.starts_with("# "), "{name} does not say what it shows");
        let verb = if text.contains("generateName:") { "create" } else { "apply" };
        let output = kubectl.run_with_stdin([verb, "-f", "-"], &text).await.expect("kubectl");
        assert_no_warning(&output);
        output.into_stdout().unwrap_or_else(|e| panic!("{name}: {e}"));
    }
}

#[test]
fn the_samples_cover_every_kind_every_auth_method_and_gitops() {
    let all: Vec<Value> = sample_files().iter().flat_map(|(_, text)| parse_documents(text)).collect();
    let kinds: BTreeSet<_> = all.iter().filter_map(|object| object["kind"].as_str()).collect();
    // Only the operator writes the other kinds.
    assert!(["BoxConnection", "UserSyncRequest"].iter().all(|kind| kinds.contains(kind)), "{kinds:?}");
    let of_kind = |kind: &'static str| all.iter().filter(move |object| object["kind"] == kind);
    let methods: BTreeSet<_> = of_kind("BoxConnection")
        .flat_map(|object| object["spec"]["auth"].as_object().into_iter().flatten().map(|(method, _)| method.as_str()))
        .collect();
    assert_eq!(methods, BTreeSet::from(["clientCredentials", "jwt", "oauth2"]));
    assert!(of_kind("BoxConnection").any(|object| {
        let annotations = &object["metadata"]["annotations"];
        annotations["kustomize.toolkit.fluxcd.io/prune"] == "disabled"
            && annotations["argocd.argoproj.io/sync-options"] == "Prune=false,Delete=false"
            && annotations[boxsync::api::REQUESTED_AT_ANNOTATION].is_string()
    }));
    for request in of_kind("UserSyncRequest") {
        assert!(request["metadata"]["generateName"].is_string() && request["metadata"]["name"].is_null());
        assert_eq!(request["metadata"]["labels"]["velero.io/exclude-from-backup"], "true");
        assert_eq!(request["spec"]["ttlSecondsAfterFinished"], 86_400);
    }
}

/// The placeholders are invalid, and the connection reports it.
#[tokio::test]
async fn a_sample_with_placeholders_says_what_to_fill_in() {
    let env = E2eEnv::new("placeholders").await;
    let operator = env.start_operator();
    for (name, text) in sample_files() {
        if !text.contains("generateName:") {
            env.kubectl
                .apply_yaml(&text)
                .await
                .expect("kubectl")
                .into_stdout()
                .unwrap_or_else(|e| panic!("{name}: {e}"));
        }
    }
    let assert_message = async |name: &str, reason: &str, words: &str| {
        let connection = env.wait_for_condition(name, "Connected", "False", reason).await;
        let message = expect_condition(connection_conditions(&connection), "Connected").2;
        assert!(message.contains(words), "{message}");
    };
    assert_message("acme", "CredentialsRejected", "Secret acme-box").await;
    assert_message("globex", "CredentialsInvalid", "private key").await;
    assert_message("initech", "CredentialsMissing", "There is no Secret initech-box").await;
    env.stop_and_verify(operator).await;
}
