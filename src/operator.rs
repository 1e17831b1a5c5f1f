//! The operator: its parts put together.

use kube::Client;
use tokio_util::sync::CancellationToken;

use crate::{
    boxapi::{self, Caps},
    config::Config,
    controller::{self, BoxSide, Deps, Rules},
    runtime::{self, Clock},
};

/// Why the operator could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no cluster: {0}. Run it in a cluster with a ServiceAccount, or set KUBECONFIG")]
    NoCluster(String),
    #[error("the client for Box could not be made: {0}")]
    Box(#[from] boxapi::TransportError),
    #[error("signals cannot be received: {0}")]
    Signals(#[from] std::io::Error),
}

/// Runs until SIGTERM or SIGINT.
pub async fn run(config: Config) -> Result<(), Error> {
    let Config {
        box_api_url,
        watch_namespace,
        max_concurrent_syncs,
        min_sync_gap,
        probe_interval,
        log_format: _,
        log: _,
    } = config;
    let stop = CancellationToken::new();
    let signals = runtime::on_signal(&stop)?;
    let deps = Deps {
        client: client().await?,
        namespace: watch_namespace,
        box_side: BoxSide {
            transport: boxapi::https(env!("CARGO_PKG_VERSION"))?,
            base: box_api_url,
            caps: Caps::default(),
        },
        clock: Clock::system(),
        rules: Rules { max_concurrent_syncs, min_sync_gap, probe_interval },
    };
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "the operator starts");
    tokio::select! {
        () = signals => {}
        () = controller::run(deps, stop) => {}
    }
    tracing::info!("the operator has stopped");
    Ok(())
}

async fn client() -> Result<Client, Error> {
    let refused = |error: &dyn std::fmt::Display| Error::NoCluster(error.to_string());
    let mut config = kube::Config::infer().await.map_err(|e| refused(&e))?;
    // Every reconcile comes again by itself: hidden retries would only blur what was applied.
    config.default_retry = false;
    let name = concat!("boxsync-operator/", env!("CARGO_PKG_VERSION"));
    config.headers.push((http::header::USER_AGENT, http::HeaderValue::from_static(name)));
    Client::try_from(config).map_err(|e| refused(&e))
}
