//! Checks that the API server serves all four kinds and allows listing them. What is missing is reported and checked
//! again until it is available.

use std::{fmt::Debug, time::Duration};

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
    /// Kinds by their plural names, and what it had against each.
    Unavailable(Vec<(String, KubeError)>),
}

impl CrdAvailability {
    /// What is missing and who can fix it, as a message for the user; `None`: nothing.
    pub fn problem(&self) -> Option<String> {
        let unavailable = match self {
            Self::Unknown => return Some("The operator has not reached the API server yet.".to_owned()),
            Self::Available => return None,
            Self::Unavailable(unavailable) => unavailable,
        };
        let with = |predicate: fn(&KubeError) -> bool| {
            let kinds: Vec<&str> =
                unavailable.iter().filter(|(_, t)| predicate(t)).map(|(kind, _)| kind.as_str()).collect();
            (!kinds.is_empty()).then(|| kinds.join(", "))
        };
        if let Some(kinds) = with(|t| matches!(t, KubeError::UnknownKind | KubeError::NotFound)) {
            return Some(format!(
                "The API server does not serve {kinds}: the CustomResourceDefinitions are not installed. A cluster admin must install them (boxsync-operator crds | kubectl apply --server-side -f -). The operator then continues automatically."
            ));
        }
        if let Some(kinds) = with(|t| matches!(t, KubeError::Forbidden(_))) {
            return Some(format!(
                "The operator is not allowed to list {kinds}. A cluster admin must grant its ServiceAccount the rights that the chart creates. The operator then continues automatically."
            ));
        }
        Some("The API server cannot be reached or does not work. The operator retries automatically.".to_owned())
    }

    /// Whether work can begin. A right that is missing keeps only that from being done which needs it.
    fn is_sufficient(&self) -> bool {
        match self {
            Self::Unknown => false,
            Self::Available => true,
            Self::Unavailable(unavailable) => {
                unavailable.iter().all(|(_, error)| matches!(error, KubeError::Forbidden(_)))
            }
        }
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
        let interval = if new == CrdAvailability::Available { CHECK_INTERVAL } else { RETRY_INTERVAL };
        let previous = availability.send_replace(new.clone());
        if previous.problem() != new.problem() {
            match (new.problem(), &new) {
                (Some(problem), CrdAvailability::Unavailable(unavailable)) => tracing::warn!(?unavailable, "{problem}"),
                (Some(_) | None, _) => tracing::info!("all required CRDs are available"),
            }
        }
        sleep(interval).await;
    }
}

async fn check_crds(cluster: &KubeClient, namespaces: &[String]) -> CrdAvailability {
    let (connections, requests, rosters, slices) = tokio::join!(
        check_crd::<BoxConnection>(cluster, namespaces),
        check_crd::<UserSyncRequest>(cluster, namespaces),
        check_crd::<UserRoster>(cluster, namespaces),
        check_crd::<UserSlice>(cluster, namespaces),
    );
    let unavailable: Vec<_> = [connections, requests, rosters, slices].into_iter().flatten().collect();
    if unavailable.is_empty() { CrdAvailability::Available } else { CrdAvailability::Unavailable(unavailable) }
}

/// Lists one object of a kind, by its metadata alone; what is against it, in the first namespace where something is.
async fn check_crd<K>(cluster: &KubeClient, namespaces: &[String]) -> Option<(String, KubeError)>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
{
    for api in cluster.apis_in::<K>(namespaces) {
        if let Err(error) = cluster.call(api.list_metadata(&ListParams::default().limit(1))).await {
            let location = match (&error, api.namespace()) {
                (KubeError::Forbidden(_), Some(namespace)) => format!(" in namespace {namespace}"),
                _ => String::new(),
            };
            return Some((format!("{}.{}{location}", K::plural(&()), K::group(&())), error));
        }
    }
    None
}
