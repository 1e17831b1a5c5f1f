//! The signals that end the process in good order.

#[cfg(unix)]
use tokio::signal::unix::{SignalKind, signal};
#[cfg(windows)]
use tokio::signal::windows::{ctrl_c, ctrl_shutdown};
use tokio_util::sync::CancellationToken;

/// Cancels `stop` on SIGTERM or SIGINT; a second signal ends the process at once.
pub fn cancel_on_signal(stop: &CancellationToken) -> std::io::Result<impl Future<Output = ()> + use<>> {
    #[cfg(unix)]
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    // Nobody runs the operator on Windows; the plugin, of the same library, is built for it.
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
                tracing::warn!(signal = name, "stopping at once");
                std::process::exit(1);
            }
            tracing::info!(signal = name, "stopping");
            stop.cancel();
        }
    })
}
