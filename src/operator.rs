//! The operator: its parts put together.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use http::StatusCode;
use kube::Client;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    boxapi::{self, Caps},
    config::{Config, Listen},
    controller::{self, BoxSide, Deps, Rules},
    health::Health,
    metrics::{self, Metrics, PerConnection},
    runtime::{
        self, Clock, Shelter,
        lease::{self, Lost, Standing},
        server::{self, Page, Route},
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
    #[error("nothing can be served at {0}: {1}. Choose another address, or none, with --listen")]
    Port(SocketAddr, std::io::Error),
    #[error("leadership was lost: {0}")]
    Leadership(#[from] Lost),
}

/// Runs until SIGTERM or SIGINT, or until another replica has to take over.
pub async fn run(config: Config) -> Result<(), Error> {
    let Config {
        box_api_url,
        mut watch_namespaces,
        max_concurrent_syncs,
        min_sync_gap,
        probe_interval,
        oauth,
        schedule_spread,
        paused,
        leader_elect,
        lease_namespace,
        identity,
        listen,
        connection_metrics,
        log_format: _,
        log: _,
    } = config;
    watch_namespaces.sort();
    watch_namespaces.dedup();
    let stop = CancellationToken::new();
    let signals = runtime::on_signal(&stop)?;
    let cluster = cluster().await?;
    let per_connection = if connection_metrics { PerConnection::Shown } else { PerConnection::Dropped };
    let metrics = Arc::new(Metrics::new(VERSION, per_connection));
    metrics.paused.set(paused.into());
    let (serving, served) = watch::channel(Default::default());
    let (standing, stands) = watch::channel(Standing::default());
    let listed = watch::Sender::default();
    let health = Health { served: served.clone(), standing: stands, listed: listed.subscribe(), stop: stop.clone() };
    let port = port(listen, routes(health, metrics.clone())).await?;
    let shelter = Arc::new(Shelter::default());
    let deps = Deps {
        client: client(&cluster)?,
        namespaces: watch_namespaces.clone(),
        box_side: BoxSide { transport: boxapi::https(VERSION)?, base: box_api_url, caps: Caps::default() },
        clock: Clock::system(),
        rules: Rules { max_concurrent_syncs, min_sync_gap, probe_interval, oauth, schedule_spread, paused },
        shelter: shelter.clone(),
        metrics,
        listed,
    };
    tracing::info!(version = VERSION, paused, "the operator starts");
    let look = controller::look_what_is_served(client(&cluster)?, watch_namespaces, serving);
    let work = async {
        tokio::select! {
            () = controller::served(served) => {}
            () = stop.cancelled() => return Ok(()),
        }
        if !leader_elect {
            standing.send_replace(Standing::Leads);
            Box::pin(controller::run(deps, stop.clone())).await;
            return Ok(());
        }
        let settings = lease::Settings {
            namespace: lease_namespace.or_else(pod_namespace).unwrap_or_else(|| cluster.default_namespace.clone()),
            identity: identity.unwrap_or_else(this_process),
        };
        Ok(lease::lead(client(&cluster)?, settings, Clock::system(), stop.clone(), standing, |leading| {
            controller::run(deps, leading)
        })
        .await?)
    };
    let ended = tokio::select! {
        () = signals => Ok(()),
        () = look => Ok(()),
        () = port => Ok(()),
        ended = work => ended,
    };
    // Tokens that Box hands out now exist nowhere else until they are written down.
    shelter.finish(RENEWALS_END).await;
    tracing::info!("the operator has stopped");
    ended
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Listens, and answers as long as what is returned is awaited.
async fn port(listen: Listen, routes: Vec<Route>) -> Result<impl Future<Output = ()>, Error> {
    let listener = match listen {
        Listen::Off => None,
        Listen::At(address) => Some(server::listen(address).await.map_err(|e| Error::Port(address, e))?),
    };
    if let Some(address) = listener.as_ref().and_then(|l| l.local_addr().ok()) {
        tracing::info!(%address, "listening");
    }
    Ok(async move {
        match listener {
            Some(listener) => server::serve(listener, routes).await,
            None => std::future::pending().await,
        }
    })
}

fn routes(health: Health, metrics: Arc<Metrics>) -> Vec<Route> {
    let standing = health.standing.clone();
    let ready = move || match health.readiness() {
        Ok(text) => Page::text(StatusCode::OK, text),
        Err(text) => Page::text(StatusCode::SERVICE_UNAVAILABLE, text),
    };
    let page = move || {
        metrics.leader.set(i64::from(*standing.borrow() == Standing::Leads));
        Page { status: StatusCode::OK, content_type: metrics::CONTENT_TYPE, text: metrics.page() }
    };
    vec![
        // That it is answered is the answer: the process still does what it is asked.
        ("/livez", Box::new(|| Page::text(StatusCode::OK, "This process is alive."))),
        ("/readyz", Box::new(ready)),
        ("/metrics", Box::new(page)),
    ]
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
