//! kube_client — calls to the API server, with a timeout and a concurrency limit.
//! Invariant: every call goes through here, except watches. Errors are classified by how callers react to them.

use std::{error::Error, sync::Arc, time::Duration};

use k8s_openapi::NamespaceResourceScope;
use kube::{Api, Client, Resource};
use tokio::sync::Semaphore;

/// Shorter than the API server's own limit of one minute: a request that takes that long is better retried.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);
const MAX_CONCURRENT_REQUESTS: usize = 8;
/// The limit for the text of a connection error, which ends up in messages of conditions.
const MAX_CAUSE_CHARS: usize = 200;

/// A client of the API server. Clones share the concurrency limit.
#[derive(Clone)]
pub struct KubeClient {
    client: Client,
    permits: Arc<Semaphore>,
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
    #[error("the API server answered {code}: {message}")]
    Rejected { code: u16, message: String },
    /// No response. The text is the innermost cause, shortened.
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
        match tokio::time::timeout(REQUEST_TIMEOUT, request).await {
            Ok(Ok(object)) => Ok(object),
            Ok(Err(error)) => {
                if !matches!(error, kube::Error::Api(_)) {
                    tracing::warn!(error = causes(&error).join(": "), "API server call failed");
                }
                Err(error.into())
            }
            Err(_) => Err(KubeError::Unreachable(format!("request timed out after {} s", REQUEST_TIMEOUT.as_secs()))),
        }
    }
}

impl KubeError {
    /// Whether the same call is likely to succeed soon: the API server cannot be reached, is starting, or limits requests.
    /// Everything else is an answer that stands until somebody changes something.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::TooManyRequests { .. } | Self::Rejected { code: 502..=504, .. } => true,
            Self::NotFound | Self::UnknownKind | Self::Conflict | Self::Forbidden(_) | Self::Rejected { .. } => false,
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
                401 | 403 => KubeError::Forbidden(status.message),
                429 => KubeError::TooManyRequests { retry_after: retry_after(&status), message: status.message },
                code => KubeError::Rejected { code, message: status.message },
            },
            other => KubeError::Unreachable(shorten(causes(&other).last().map_or("", String::as_str))),
        }
    }
}

/// The `Retry-After` of a response, as the API server repeats it in the body.
fn retry_after(status: &kube::core::Status) -> Option<Duration> {
    let seconds = status.details.as_ref()?.retry_after_seconds;
    (seconds > 0).then(|| Duration::from_secs(seconds.into()))
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

fn shorten(text: &str) -> String {
    match text.char_indices().nth(MAX_CAUSE_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
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
        rustls::crypto::ring::default_provider().install_default().ok();
        let mut config = kube::Config::new(url.parse().expect("a URL"));
        config.accept_invalid_certs = true;
        let client = KubeClient::new(Client::try_from(config).expect("a client"));
        let result = client.call(client.api::<Secret>("default").get("acme")).await;
        result.expect_err("no API server").to_string()
    }

    #[tokio::test]
    async fn a_refused_connection_is_the_text_of_the_error() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        drop(listener);
        let error = get_secret_error(format!("http://{address}")).await;
        assert!(error.starts_with("the API server cannot be reached: Connection refused"), "{error}");
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
        assert_eq!(error, "the API server cannot be reached: received corrupt message of type InvalidContentType");
    }

    #[test]
    fn a_long_cause_is_shortened() {
        assert_eq!(shorten(&"ü".repeat(MAX_CAUSE_CHARS + 1)), format!("{}…", "ü".repeat(MAX_CAUSE_CHARS)));
        assert_eq!(shorten("short"), "short");
    }
}
