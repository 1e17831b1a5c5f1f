//! External programs: found, or built once from the pins in `tests/control-plane`, `tests/helm3` and
//! `tests/promtool`.
//!
//! `KUBEBUILDER_ASSETS` is used for what it has. The rest is built into a cache outside `target/`, whose
//! name is a digest of the pins and flags: other pins mean another folder, never a stale program. Only what
//! is asked for is built. cgo is off, so Go needs no C compiler.

mod go;

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::error::{Context as _, Error, Result};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    Etcd,
    KubeApiserver,
    KubeControllerManager,
    Kubectl,
    Helm,
    Helm3,
    Promtool,
}

impl Tool {
    pub const ALL: &[Self] = &[
        Self::Etcd,
        Self::KubeApiserver,
        Self::KubeControllerManager,
        Self::Kubectl,
        Self::Helm,
        Self::Helm3,
        Self::Promtool,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::KubeApiserver => "kube-apiserver",
            Self::KubeControllerManager => "kube-controller-manager",
            Self::Kubectl => "kubectl",
            Self::Helm => "helm",
            Self::Helm3 => "helm3",
            Self::Promtool => "promtool",
        }
    }

    const fn package(self) -> &'static str {
        match self {
            Self::Etcd => "go.etcd.io/etcd/server/v3",
            Self::KubeApiserver => "k8s.io/kubernetes/cmd/kube-apiserver",
            Self::KubeControllerManager => "k8s.io/kubernetes/cmd/kube-controller-manager",
            Self::Kubectl => "k8s.io/kubernetes/cmd/kubectl",
            Self::Helm => "helm.sh/helm/v4/cmd/helm",
            Self::Helm3 => "helm.sh/helm/v3/cmd/helm",
            Self::Promtool => "github.com/prometheus/prometheus/cmd/promtool",
        }
    }

    const fn module(self) -> go::GoModule {
        match self {
            Self::Etcd | Self::KubeApiserver | Self::KubeControllerManager | Self::Kubectl | Self::Helm => {
                go::GoModule::ControlPlane
            }
            Self::Helm3 => go::GoModule::Helm3,
            Self::Promtool => go::GoModule::Promtool,
        }
    }

    /// Measured on two cores with nothing cached, in the order of `ALL`.
    const fn build_time(self) -> &'static str {
        match self {
            Self::Etcd => "1 min",
            Self::KubeApiserver => "4 min",
            Self::KubeControllerManager | Self::Helm | Self::Helm3 => "1 min",
            Self::Kubectl => "20 s",
            Self::Promtool => "2 min",
        }
    }
}

/// The path of the tool, which is built if necessary. Blocks, for minutes the first time.
pub fn find_tool(tool: Tool) -> Result<PathBuf> {
    if let Some(path) = find_in_assets(tool) {
        return Ok(path);
    }
    let cache = tools_cache_dir()?.join(go::cache_key(tool.module())?);
    let path = cache.join(tool.name());
    if path.is_file() {
        return Ok(path);
    }
    fs::create_dir_all(&cache).with_context(|| format!("cannot create {}", cache.display()))?;
    let _lock = lock_cache(&cache, tool)?;
    // The previous holder of the lock may have built it.
    if path.is_file() {
        return Ok(path);
    }
    build_tool(tool, &path)?;
    Ok(path)
}

/// [`find_tool`] on a blocking thread.
pub async fn find_tools(tools: &'static [Tool]) -> Result<Vec<PathBuf>> {
    tokio::task::spawn_blocking(|| tools.iter().map(|tool| find_tool(*tool)).collect())
        .await
        .with_context(|| "finding tools".to_owned())?
}

/// Fails if one of these programs is not on the PATH; the error names all missing ones.
pub fn require_programs(programs: &[&str]) -> Result<()> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_on_path = |program: &&str| std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    let missing: Vec<&str> = programs.iter().copied().filter(|program| !is_on_path(program)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let missing = missing.join(", ");
    Err(Error::new(format!("not found on PATH: {missing}. See the README for required programs.")))
}

fn find_in_assets(tool: Tool) -> Option<PathBuf> {
    let folder = std::env::var_os("KUBEBUILDER_ASSETS").filter(|folder| !folder.is_empty())?;
    Some(Path::new(&folder).join(tool.name())).filter(|path| path.is_file())
}

fn tools_cache_dir() -> Result<PathBuf> {
    let from = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    from("BOXSYNC_TOOLS_CACHE")
        .or_else(|| from("XDG_CACHE_HOME").map(|folder| folder.join("boxsync/tools")))
        .or_else(|| from("HOME").map(|folder| folder.join(".cache/boxsync/tools")))
        .ok_or_else(|| {
            Error::new("no cache directory for built tools: set BOXSYNC_TOOLS_CACHE, XDG_CACHE_HOME or HOME")
        })
}

/// Two test binaries, or two checkouts, must not build the same tool at once. The lock ends with its holder.
fn lock_cache(cache: &Path, tool: Tool) -> Result<File> {
    let path = cache.join("lock");
    let file = File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
    if file.try_lock().is_err() {
        print_progress(&format!("waiting for {}: another process is building tools", tool.name()));
        file.lock().with_context(|| format!("cannot lock {}", path.display()))?;
    }
    Ok(file)
}

fn build_tool(tool: Tool, path: &Path) -> Result<()> {
    let module = tool.module();
    go::check_toolchain(module)?;
    print_progress(&format!("building {} (about {}, cached afterwards)", tool.name(), tool.build_time()));
    let begin = Instant::now();
    remove_partial_builds(path);
    let unfinished = path.with_extension(format!("{}.tmp", std::process::id()));
    go::build_package(module, tool.package(), &unfinished).inspect_err(|_| drop(fs::remove_file(&unfinished)))?;
    fs::rename(&unfinished, path).with_context(|| format!("cannot create {}", path.display()))?;
    let seconds = begin.elapsed().as_secs();
    print_progress(&match (seconds / 60, seconds % 60) {
        (0, s) => format!("built {} in {s} s", tool.name()),
        (min, s) => format!("built {} in {min} min {s} s", tool.name()),
    });
    Ok(())
}

/// Removes files of killed builds. The lock is held, so no build is running.
fn remove_partial_builds(path: &Path) {
    let Some(entries) = path.parent().and_then(|folder| fs::read_dir(folder).ok()) else { return };
    for unfinished in entries.flatten().map(|entry| entry.path()) {
        if unfinished.extension().is_some_and(|extension| extension == "tmp") {
            let _ = fs::remove_file(unfinished);
        }
    }
}

/// Writes to stderr directly: the test runner captures `eprintln!`, and a build takes minutes.
fn print_progress(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
