//! The operator's process: wires up configuration, health, metrics, leader election and the controllers.

use std::{net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use http::StatusCode;
use kube::Client;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    api::{ExtraMetadata, LeaseRef, OperatorRef},
    box_client::{self, InvalidCaBundle, Limits},
    config::{Config, ListenAddress},
    controller::{self, BoxClientConfig, ControllerOptions, Dependencies, WatchScopes},
    health::Health,
    kube_client::{
        ClientRetries, ClientSetupError, ClusterAccess, ClusterAccessError, ClusterConnection, ClusterOverrides,
        ExecSettings, process_env,
    },
    leader_election::{self, ElectionTiming, InvalidTiming, Leadership, LeadershipLost},
    metrics::{self, Metrics, PerConnectionMetrics},
    runtime::{
        self, BackgroundTasks, Clock,
        admin_server::{self, AdminResponse, Route},
    },
};

/// How long a stopping process waits for renewed tokens to be stored. Below the default termination grace period of a
/// pod, 30 s.
const BACKGROUND_TASKS_TIMEOUT: Duration = Duration::from_secs(20);

/// A credential plugin of a kubeconfig calls a cloud's sign-in, which takes seconds.
const CREDENTIAL_PLUGIN_TIMEOUT: Duration = Duration::from_secs(60);

