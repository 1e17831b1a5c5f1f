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
//!
//! Invariants:
//! * Every call goes through [`KubeClient::call`], except watches. Errors are classified by how callers react to them.
//! * What kubectl reaches is reached, and nothing else: `tests/e2e/like_kubectl` compares.
//! * No error contains a secret: no token, no password of a proxy, no output or environment of a plugin.

mod cluster_access;
mod cluster_overrides;
mod credentials;
mod dialer;
mod exec_plugin;
mod http_client;
mod kubeconfig;
mod proxy;
mod server_certificate;
mod tls;

use std::{error::Error, sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::NamespaceResourceScope;
use kube::{Api, Client, Resource};
use tokio::sync::Semaphore;
use tower::service_fn;

use crate::{remote_clock::RemoteClock, text::clamp_text};

pub use cluster_access::{ClusterAccess, ClusterAccessError, process_env};
pub use cluster_overrides::ClusterOverrides;
pub use exec_plugin::ExecSettings;
pub use http_client::{ClientRetries, ClientSetupError, ClusterConnection};

/// Shorter than the API server's own limit of one minute: a request that takes that long is better retried.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);
const MAX_CONCURRENT_REQUESTS: usize = 8;
/// A longer `Retry-After` is not waited for in place.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(30);
/// The limit for the text of a connection error, which ends up in messages of conditions.
const MAX_CAUSE_CHARS: usize = 300;
/// The limit for a message of the API server, which may quote the object, or say what to do in an admission policy.
const MAX_MESSAGE_CHARS: usize = 2_000;
/// The status of an object that is too large.
const TOO_LARGE: u16 = 413;

/// A client of the API server. Clones share the concurrency limit.
#[derive(Clone)]
pub struct KubeClient {
    client: Client,
    permits: Arc<Semaphore>,
    request_timeout: Duration,
    server_clock: RemoteClock,
}

/// Why a call to the API server failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KubeError {
    #[error("not found")]
    NotFound,
    /// The kind is unknown: its CustomResourceDefinition is not installed, or not served yet by an API server that has
    /// just started. The object may exist.
    #[error("the API server does not serve this kind")]
    UnknownKind,
    /// The object has changed since it was read, or already exists.
    #[error("conflict: the object was changed or already exists")]
    Conflict,
    #[error("forbidden: {0}")]
    Forbidden(String),
    /// The API server limits requests (429), and may say how long to wait.
    #[error("the API server limits requests: {message}")]
    TooManyRequests { retry_after: Option<Duration>, message: String },
    /// 413 also stands for an object that is too large for etcd.
    #[error("the API server answered {code}: {message}")]
    Rejected { code: u16, message: String },
    /// The object exists, and this version cannot read it.
    #[error("the object cannot be read: {0}")]
    Unreadable(String),
    /// No response. The text is the innermost cause, shortened.
    #[error("the API server cannot be reached: {0}")]
    Unreachable(String),
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

impl KubeError {
    /// An object that cannot be read. The error may quote it.
    pub(crate) fn unreadable(error: &str) -> Self {
        Self::Unreadable(clamp_text(error, MAX_CAUSE_CHARS))
    }

    /// How long to wait before the call is repeated: what the API server asks for, at most half a minute, or `backoff` if
    /// that is longer.
    pub fn retry_pause(&self, backoff: Duration) -> Duration {
        match self {
            Self::TooManyRequests { retry_after: Some(requested), .. } => {
                (*requested).min(MAX_RETRY_AFTER).max(backoff)
            }
            _ => backoff,
        }
    }

    /// Whether the API server gave no verdict on the request: it cannot be reached, limits requests, or failed itself.
    pub fn is_unavailable(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::TooManyRequests { .. } | Self::Rejected { code: 500.., .. } => true,
            Self::NotFound
            | Self::UnknownKind
            | Self::Conflict
            | Self::Forbidden(_)
            | Self::Rejected { .. }
            | Self::Unreadable(_) => false,
        }
    }

    /// Whether the same call is likely to succeed within seconds. Unlike in [`is_unavailable`](Self::is_unavailable), a
    /// plain 500 does not count: it is often a webhook that cannot be called, and that may last.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::TooManyRequests { .. } | Self::Rejected { code: 502..=504, .. } => true,
            Self::NotFound
            | Self::UnknownKind
            | Self::Conflict
            | Self::Forbidden(_)
            | Self::Rejected { .. }
            | Self::Unreadable(_) => false,
        }
    }
}

