//! The binary.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// Killed at the end of the test, also if it panics.
struct ChildProcess(Child);

impl Drop for ChildProcess {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start_box_sim(flags: &[&str]) -> (ChildProcess, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_box-sim"));
    let child = command.args(flags).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the program starts");
    let mut running = ChildProcess(child);
    let mut line = String::new();
    let stdout = running.0.stdout.take().expect("piped");
    BufReader::new(stdout).read_line(&mut line).expect("a first line");
    (running, line)
}

fn assert_exits_successfully(mut running: ChildProcess) {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(20) {
        if let Some(status) = running.0.try_wait().expect("a child of ours") {
            assert!(status.success(), "{status}");
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("still running after {:?}", begun.elapsed());
}

#[test]
fn it_prints_its_address_and_exits_when_stdin_closes() {
    let (mut running, line) = start_box_sim(&["--scenario", "demo", "--until-stdin-closes"]);
    assert!(line.starts_with("listening on http://127.0.0.1:"), "{line:?}");
    assert!(running.0.try_wait().expect("a child of ours").is_none());
    drop(running.0.stdin.take());
    assert_exits_successfully(running);
}

#[test]
fn it_exits_on_sigterm_while_stdin_is_open() {
    for flags in [&["--until-stdin-closes"][..], &[]] {
        let (running, _) = start_box_sim(flags);
        let killed = Command::new("kill").arg(running.0.id().to_string()).status().expect("kill");
        assert!(killed.success());
        assert_exits_successfully(running);
    }
}
