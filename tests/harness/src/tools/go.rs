//! The Go toolchain: version check, and building packages of the pinned modules.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Context as _, Error, Result};

/// What the pinned sources ask for; `go.mod` says the same.
const MIN_VERSION: (u32, u32) = (1, 26);

const INSTALL_HINT: &str = "Install Go 1.26 or newer from https://go.dev/dl/ and put it on the PATH. \
    (KUBEBUILDER_ASSETS may name a folder with etcd, kube-apiserver and kubectl; \
    kube-controller-manager, both versions of helm and promtool are always built.)";

/// A folder with pins.
#[derive(Clone, Copy)]
pub(super) enum GoModule {
    ControlPlane,
    Helm3,
    Promtool,
}

impl GoModule {
    fn dir(self) -> PathBuf {
        let name = match self {
            Self::ControlPlane => "control-plane",
            Self::Helm3 => "helm3",
            Self::Promtool => "promtool",
        };
        Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name)
    }

    /// What is left out or built in.
    const fn tags(self) -> &'static str {
        match self {
            Self::ControlPlane | Self::Helm3 => "",
            // It discovers nobody: the clients of all the clouds are neither fetched nor built.
            Self::Promtool => "remove_all_sd",
        }
    }

    fn link_flags(self) -> Result<String> {
        match self {
            Self::ControlPlane => kubernetes_link_flags(&self.dir()),
            Self::Helm3 => helm3_link_flags(&self.dir()),
            Self::Promtool => Ok("-s -w".to_owned()),
        }
    }
}

/// Names what would be built: pins, flags and platform.
pub(super) fn cache_key(module: GoModule) -> Result<String> {
    let mut sha = ring::digest::Context::new(&ring::digest::SHA256);
    for name in ["go.mod", "go.sum"] {
        let path = module.dir().join(name);
        sha.update(&fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?);
    }
    for text in [module.link_flags()?.as_str(), module.tags(), std::env::consts::OS, std::env::consts::ARCH] {
        sha.update(text.as_bytes());
    }
    Ok(sha.finish().as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect())
}

/// Fails with a remedy where Go is missing or too old.
pub(super) fn check_toolchain(module: GoModule) -> Result<()> {
    // Asked inside the module: there, Go may switch to a newer toolchain by itself.
    let output = match go_command(module).args(["env", "GOVERSION"]).output() {
        Ok(output) => output,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            return Err(Error::new(format!("Go is missing and is needed to build a tool. {INSTALL_HINT}")));
        }
        Err(e) => return Err(Error::new(format!("cannot run go: {e}"))),
    };
    let version_output = String::from_utf8_lossy(if output.status.success() { &output.stdout } else { &output.stderr });
    if output.status.success() && parse_version(&version_output).is_none_or(|found| found >= MIN_VERSION) {
        return Ok(());
    }
    Err(Error::new(format!("This Go cannot build the tools: {}. {INSTALL_HINT}", version_output.trim())))
}

pub(super) fn build_package(module: GoModule, package: &str, target: &Path) -> Result<()> {
    let output = go_command(module)
        .args(["build", "-trimpath", "-tags", module.tags(), "-ldflags", &module.link_flags()?, "-o"])
        .arg(target)
        .arg(package)
        .output()
        .with_context(|| "cannot run go".to_owned())?;
    if output.status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<_> = stderr.lines().filter(|line| !line.starts_with("go: downloading ")).collect();
    let end = lines.split_at(lines.len().saturating_sub(30)).1.join("\n");
    Err(Error::new(format!("go build {package} failed in {}:\n{end}", module.dir().display())))
}

/// Kubernetes learns its own version at link time only; the pins say which it is.
fn kubernetes_link_flags(folder: &Path) -> Result<String> {
    let version = pinned_version(folder, "k8s.io/kubernetes")?;
    let (major, minor) = major_and_minor(&version);
    let set = "-X k8s.io/component-base/version";
    Ok(format!("-s -w {set}.gitVersion={version} {set}.gitMajor={major} {set}.gitMinor={minor}"))
}

/// Likewise Helm 3; it takes the minor version of its client-go (v0.X.Y) for the Kubernetes that it renders for.
fn helm3_link_flags(folder: &Path) -> Result<String> {
    let version = pinned_version(folder, "helm.sh/helm/v3")?;
    let client = pinned_version(folder, "k8s.io/client-go")?;
    let (_, minor) = major_and_minor(&client);
    let set = "-X helm.sh/helm/v3";
    Ok(format!(
        "-s -w {set}/internal/version.version={version} {set}/pkg/chartutil.k8sVersionMinor={minor} \
         {set}/pkg/lint/rules.k8sVersionMinor={minor}"
    ))
}

fn pinned_version(folder: &Path, module: &str) -> Result<String> {
    let path = folder.join("go.mod");
    let pins = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let version = |line: &str| Some(line.trim().strip_prefix(module)?.strip_prefix(' ')?.split(' ').next()?.to_owned());
    pins.lines().find_map(version).ok_or_else(|| Error::new(format!("{} does not require {module}", path.display())))
}

fn major_and_minor(version: &str) -> (&str, &str) {
    let mut numbers = version.trim_start_matches('v').split('.');
    (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default())
}

fn go_command(module: GoModule) -> Command {
    let mut command = Command::new("go");
    command.current_dir(module.dir()).env("CGO_ENABLED", "0").env("GOWORK", "off");
    command
}

/// `go1.26.8` is (1, 26). A development version has no number and is taken to be new.
fn parse_version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.trim().strip_prefix("go")?.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::parse_version;

    #[test]
    fn go_versions_are_parsed_including_release_candidates() {
        assert_eq!(parse_version("go1.26.8\n"), Some((1, 26)));
        assert_eq!(parse_version("go1.27rc1"), Some((1, 27)));
        assert_eq!(parse_version("go1.9"), Some((1, 9)));
        assert_eq!(parse_version("devel +abc"), None);
    }
}