impl From<kube::Error> for KubeError {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => match status.code {
                // The details name the object only if its kind is known.
                404 if status.details.as_ref().is_some_and(|d| !d.name.is_empty()) => KubeError::NotFound,
                404 => KubeError::UnknownKind,
                409 => KubeError::Conflict,
                401 | 403 => KubeError::Forbidden(clamp_text(&status.message, MAX_MESSAGE_CHARS)),
                429 => KubeError::TooManyRequests {
                    retry_after: retry_after(&status),
                    message: clamp_text(&status.message, MAX_MESSAGE_CHARS),
                },
                code => {
                    let code = if is_too_large(&status.message) { TOO_LARGE } else { code };
                    KubeError::Rejected { code, message: clamp_text(&status.message, MAX_MESSAGE_CHARS) }
                }
            },
            // Our own client's error, without the words of kube.
            kube::Error::Service(error) => {
                KubeError::Unreachable(clamp_text(causes(&*error).last().map_or("", String::as_str), MAX_CAUSE_CHARS))
            }
            other => {
                KubeError::Unreachable(clamp_text(causes(&other).last().map_or("", String::as_str), MAX_CAUSE_CHARS))
            }
        }
    }
}

/// The `Retry-After` of a response, as the API server repeats it in the body.
fn retry_after(status: &kube::core::Status) -> Option<Duration> {
    let seconds = status.details.as_ref()?.retry_after_seconds;
    (seconds > 0).then(|| Duration::from_secs(seconds.into()))
}

/// Whether etcd does not store an object because of its size, which the API server reports as an error of its own (500).
fn is_too_large(message: &str) -> bool {
    message.contains("request is too large") || message.contains("trying to send message larger than max")
}

/// The texts of an error and its causes, outermost first. A cause whose text the outer error already contains is left out.
fn causes(error: &dyn Error) -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        if texts.last().is_none_or(|outer| !outer.contains(&text)) {
            texts.push(text);
        }
        next = error.source();
    }
    texts
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

    fn status_error(code: u16, message: &str) -> KubeError {
        let status = kube::core::Status { code, message: message.to_owned(), ..kube::core::Status::default() };
        kube::Error::Api(Box::new(status)).into()
    }

    fn is_refused_by_size(code: u16, message: &str) -> bool {
        let error = status_error(code, message);
        matches!(error, KubeError::Rejected { code: TOO_LARGE, .. }) && !error.is_unavailable()
    }

    #[test]
    fn an_object_that_is_too_large_is_known_by_each_answer() {
        for (code, message) in [
            (413, "Request entity too large: limit is 3145728"),
            (500, "etcdserver: request is too large"),
            (500, "rpc error: code = ResourceExhausted desc = trying to send message larger than max (2 vs. 1)"),
        ] {
            assert!(is_refused_by_size(code, message), "{code} {message}");
        }
        for (code, message) in [(500, "etcdserver: leader changed"), (422, "metadata.annotations: Too long")] {
            assert!(!is_refused_by_size(code, message), "{code} {message}");
        }
    }

    #[test]
    fn the_message_of_an_error_is_bounded() {
        for code in [403, 422, 500] {
            let text = status_error(code, &"\u{1b}[2Jü".repeat(100_000)).to_string();
            assert!(text.chars().count() < 2_100 && !text.contains('\u{1b}'), "{code}: {text}");
        }
    }
}
