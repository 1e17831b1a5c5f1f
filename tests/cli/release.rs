//! What the release workflow packs.

use std::process::Command;

/// Runs the release script with empty archives.
#[test]
fn the_krew_manifest_has_an_archive_for_every_platform() {
    const PLATFORMS: [&str; 5] = ["linux-amd64", "linux-arm64", "darwin-amd64", "darwin-arm64", "windows-amd64"];
    let folder = harness::TempDir::new("krew").expect("a folder");
    let manifest = || {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/.github/release/krew.sh");
        let (version, url) = ("1.2.3", "https://git.example.com/boxsync");
        let mut command = Command::new(script);
        command.args([version, url]).arg(folder.path()).output().expect("bash")
    };
    for platform in PLATFORMS {
        assert!(!manifest().status.success(), "without {platform}");
        std::fs::write(folder.path().join(format!("kubectl-boxsync-{platform}.tar.gz")), "").expect("writable");
    }
    let manifest: serde_json::Value =
        serde_saphyr::from_str(&String::from_utf8(manifest().stdout).expect("UTF-8")).expect("YAML");
    assert_eq!(manifest["spec"]["version"], "v1.2.3");
    for (platform, entry) in PLATFORMS.iter().zip(manifest["spec"]["platforms"].as_array().expect("platforms")) {
        let labels = &entry["selector"]["matchLabels"];
        assert_eq!([&labels["os"], &labels["arch"]].map(|l| l.as_str().expect("a label")).join("-"), *platform);
        let url = format!("https://git.example.com/boxsync/releases/download/v1.2.3/kubectl-boxsync-{platform}.tar.gz");
        assert_eq!(entry["uri"], url);
        // The digest of an empty file.
        assert_eq!(entry["sha256"], "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}

/// Runs the release script with a program that is only a name.
#[test]
fn an_archive_completes_for_kubectl_and_holds_no_link() {
    let folder = harness::TempDir::new("archive").expect("a folder");
    let program = folder.path().join("program");
    let archive = |platform: &str, content: &str| {
        std::fs::write(&program, content).expect("writable");
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/.github/release/archive.sh");
        Command::new(script).arg(platform).arg(&program).arg(folder.path()).output().expect("bash")
    };
    for (platform, program, completion) in [
        ("linux-amd64", "kubectl-boxsync", "kubectl_complete-boxsync"),
        ("darwin-arm64", "kubectl-boxsync", "kubectl_complete-boxsync"),
        ("windows-amd64", "kubectl-boxsync.exe", "kubectl_complete-boxsync.cmd"),
    ] {
        let packed = archive(platform, "a program");
        assert!(packed.status.success(), "{}", String::from_utf8_lossy(&packed.stderr));
        let file = folder.path().join(format!("kubectl-boxsync-{platform}.tar.gz"));
        let listed = Command::new("tar").args(["-tvzf"]).arg(file).output().expect("tar");
        let listed = String::from_utf8(listed.stdout).expect("text");
        let mut names: Vec<&str> = listed.lines().filter_map(|line| line.split_whitespace().last()).collect();
        names.sort_unstable();
        assert_eq!(names, ["LICENSE", program, completion]);
        // Krew refuses links.
        assert!(listed.lines().all(|line| line.starts_with('-')), "{listed}");
    }
    let glibc = archive("linux-amd64", "\0/etc/nsswitch.conf\0");
    assert!(!glibc.status.success(), "a static glibc loads modules of the host");
}

/// The script of the archive, with the plugin on the PATH and without a link.
#[cfg(unix)]
#[test]
fn the_completion_script_of_the_archive_answers_kubectl() {
    let folder = std::path::Path::new(env!("CARGO_BIN_EXE_kubectl-boxsync")).parent().expect("a folder");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/config/completion/kubectl_complete-boxsync");
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap_or_default());
    let output = Command::new(script).args(["stat"]).env("PATH", path).output().expect("sh");
    let answer = String::from_utf8(output.stdout).expect("text");
    assert!(answer.starts_with("status\t") && answer.ends_with("\n:4\n"), "{answer}");
}

/// The Linux plugin is linked with musl, whose resolver reads /etc/hosts and /etc/resolv.conf and loads nothing.
#[test]
fn the_release_builds_the_linux_plugin_for_musl() {
    let workflow = include_str!("../../.github/workflows/release.yml");
    let linux: Vec<&str> = workflow.lines().filter(|line| line.contains("platform: linux-")).collect();
    assert_eq!(linux.len(), 2, "{linux:?}");
    assert!(
        linux.iter().all(|line| line.contains("-unknown-linux-musl,") && !line.contains("crt-static")),
        "{linux:?}"
    );
}
