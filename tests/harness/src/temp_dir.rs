//! Temporary directories for data and logs: removed on success, kept when a test failed.
//!
//! Directories owned by a static are never dropped by Rust. Therefore a small shell waits on a pipe that only this
//! process holds: when the process has exited, in any way, it removes the directory unless a panic has left the file
//! `FAILED` in it. `BOXSYNC_KEEP_LOGS=1` keeps all.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder};
use std::io::Write as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, Once, PoisonError};

use crate::error::{Context as _, Result};

const CLEANUP_SCRIPT: &str = r#"
read -r done && exit 0
[ -e "$1/FAILED" ] && exit 0
# The processes that write here may still be exiting.
tries=0
while [ "$tries" -lt 40 ]; do
    sleep 0.25
    rm -rf -- "$1"
    sleep 0.25
    [ -e "$1" ] || exit 0
    tries=$((tries + 1))
done
"#;

static ACTIVE_DIRS: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
static NEXT_ID: AtomicU32 = AtomicU32::new(0);

pub struct TempDir {
    path: PathBuf,
    cleanup_process: Child,
}

impl TempDir {
    /// A new folder in the system's temporary folder, readable by this user only: it will hold tokens.
    pub fn new(name: &str) -> Result<Self> {
        keep_dirs_on_panic();
        let count = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("boxsync-{name}-{}-{count}", std::process::id()));
        let error_context = || format!("cannot create {}", path.display());
        // A process of the same id may have left one behind.
        let _ = fs::remove_dir_all(&path);
        DirBuilder::new().mode(0o700).create(&path).with_context(error_context)?;
        if std::env::var_os("BOXSYNC_KEEP_LOGS").is_some() {
            mark_kept(&path);
        }
        let cleanup_process = Command::new("sh")
            .args(["-c", CLEANUP_SCRIPT, "boxsync-tempdir"])
            .arg(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .with_context(|| "cannot start sh".to_owned())?;
        active_dirs().insert(path.clone());
        Ok(Self { path, cleanup_process })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps the directory.
    pub fn keep(&self) {
        mark_kept(&self.path);
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        active_dirs().remove(&self.path);
        if !self.path.join("FAILED").exists() {
            let _ = fs::remove_dir_all(&self.path);
        }
        if let Some(mut pipe) = self.cleanup_process.stdin.take() {
            let _ = pipe.write_all(b"done\n");
        }
        let _ = self.cleanup_process.wait();
    }
}

/// Where the logs of everything that runs now are, as a sentence for the end of a failure's message.
pub(crate) fn log_locations() -> String {
    let folders: Vec<_> = active_dirs().iter().map(|path| path.display().to_string()).collect();
    if folders.is_empty() { "no logs".to_owned() } else { format!("logs: {}", folders.join(" ")) }
}

fn active_dirs() -> std::sync::MutexGuard<'static, BTreeSet<PathBuf>> {
    ACTIVE_DIRS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn mark_kept(path: &Path) {
    let _ = fs::write(path.join("FAILED"), "kept after a failure or because BOXSYNC_KEEP_LOGS is set\n");
}

/// A panic is not visible when the process exits, so directories are marked when it happens. The affected directory is
/// not known, so all active ones are kept.
fn keep_dirs_on_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous_hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            previous_hook(panic);
            // A panic while the lock is held must not deadlock.
            let Ok(live) = ACTIVE_DIRS.try_lock() else { return };
            for path in live.iter() {
                mark_kept(path);
                eprintln!("logs kept in {}", path.display());
            }
        }));
    });
}
