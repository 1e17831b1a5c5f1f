//! cluster — the API server, asked with a time limit and by few at a time.
//! Invariant: every call to it goes through here, and what it answers is told by what follows from it.

use std::{sync::Arc, time::Duration};

use k8s_openapi::NamespaceResourceScope;
use kube::{Api, Client, Resource};
use tokio::sync::Semaphore;

/// The API server's own limit for a request is a minute; one that takes that long is better asked again.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);
const MAX_CONCURRENT_REQUESTS: usize = 8;

/// The API server. Clones share their turns.
#[derive(Clone)]
pub struct KubeClient {
    client: Client,
    permits: Arc<Semaphore>,
}

/// Why the API server did not do it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KubeError {
    #[error("not found")]
    NotFound,
    /// There is no such kind: its CustomResourceDefinition is not installed, or not served yet by an API server that has
    /// just started. Nothing is known of the object.
    #[error("the API server does not serve this kind")]
    UnknownKind,
    /// The object has changed since it was read, or is there already.
    #[error("changed meanwhile")]
    Conflict,
    #[error("forbidden: {0}")]
    Forbidden(String),
    #[error("the API server answered {code}: {message}")]
    Rejected { code: u16, message: String },
    #[error("the API server cannot be reached: {0}")]
    Unreachable(String),
}

impl KubeClient {
    pub fn new(client: Client) -> Self {
        Self { client, permits: Arc::new(Semaphore::new(MAX_CONCURRENT_REQUESTS)) }
    }

    pub fn raw_client(&self) -> &Client {
        &self.client
    }

    pub fn api<K>(&self, namespace: &str) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// One for each of these namespaces; without any, one for all that there are.
    pub fn apis_in<K>(&self, namespaces: &[String]) -> Vec<Api<K>>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        match namespaces {
            [] => vec![Api::all(self.client.clone())],
            some => some.iter().map(|namespace| self.api(namespace)).collect(),
        }
    }

    /// Awaits one call, in its turn and within the time limit.
    ///
    /// # Errors
    /// Whatever the API server refused, or that it did not answer.
    pub async fn call<T>(&self, request: impl Future<Output = kube::Result<T>>) -> Result<T, KubeError> {
        let _permit = self.permits.acquire().await;
        match tokio::time::timeout(REQUEST_TIMEOUT, request).await {
            Ok(result) => result.map_err(KubeError::from),
            Err(_) => Err(KubeError::Unreachable(format!("no answer within {} s", REQUEST_TIMEOUT.as_secs()))),
        }
    }
}

impl From<kube::Error> for KubeError {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => match status.code {
                // Only of an object that was looked for is the name told.
                404 if status.details.as_ref().is_some_and(|d| !d.name.is_empty()) => KubeError::NotFound,
                404 => KubeError::UnknownKind,
                409 => KubeError::Conflict,
                401 | 403 => KubeError::Forbidden(status.message),
                code => KubeError::Rejected { code, message: status.message },
            },
            other => KubeError::Unreachable(other.to_string()),
        }
    }
}