/// Why the operator failed to start or stopped with an error.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot connect to a cluster: {0}")]
    ClusterAccess(#[from] ClusterAccessError),
    #[error("cannot create a client of the cluster: {0}")]
    ClientSetup(#[from] ClientSetupError),
    #[error("cannot use the certificates that the system trusts: {0}")]
    SystemCertificates(#[from] InvalidCaBundle),
    #[error("cannot create the Box client: {0}")]
    BoxTransport(#[from] box_client::TransportError),
    #[error("cannot install signal handlers: {0}")]
    Signals(#[from] std::io::Error),
    #[error("cannot listen on {0}: {1}. Set another address with --listen, or off")]
    Listen(SocketAddr, std::io::Error),
    #[error("invalid flags: {0}")]
    ElectionTiming(#[from] InvalidTiming),
    #[error("lost leadership: {0}")]
    LeadershipLost(#[from] LeadershipLost),
}

/// Runs until SIGTERM or SIGINT, or until leadership is lost.
pub async fn run(config: Config) -> Result<(), Error> {
    let Config {
        box_api_url,
        ca_bundle,
        mut watch_namespaces,
        max_concurrent_syncs,
        min_sync_gap,
        probe_interval,
        oauth,
        schedule_spread,
        paused,
        object_labels,
        object_annotations,
        leader_elect,
        lease_duration,
        renew_deadline,
        retry_period,
        lease_namespace,
        identity,
        listen,
        connection_metrics,
        log_format: _,
        log: _,
    } = config;
    box_client::check_system_certificates(process_env("SSL_CERT_FILE").as_deref())?;
    let timing = ElectionTiming::new(lease_duration, renew_deadline, retry_period)?;
    watch_namespaces.sort();
    watch_namespaces.dedup();
    let stop = CancellationToken::new();
    let signals = runtime::cancel_on_signal(&stop)?;
    let cluster = connect_to_cluster().await?;
    let lease_namespace = lease_namespace.or_else(pod_namespace).unwrap_or_else(|| cluster.namespace().to_owned());
    let lease_ref = leader_elect
        .then(|| LeaseRef { namespace: lease_namespace.clone(), name: leader_election::LEASE_NAME.to_owned() });
    let per_connection =
        if connection_metrics { PerConnectionMetrics::Enabled } else { PerConnectionMetrics::Disabled };
    let metrics = Arc::new(Metrics::new(VERSION, per_connection));
    metrics.paused.set(paused.into());
    let (crd_sender, crd_availability) = watch::channel(Default::default());
    let (leadership_sender, leadership) = watch::channel(Leadership::default());
    let scopes = watch::Sender::new(WatchScopes::new(&watch_namespaces));
    let background = Arc::new(BackgroundTasks::default());
    let health = Health {
        crd_availability: crd_availability.clone(),
        leadership,
        scopes: scopes.subscribe(),
        background: background.clone(),
        stop: stop.clone(),
    };
    let admin_server = start_admin_server(listen, admin_routes(health, metrics.clone())).await?;
    let deps = Dependencies {
        client: new_kube_client(&cluster),
        namespaces: watch_namespaces.clone(),
        box_client_config: BoxClientConfig {
            transport: box_client::https_transport(VERSION, &ca_bundle.unwrap_or_default())?,
            base_url: box_api_url,
            limits: Limits::default(),
        },
        clock: Clock::system(),
        options: ControllerOptions {
            max_concurrent_syncs,
            min_sync_gap,
            probe_interval,
            oauth,
            schedule_spread,
            paused,
            extra_metadata: Arc::new(ExtraMetadata { labels: object_labels, annotations: object_annotations }),
            operator: OperatorRef { lease_ref },
        },
        background: background.clone(),
        metrics,
        scopes,
    };
    tracing::info!(version = VERSION, paused, "starting operator");
    let crd_check = controller::watch_crd_availability(new_kube_client(&cluster), watch_namespaces, crd_sender);
    let leader_work = async {
        tokio::select! {
            () = controller::wait_until_available(crd_availability) => {}
            () = stop.cancelled() => return Ok(()),
        }
        if !leader_elect {
            leadership_sender.send_replace(Leadership::Leader);
            Box::pin(controller::run(deps, stop.clone())).await;
            return Ok(());
        }
        let election_config = leader_election::ElectionConfig {
            namespace: lease_namespace,
            identity: identity.unwrap_or_else(default_identity),
            timing,
        };
        Ok(leader_election::run_as_leader(
            new_kube_client(&cluster),
            election_config,
            Clock::system(),
            stop.clone(),
            leadership_sender,
            |leading| controller::run(deps, leading),
        )
        .await?)
    };
    let (mut signals, mut admin_server) = (pin!(signals), pin!(admin_server));
    let result = tokio::select! {
        () = &mut signals => Ok(()),
        () = crd_check => Ok(()),
        () = &mut admin_server => Ok(()),
        ended = leader_work => ended,
    };
    if result.is_ok() {
        stop.cancel();
    }
    // A refreshed token is lost unless it is saved: Box has already revoked the previous one. The leadership is usually
    // lost because the API server is away, so this process stays until the tokens are stored, and does nothing else:
    // the controllers and the election have ended, and the canceled refreshes make no further call to Box.
    tokio::select! {
        // Both go on until the process exits.
        ((), ()) = async { tokio::join!(signals, admin_server) } => {}
        () = background.wait_for_all(&stop, BACKGROUND_TASKS_TIMEOUT) => {}
    }
    tracing::info!("operator stopped");
    result
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Binds the address; the returned future serves requests.
async fn start_admin_server(listen: ListenAddress, routes: Vec<Route>) -> Result<impl Future<Output = ()>, Error> {
    let listener = match listen {
        ListenAddress::Disabled => None,
        ListenAddress::Bind(address) => {
            Some(admin_server::bind_listener(address).await.map_err(|e| Error::Listen(address, e))?)
        }
    };
    if let Some(address) = listener.as_ref().and_then(|l| l.local_addr().ok()) {
        tracing::info!(%address, "listening");
    }
    Ok(async move {
        match listener {
            Some(listener) => admin_server::serve_routes(listener, routes).await,
            None => std::future::pending().await,
        }
    })
}

fn admin_routes(health: Health, metrics: Arc<Metrics>) -> Vec<Route> {
    let (leadership, background) = (health.leadership.clone(), health.background.clone());
    let readyz = move || match health.readiness() {
        Ok(text) => AdminResponse::plain_text(StatusCode::OK, text),
        Err(text) => AdminResponse::plain_text(StatusCode::SERVICE_UNAVAILABLE, text),
    };
    let metrics_response = move || {
        metrics.leader.set(i64::from(*leadership.borrow() == Leadership::Leader));
        metrics.token_refreshes.set(i64::try_from(background.unfinished()).unwrap_or(i64::MAX));
        AdminResponse {
            status: StatusCode::OK,
            content_type: metrics::CONTENT_TYPE,
            body: metrics.encode_openmetrics(),
        }
    };
    vec![
        // Always ok: a response shows that the runtime is not blocked.
        ("/livez", Box::new(|| AdminResponse::plain_text(StatusCode::OK, "ok"))),
        ("/readyz", Box::new(readyz)),
        ("/metrics", Box::new(metrics_response)),
    ]
}

fn pod_namespace() -> Option<String> {
    std::env::var("POD_NAMESPACE").ok().filter(|namespace| !namespace.is_empty())
}

/// A restarted container gets the same identity, because its process has the same ID.
fn default_identity() -> String {
    let host = hostname::get().map_or_else(|_| "unknown".to_owned(), |name| name.to_string_lossy().into_owned());
    format!("{host}-{}", std::process::id())
}

async fn connect_to_cluster() -> Result<ClusterConnection, Error> {
    let access = ClusterAccess::load(&ClusterOverrides::default(), &process_env)?;
    // Nobody sits at the operator's standard input.
    let settings = ExecSettings { interactive: false, show_stderr: false, timeout: Some(CREDENTIAL_PLUGIN_TIMEOUT) };
    Ok(access.connect(settings).await?)
}

/// A client with connections of its own.
fn new_kube_client(cluster: &ClusterConnection) -> Client {
    // Every reconcile is retried by its controller; retries inside the client would hide which write was applied.
    cluster.client(concat!("boxsync-operator/", env!("CARGO_PKG_VERSION")), ClientRetries::None)
}
