//! Child processes that exit with this process, even after SIGKILL.
//!
//! `sh` starts a watchdog that reads from a pipe of this process, and then becomes the program (`exec`), so the child is
//! the program itself with its own pid, memory and exit status. The watchdog sends the signals whose names are written
//! to the pipe. When this process dies, the kernel closes the pipe and the watchdog stops the program with SIGTERM, and
//! with SIGKILL after a grace period.
//! An exited program is a zombie until it is reaped, so the watchdog never signals a reused pid.
//! The program's own process group prevents Ctrl-C from reaching it before this process.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::error::{Context as _, Error, Result};

const WATCHDOG_SCRIPT: &str = r#"
tenths=$1
shift
program=$$
exec 3<&0 </dev/null
{
    while read -r signal; do
        [ "$signal" = off ] && exit 0
        kill -s "$signal" "$program"
    done
    # A stopped process does not handle TERM before CONT.
    kill -s TERM "$program"
    kill -s CONT "$program"
    while [ "$tenths" -gt 0 ] && kill -0 "$program"; do
        sleep 0.1
        tenths=$((tenths - 1))
    done
    kill -s KILL "$program"
} <&3 >/dev/null 2>&1 3<&- &
exec "$@" 3<&-
"#;

/// The time between SIGTERM and SIGKILL after the harness has died.
const GRACE_PERIOD: Duration = Duration::from_secs(2);

pub struct Process {
    name: String,
    child: Child,
    watchdog: Mutex<Option<ChildStdin>>,
    log: PathBuf,
}

impl Process {
    /// Starts the program; what it prints is appended to `log`. Arguments, folder and environment changes
    /// are taken from `command`, its stdio is not.
    pub fn spawn(name: &str, command: &Command, log: &Path) -> Result<Self> {
        let out = open_log(log)?;
        let err = out.try_clone().with_context(|| format!("cannot open {}", log.display()))?;
        let mut sh = Command::new("sh");
        sh.args(["-c", WATCHDOG_SCRIPT, "boxsync-watchdog"])
            .arg((GRACE_PERIOD.as_millis() / 100).to_string())
            .arg(command.get_program())
            .args(command.get_args())
            .stdin(Stdio::piped())
            .stdout(out)
            .stderr(err)
            .process_group(0);
        for (key, value) in command.get_envs() {
            match value {
                Some(value) => sh.env(key, value),
                None => sh.env_remove(key),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            sh.current_dir(folder);
        }
        let mut child = sh.spawn().with_context(|| format!("cannot start sh for {name}"))?;
        let watchdog = Mutex::new(child.stdin.take());
        Ok(Self { name: name.to_owned(), child, watchdog, log: log.to_owned() })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn is_running(&self) -> bool {
        !matches!(self.kernel_state(), None | Some('Z' | 'X'))
    }

    /// Kills it (SIGKILL) and waits until it has exited.
    pub fn kill(&mut self) -> Result<ExitStatus> {
        // An error means that it has already exited, which wait() reports.
        let _ = self.child.kill();
        let status = self.child.wait().with_context(|| format!("cannot wait for {}", self.name))?;
        self.release_watchdog();
        Ok(status)
    }

    /// Sends SIGTERM. If it does not exit within `limit`, it is killed and an error is returned.
    pub async fn terminate(&mut self, limit: Duration) -> Result<ExitStatus> {
        self.signal("TERM")?;
        match self.wait(limit).await {
            Ok(status) => Ok(status),
            Err(_) => {
                self.kill()?;
                Err(Error::new(format!(
                    "{} did not exit within {limit:?} after SIGTERM and was killed; log: {}",
                    self.name,
                    self.log.display()
                )))
            }
        }
    }

    /// Waits until it exits.
    pub async fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + limit;
        loop {
            // Polled, because tokio's child belongs to one runtime and a shared process outlives it.
            let ended = self.child.try_wait().with_context(|| format!("cannot wait for {}", self.name))?;
            if let Some(status) = ended {
                self.release_watchdog();
                return Ok(status);
            }
            if Instant::now() >= deadline {
                return Err(Error::new(format!(
                    "{} still running after {limit:?}; log: {}",
                    self.name,
                    self.log.display()
                )));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Freezes it (SIGSTOP): its connections stay open without responses.
    pub async fn pause(&self) -> Result<()> {
        self.signal("STOP")?;
        self.wait_for_state(|state| state == Some('T')).await
    }

    /// Resumes a frozen process.
    pub async fn resume(&self) -> Result<()> {
        self.signal("CONT")?;
        self.wait_for_state(|state| state != Some('T')).await
    }

    /// Resident memory now.
    pub fn rss_kib(&self) -> Option<u64> {
        proc_status_kib(self.pid(), "VmRSS:")
    }

    /// The anonymous part of it. The rest is mostly file-backed program text, which the kernel can drop.
    pub fn anonymous_rss_kib(&self) -> Option<u64> {
        proc_status_kib(self.pid(), "RssAnon:")
    }

    /// The most resident memory it ever had.
    pub fn peak_rss_kib(&self) -> Option<u64> {
        proc_status_kib(self.pid(), "VmHWM:")
    }

    /// CPU time used so far, user and system.
    pub fn cpu_time(&self) -> Option<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).ok()?;
        let mut fields = stat.rsplit_once(") ")?.1.split_whitespace().skip(11);
        let ticks: u64 = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
        // The kernel shows ticks of 1/100 s to every program, whatever its own clock does.
        Some(Duration::from_millis(ticks * 10))
    }

    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// Its output so far.
    pub fn log(&self) -> String {
        let bytes = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn signal(&self, name: &str) -> Result<()> {
        let mut watchdog = self.watchdog.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(pipe) = watchdog.as_mut() else {
            return Err(Error::new(format!("{} has already exited", self.name)));
        };
        pipe.write_all(format!("{name}\n").as_bytes()).with_context(|| format!("the watchdog of {} is gone", self.name))
    }

    /// Stops the watchdog: the process has exited, and its pid may be reused.
    fn release_watchdog(&self) {
        let mut watchdog = self.watchdog.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mut pipe) = watchdog.take() {
            let _ = pipe.write_all(b"off\n");
        }
    }

    /// The kernel's process state: R, S, D, T, Z ….
    fn kernel_state(&self) -> Option<char> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).ok()?;
        stat.rsplit_once(") ")?.1.chars().next()
    }

    async fn wait_for_state(&self, reached: impl Fn(Option<char>) -> bool) -> Result<()> {
        for _ in 0..400 {
            if reached(self.kernel_state()) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Err(Error::new(format!("{} did not react to the signal; state {:?}", self.name, self.kernel_state())))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

fn open_log(log: &Path) -> Result<File> {
    OpenOptions::new().create(true).append(true).open(log).with_context(|| format!("cannot open {}", log.display()))
}

fn proc_status_kib(pid: u32, field: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_whitespace().next()?.parse().ok()
}
