//! cluster — the API server, asked with a time limit and by few at a time.
//! Invariant: every call to it goes through here, and what it answers is told by what follows from it.

use std::{sync::Arc, time::Duration};

use k8s_openapi::NamespaceResourceScope;
use kube::{Api, Client, Resource};
use tokio::sync::Semaphore;

/// The API server's own limit for a request is a minute; one that takes that long is better asked again.
const TIME_LIMIT: Duration = Duration::from_secs(20);
const AT_ONCE: usize = 8;

/// The API server. Clones share their turns.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    calls: Arc<Semaphore>,
}

/// Why the API server did not do it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    #[error("not found")]
    NotFound,
    /// There is no such kind: its CustomResourceDefinition is not installed, or not served yet by an API server that has
    /// just started. Nothing is known of the object.
    #[error("the API server does not serve this kind")]
    NotServed,
    /// The object has changed since it was read, or is there already.
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
    pub fn new(client: Client) -> Self {
        Self { client, calls: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    pub fn client(&self) -> &Client {
        &self.client
    }

    pub fn api<K>(&self, namespace: &str) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// One for each of these namespaces; without any, one for all that there are.
    pub fn apis<K>(&self, namespaces: &[String]) -> Vec<Api<K>>
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
    pub async fn call<T>(&self, asked: impl Future<Output = kube::Result<T>>) -> Result<T, Trouble> {
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
                // Only of an object that was looked for is the name told.
                404 if status.details.as_ref().is_some_and(|d| !d.name.is_empty()) => Trouble::NotFound,
                404 => Trouble::NotServed,
                409 => Trouble::Conflict,
                401 | 403 => Trouble::Forbidden(status.message),
                code => Trouble::Refused { code, message: status.message },
            },
            other => Trouble::Unreachable(other.to_string()),
        }
    }
}
