//! The simulated Box on a socket of this machine.

use box_sim::{BoxSim, clock, demo::demo};
use clap::{Parser, ValueEnum};
use std::{io, net::SocketAddr};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::oneshot,
};

/// Box's token endpoint and user listing, simulated. Prints `listening on URL` and serves until it is told to end.
#[derive(Parser)]
struct Args {
    /// Where to listen; only addresses of the loopback interface. Port 0: any free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// What to begin with; more can be created below /admin.
    #[arg(long, value_enum, default_value = "demo")]
    scenario: Scenario,
    /// End as soon as stdin closes, so that no orphan survives its parent.
    #[arg(long)]
    until_stdin_closes: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Scenario {
    /// Three enterprises: 1001 by client credentials, 1002 by JWT, 1003 whose authorization was withdrawn.
    Demo,
    /// No enterprise.
    Empty,
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let flags = Args::parse();
    let sim = match flags.scenario {
        Scenario::Demo => demo(clock::system_clock()).sim,
        Scenario::Empty => BoxSim::new(clock::system_clock()),
    };
    let (mut terminated, mut interrupted) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let server = sim.serve_at(flags.listen).await?;
    println!("listening on {}", server.url());
    tokio::select! {
        _ = terminated.recv() => {}
        _ = interrupted.recv() => {}
        () = stdin_closed(), if flags.until_stdin_closes => {}
    }
    Ok(())
}

async fn stdin_closed() {
    let (sender, receiver) = oneshot::channel();
    // A thread of its own, not tokio's: a pending read of stdin would keep the runtime from ending.
    std::thread::spawn(move || {
        // Whether it closed or broke is all the same.
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        let _ = sender.send(());
    });
    let _ = receiver.await;
}
