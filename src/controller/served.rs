//! Whether the API server serves what the operator works with: all four kinds, each listed as far as one object. What
//! is missing is told and waited for; it comes by itself when somebody has installed it.

use std::{fmt::Debug, time::Duration};

use k8s_openapi::NamespaceResourceScope;
use kube::{Client, Resource, api::ListParams};
use serde::de::DeserializeOwned;
use tokio::{sync::watch, time::sleep};

use super::cluster::{Cluster, Trouble};
use crate::api::{BoxConnection, UserRoster, UserSlice, UserSyncRequest};

/// How soon it is asked again while something is missing, and how often when nothing is.
const AGAIN: Duration = Duration::from_secs(2);
const EVERY: Duration = Duration::from_secs(60);

/// What the API server said of the kinds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Served {
    #[default]
    NotAskedYet,
    All,
    /// Kinds by their plural names, and what it had against each.
    Lacking(Vec<(String, Trouble)>),
}

impl Served {
    /// What is missing and who mends it, in a sentence for a person; `None`: nothing is.
    pub fn problem(&self) -> Option<String> {
        let lacking = match self {
            Self::NotAskedYet => return Some("The API server was not reached yet.".to_owned()),
            Self::All => return None,
            Self::Lacking(lacking) => lacking,
        };
        let with = |holds: fn(&Trouble) -> bool| {
            let kinds: Vec<&str> = lacking.iter().filter(|(_, t)| holds(t)).map(|(kind, _)| kind.as_str()).collect();
            (!kinds.is_empty()).then(|| kinds.join(", "))
        };
        if let Some(kinds) = with(|t| matches!(t, Trouble::NotServed | Trouble::NotFound)) {
            return Some(format!(
                "The API server does not serve {kinds}: the CustomResourceDefinitions are not installed. A cluster admin installs them (boxsync-operator crds | kubectl apply --server-side -f -); the operator waits for them and then goes on by itself."
            ));
        }
        if let Some(kinds) = with(|t| matches!(t, Trouble::Forbidden(_))) {
            return Some(format!(
                "The API server does not let the operator list {kinds}. A cluster admin gives its ServiceAccount the rights that its chart makes; it goes on by itself."
            ));
        }
        Some("The API server cannot be reached, or does not work. The operator asks again by itself.".to_owned())
    }

    /// Whether work can begin. A right that is missing keeps only that from being done which needs it.
    fn suffices(&self) -> bool {
        match self {
            Self::NotAskedYet => false,
            Self::All => true,
            Self::Lacking(lacking) => lacking.iter().all(|(_, trouble)| matches!(trouble, Trouble::Forbidden(_))),
        }
    }
}

/// Returns when work can begin.
pub async fn served(mut told: watch::Receiver<Served>) {
    if told.wait_for(Served::suffices).await.is_err() {
        // Nobody looks any more: the process is about to end.
        std::future::pending::<()>().await;
    }
}

/// Asks the API server for ever what it serves in these namespaces (none: in all of them), and tells what changes.
pub async fn look(client: Client, namespaces: Vec<String>, told: watch::Sender<Served>) {
    let cluster = Cluster::new(client);
    loop {
        let new = ask(&cluster, &namespaces).await;
        let rest = if new == Served::All { EVERY } else { AGAIN };
        let before = told.send_replace(new.clone());
        if before.problem() != new.problem() {
            match (new.problem(), &new) {
                (Some(problem), Served::Lacking(lacking)) => tracing::warn!(?lacking, "{problem}"),
                (Some(_) | None, _) => tracing::info!("the API server serves all that is needed"),
            }
        }
        sleep(rest).await;
    }
}

async fn ask(cluster: &Cluster, namespaces: &[String]) -> Served {
    let (connections, requests, rosters, slices) = tokio::join!(
        one::<BoxConnection>(cluster, namespaces),
        one::<UserSyncRequest>(cluster, namespaces),
        one::<UserRoster>(cluster, namespaces),
        one::<UserSlice>(cluster, namespaces),
    );
    let lacking: Vec<_> = [connections, requests, rosters, slices].into_iter().flatten().collect();
    if lacking.is_empty() { Served::All } else { Served::Lacking(lacking) }
}

/// Lists one object of a kind, by its metadata alone; what is against it, in the first namespace where something is.
async fn one<K>(cluster: &Cluster, namespaces: &[String]) -> Option<(String, Trouble)>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
{
    for api in cluster.apis::<K>(namespaces) {
        if let Err(trouble) = cluster.call(api.list_metadata(&ListParams::default().limit(1))).await {
            let place = match (&trouble, api.namespace()) {
                (Trouble::Forbidden(_), Some(namespace)) => format!(" in namespace {namespace}"),
                _ => String::new(),
            };
            return Some((format!("{}.{}{place}", K::plural(&()), K::group(&())), trouble));
        }
    }
    None
}
