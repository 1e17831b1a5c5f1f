//! The image, as far as it can be tested without a container engine: the Dockerfile, the chart and the crate agree.

use std::collections::HashMap;

use harness::Helm;
use serde_json::json;

use crate::env::{chart_path, repo_path};

fn read_file(path: &str) -> String {
    std::fs::read_to_string(repo_path(path)).expect("readable")
}

/// The instructions of the Dockerfile with their arguments; continued lines are joined.
fn dockerfile_instructions() -> Vec<(String, String)> {
    let whole = read_file("Dockerfile").replace("\\\n", " ");
    let lines = whole.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let split = |line: &str| line.split_once(' ').map(|(word, rest)| (word.to_owned(), rest.trim().to_owned()));
    lines.map(|line| split(line).expect("a word and the rest")).collect()
}

/// The keys and values of all instructions of this kind.
fn assignments(kind: &str) -> HashMap<String, String> {
    let all = dockerfile_instructions().into_iter().filter(|(word, _)| word == kind).map(|(_, rest)| rest + " ");
    let all: String = all.collect();
    // A quoted value can contain spaces.
    let mut quoted = false;
    let words = all.split(|c: char| {
        quoted ^= c == '"';
        !quoted && c == ' '
    });
    let pairs = words.filter_map(|word| word.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned())).collect()
}

#[test]
fn the_image_is_built_with_our_compiler_and_the_release_profile() {
    let arguments = assignments("ARG");
    assert!(arguments["RUST"].starts_with(concat!("rust:", env!("CARGO_PKG_RUST_VERSION"), "-")), "{arguments:?}");
    let runs: String =
        dockerfile_instructions().into_iter().filter(|(word, _)| word == "RUN").map(|(_, rest)| rest).collect();
    for words in ["cargo build --locked --release --target", "--package boxsync --bins"] {
        assert!(runs.contains(words), "{words}: {runs}");
    }
    let environment = assignments("ENV");
    assert!(environment["RUSTFLAGS"].contains("+crt-static"), "the image has no libc");
    let ours = environment.keys().find(|name| name.starts_with("CARGO_PROFILE") || name.starts_with("CARGO_BUILD"));
    assert_eq!(ours, None, "the profile is that of Cargo.toml");
    assert!(!["opt-level", "lto", "--profile", "apt-get"].iter().any(|word| runs.contains(word)), "{runs}");
}

#[test]
fn the_image_runs_as_nonroot_and_has_its_labels() {
    let last_value = |kind: &str| {
        dockerfile_instructions().into_iter().filter(|(word, _)| word == kind).map(|(_, rest)| rest).next_back()
    };
    assert_eq!(last_value("USER").as_deref(), Some("65532:65532"));
    assert_eq!(last_value("ENTRYPOINT").as_deref(), Some(r#"["/usr/local/bin/boxsync-operator"]"#));
    assert_eq!(last_value("CMD").as_deref(), Some(r#"["run"]"#));
    let labels = assignments("LABEL");
    let label = |name: &str| labels[&format!("org.opencontainers.image.{name}")].as_str();
    assert_eq!(label("licenses"), env!("CARGO_PKG_LICENSE"));
    assert_eq!((label("version"), label("revision")), ("${VERSION}", "${REVISION}"));
    assert!(!label("title").is_empty() && !label("description").is_empty());
    assert_eq!(assignments("ARG")["VERSION"], env!("CARGO_PKG_VERSION"));
}

/// Every file that the build needs must be in the build context.
#[test]
fn the_build_context_has_every_file_of_the_manifest_and_only_sources() {
    let ignore = read_file(".dockerignore");
    let mut lines = ignore.lines().filter(|line| !line.starts_with('#'));
    assert_eq!(lines.next(), Some("*"));
    let included: Vec<&str> = lines.map(|line| line.strip_prefix('!').expect("an allow pattern")).collect();
    let manifest = read_file("Cargo.toml");
    let paths = manifest.lines().filter_map(|line| line.strip_prefix("path = "));
    for path in paths.map(|path| path.trim_matches('"')) {
        assert!(included.iter().any(|part| path.starts_with(part)), "{path} is not in the context: {included:?}");
    }
    assert!(!included.contains(&"target") && !included.contains(&".git"));
}

#[tokio::test]
async fn the_chart_runs_the_image_of_its_own_version() {
    let image = json!({"image": {"repository": "images.example.com/boxsync-operator"}});
    let rendered =
        Helm::new().await.expect("helm").template(&chart_path(), "any", "any", &image).await.expect("rendered");
    let expected = concat!("image: \"images.example.com/boxsync-operator:", env!("CARGO_PKG_VERSION"), "\"");
    assert!(rendered.contains(expected), "{rendered}");
}
