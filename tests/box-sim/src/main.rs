//! The simulated Box on a loopback socket.

use box_sim::{BoxSim, clock, demo::demo};
use clap::{Parser, ValueEnum};
use std::{io, net::SocketAddr};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::oneshot,
};

/// Box's token endpoint and user listing, simulated. Prints `listening on URL` and serves until SIGTERM or SIGINT.
#[derive(Parser)]
struct Args {
    /// Listen address; loopback only. Port 0 picks a free port.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Initial enterprises; more can be created under /admin.
    #[arg(long, value_enum, default_value = "demo")]
    scenario: Scenario,
    /// Exit when stdin closes, so that no orphan outlives its parent.
    #[arg(long)]
    until_stdin_closes: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Scenario {
    /// Three enterprises: 1001 by client credentials, 1002 by JWT, 1003 whose app is not authorized.
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
    // A thread instead of tokio: a pending read of stdin would block the runtime's shutdown.
    std::thread::spawn(move || {
        // An error counts as closed.
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        let _ = sender.send(());
    });
    let _ = receiver.await;
}
