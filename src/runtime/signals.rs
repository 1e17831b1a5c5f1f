//! Signal handlers: graceful shutdown.

#[cfg(unix)]
use tokio::signal::unix::{SignalKind, signal};
#[cfg(windows)]
use tokio::signal::windows::{ctrl_c, ctrl_shutdown};
use tokio_util::sync::CancellationToken;

/// Cancels `stop` on SIGTERM or SIGINT; a second signal exits the process immediately.
pub fn cancel_on_signal(stop: &CancellationToken) -> std::io::Result<impl Future<Output = ()> + use<>> {
    #[cfg(unix)]
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    // The operator is not supported on Windows, but the plugin, built from the same library, is.
    #[cfg(windows)]
    let (mut terminate, mut interrupt) = (ctrl_shutdown()?, ctrl_c()?);
    let stop = stop.clone();
    Ok(async move {
        loop {
            let name = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            };
            if stop.is_cancelled() {
                tracing::warn!(signal = name, "received a second signal, exiting");
                std::process::exit(1);
            }
            tracing::info!(signal = name, "received signal, shutting down");
            stop.cancel();
        }
    })
}
