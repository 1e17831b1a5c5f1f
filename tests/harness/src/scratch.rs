//! scratch — a folder for data and logs: removed when all went well, kept when a test failed.
//!
//! "When all went well" has to hold for folders owned by a static too, which Rust never drops. So a small
//! shell waits on a pipe that only this process holds: when the process is gone, by whatever means, it
//! removes the folder, unless a panic has left the file `FAILED` in it. `BOXSYNC_KEEP_LOGS=1` keeps all.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder};
use std::io::Write as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, Once, PoisonError};

use crate::error::{Result, While as _};

const KEEPER: &str = r#"
read -r done && exit 0
[ -e "$1/FAILED" ] && exit 0
# The processes that write here are ending at this moment too.
tries=0
while [ "$tries" -lt 40 ]; do
    sleep 0.25
    rm -rf -- "$1"
    sleep 0.25
    [ -e "$1" ] || exit 0
    tries=$((tries + 1))
done
"#;

static LIVE: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
static COUNT: AtomicU32 = AtomicU32::new(0);

pub struct Scratch {
    path: PathBuf,
    keeper: Child,
}

impl Scratch {
    /// A new folder in the system's temporary folder, readable by this user only: it will hold tokens.
    pub fn new(name: &str) -> Result<Self> {
        mark_folders_on_panic();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("boxsync-{name}-{}-{count}", std::process::id()));
        let creating = || format!("cannot create {}", path.display());
        // A process of the same id may have left one behind.
        let _ = fs::remove_dir_all(&path);
        DirBuilder::new().mode(0o700).create(&path).during(creating)?;
        if std::env::var_os("BOXSYNC_KEEP_LOGS").is_some() {
            mark(&path);
        }
        let keeper = Command::new("sh")
            .args(["-c", KEEPER, "boxsync-scratch"])
            .arg(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .during(|| "cannot start sh".to_owned())?;
        live().insert(path.clone());
        Ok(Self { path, keeper })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// From now on the folder stays, for somebody to look at.
    pub fn keep(&self) {
        mark(&self.path);
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        live().remove(&self.path);
        if !self.path.join("FAILED").exists() {
            let _ = fs::remove_dir_all(&self.path);
        }
        if let Some(mut pipe) = self.keeper.stdin.take() {
            let _ = pipe.write_all(b"done\n");
        }
        let _ = self.keeper.wait();
    }
}

/// Where the logs of everything that runs now are, as a sentence for the end of a failure's message.
pub(crate) fn where_logs_are() -> String {
    let folders: Vec<_> = live().iter().map(|path| path.display().to_string()).collect();
    if folders.is_empty() { "there are no logs".to_owned() } else { format!("logs: {}", folders.join(" ")) }
}

fn live() -> std::sync::MutexGuard<'static, BTreeSet<PathBuf>> {
    LIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn mark(path: &Path) {
    let _ = fs::write(path.join("FAILED"), "kept because something failed, or because it was asked for\n");
}

/// A panic cannot be told from success when a static's process ends, so the folders are marked when it
/// happens. Which folder it concerns is not known: all that are in use are kept.
fn mark_folders_on_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            before(panic);
            // A panic while the lock is held must not wait for itself.
            let Ok(live) = LIVE.try_lock() else { return };
            for path in live.iter() {
                mark(path);
                eprintln!("logs are kept in {}", path.display());
            }
        }));
    });
}
