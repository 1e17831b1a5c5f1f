//! A child process exits with its parent, however the parent ends, and its own exit status is reported.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use harness::{Process, TempDir};

const LIMIT: Duration = Duration::from_secs(20);

fn sleep_command(seconds: u32) -> Command {
    let mut command = Command::new("sleep");
    command.arg(seconds.to_string());
    command
}

fn shell_command(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

fn wait_until_gone(what: &str, gone: impl Fn() -> bool) {
    let begin = Instant::now();
    while !gone() {
        assert!(begin.elapsed() < LIMIT, "{what}: still there after {LIMIT:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Not a test: the parent process that the tests below start and end in three ways.
#[test]
#[ignore = "started by the other tests"]
fn parent() {
    let temp_dir = TempDir::new("leash-parent").expect("scratch");
    let log = temp_dir.path().join("log");
    let handles_term = Process::spawn("handles-term", &sleep_command(600), &log).expect("spawned");
    let ignores_term_script = shell_command("trap '' TERM; while :; do sleep 0.2; done");
    let ignores_term = Process::spawn("ignores-term", &ignores_term_script, &log).expect("spawned");
    // Never dropped, like a static.
    let (handles_term, ignores_term, temp_dir) =
        (Box::leak(Box::new(handles_term)), Box::leak(Box::new(ignores_term)), Box::leak(Box::new(temp_dir)));
    println!("\nPIDS {} {} {}", handles_term.pid(), ignores_term.pid(), temp_dir.path().display());
    match std::env::var("BOXSYNC_PARENT").as_deref() {
        Ok("returns") => {}
        Ok("panics") => panic!("as a failing test does"),
        _ => std::thread::sleep(Duration::from_secs(600)),
    }
}

struct ChildTree {
    parent: Child,
    pids: [u32; 2],
    dir: String,
}

impl ChildTree {
    fn spawn(way: &str) -> Self {
        let mut parent = Command::new(std::env::current_exe().expect("this test's binary"))
            .args(["--exact", "parent", "--ignored", "--nocapture"])
            .env("BOXSYNC_PARENT", way)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("started");
        let mut lines = BufReader::new(parent.stdout.take().expect("piped")).lines();
        let line = lines
            .find_map(|line| line.expect("read").strip_prefix("PIDS ").map(str::to_owned))
            .expect("the parent prints the pids of its children");
        // Its further lines need a reader.
        std::thread::spawn(move || lines.count());
        let mut words = line.split(' ');
        let mut pid = || words.next().and_then(|word| word.parse().ok()).expect("a pid");
        let pids = [pid(), pid()];
        Self { parent, pids, dir: words.next().expect("a folder").to_owned() }
    }

    fn assert_children_end(&self) {
        for pid in self.pids {
            wait_until_gone("a child", || !is_alive(pid));
        }
    }
}

#[test]
fn children_and_their_dir_are_removed_when_the_parent_is_killed() {
    let mut family = ChildTree::spawn("waits");
    assert!(family.pids.iter().all(|pid| is_alive(*pid)));
    family.parent.kill().expect("SIGKILL");
    family.parent.wait().expect("reaped");
    family.assert_children_end();
    wait_until_gone("the folder", || !Path::new(&family.dir).exists());
}

#[test]
fn children_and_their_dir_are_removed_when_the_parent_returns_without_dropping_them() {
    let mut family = ChildTree::spawn("returns");
    family.parent.wait().expect("reaped");
    family.assert_children_end();
    wait_until_gone("the folder", || !Path::new(&family.dir).exists());
}

#[test]
fn children_end_and_logs_are_kept_when_the_parent_panics() {
    let mut family = ChildTree::spawn("panics");
    family.parent.wait().expect("reaped");
    family.assert_children_end();
    std::thread::sleep(Duration::from_secs(1));
    assert!(Path::new(&family.dir).join("log").exists(), "{}", family.dir);
    fs::remove_dir_all(&family.dir).expect("removed");
}

#[test]
fn children_end_on_a_terminals_interrupt() {
    let mut family = ChildTree::spawn("waits");
    let interrupt =
        Command::new("sh").args(["-c", &format!("kill -s INT {}", family.parent.id())]).status().expect("sh");
    assert!(interrupt.success());
    family.parent.wait().expect("reaped");
    family.assert_children_end();
}

#[tokio::test]
async fn the_exit_code_and_output_of_a_child_are_recorded() {
    let temp_dir = TempDir::new("leash").expect("scratch");
    let log = temp_dir.path().join("log");
    let command = shell_command("echo to stdout; echo to stderr >&2; exit 7");
    let mut process = Process::spawn("short", &command, &log).expect("spawned");
    let status = process.wait(LIMIT).await.expect("ended");
    assert_eq!(status.code(), Some(7));
    assert_eq!(process.log(), "to stdout\nto stderr\n");
    assert!(!process.is_running());
}

#[tokio::test]
async fn a_child_that_ignores_sigterm_is_killed_and_reported() {
    let temp_dir = TempDir::new("leash").expect("scratch");
    let log = temp_dir.path().join("log");
    let polite = shell_command("trap 'exit 0' TERM; while :; do sleep 0.05; done");
    let mut polite = Process::spawn("exits-on-term", &polite, &log).expect("spawned");
    tokio::time::sleep(Duration::from_millis(300)).await;
    let status = polite.terminate(LIMIT).await.expect("ends by itself");
    assert!(status.success(), "{status}");

    let ignores_term_script = shell_command("trap '' TERM; while :; do sleep 0.05; done");
    let mut ignores_term = Process::spawn("ignores-term", &ignores_term_script, &log).expect("spawned");
    tokio::time::sleep(Duration::from_millis(300)).await;
    let error = ignores_term.terminate(Duration::from_millis(300)).await.expect_err("it ignores SIGTERM");
    assert!(error.to_string().contains("was killed"), "{error}");
    assert!(!ignores_term.is_running());
}

#[tokio::test]
async fn a_paused_child_stops_and_a_dropped_one_is_killed() {
    let temp_dir = TempDir::new("leash").expect("scratch");
    let process = Process::spawn("sleep", &sleep_command(600), &temp_dir.path().join("log")).expect("spawned");
    process.pause().await.expect("paused");
    assert!(process.is_running());
    // While it is paused; otherwise it may grow between the two.
    assert!(process.rss_kib() > Some(0) && process.peak_rss_kib() >= process.rss_kib());
    process.resume().await.expect("resumed");
    let pid = process.pid();
    process.pause().await.expect("paused");
    drop(process);
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
}

#[tokio::test]
async fn a_missing_program_is_reported_in_the_log() {
    let temp_dir = TempDir::new("leash").expect("scratch");
    let command = Command::new("/nonexistent/program");
    let mut process = Process::spawn("missing", &command, &temp_dir.path().join("log")).expect("sh is there");
    assert_eq!(process.wait(LIMIT).await.expect("ended").code(), Some(127));
    assert!(process.log().contains("/nonexistent/program"), "{}", process.log());
}
