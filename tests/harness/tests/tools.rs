//! Finding and building the tools, with a fake Go.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use harness::TempDir;

/// `go env` answers with a version; `go build … -o TARGET PACKAGE` writes TARGET, slowly, and a line to the build log.
const FAKE_GO: &str = r#"#!/bin/sh
case "$1" in
env) echo "$FAKE_GO" ;;
build)
    echo "$*" >> "$BUILD_LOG"
    [ -n "$BROKEN" ] && { echo "go: downloading a" >&2; echo "undefined: x" >&2; exit 1; }
    while [ "$1" != -o ]; do shift; done
    sleep 0.3
    echo built > "$2"
    ;;
esac
"#;

struct ToolsEnv(TempDir);

impl ToolsEnv {
    fn new() -> Self {
        let temp_dir = TempDir::new("tools").expect("scratch");
        let (text, go) = (temp_dir.path().join("go.sh"), temp_dir.path().join("go"));
        fs::write(&text, FAKE_GO).expect("written");
        // By another process: what a child of a neighbouring test still holds open for writing cannot be executed.
        let made = Command::new("install").args(["-m", "755"]).args([&text, &go]).status().expect("install runs");
        assert!(made.success(), "{made}");
        Self(temp_dir)
    }

    /// The program that finds tools, with the fake Go first on the PATH.
    fn tools_command(&self, names: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tools"));
        command
            .args(names)
            .env("PATH", format!("{}:/usr/bin:/bin", self.0.path().display()))
            .env("BOXSYNC_TOOLS_CACHE", self.0.path().join("cache"))
            .env("BUILD_LOG", self.0.path().join("build-log"))
            .env("FAKE_GO", "go1.26.8")
            .env_remove("KUBEBUILDER_ASSETS")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn builds(&self) -> Vec<String> {
        let diary = fs::read_to_string(self.0.path().join("build-log")).unwrap_or_default();
        diary.lines().map(str::to_owned).collect()
    }
}

fn run_to_end(command: &mut Command) -> Output {
    command.output().expect("ran")
}

fn to_text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_missing_go_is_reported_with_install_instructions() {
    let env = ToolsEnv::new();
    let output = run_to_end(env.tools_command(&["etcd"]).env("PATH", "/nonexistent"));
    assert!(!output.status.success());
    let stderr = to_text(&output.stderr);
    assert!(stderr.contains("Go is missing") && stderr.contains("https://go.dev/dl/"), "{stderr}");
}

#[test]
fn a_go_that_is_too_old_is_reported_with_its_version() {
    let env = ToolsEnv::new();
    let output = run_to_end(env.tools_command(&["etcd"]).env("FAKE_GO", "go1.25.3"));
    assert!(!output.status.success());
    let stderr = to_text(&output.stderr);
    assert!(stderr.contains("go1.25.3") && stderr.contains("Go 1.26 or newer"), "{stderr}");
}

#[test]
fn concurrent_runs_build_only_the_requested_tool_once() {
    let env = ToolsEnv::new();
    let one = env.tools_command(&["etcd"]).spawn().expect("started");
    let two = env.tools_command(&["etcd"]).spawn().expect("started");
    let [one, two] = [one, two].map(|child| child.wait_with_output().expect("ran"));
    assert!(one.status.success() && two.status.success(), "{}{}", to_text(&one.stderr), to_text(&two.stderr));
    assert_eq!(to_text(&one.stdout), to_text(&two.stdout));
    let stderr = to_text(&one.stderr) + &to_text(&two.stderr);
    assert!(stderr.contains("building etcd (about ") && stderr.contains("built etcd in 0 s"), "{stderr}");
    let third = run_to_end(&mut env.tools_command(&["etcd"]));
    assert_eq!(to_text(&third.stderr), "", "nothing is built and nothing is printed");
    let builds = env.builds();
    let [build] = builds.as_slice() else { panic!("{builds:?}") };
    assert!(build.ends_with("go.etcd.io/etcd/server/v3"), "{build}");
    assert!(build.contains("version.gitVersion=v1."), "{build}");
    assert_eq!(fs::read_to_string(to_text(&one.stdout).trim()).expect("read"), "built\n");
}

#[test]
fn promtool_is_pinned_separately() {
    let env = ToolsEnv::new();
    let paths = to_text(&run_to_end(&mut env.tools_command(&["etcd", "promtool"])).stdout);
    let folders: Vec<_> = paths.lines().filter_map(|path| Path::new(path).parent()).collect();
    let [etcd, promtool] = folders.as_slice() else { panic!("{paths}") };
    assert_ne!(etcd, promtool);
    let builds = env.builds();
    let [_, build] = builds.as_slice() else { panic!("{builds:?}") };
    assert!(build.contains("-tags remove_all_sd") && build.ends_with("prometheus/cmd/promtool"), "{build}");
}

#[test]
fn helm_3_is_pinned_separately_and_learns_its_versions() {
    let env = ToolsEnv::new();
    let paths = to_text(&run_to_end(&mut env.tools_command(&["helm", "helm3"])).stdout);
    let [helm, helm3] = paths.lines().map(Path::new).collect::<Vec<_>>()[..] else { panic!("{paths}") };
    assert_ne!(helm.parent(), helm3.parent());
    let builds = env.builds();
    let [_, build] = builds.as_slice() else { panic!("{builds:?}") };
    assert!(build.contains("version.version=v3.") && build.contains("chartutil.k8sVersionMinor=3"), "{build}");
    assert!(build.ends_with("helm.sh/helm/v3/cmd/helm"), "{build}");
}

#[test]
fn a_failed_build_shows_the_compiler_error_and_leaves_no_file() {
    let env = ToolsEnv::new();
    let output = run_to_end(env.tools_command(&["kubectl"]).env("BROKEN", "yes"));
    assert!(!output.status.success());
    let stderr = to_text(&output.stderr);
    assert!(stderr.contains("undefined: x") && !stderr.contains("downloading"), "{stderr}");
    assert!(run_to_end(&mut env.tools_command(&["kubectl"])).status.success());
    assert_eq!(env.builds().len(), 2);
}

#[test]
fn kubebuilder_assets_are_used_for_what_they_have() {
    let env = ToolsEnv::new();
    let assets = env.0.path().join("assets");
    fs::create_dir(&assets).expect("created");
    fs::write(assets.join("etcd"), "").expect("written");
    let output = run_to_end(env.tools_command(&["etcd", "kubectl"]).env("KUBEBUILDER_ASSETS", &assets));
    let paths = to_text(&output.stdout);
    let lines: Vec<_> = paths.lines().collect();
    assert_eq!(lines.first().copied(), assets.join("etcd").to_str());
    assert!(lines.get(1).is_some_and(|path| path.contains("/cache/")), "{paths}");
    assert_eq!(env.builds().len(), 1);
}
