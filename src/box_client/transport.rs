//! One HTTP exchange, and its implementation over sockets. It knows neither tokens nor retries nor the meaning of a
//! response.

use std::error::Error as StdError;
use std::time::Duration;
use std::{io, iter};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tower::util::BoxCloneSyncService;

use super::{base_url::is_loopback, ca_bundle::CaBundle, error_body::sanitize_text, renewable_client::RenewableClient};

/// One HTTP exchange that reads the whole body: [`https_transport`], or an in-process router in tests.
///
/// The transport has no timeout; the sender applies one to every transport.
pub type Transport = BoxCloneSyncService<Request<Bytes>, Response<Bytes>, TransportError>;

/// Why there is no response. The texts are safe to show: they contain the host, but no URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    #[error("could not connect to {host}: {cause}")]
    Connect { host: String, phase: ConnectPhase, cause: String },
    #[error("the connection to {host} failed: {cause}")]
    Broken { host: String, cause: String },
    /// The limit in bytes.
    #[error("the response is larger than {0} bytes")]
    BodyTooLarge(usize),
    #[error("the HTTP client cannot be set up: {0}")]
    Setup(String),
}

/// The phase in which a connection failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectPhase {
    /// The host name cannot be resolved.
    Dns,
    /// The TLS handshake failed, mostly because of a certificate that the system does not trust.
    Tls,
    /// No response, or the connection was refused.
    Connect,
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A page of 1,000 users has about half a MiB. As many bodies are in memory as there are permits for Box.
const MAX_BODY_BYTES: usize = 16 << 20;
/// With a request under way, the other end of an HTTP/2 connection is asked for a sign of life this often.
const PING_INTERVAL: Duration = Duration::from_secs(15);
/// A connection that gives none for so long is closed, and its requests fail.
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// A request that is given up after this time has stalled. Less than the time limit of a call.
const STALLED_AFTER: Duration = Duration::from_secs(30);
/// Real chains have about five.
const MAX_CAUSES: usize = 16;

/// The transport over the network: HTTP/1.1 or 2, the system's trusted certificates and those of the bundle, proxies from the environment
/// (`HTTPS_PROXY`, `NO_PROXY`, …), `User-Agent: boxsync-operator/<version>`, no redirects, at most 16 MiB of body,
/// 10 s to connect. A dead HTTP/2 connection is noticed within 25 s; after a request without a response the next ones get
/// new connections.
///
/// Plain HTTP is rejected except to loopback, as in [`BaseUrl`](super::BaseUrl), and never uses a proxy there. A
/// process-wide rustls crypto provider must be installed before.
pub fn https_transport(version: &str, ca_bundle: &CaBundle) -> Result<Transport, TransportError> {
    https_transport_with_limits(version, ca_bundle, TransportLimits::default())
}

/// The limits of a transport.
#[derive(Clone, Copy)]
pub(super) struct TransportLimits {
    pub(super) max_body_bytes: usize,
    pub(super) ping_interval: Duration,
    pub(super) ping_timeout: Duration,
    pub(super) stalled_after: Duration,
}

impl Default for TransportLimits {
    fn default() -> Self {
        Self {
            max_body_bytes: MAX_BODY_BYTES,
            ping_interval: PING_INTERVAL,
            ping_timeout: PING_TIMEOUT,
            stalled_after: STALLED_AFTER,
        }
    }
}

pub(super) fn https_transport_with_limits(
    version: &str,
    ca_bundle: &CaBundle,
    limits: TransportLimits,
) -> Result<Transport, TransportError> {
    let user_agent = format!("boxsync-operator/{version}");
    let base_builder = move || {
        reqwest::Client::builder()
            .user_agent(&user_agent)
            .redirect(reqwest::redirect::Policy::none())
            // Retries are counted in the sender.
            .retry(reqwest::retry::never())
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(limits.ping_interval)
            .http2_keep_alive_timeout(limits.ping_timeout)
    };
    let setup = |error: reqwest::Error| TransportError::Setup(innermost_cause(&error));
    let added = ca_bundle.certificates().map(|certificate| reqwest::Certificate::from_der(certificate));
    let added = added.collect::<Result<Vec<_>, _>>().map_err(setup)?;
    // HTTP_PROXY must not see plain-text requests to this machine, and they need no certificates.
    let local = base_builder().no_proxy().tls_certs_only([]).build().map_err(setup)?;
    let build_remote = move || base_builder().https_only(true).tls_certs_merge(added.iter().cloned()).build();
    let remote = RenewableClient::new(Box::new(build_remote), limits.stalled_after).map_err(setup)?;
    Ok(BoxCloneSyncService::new(tower::service_fn(move |request: Request<Bytes>| {
        let uri = request.uri();
        let (client, pending) = match uri.scheme_str() {
            Some("http") if uri.host().is_some_and(is_loopback) => (local.clone(), None),
            // It rejects plain HTTP.
            _ => {
                let (client, pending) = remote.start_request();
                (client, Some(pending))
            }
        };
        async move {
            let result = send_request(client, request, limits.max_body_bytes).await;
            if let Some(pending) = pending {
                pending.finish();
            }
            result
        }
    })))
}

