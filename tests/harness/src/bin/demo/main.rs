//! demo — the main job, told step by step: a real API server, a simulated Box, the operator between them.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `screen` | how the story looks; knows nothing of what it tells |
//! | `cluster` | where it plays: a control plane of its own, or the user's cluster |
//! | `boxes` | the simulated Box, and its admin's commands |
//! | `story` | what every step works with: kubectl, requests, looking things up |
//! | `connect`, `requests`, `held`, `crash`, `mend`, `explore` | the steps |
//! | `reader` | another program that reads a list all the time |
//!
//! Every command that is shown was run, and what is shown below it is what it printed.

mod boxes;
mod cluster;
mod connect;
mod crash;
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

use cluster::Cluster;
use screen::Screen;
use story::Story;

/// Shows the operator's main job on a real Kubernetes API server and a simulated Box.
#[derive(Parser)]
#[command(name = "demo")]
struct Arguments {
    /// End after the checks; the exit code says whether all of them passed.
    #[arg(long)]
    once: bool,
    /// Use the cluster of this kubeconfig context instead of starting one.
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
}

/// As a shell has it for a program that was interrupted.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => {
            eprintln!("demo: {e}");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(demo(arguments));
    // A tool that is being built on another thread is not waited for.
    runtime.shutdown_background();
    code
}

async fn demo(arguments: Arguments) -> ExitCode {
    let screen = Screen::default();
    let Arguments { once, context } = arguments;
    let (mut signals, mut cluster) = match Signals::new().and_then(|signals| Ok((signals, Cluster::new(context)?))) {
        Ok(both) => both,
        Err(e) => return gone_wrong(&screen, &e),
    };
    let told = tokio::select! {
        told = tell(&screen, &mut cluster, once) => Some(told),
        () = signals.next() => None,
    };
    match &told {
        Some(Err(e)) => screen.stopped(e),
        Some(Ok(())) => {}
        None => {
            screen.gap();
            screen.say("Taking everything down …");
        }
    }
    let well = matches!(told, Some(Ok(()))) && screen.failures() == 0;
    if screen.failures() > 0 || matches!(told, Some(Err(_))) {
        cluster.keep_logs(&screen);
    }
    // The second Ctrl-C is for those who cannot wait.
    tokio::select! {
        () = cluster.clear(&screen) => {}
        () = signals.next() => screen.say("Not waited for."),
    }
    match (told, well) {
        // Whoever looked around and is done has interrupted nothing.
        (None, _) if !once && screen.concluded() && screen.failures() == 0 => ExitCode::SUCCESS,
        (None, _) => ExitCode::from(INTERRUPTED),
        (Some(_), true) => ExitCode::SUCCESS,
        (Some(_), false) => ExitCode::FAILURE,
    }
}

async fn tell(screen: &Screen, cluster: &mut Cluster, once: bool) -> Result<()> {
    let mut story = Story::begin(screen, cluster).await?;
    connect::crds(&mut story).await?;
    connect::connections(&mut story).await?;
    connect::operator(&mut story).await?;
    requests::answers(&mut story).await?;
    requests::somebody_new(&mut story).await?;
    held::vanish(&mut story).await?;
    mend::granted(&mut story).await?;
    crash::in_the_middle(&mut story).await?;
    mend::withdrawn(&mut story).await?;
    mend::rotated(&mut story).await?;
    story.conclude(once).await?;
    if once { story.stop_operator().await } else { explore::until_interrupted(&mut story).await }
}

fn gone_wrong(screen: &Screen, e: &Error) -> ExitCode {
    screen.stopped(e);
    ExitCode::FAILURE
}

/// Ctrl-C, a terminal that is closed, and a polite end.
struct Signals([Signal; 3]);

impl Signals {
    fn new() -> Result<Self> {
        let listen = |kind| signal(kind).map_err(|e| Error::new(format!("signals cannot be received: {e}")));
        Ok(Self([listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?, listen(SignalKind::hangup())?]))
    }

    async fn next(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

/// 0.43 s, 12.1 s, 1 min 32 s.
fn time(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    match seconds {
        ..1.0 => format!("{seconds:.2} s"),
        1.0..60.0 => format!("{seconds:.1} s"),
        _ => format!("{} min {} s", duration.as_secs() / 60, duration.as_secs() % 60),
    }
}

/// A number with its thousands apart: 12,000.
fn number(n: u64) -> String {
    let digits = n.to_string();
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().filter_map(|g| std::str::from_utf8(g).ok()).collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_numbers_read_well() {
        assert_eq!([430, 12_100, 92_000].map(|ms| time(Duration::from_millis(ms))), ["0.43 s", "12.1 s", "1 min 32 s"]);
        assert_eq!([0, 999, 12_000].map(number), ["0", "999", "12,000"]);
    }
}
