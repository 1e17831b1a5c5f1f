//! All that is asked of the API server, each call with a time limit and few at a time.

use std::{fmt::Debug, sync::Arc, time::Duration};

use k8s_openapi::{NamespaceResourceScope, api::core::v1::Secret};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, ListParams, PostParams, Preconditions},
    core::object::HasStatus,
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::Semaphore;

use crate::api::{BoxConnection, UserSyncRequest};

/// The API server's own limit for a request is a minute; one that takes that long is better asked again.
const TIME_LIMIT: Duration = Duration::from_secs(20);
const AT_ONCE: usize = 8;
/// Who owns the fields of a status, as `kubectl get --show-managed-fields` tells it.
const FIELD_MANAGER: &str = "boxsync-operator";

/// The API server, as far as the controllers need it.
#[derive(Clone)]
pub(super) struct Cluster {
    client: Client,
    calls: Arc<Semaphore>,
}

/// A kind whose status the operator tells.
pub(super) trait Told:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + HasStatus<Status: Clone + PartialEq + Send + Sync>
    + Clone
    + Debug
    + DeserializeOwned
    + Serialize
    + Send
    + Sync
{
}

impl Told for BoxConnection {}
impl Told for UserSyncRequest {}

/// Why the API server did not do it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Trouble {
    #[error("not found")]
    NotFound,
    /// The object has changed since it was read.
    #[error("changed meanwhile")]
    Conflict,
    #[error("forbidden: {0}")]
    Forbidden(String),
    #[error("the API server answered {code}: {message}")]
    Refused { code: u16, message: String },
    #[error("the API server cannot be reached: {0}")]
    Unreachable(String),
}

impl Cluster {
    pub(super) fn new(client: Client) -> Self {
        Self { client, calls: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    pub(super) async fn read<K: Told>(&self, namespace: &str, name: &str) -> Result<K, Trouble> {
        self.call(self.api::<K>(namespace).get(name)).await
    }

    /// The object as it is now, if it still is the same one.
    pub(super) async fn reread<K: Told>(&self, object: &K) -> Result<K, Trouble> {
        let fresh: K = self.read(&object.namespace().unwrap_or_default(), &object.name_any()).await?;
        if fresh.uid() == object.uid() { Ok(fresh) } else { Err(Trouble::NotFound) }
    }

    /// Writes a status where nobody has changed the object since it was read.
    pub(super) async fn write<K: Told>(&self, read: &K, status: K::Status) -> Result<K, Trouble> {
        let mut new = read.clone();
        *new.status_mut() = Some(status);
        let (namespace, name) = (new.namespace().unwrap_or_default(), new.name_any());
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        self.call(self.api::<K>(&namespace).replace_status(&name, &params, &new)).await
    }

    /// The requests of a connection that have not ended.
    pub(super) async fn unfinished(&self, namespace: &str, connection: &str) -> Result<Vec<UserSyncRequest>, Trouble> {
        let selector = format!("spec.connectionRef.name={connection},status.phase!=Succeeded,status.phase!=Failed");
        let list = ListParams::default().fields(&selector);
        Ok(self.call(self.api::<UserSyncRequest>(namespace).list(&list)).await?.items)
    }

    pub(super) async fn secret(&self, namespace: &str, name: &str) -> Result<Secret, Trouble> {
        self.call(self.api::<Secret>(namespace).get(name)).await
    }

    /// Deletes this very request, not one that has taken its name.
    pub(super) async fn delete_request(&self, request: &UserSyncRequest) -> Result<(), Trouble> {
        let (namespace, name) = (request.namespace().unwrap_or_default(), request.name_any());
        let preconditions = Preconditions { uid: request.uid(), resource_version: request.resource_version() };
        let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
        self.call(self.api::<UserSyncRequest>(&namespace).delete(&name, &params)).await.map(|_| ())
    }

    fn api<K>(&self, namespace: &str) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), namespace)
    }

    async fn call<T>(&self, asked: impl Future<Output = kube::Result<T>>) -> Result<T, Trouble> {
        let _turn = self.calls.acquire().await;
        match tokio::time::timeout(TIME_LIMIT, asked).await {
            Ok(answer) => answer.map_err(Trouble::from),
            Err(_) => Err(Trouble::Unreachable(format!("no answer within {} s", TIME_LIMIT.as_secs()))),
        }
    }
}

impl From<kube::Error> for Trouble {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => match status.code {
                404 => Trouble::NotFound,
                409 => Trouble::Conflict,
                401 | 403 => Trouble::Forbidden(status.message),
                code => Trouble::Refused { code, message: status.message },
            },
            other => Trouble::Unreachable(other.to_string()),
        }
    }
}
