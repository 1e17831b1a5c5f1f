//! CRD validation by the API server. Each example is a file; the first lines of an invalid one list texts that the error
//! must contain. Of several documents, only the last is invalid.

use std::fs;
use std::path::PathBuf;

use crate::env::{assert_no_warning, repo_path, shared_plane};

fn examples(folder: &str) -> Vec<(String, String)> {
    let folder = repo_path("tests/e2e").join(folder);
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder).expect("readable").map(|entry| entry.expect("readable").path()).collect();
    paths.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("readable");
        (path.file_stem().expect("a name").to_string_lossy().into_owned(), text)
    };
    paths.into_iter().map(read).collect()
}

#[tokio::test]
async fn every_invalid_value_is_rejected_with_a_helpful_message() {
    let kubectl = shared_plane().await.create_namespace("invalid").await.expect("namespace").kubectl();
    let mut wrong = Vec::new();
    for (name, text) in examples("invalid") {
        let expected: Vec<&str> = text.lines().map_while(|line| line.strip_prefix("# invalid: ")).collect();
        assert!(!expected.is_empty(), "{name} does not list the expected error texts");
        let documents: Vec<&str> = text.split("\n---\n").collect();
        let (last, before) = documents.split_last().expect("a document");
        for document in before {
            kubectl.apply_yaml(document).await.expect("kubectl").into_stdout().expect("earlier documents are accepted");
        }
        let output = kubectl.apply_yaml(last).await.expect("kubectl");
        println!("{name}: {}", output.stderr.trim());
        if output.status.success() {
            wrong.push(format!("{name} is accepted"));
        } else if let Some(missing) = expected.iter().find(|text| !output.stderr.contains(**text)) {
            wrong.push(format!("{name}: no {missing:?} in: {}", output.stderr));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn unusual_but_valid_values_are_accepted() {
    let kubectl = shared_plane().await.create_namespace("valid").await.expect("namespace").kubectl();
    for (name, text) in examples("valid") {
        for document in text.split("\n---\n") {
            let output = kubectl.apply_yaml(document).await.expect("kubectl");
            assert_no_warning(&output);
            output.into_stdout().unwrap_or_else(|e| panic!("{name}: {e}"));
        }
    }
}
