//! What the API server refuses and accepts by itself. Each example is a file; the first lines of a refused one say
//! which words the refusal must contain. Of several documents all but the last are accepted.

use std::fs;
use std::path::PathBuf;

use crate::stage::{plane, repository, without_warning};

fn examples(folder: &str) -> Vec<(String, String)> {
    let folder = repository("tests/e2e").join(folder);
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
async fn every_bad_value_is_refused_in_words_that_help() {
    let kubectl = plane().await.namespace("refused").await.expect("namespace").kubectl();
    let mut wrong = Vec::new();
    for (name, text) in examples("refused") {
        let words: Vec<&str> = text.lines().map_while(|line| line.strip_prefix("# refused: ")).collect();
        assert!(!words.is_empty(), "{name} does not say which words the refusal must contain");
        let documents: Vec<&str> = text.split("\n---\n").collect();
        let (last, before) = documents.split_last().expect("a document");
        for document in before {
            kubectl.apply_yaml(document).await.expect("kubectl").succeeded().expect("the first one is accepted");
        }
        let answer = kubectl.apply_yaml(last).await.expect("kubectl");
        println!("{name}: {}", answer.stderr.trim());
        if answer.status.success() {
            wrong.push(format!("{name} is accepted"));
        } else if let Some(missing) = words.iter().find(|words| !answer.stderr.contains(**words)) {
            wrong.push(format!("{name}: no {missing:?} in: {}", answer.stderr));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn what_is_unusual_but_right_is_accepted() {
    let kubectl = plane().await.namespace("accepted").await.expect("namespace").kubectl();
    for (name, text) in examples("accepted") {
        for document in text.split("\n---\n") {
            let answer = kubectl.apply_yaml(document).await.expect("kubectl");
            without_warning(&answer);
            answer.succeeded().unwrap_or_else(|e| panic!("{name}: {e}"));
        }
    }
}
