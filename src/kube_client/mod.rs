//! kube_client — the way to the API server, and calls to it, with a timeout and a concurrency limit.
//!
//! | file | holds |
//! | --- | --- |
//! | `kubeconfig` | which files count, and what they say |
//! | `cluster_access`, `cluster_overrides` | server, user and trust, by files, flags and environment |
//! | `proxy` | which proxy leads to the server |
//! | `dialer` | connections, over the proxy |
//! | `tls`, `server_certificate` | which certificates are accepted, and which is shown |
//! | `credentials`, `exec_plugin` | what a request says about its sender; credential plugins |
//! | `http_client` | the client that is made of these |
//! | `error`, `refusal` | why a call failed, by how callers react; what an error response means |
//!
//! Invariants:
//! * Every call goes through [`KubeClient::call`], except watches. Errors are classified by how callers react to them.
//! * What kubectl reaches is reached, and nothing else: `tests/e2e/like_kubectl` compares.
//! * No error contains a secret: no token, no password of a proxy, no output or environment of a plugin.

mod cluster_access;
mod cluster_overrides;
mod credentials;
mod dialer;
mod error;
mod exec_plugin;
mod http_client;
mod kubeconfig;
mod proxy;
mod refusal;
#[cfg(test)]
mod refusal_tests;
mod server_certificate;
mod tls;

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::NamespaceResourceScope;
use kube::{Api, Client, Resource};
use tokio::sync::Semaphore;
use tower::service_fn;

use self::error::causes;
use crate::remote_clock::RemoteClock;

pub use cluster_access::{ClusterAccess, ClusterAccessError, process_env};
pub use cluster_overrides::ClusterOverrides;
pub use error::{KubeError, Refusal, RefusedBy};
pub use exec_plugin::ExecSettings;
pub use http_client::{ClientRetries, ClientSetupError, ClusterConnection};

/// Shorter than the API server's own limit of one minute: a request that takes that long is better retried.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);
const MAX_CONCURRENT_REQUESTS: usize = 8;

/// A client of the API server. Clones share the concurrency limit.
#[derive(Clone)]
pub struct KubeClient {
    client: Client,
    permits: Arc<Semaphore>,
    request_timeout: Duration,
    server_clock: RemoteClock,
}

impl KubeClient {
    pub fn new(client: Client) -> Self {
        let server_clock = RemoteClock::default();
        let client = observe_dates(client, &server_clock);
        let permits = Arc::new(Semaphore::new(MAX_CONCURRENT_REQUESTS));
        Self { client, permits, request_timeout: REQUEST_TIMEOUT, server_clock }
    }

    /// The same client with another timeout of each request; zero is none.
    #[must_use]
    pub fn with_request_timeout(self, timeout: Duration) -> Self {
        Self { request_timeout: if timeout.is_zero() { Duration::MAX } else { timeout }, ..self }
    }

    /// The time by the API server's clock, as of its last response.
    pub fn server_time(&self) -> Option<Timestamp> {
        self.server_clock.estimate()
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

    /// One API per namespace; if there are none, one for all namespaces.
    pub fn apis_in<K>(&self, namespaces: &[String]) -> Vec<Api<K>>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        match namespaces {
            [] => vec![Api::all(self.client.clone())],
            some => some.iter().map(|namespace| self.api(namespace)).collect(),
        }
    }

    /// Runs one call within the concurrency limit and the timeout. Logs the whole chain of causes of a connection error.
    ///
    /// # Errors
    /// The API server rejected the request or did not respond.
    pub async fn call<T>(&self, request: impl Future<Output = kube::Result<T>>) -> Result<T, KubeError> {
        let _permit = self.permits.acquire().await;
        match tokio::time::timeout(self.request_timeout, request).await {
            Ok(Ok(object)) => Ok(object),
            Ok(Err(error)) => {
                if !matches!(error, kube::Error::Api(_)) {
                    tracing::warn!(error = causes(&error).join(": "), "API server call failed");
                }
                Err(error.into())
            }
            Err(_) => {
                let seconds = self.request_timeout.as_secs_f64();
                Err(KubeError::Unreachable(format!("request timed out after {seconds} s")))
            }
        }
    }
}

/// A client that reads the `Date` of each response, which kube does not pass on.
fn observe_dates(client: Client, server_clock: &RemoteClock) -> Client {
    let (namespace, server_clock) = (client.default_namespace().to_owned(), server_clock.clone());
    let service = service_fn(move |request| {
        let (client, server_clock) = (client.clone(), server_clock.clone());
        async move {
            let response = client.send(request).await?;
            server_clock.set_from(response.headers());
            Ok::<_, kube::Error>(response)
        }
    });
    Client::new(service, namespace)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Secret;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    async fn get_secret_error(url: String) -> String {
        rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
        let overrides =
            ClusterOverrides { server: Some(url), insecure_skip_tls_verify: true, ..ClusterOverrides::default() };
        let access = ClusterAccess::load(&overrides, &|_| None).expect("flags are enough");
        let settings = ExecSettings { interactive: false, show_stderr: false, timeout: None };
        let cluster = access.connect(settings).await.expect("a connection");
        let client = KubeClient::new(cluster.client("test", ClientRetries::None));
        let result = client.call(client.api::<Secret>("default").get("acme")).await;
        result.expect_err("no API server").to_string()
    }

    #[tokio::test]
    async fn a_refused_connection_is_the_text_of_the_error() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        drop(listener);
        let error = get_secret_error(format!("http://{address}")).await;
        assert!(error.starts_with("the API server cannot be reached: connection refused"), "{error}");
    }

    #[tokio::test]
    async fn a_tls_failure_is_the_text_of_the_error() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let server = async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.read(&mut [0; 16 * 1024]).await;
                let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
            }
        };
        let error = tokio::select! {
            error = get_secret_error(format!("https://{address}")) => error,
            () = server => unreachable!("the listener stays open"),
        };
        assert_eq!(
            error,
            "the API server cannot be reached: TLS failed: received corrupt message of type InvalidContentType"
        );
    }
}
