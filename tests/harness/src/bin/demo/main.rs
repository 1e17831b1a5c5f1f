//! The demo: the operator's main features step by step, on a real API server with a simulated Box.
//!
//! | file | purpose |
//! | --- | --- |
//! | `screen` | terminal output |
//! | `cluster` | the cluster: a control plane of the demo's own, or the user's cluster |
//! | `boxes` | the simulated Box and its admin API |
//! | `story` | the context of the steps: kubectl, requests, lookups |
//! | `connect`, `requests`, `coverage`, `held`, `crash`, `mend`, `explore` | the steps |
//! | `reader` | a program that keeps reading a list |
//!
//! Every shown command is run, and the output below it is its output.

mod boxes;
mod cluster;
mod connect;
mod coverage;
mod crash;
mod early_end;
mod explore;
mod held;
mod mend;
mod reader;
mod requests;
mod screen;
mod story;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use harness::{Error, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{cluster::DemoCluster, screen::Screen, story::DemoRun};

/// Shows the operator's main job on a real Kubernetes API server and a simulated Box.
#[derive(Parser)]
#[command(name = "demo")]
struct Args {
    /// Exit after the checks; the exit code is 0 if all of them passed.
    #[arg(long)]
    once: bool,
    /// Use the cluster of this kubeconfig context instead of starting one.
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
}

/// The exit code of shells for an interrupted program.
const EXIT_INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let arguments = Args::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => {
            eprintln!("demo: {e}");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(run_demo(arguments));
    // Do not wait for a tool that is being built on another thread.
    runtime.shutdown_background();
    code
}

async fn run_demo(arguments: Args) -> ExitCode {
    let screen = Screen::default();
    let Args { once, context } = arguments;
    let (mut signals, mut cluster) = match Signals::new().and_then(|signals| Ok((signals, DemoCluster::new(context)?)))
    {
        Ok(both) => both,
        Err(e) => return report_failure(&screen, &e),
    };
    let outcome = tokio::select! {
        outcome = run_steps(&screen, &mut cluster, once) => Some(outcome),
        () = signals.recv() => None,
    };
    match &outcome {
        Some(Err(e)) => screen.print_error(e),
        Some(Ok(())) => {}
        None => {
            screen.blank_line();
            screen.print("Cleaning up …");
        }
    }
    let succeeded = matches!(outcome, Some(Ok(()))) && screen.failure_count() == 0;
    if screen.failure_count() > 0 || matches!(outcome, Some(Err(_))) {
        cluster.keep_logs(&screen);
    }
    // A second Ctrl-C interrupts the clean-up.
    tokio::select! {
        () = cluster.clean_up(&screen) => {}
        () = signals.recv() => screen.print("Clean-up interrupted."),
    }
    match (outcome, succeeded) {
        // Ctrl-C is the regular end of a demo that keeps running.
        (None, _) if !once && screen.is_finished() && screen.failure_count() == 0 => ExitCode::SUCCESS,
        (None, _) => ExitCode::from(EXIT_INTERRUPTED),
        (Some(_), true) => ExitCode::SUCCESS,
        (Some(_), false) => ExitCode::FAILURE,
    }
}

async fn run_steps(screen: &Screen, cluster: &mut DemoCluster, once: bool) -> Result<()> {
    let mut demo = DemoRun::new(screen, cluster).await?;
    connect::install_crds(&mut demo).await?;
    connect::create_connections(&mut demo).await?;
    connect::start_operator(&mut demo).await?;
    requests::sync_on_request(&mut demo).await?;
    requests::add_user_in_box(&mut demo).await?;
    coverage::find_unprotected_user(&mut demo).await?;
    early_end::reject_early_end(&mut demo).await?;
    held::hold_and_approve_removals(&mut demo).await?;
    mend::reconnect_after_authorization(&mut demo).await?;
    crash::crash_during_sync(&mut demo).await?;
    mend::deauthorize_app(&mut demo).await?;
    mend::rotate_client_secret(&mut demo).await?;
    demo.finish(once).await?;
    if once { demo.stop_operator().await } else { explore::run_until_interrupted(&mut demo).await }
}

fn report_failure(screen: &Screen, e: &Error) -> ExitCode {
    screen.print_error(e);
    ExitCode::FAILURE
}

/// SIGINT, SIGTERM and SIGHUP.
struct Signals([Signal; 3]);

impl Signals {
    fn new() -> Result<Self> {
        let listen = |kind| signal(kind).map_err(|e| Error::new(format!("cannot install signal handlers: {e}")));
        Ok(Self([listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?, listen(SignalKind::hangup())?]))
    }

    async fn recv(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

/// 0.43 s, 12.1 s, 1 min 32 s.
fn format_duration(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    match seconds {
        ..1.0 => format!("{seconds:.2} s"),
        1.0..60.0 => format!("{seconds:.1} s"),
        _ => format!("{} min {} s", duration.as_secs() / 60, duration.as_secs() % 60),
    }
}

/// A number with thousands separators: 12,000.
fn format_count(n: u64) -> String {
    let digits = n.to_string();
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().filter_map(|g| std::str::from_utf8(g).ok()).collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_counts_are_formatted() {
        assert_eq!(
            [430, 12_100, 92_000].map(|ms| format_duration(Duration::from_millis(ms))),
            ["0.43 s", "12.1 s", "1 min 32 s"]
        );
        assert_eq!([0, 999, 12_000].map(format_count), ["0", "999", "12,000"]);
    }
}
