//! Checks that the API server serves all four kinds and allows listing them. What is missing is reported and checked
//! again until it is available.

use std::{collections::BTreeSet, fmt::Debug, time::Duration};

use k8s_openapi::NamespaceResourceScope;
use kube::{Client, Resource, api::ListParams};
use serde::de::DeserializeOwned;
use tokio::{sync::watch, time::sleep};

use super::kube_calls::{KubeClient, KubeError};
use crate::api::{BoxConnection, UserRoster, UserSlice, UserSyncRequest};

/// The interval of the check while something is missing, and otherwise.
const RETRY_INTERVAL: Duration = Duration::from_secs(2);
const CHECK_INTERVAL: Duration = Duration::from_secs(60);

/// What the API server said of the kinds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CrdAvailability {
    #[default]
    Unknown,
    Available,
    /// Everything in some namespaces, but not in all: what is missing.
    Partial(Vec<UnavailableKind>),
    /// Something is missing in every namespace.
    Unavailable(Vec<UnavailableKind>),
}

/// A kind that cannot be listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnavailableKind {
    /// Its plural name and group.
    pub kind: String,
    /// `None`: all.
    pub namespace: Option<String>,
    pub error: KubeError,
}

impl CrdAvailability {
    /// What is missing everywhere and who can fix it, as a message for the user; `None`: nothing.
    pub fn problem(&self) -> Option<String> {
        let unavailable = match self {
            Self::Unknown => return Some("The operator has not reached the API server yet.".to_owned()),
            Self::Available | Self::Partial(_) => return None,
            Self::Unavailable(unavailable) => unavailable,
        };
        let with = |predicate: fn(&KubeError) -> bool, named: fn(&UnavailableKind) -> String| {
            let kinds: BTreeSet<String> =
                unavailable.iter().filter(|missing| predicate(&missing.error)).map(named).collect();
            (!kinds.is_empty()).then(|| kinds.into_iter().collect::<Vec<_>>().join(", "))
        };
        if let Some(kinds) =
            with(|t| matches!(t, KubeError::UnknownKind | KubeError::NotFound), |missing| missing.kind.clone())
        {
            return Some(format!(
                "The API server does not serve {kinds}: the CustomResourceDefinitions are not installed. A cluster admin must install them (boxsync-operator crds | kubectl apply --server-side -f -). The operator then continues automatically."
            ));
        }
        if let Some(kinds) = with(|t| matches!(t, KubeError::Forbidden(_)), UnavailableKind::location) {
            return Some(format!(
                "The operator is not allowed to list {kinds}. A cluster admin must grant its ServiceAccount the rights that the chart creates. The operator then continues automatically."
            ));
        }
        if with(|t| matches!(t, KubeError::Unauthenticated(_)), UnavailableKind::location).is_some() {
            return Some("The API server does not accept the operator's credentials. A cluster admin should check that its ServiceAccount exists and that its token is valid. The operator retries automatically.".to_owned());
        }
        Some("The API server cannot be reached or does not work. The operator retries automatically.".to_owned())
    }

    /// What cannot be read in some namespaces, as a message for the user; `None`: everything, or nothing, can.
    pub fn restriction(&self) -> Option<String> {
        let Self::Partial(unavailable) = self else { return None };
        let named: Vec<String> = unavailable.iter().map(UnavailableKind::location).collect();
        Some(format!("The operator cannot read {}; see its log. It continues there when it can.", named.join(", ")))
    }

    /// Whether work can begin. A right that is missing keeps only that from being done which needs it.
    fn is_sufficient(&self) -> bool {
        match self {
            Self::Unknown => false,
            Self::Available | Self::Partial(_) => true,
            Self::Unavailable(unavailable) => unavailable.iter().all(|missing| missing.error.denies_sender()),
        }
    }
}

impl UnavailableKind {
    fn location(&self) -> String {
        let namespace = self.namespace.as_ref().map(|namespace| format!(" in namespace {namespace}"));
        format!("{}{}", self.kind, namespace.unwrap_or_default())
    }
}

/// Returns when work can begin.
pub async fn wait_until_available(mut availability: watch::Receiver<CrdAvailability>) {
    if availability.wait_for(CrdAvailability::is_sufficient).await.is_err() {
        // Nobody looks any more: the process is about to end.
        std::future::pending::<()>().await;
    }
}

/// Checks forever what the API server serves in these namespaces (none: in all of them), and reports changes.
pub async fn watch_crd_availability(
    client: Client,
    namespaces: Vec<String>,
    availability: watch::Sender<CrdAvailability>,
) {
    let cluster = KubeClient::new(client);
    loop {
        let new = check_crds(&cluster, &namespaces).await;
        let interval = match new {
            CrdAvailability::Available | CrdAvailability::Partial(_) => CHECK_INTERVAL,
            CrdAvailability::Unknown | CrdAvailability::Unavailable(_) => RETRY_INTERVAL,
        };
        let previous = availability.send_replace(new.clone());
        if (previous.problem(), previous.restriction()) != (new.problem(), new.restriction()) {
            match (new.problem().or_else(|| new.restriction()), &new) {
                (Some(problem), CrdAvailability::Unavailable(unavailable) | CrdAvailability::Partial(unavailable)) => {
                    tracing::warn!(?unavailable, "{problem}");
                }
                (Some(_) | None, _) => tracing::info!("all required CRDs are available"),
            }
        }
        sleep(interval).await;
    }
}

async fn check_crds(cluster: &KubeClient, namespaces: &[String]) -> CrdAvailability {
    // An empty list stands for all namespaces.
    let scopes = if namespaces.is_empty() { vec![namespaces] } else { namespaces.chunks(1).collect() };
    let checks = scopes.into_iter().map(|scope| async move {
        let (connections, requests, rosters, slices) = tokio::join!(
            check_crd::<BoxConnection>(cluster, scope),
            check_crd::<UserSyncRequest>(cluster, scope),
            check_crd::<UserRoster>(cluster, scope),
            check_crd::<UserSlice>(cluster, scope),
        );
        [connections, requests, rosters, slices].into_iter().flatten().collect::<Vec<_>>()
    });
    let unavailable = futures::future::join_all(checks).await;
    let works_somewhere = unavailable.iter().any(Vec::is_empty);
    let unavailable: Vec<UnavailableKind> = unavailable.into_iter().flatten().collect();
    match (unavailable.is_empty(), works_somewhere) {
        (true, _) => CrdAvailability::Available,
        (false, true) => CrdAvailability::Partial(unavailable),
        (false, false) => CrdAvailability::Unavailable(unavailable),
    }
}

/// Lists one object of a kind, by its metadata alone, in one namespace or all.
async fn check_crd<K>(cluster: &KubeClient, scope: &[String]) -> Option<UnavailableKind>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
{
    for api in cluster.apis_in::<K>(scope) {
        if let Err(error) = cluster.call(api.list_metadata(&ListParams::default().limit(1))).await {
            let (kind, namespace) = (format!("{}.{}", K::plural(&()), K::group(&())), api.namespace());
            return Some(UnavailableKind { kind, namespace: namespace.map(str::to_owned), error });
        }
    }
    None
}
