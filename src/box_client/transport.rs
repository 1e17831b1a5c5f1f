//! One HTTP exchange with Box, and the one that goes over sockets. It knows nothing of tokens, tries or what an answer means.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tower::util::BoxCloneSyncService;

use super::{base_url::is_loopback, error_body::sanitize_text};

/// One HTTP exchange, the body read whole. `https` makes the real one; a router in process makes a fine one for tests.
///
/// The time limit of an exchange is not the transport's: a [`Session`](super::Session) sets it for every transport.
pub type Transport = BoxCloneSyncService<Request<Bytes>, Response<Bytes>, TransportError>;

/// Why there is no answer. The texts are safe to show: they name the host, and no address beyond it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    #[error("could not connect to {host}: {cause}")]
    Connect { host: String, phase: ConnectPhase, cause: String },
    #[error("the connection to {host} broke: {cause}")]
    Broken { host: String, cause: String },
    /// More than this many bytes were about to be read.
    #[error("the answer is larger than {0} bytes")]
    BodyTooLarge(usize),
    #[error("the HTTP client cannot be set up: {0}")]
    Setup(String),
}

/// How far a connection came that was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectPhase {
    /// The host's name has no address.
    Dns,
    /// There is a way, but no trust: mostly a certificate that is not among the system's.
    Tls,
    /// Nobody answered, or somebody on the way refused.
    Connect,
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A page of 1,000 users takes about half a MiB.
const MAX_BODY_BYTES: usize = 32 << 20;

/// The transport over the network: HTTP/1.1 or 2, the system's trusted certificates, proxies from the environment
/// (`HTTPS_PROXY`, `NO_PROXY`, …), `User-Agent: boxsync-operator/<version>`, no redirects, at most 32 MiB of body,
/// 10 s to connect.
///
/// Plain HTTP is refused but to loopback, as [`BaseUrl`](super::BaseUrl) has it, and there it never goes through a proxy.
/// A process-wide rustls crypto provider has to be installed before.
pub fn https_transport(version: &str) -> Result<Transport, TransportError> {
    https_transport_with_limit(version, MAX_BODY_BYTES)
}

pub(super) fn https_transport_with_limit(version: &str, max_body_bytes: usize) -> Result<Transport, TransportError> {
    let base_builder = || {
        reqwest::Client::builder()
            .user_agent(format!("boxsync-operator/{version}"))
            .redirect(reqwest::redirect::Policy::none())
            // Tries are counted above, all of them.
            .retry(reqwest::retry::never())
            .connect_timeout(CONNECT_TIMEOUT)
    };
    let setup = |error: reqwest::Error| TransportError::Setup(innermost_cause(&error));
    let remote = base_builder().https_only(true).build().map_err(setup)?;
    // HTTP_PROXY must not see what is sent to this machine in plain text, and no certificates are needed for it.
    let local = base_builder().no_proxy().tls_certs_only([]).build().map_err(setup)?;
    Ok(BoxCloneSyncService::new(tower::service_fn(move |request: Request<Bytes>| {
        let uri = request.uri();
        let client = match uri.scheme_str() {
            Some("http") if uri.host().is_some_and(is_loopback) => local.clone(),
            // This one refuses plain HTTP.
            _ => remote.clone(),
        };
        send_request(client, request, max_body_bytes)
    })))
}

async fn send_request(
    client: reqwest::Client,
    request: Request<Bytes>,
    max_body_bytes: usize,
) -> Result<Response<Bytes>, TransportError> {
    let host = request.uri().host().unwrap_or_default().to_owned();
    let to_transport_error = |error: reqwest::Error, host: &str| match (error.is_connect(), error.is_timeout()) {
        (true, true) => TransportError::Connect {
            host: host.into(),
            phase: ConnectPhase::Connect,
            cause: format!("no answer within {} s", CONNECT_TIMEOUT.as_secs()),
        },
        (true, false) => {
            TransportError::Connect { host: host.into(), phase: connect_phase(&error), cause: innermost_cause(&error) }
        }
        (false, _) => TransportError::Broken { host: host.into(), cause: innermost_cause(&error) },
    };
    let request = reqwest::Request::try_from(request).map_err(|error| to_transport_error(error, &host))?;
    let response = client.execute(request).await.map_err(|error| to_transport_error(error, &host))?;
    let (head, body) = Response::<reqwest::Body>::from(response).into_parts();
    let body = Limited::new(body, max_body_bytes).collect().await.map_err(|error| {
        match error.downcast::<LengthLimitError>() {
            Ok(_) => TransportError::BodyTooLarge(max_body_bytes),
            Err(error) => TransportError::Broken { host: host.clone(), cause: innermost_cause(&*error) },
        }
    })?;
    Ok(Response::from_parts(head, body.to_bytes()))
}

fn connect_phase(error: &(dyn StdError + 'static)) -> ConnectPhase {
    let mut next = Some(error);
    while let Some(cause) = next {
        if is_tls(cause) {
            return ConnectPhase::Tls;
        }
        // The connector says so in words only.
        if cause.to_string() == "dns error" {
            return ConnectPhase::Dns;
        }
        next = cause.source();
    }
    ConnectPhase::Connect
}

/// What an I/O error carries is not among its sources.
fn is_tls(error: &(dyn StdError + 'static)) -> bool {
    let carried = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    error.is::<rustls::Error>() || carried.is_some_and(|carried| is_tls(carried))
}

/// The innermost cause: the outer ones name the address with its query, and say less.
fn innermost_cause(error: &(dyn StdError + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    let text = match innermost.downcast_ref::<io::Error>() {
        Some(io) if io.raw_os_error().is_some() => io.kind().to_string(),
        _ => innermost.to_string(),
    };
    sanitize_text(&text, 200).unwrap_or_else(|| "no reason given".into())
}
