//! Every file in config/samples is applied, and does what its comments say.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use crate::stage::{Stage, condition, conditions, plane, repository, without_warning};

fn samples() -> Vec<(String, String)> {
    let mut files: Vec<(String, String)> = fs::read_dir(repository("config/samples"))
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

fn documents(text: &str) -> Vec<Value> {
    text.split("\n---\n").map(|document| serde_saphyr::from_str(document).expect("YAML")).collect()
}

#[tokio::test]
async fn every_sample_is_accepted_without_a_warning() {
    let kubectl = plane().await.namespace("samples").await.expect("namespace").kubectl();
    for (name, text) in samples() {
        assert!(text.starts_with("# "), "{name} does not say what it shows");
        let verb = if text.contains("generateName:") { "create" } else { "apply" };
        let output = kubectl.run_with([verb, "-f", "-"], &text).await.expect("kubectl");
        without_warning(&output);
        output.succeeded().unwrap_or_else(|e| panic!("{name}: {e}"));
    }
}

#[test]
fn the_samples_show_every_kind_every_way_to_sign_in_and_how_to_live_with_others() {
    let all: Vec<Value> = samples().iter().flat_map(|(_, text)| documents(text)).collect();
    let kinds: BTreeSet<_> = all.iter().filter_map(|object| object["kind"].as_str()).collect();
    // The other kinds only the operator writes.
    assert!(["BoxConnection", "UserSyncRequest"].iter().all(|kind| kinds.contains(kind)), "{kinds:?}");
    let of = |kind: &'static str| all.iter().filter(move |object| object["kind"] == kind);
    let methods: BTreeSet<_> = of("BoxConnection")
        .flat_map(|object| object["spec"]["auth"].as_object().into_iter().flatten().map(|(method, _)| method.as_str()))
        .collect();
    assert_eq!(methods, BTreeSet::from(["clientCredentials", "jwt", "oauth2"]));
    assert!(of("BoxConnection").any(|object| {
        let annotations = &object["metadata"]["annotations"];
        annotations["kustomize.toolkit.fluxcd.io/prune"] == "disabled"
            && annotations["argocd.argoproj.io/sync-options"] == "Prune=false,Delete=false"
            && annotations[boxsync::api::REQUESTED_AT].is_string()
    }));
    for request in of("UserSyncRequest") {
        assert!(request["metadata"]["generateName"].is_string() && request["metadata"]["name"].is_null());
        assert_eq!(request["metadata"]["labels"]["velero.io/exclude-from-backup"], "true");
        assert_eq!(request["spec"]["ttlSecondsAfterFinished"], 86_400);
    }
}

/// Box knows none of the placeholders, and the connection says so.
#[tokio::test]
async fn a_sample_with_its_placeholders_says_what_is_to_be_put_in() {
    let stage = Stage::begin("placeholders").await;
    let operator = stage.operator();
    for (name, text) in samples() {
        if !text.contains("generateName:") {
            stage
                .kubectl
                .apply_yaml(&text)
                .await
                .expect("kubectl")
                .succeeded()
                .unwrap_or_else(|e| panic!("{name}: {e}"));
        }
    }
    let shown = async |name: &str, reason: &str, words: &str| {
        let told = stage.told(name, "Connected", "False", reason).await;
        let message = condition(conditions(&told), "Connected").2;
        assert!(message.contains(words), "{message}");
    };
    shown("acme", "CredentialsRejected", "Secret acme-box").await;
    shown("globex", "CredentialsInvalid", "private key").await;
    shown("initech", "CredentialsMissing", "There is no Secret initech-box").await;
    stage.end(operator).await;
}
