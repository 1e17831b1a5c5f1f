//! One HTTP exchange with Box, and the one that goes over sockets. It knows nothing of tokens, tries or what an answer means.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tower::util::BoxCloneSyncService;

use super::base_url::is_loopback;
use super::said::printable;

/// One HTTP exchange, the body read whole. `https` makes the real one; a router in process makes a fine one for tests.
///
/// The time limit of an exchange is not the transport's: a [`Session`](super::Session) sets it for every transport.
pub type Transport = BoxCloneSyncService<Request<Bytes>, Response<Bytes>, TransportError>;

/// Why there is no answer. The texts are safe to show: they name the host, and no address beyond it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    #[error("could not connect to {host}: {why}")]
    Connect { host: String, at: Stage, why: String },
    #[error("the connection to {host} broke: {why}")]
    Broken { host: String, why: String },
    /// More than this many bytes were about to be read.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    #[error("the HTTP client cannot be set up: {0}")]
    Setup(String),
}

/// How far a connection came that was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The host's name has no address.
    Name,
    /// There is a way, but no trust: mostly a certificate that is not among the system's.
    Tls,
    /// Nobody answered, or somebody on the way refused.
    Way,
}

const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// A page of 1,000 users takes about half a MiB.
const BODY_CAP: usize = 32 << 20;

/// The transport over the network: HTTP/1.1 or 2, the system's trusted certificates, proxies from the environment
/// (`HTTPS_PROXY`, `NO_PROXY`, …), `User-Agent: boxsync-operator/<version>`, no redirects, at most 32 MiB of body,
/// 10 s to connect.
///
/// Plain HTTP is refused but to loopback, as [`BaseUrl`](super::BaseUrl) has it, and there it never goes through a proxy.
/// A process-wide rustls crypto provider has to be installed before.
pub fn https(version: &str) -> Result<Transport, TransportError> {
    capped_https(version, BODY_CAP)
}

pub(super) fn capped_https(version: &str, cap: usize) -> Result<Transport, TransportError> {
    let common = || {
        reqwest::Client::builder()
            .user_agent(format!("boxsync-operator/{version}"))
            .redirect(reqwest::redirect::Policy::none())
            // Tries are counted above, all of them.
            .retry(reqwest::retry::never())
            .connect_timeout(CONNECT_LIMIT)
    };
    let setup = |error: reqwest::Error| TransportError::Setup(why(&error));
    let remote = common().https_only(true).build().map_err(setup)?;
    // HTTP_PROXY must not see what is sent to this machine in plain text, and no certificates are needed for it.
    let local = common().no_proxy().tls_certs_only([]).build().map_err(setup)?;
    Ok(BoxCloneSyncService::new(tower::service_fn(move |request: Request<Bytes>| {
        let uri = request.uri();
        let client = match uri.scheme_str() {
            Some("http") if uri.host().is_some_and(is_loopback) => local.clone(),
            // This one refuses plain HTTP.
            _ => remote.clone(),
        };
        exchange(client, request, cap)
    })))
}

async fn exchange(
    client: reqwest::Client,
    request: Request<Bytes>,
    cap: usize,
) -> Result<Response<Bytes>, TransportError> {
    let host = request.uri().host().unwrap_or_default().to_owned();
    let failed = |error: reqwest::Error, host: &str| match (error.is_connect(), error.is_timeout()) {
        (true, true) => TransportError::Connect {
            host: host.into(),
            at: Stage::Way,
            why: format!("no answer within {} s", CONNECT_LIMIT.as_secs()),
        },
        (true, false) => TransportError::Connect { host: host.into(), at: stage(&error), why: why(&error) },
        (false, _) => TransportError::Broken { host: host.into(), why: why(&error) },
    };
    let request = reqwest::Request::try_from(request).map_err(|error| failed(error, &host))?;
    let answer = client.execute(request).await.map_err(|error| failed(error, &host))?;
    let (head, body) = Response::<reqwest::Body>::from(answer).into_parts();
    let body = Limited::new(body, cap).collect().await.map_err(|error| match error.downcast::<LengthLimitError>() {
        Ok(_) => TransportError::TooLarge(cap),
        Err(error) => TransportError::Broken { host: host.clone(), why: why(&*error) },
    })?;
    Ok(Response::from_parts(head, body.to_bytes()))
}

fn stage(error: &(dyn StdError + 'static)) -> Stage {
    let mut next = Some(error);
    while let Some(cause) = next {
        if is_tls(cause) {
            return Stage::Tls;
        }
        // The connector says so in words only.
        if cause.to_string() == "dns error" {
            return Stage::Name;
        }
        next = cause.source();
    }
    Stage::Way
}

/// What an I/O error carries is not among its sources.
fn is_tls(error: &(dyn StdError + 'static)) -> bool {
    let carried = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    error.is::<rustls::Error>() || carried.is_some_and(|carried| is_tls(carried))
}

/// The innermost cause: the outer ones name the address with its query, and say less.
fn why(error: &(dyn StdError + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    let text = match innermost.downcast_ref::<io::Error>() {
        Some(io) if io.raw_os_error().is_some() => io.kind().to_string(),
        _ => innermost.to_string(),
    };
    printable(&text, 200).unwrap_or_else(|| "no reason given".into())
}