async fn send_request(
    client: reqwest::Client,
    request: Request<Bytes>,
    max_body_bytes: usize,
) -> Result<Response<Bytes>, TransportError> {
    let host = request.uri().host().unwrap_or_default().to_owned();
    let to_transport_error = |error: reqwest::Error| {
        // The URL contains the paging marker.
        let error = error.without_url();
        let host = host.clone();
        tracing::debug!(host, error = cause_chain(&error), "HTTP request to Box failed");
        match (error.is_connect(), error.is_timeout()) {
            (true, true) => TransportError::Connect {
                host,
                phase: ConnectPhase::Connect,
                cause: format!("timed out after {} s", CONNECT_TIMEOUT.as_secs()),
            },
            (true, false) => {
                TransportError::Connect { host, phase: connect_phase(&error), cause: innermost_cause(&error) }
            }
            (false, _) => TransportError::Broken { host, cause: innermost_cause(&error) },
        }
    };
    let request = reqwest::Request::try_from(request).map_err(&to_transport_error)?;
    let response = client.execute(request).await.map_err(&to_transport_error)?;
    let (head, body) = Response::<reqwest::Body>::from(response).into_parts();
    let body = Limited::new(body, max_body_bytes).collect().await.map_err(|error| {
        match error.downcast::<LengthLimitError>() {
            Ok(_) => TransportError::BodyTooLarge(max_body_bytes),
            Err(error) => {
                tracing::debug!(host, error = cause_chain(&*error), "reading the response of Box failed");
                TransportError::Broken { host: host.clone(), cause: innermost_cause(&*error) }
            }
        }
    })?;
    Ok(Response::from_parts(head, body.to_bytes()))
}

fn connect_phase(error: &(dyn StdError + 'static)) -> ConnectPhase {
    for cause in causes(error) {
        if cause.is::<rustls::Error>() {
            return ConnectPhase::Tls;
        }
        // The connector has no type for this error.
        if cause.to_string() == "dns error" {
            return ConnectPhase::Dns;
        }
    }
    ConnectPhase::Connect
}

/// The error and its causes, outermost first, including the error inside an [`io::Error`], which is not its source.
fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    iter::successors(Some(error), |error| next_cause(*error)).take(MAX_CAUSES)
}

fn next_cause<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}

/// The innermost cause. Outer errors say less (`client error (Connect)`), or contain the URL with its query.
fn innermost_cause(error: &(dyn StdError + 'static)) -> String {
    let text = causes(error).last().map(|innermost| match innermost.downcast_ref::<io::Error>() {
        Some(io) if io.raw_os_error().is_some() => io.kind().to_string(),
        _ => innermost.to_string(),
    });
    text.and_then(|text| sanitize_text(&text, 200)).unwrap_or_else(|| "no reason given".into())
}

/// All causes, for the log.
fn cause_chain(error: &(dyn StdError + 'static)) -> String {
    let mut texts: Vec<String> = causes(error).map(ToString::to_string).collect();
    texts.dedup();
    sanitize_text(&texts.join(": "), 1000).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Layer {
        text: &'static str,
        source: Option<Box<dyn StdError + Send + Sync>>,
    }

    fn layer(text: &'static str, source: Option<Box<dyn StdError + Send + Sync>>) -> Box<Layer> {
        Box::new(Layer { text, source })
    }

    #[test]
    fn the_innermost_cause_is_shown_and_the_whole_chain_is_logged() {
        let certificate = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        let io = io::Error::new(io::ErrorKind::InvalidData, certificate);
        let tls = layer("error sending request", Some(layer("client error (Connect)", Some(Box::new(io)))));
        assert_eq!(innermost_cause(&*tls), "invalid peer certificate: UnknownIssuer");
        assert_eq!(connect_phase(&*tls), ConnectPhase::Tls);
        assert_eq!(
            cause_chain(&*tls),
            "error sending request: client error (Connect): invalid peer certificate: UnknownIssuer"
        );

        let inner = layer("tunnel error", Some(layer("proxy requires authentication", None)));
        let hidden = layer("client error (Connect)", Some(Box::new(io::Error::other(inner))));
        assert_eq!(innermost_cause(&*hidden), "proxy requires authentication");
        assert_eq!(connect_phase(&*hidden), ConnectPhase::Connect);

        let dns =
            layer("client error (Connect)", Some(layer("dns error", Some(Box::new(io::Error::other("no such host"))))));
        assert_eq!((innermost_cause(&*dns).as_str(), connect_phase(&*dns)), ("no such host", ConnectPhase::Dns));

        let refused = layer("client error (Connect)", Some(Box::new(io::Error::from_raw_os_error(111))));
        assert_eq!(innermost_cause(&*refused), "connection refused");
    }
}
