//! Standard streams that are full or closed, and command lines with control characters.

use std::{
    io,
    process::{Command, Stdio},
};

use boxsync::{
    cli::{self, Cli, ColorMode, Io, Output, Tty},
    runtime::Clock,
};

use crate::env::{CliEnv, NAMESPACE};

/// The stdout of a command whose reader has exited, such as `head`.
struct ClosedPipe;

/// A full disk, as /dev/full is.
struct FullDisk;

impl io::Write for FullDisk {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::StorageFull.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl io::Write for ClosedPipe {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a command that prints to this stream writes to stderr, and its exit code.
async fn run_with_stdout(env: &CliEnv, stdout: &mut dyn io::Write, command: &str) -> (u8, String) {
    let (mut err, mut input) = (Vec::new(), io::empty());
    let mut io = Io {
        out: Output::new(stdout, ColorMode::Plain),
        err: Output::new(&mut err, ColorMode::Plain),
        input: &mut input,
        stdout_tty: Tty::Piped,
        stdin_tty: Tty::Piped,
        clock: Clock::system(),
    };
    let command = Cli::parse_args(["kubectl-boxsync"].into_iter().chain(command.split(' '))).expect("a command");
    let exit = cli::run(command, env.kube.client_as("alice"), NAMESPACE, &mut io).await;
    (exit.code(), String::from_utf8(err).expect("text"))
}

const PRINTING_COMMANDS: [&str; 23] = [
    "users acme",
    "users acme -o wide",
    "users acme -o csv",
    "users acme -o json",
    "users acme -o yaml",
    "users acme -o jsonl",
    "users acme -o name",
    "changes acme",
    "changes acme -o json",
    "changes acme -o yaml",
    "status",
    "status acme",
    "status -o json",
    "status -o yaml",
    "why acme 2001",
    "coverage acme --protected - --partial",
    "coverage acme --protected - --partial -o csv",
    "coverage acme --protected - --partial -o json",
    "sync acme",
    "approve acme",
    "handover acme",
    "check acme --box-api-url http://127.0.0.1:1",
    "completion bash",
];

#[tokio::test(start_paused = true)]
async fn a_closed_stdout_is_not_an_error_and_a_full_one_is() {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let env = CliEnv::with_three_users().await;
    env.apply_lease(4);
    for command in PRINTING_COMMANDS {
        let (code, err) = run_with_stdout(&env, &mut ClosedPipe, command).await;
        assert!(code == 0 && (err.is_empty() || err.starts_with("note: ")), "{command}: {code} {err}");
        let (code, err) = run_with_stdout(&env, &mut FullDisk, command).await;
        assert_eq!(code, 8, "{command}");
        assert!(err.contains("error: cannot write the output: "), "{command}: {err}");
    }
}

/// Runs a program of this package with this stdout.
fn run_program(program: &str, args: &[&str], stdout: Stdio, stderr: Stdio) -> std::process::Output {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(stdout).stderr(stderr);
    command.spawn().and_then(std::process::Child::wait_with_output).expect("the program runs")
}

#[cfg(target_os = "linux")]
#[test]
fn what_needs_no_cluster_fails_on_a_full_stdout_and_never_panics() {
    let full = || Stdio::from(std::fs::OpenOptions::new().write(true).open("/dev/full").expect("Linux"));
    let closed = || Stdio::from(std::io::pipe().expect("a pipe").1);
    let (operator, plugin) = (env!("CARGO_BIN_EXE_boxsync-operator"), env!("CARGO_BIN_EXE_kubectl-boxsync"));
    for (program, args, failure) in [
        (operator, &["crds"][..], 1),
        (operator, &["--help"], 1),
        (operator, &["run", "--help"], 1),
        (operator, &["--version"], 1),
        (plugin, &["--help"], 8),
        (plugin, &["users", "--help"], 8),
        (plugin, &["--version"], 8),
        (plugin, &["completion", "zsh"], 8),
    ] {
        let output = run_program(program, args, full(), Stdio::piped());
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(failure), "{args:?}: {err}");
        assert!(err.contains("cannot write the output: ") && !err.contains("panicked"), "{args:?}: {err}");
        assert_eq!(run_program(program, args, full(), full()).status.code(), Some(failure), "{args:?}, both full");
        let output = run_program(program, args, closed(), Stdio::piped());
        assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{args:?}, closed");
    }
    for (program, failure) in [(operator, 2), (plugin, 64)] {
        assert_eq!(run_program(program, &["--no-such"], full(), full()).status.code(), Some(failure), "{program}");
    }
}

#[test]
fn an_invalid_command_line_is_quoted_without_its_control_characters() {
    let plugin = env!("CARGO_BIN_EXE_kubectl-boxsync");
    for args in [
        &["users", "acme", "-o", "x\u{1b}[2J\u{202e}"][..],
        &["\u{9b}2J"],
        &["changes", "acme", "--revision", "\u{8}1"],
    ] {
        let output = run_program(plugin, args, Stdio::null(), Stdio::piped());
        let err = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(64), "{err}");
        assert!(!err.replace('\n', "").contains(|c: char| c.is_control() || c == '\u{202e}'), "{err:?}");
    }
    assert_eq!(run_program(plugin, &["why", "acme", ""], Stdio::null(), Stdio::null()).status.code(), Some(64));
}
