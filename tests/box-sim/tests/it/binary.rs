//! The program as a process.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// Ends with the test, also when that panics.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(flags: &[&str]) -> (Running, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_box-sim"));
    let child = command.args(flags).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the program starts");
    let mut running = Running(child);
    let mut line = String::new();
    let stdout = running.0.stdout.take().expect("piped");
    BufReader::new(stdout).read_line(&mut line).expect("a first line");
    (running, line)
}

fn ends_well(mut running: Running) {
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
fn the_first_line_says_where_it_listens_and_it_ends_when_stdin_closes() {
    let (mut running, line) = start(&["--scenario", "demo", "--until-stdin-closes"]);
    assert!(line.starts_with("listening on http://127.0.0.1:"), "{line:?}");
    assert!(running.0.try_wait().expect("a child of ours").is_none());
    drop(running.0.stdin.take());
    ends_well(running);
}

#[test]
fn it_ends_on_sigterm_though_stdin_is_open() {
    for flags in [&["--until-stdin-closes"][..], &[]] {
        let (running, _) = start(flags);
        let killed = Command::new("kill").arg(running.0.id().to_string()).status().expect("kill");
        assert!(killed.success());
        ends_well(running);
    }
}
