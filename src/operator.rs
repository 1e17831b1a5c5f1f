//! The operator: its parts put together.

use std::{sync::Arc, time::Duration};

use kube::Client;
use tokio_util::sync::CancellationToken;

use crate::{
    boxapi::{self, Caps},
    config::Config,
    controller::{self, BoxSide, Deps, Rules},
    runtime::{
        self, Clock, Shelter,
        lease::{self, Lost},
    },
};

/// A pod is given 30 s to end.
const RENEWALS_END: Duration = Duration::from_secs(20);

/// Why the operator could not start, or had to end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no cluster: {0}. Run it in a cluster with a ServiceAccount, or set KUBECONFIG")]
    NoCluster(String),
    #[error("the client for Box could not be made: {0}")]
    Box(#[from] boxapi::TransportError),
    #[error("signals cannot be received: {0}")]
    Signals(#[from] std::io::Error),
    #[error("leadership was lost: {0}")]
    Leadership(#[from] Lost),
}

/// Runs until SIGTERM or SIGINT, or until another replica has to take over.
pub async fn run(config: Config) -> Result<(), Error> {
    let Config {
        box_api_url,
        watch_namespace,
        max_concurrent_syncs,
        min_sync_gap,
        probe_interval,
        oauth,
        schedule_spread,
        paused,
        leader_elect,
        lease_namespace,
        identity,
        log_format: _,
        log: _,
    } = config;
    let stop = CancellationToken::new();
    let signals = runtime::on_signal(&stop)?;
    let cluster = cluster().await?;
    let shelter = Arc::new(Shelter::default());
    let deps = Deps {
        client: client(&cluster)?,
        namespace: watch_namespace,
        box_side: BoxSide {
            transport: boxapi::https(env!("CARGO_PKG_VERSION"))?,
            base: box_api_url,
            caps: Caps::default(),
        },
        clock: Clock::system(),
        rules: Rules { max_concurrent_syncs, min_sync_gap, probe_interval, oauth, schedule_spread, paused },
        shelter: shelter.clone(),
    };
    tracing::info!(version = env!("CARGO_PKG_VERSION"), paused, "the operator starts");
    let work = async {
        if !leader_elect {
            Box::pin(controller::run(deps, stop)).await;
            return Ok(());
        }
        let settings = lease::Settings {
            namespace: lease_namespace.or_else(pod_namespace).unwrap_or_else(|| cluster.default_namespace.clone()),
            identity: identity.unwrap_or_else(this_process),
        };
        Ok(lease::lead(client(&cluster)?, settings, Clock::system(), stop, |leading| controller::run(deps, leading))
            .await?)
    };
    let ended = tokio::select! {
        () = signals => Ok(()),
        ended = work => ended,
    };
    // Tokens that Box hands out now exist nowhere else until they are written down.
    shelter.finish(RENEWALS_END).await;
    tracing::info!("the operator has stopped");
    ended
}

fn pod_namespace() -> Option<String> {
    std::env::var("POD_NAMESPACE").ok().filter(|namespace| !namespace.is_empty())
}

/// The same again for the first process of a container that is started anew in its pod.
fn this_process() -> String {
    let host = hostname::get().map_or_else(|_| "unknown".to_owned(), |name| name.to_string_lossy().into_owned());
    format!("{host}-{}", std::process::id())
}

async fn cluster() -> Result<kube::Config, Error> {
    let mut config = kube::Config::infer().await.map_err(|e| Error::NoCluster(e.to_string()))?;
    // Every reconcile comes again by itself: hidden retries would only blur what was applied.
    config.default_retry = false;
    let name = concat!("boxsync-operator/", env!("CARGO_PKG_VERSION"));
    config.headers.push((http::header::USER_AGENT, http::HeaderValue::from_static(name)));
    Ok(config)
}

fn client(cluster: &kube::Config) -> Result<Client, Error> {
    Client::try_from(cluster.clone()).map_err(|e| Error::NoCluster(e.to_string()))
}
