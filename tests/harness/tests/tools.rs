//! Finding and building the tools, with a stand-in for Go.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use harness::Scratch;

/// `go env` answers with a version; `go build … -o TARGET PACKAGE` writes TARGET, slowly, and a line of diary.
const GO: &str = r#"#!/bin/sh
case "$1" in
env) echo "$FAKE_GO" ;;
build)
    echo "$*" >> "$DIARY"
    [ -n "$BROKEN" ] && { echo "go: downloading a" >&2; echo "undefined: x" >&2; exit 1; }
    while [ "$1" != -o ]; do shift; done
    sleep 0.3
    echo built > "$2"
    ;;
esac
"#;

struct Place(Scratch);

impl Place {
    fn new() -> Self {
        let scratch = Scratch::new("tools").expect("scratch");
        let (text, go) = (scratch.path().join("go.sh"), scratch.path().join("go"));
        fs::write(&text, GO).expect("written");
        // By another process: what a child of a neighbouring test still holds open for writing cannot be executed.
        let made = Command::new("install").args(["-m", "755"]).args([&text, &go]).status().expect("install runs");
        assert!(made.success(), "{made}");
        Self(scratch)
    }

    /// The program that looks for tools, with our Go first on the PATH.
    fn tools(&self, names: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tools"));
        command
            .args(names)
            .env("PATH", format!("{}:/usr/bin:/bin", self.0.path().display()))
            .env("BOXSYNC_TOOLS_CACHE", self.0.path().join("cache"))
            .env("DIARY", self.0.path().join("diary"))
            .env("FAKE_GO", "go1.26.8")
            .env_remove("KUBEBUILDER_ASSETS")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn builds(&self) -> Vec<String> {
        let diary = fs::read_to_string(self.0.path().join("diary")).unwrap_or_default();
        diary.lines().map(str::to_owned).collect()
    }
}

fn ran(command: &mut Command) -> Output {
    command.output().expect("ran")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_missing_go_is_named_with_how_to_get_it() {
    let place = Place::new();
    let output = ran(place.tools(&["etcd"]).env("PATH", "/nonexistent"));
    assert!(!output.status.success());
    let said = text(&output.stderr);
    assert!(said.contains("Go is missing") && said.contains("https://go.dev/dl/"), "{said}");
}

#[test]
fn a_go_that_is_too_old_is_named_with_its_version() {
    let place = Place::new();
    let output = ran(place.tools(&["etcd"]).env("FAKE_GO", "go1.25.3"));
    assert!(!output.status.success());
    let said = text(&output.stderr);
    assert!(said.contains("go1.25.3") && said.contains("Go 1.26 or newer"), "{said}");
}

#[test]
fn a_tool_is_built_once_also_by_two_at_a_time_and_only_what_is_asked_for() {
    let place = Place::new();
    let one = place.tools(&["etcd"]).spawn().expect("started");
    let two = place.tools(&["etcd"]).spawn().expect("started");
    let [one, two] = [one, two].map(|child| child.wait_with_output().expect("ran"));
    assert!(one.status.success() && two.status.success(), "{}{}", text(&one.stderr), text(&two.stderr));
    assert_eq!(text(&one.stdout), text(&two.stdout));
    let said = text(&one.stderr) + &text(&two.stderr);
    assert!(said.contains("building etcd, about ") && said.contains("built etcd in 0 s"), "{said}");
    let third = ran(&mut place.tools(&["etcd"]));
    assert_eq!(text(&third.stderr), "", "nothing is built and nothing is said");
    let builds = place.builds();
    let [build] = builds.as_slice() else { panic!("{builds:?}") };
    assert!(build.ends_with("go.etcd.io/etcd/server/v3"), "{build}");
    assert!(build.contains("version.gitVersion=v1."), "{build}");
    assert_eq!(fs::read_to_string(text(&one.stdout).trim()).expect("read"), "built\n");
}

#[test]
fn promtool_has_pins_of_its_own() {
    let place = Place::new();
    let paths = text(&ran(&mut place.tools(&["etcd", "promtool"])).stdout);
    let folders: Vec<_> = paths.lines().filter_map(|path| Path::new(path).parent()).collect();
    let [etcd, promtool] = folders.as_slice() else { panic!("{paths}") };
    assert_ne!(etcd, promtool);
    let builds = place.builds();
    let [_, build] = builds.as_slice() else { panic!("{builds:?}") };
    assert!(build.contains("-tags remove_all_sd") && build.ends_with("prometheus/cmd/promtool"), "{build}");
}

#[test]
fn a_build_that_fails_shows_the_compilers_words_and_leaves_nothing() {
    let place = Place::new();
    let output = ran(place.tools(&["kubectl"]).env("BROKEN", "yes"));
    assert!(!output.status.success());
    let said = text(&output.stderr);
    assert!(said.contains("undefined: x") && !said.contains("downloading"), "{said}");
    assert!(ran(&mut place.tools(&["kubectl"])).status.success());
    assert_eq!(place.builds().len(), 2);
}

#[test]
fn kubebuilder_assets_are_used_for_what_they_have() {
    let place = Place::new();
    let assets = place.0.path().join("assets");
    fs::create_dir(&assets).expect("created");
    fs::write(assets.join("etcd"), "").expect("written");
    let output = ran(place.tools(&["etcd", "kubectl"]).env("KUBEBUILDER_ASSETS", &assets));
    let paths = text(&output.stdout);
    let lines: Vec<_> = paths.lines().collect();
    assert_eq!(lines.first().copied(), assets.join("etcd").to_str());
    assert!(lines.get(1).is_some_and(|path| path.contains("/cache/")), "{paths}");
    assert_eq!(place.builds().len(), 1);
}
