//! Connections to the API server: directly, or over a proxy.

use std::{
    error::Error as StdError,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures::future::BoxFuture;
use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::{
    client::legacy::connect::{
        Connected, Connection, HttpConnector,
        proxy::{SocksV5, Tunnel},
    },
    rt::TokioIo,
};
use rustls::ClientConfig;
use secrecy::ExposeSecret;
use tokio::net::TcpStream;
use tower::{Service, ServiceExt};

use super::{
    proxy::{Proxy, ProxyScheme},
    tls::describe_tls_error,
};
use crate::text::clamp_text;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const MAX_CAUSE_CHARS: usize = 300;
/// Real chains have about five.
const MAX_CAUSES: usize = 16;

type Tcp = TokioIo<TcpStream>;

/// Why there is no connection. The text names the proxy, without its credentials.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct DialError(String);

/// Opens connections to the API server.
#[derive(Clone)]
pub(super) struct Dialer {
    proxy: Option<Arc<Proxy>>,
    /// To a proxy that is itself behind TLS.
    to_proxy: HttpsConnector<HttpConnector>,
    direct: HttpConnector,
}

/// A connection before TLS with the API server.
pub(super) struct DialedStream {
    inner: MaybeHttpsStream<Tcp>,
    /// The proxy reads the requests and forwards them, rather than the bytes of a tunnel.
    forwards_requests: bool,
}

impl Dialer {
    pub(super) fn new(proxy: Option<Proxy>, tls: ClientConfig) -> Self {
        let mut direct = HttpConnector::new();
        direct.enforce_http(false);
        direct.set_nodelay(true);
        let to_proxy = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1();
        Self { proxy: proxy.map(Arc::new), to_proxy: to_proxy.wrap_connector(direct.clone()), direct }
    }

    async fn connect(self, target: Uri) -> Result<DialedStream, DialError> {
        let Some(proxy) = self.proxy.clone() else {
            let stream = self.direct.oneshot(target).await.map_err(|e| DialError(describe_cause(&e)))?;
            return Ok(DialedStream { inner: MaybeHttpsStream::Http(stream), forwards_requests: false });
        };
        let through = |cause: String| {
            DialError(format!("the connection over the proxy {} failed: {cause}", proxy.display_address()))
        };
        let is_tls = target.scheme_str() == Some("https");
        let inner = match proxy.scheme {
            ProxyScheme::Socks5 => {
                let mut socks = SocksV5::new(proxy.address.clone(), self.direct);
                if let Some((user, password)) = &proxy.socks_auth {
                    socks = socks.with_auth(user.clone(), password.expose_secret().to_owned());
                }
                socks.oneshot(target).await.map(MaybeHttpsStream::Http).map_err(|e| through(describe_socks(&e)))?
            }
            ProxyScheme::Http | ProxyScheme::Https if is_tls => {
                let mut tunnel = Tunnel::new(proxy.address.clone(), self.to_proxy);
                if let Some(auth) = &proxy.basic_auth {
                    tunnel = tunnel.with_auth(auth.clone());
                }
                tunnel.oneshot(target).await.map_err(|e| through(describe_tunnel(&e)))?
            }
            ProxyScheme::Http | ProxyScheme::Https => {
                let connected = self.to_proxy.oneshot(proxy.address.clone()).await;
                connected.map_err(|e| through(describe_cause(&*e)))?
            }
        };
        Ok(DialedStream { inner, forwards_requests: !is_tls && proxy.scheme != ProxyScheme::Socks5 })
    }
}

impl Service<Uri> for Dialer {
    type Response = DialedStream;
    type Error = DialError;
    type Future = BoxFuture<'static, Result<DialedStream, DialError>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), DialError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        let connecting = self.clone().connect(target);
        Box::pin(async move {
            let timed_out = |_| DialError(format!("no connection within {} s", CONNECT_TIMEOUT.as_secs()));
            tokio::time::timeout(CONNECT_TIMEOUT, connecting).await.map_err(timed_out)?
        })
    }
}

impl Connection for DialedStream {
    fn connected(&self) -> Connected {
        self.inner.connected().proxy(self.forwards_requests)
    }
}

impl Read for DialedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<Result<(), io::Error>> {
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl Write for DialedStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, io::Error>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), io::Error>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), io::Error>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

fn describe_tunnel(error: &(dyn StdError + 'static)) -> String {
    // The connector has no type for these.
    match error.to_string().trim_start_matches("tunnel error: ") {
        "proxy authorization required" => "it wants a name and a password (407)".to_owned(),
        "unsuccessful" => "it refused to connect to the API server".to_owned(),
        "unexpected end of file" => "it closed the connection".to_owned(),
        _ => describe_cause(error),
    }
}

fn describe_socks(error: &(dyn StdError + 'static)) -> String {
    match error.to_string().trim_start_matches("SOCKS error: ") {
        // The connector does not say why.
        "failed to create underlying connection" => "it cannot be reached".to_owned(),
        _ => describe_cause(error),
    }
}

/// The innermost cause, in words. Outer ones say less, such as `client error (Connect)`.
pub(super) fn describe_cause(error: &(dyn StdError + 'static)) -> String {
    let chain = std::iter::successors(Some(error), |error| inner_cause(*error)).take(MAX_CAUSES);
    let mut innermost = String::new();
    for cause in chain {
        innermost = match (cause.downcast_ref::<rustls::Error>(), cause.downcast_ref::<io::Error>()) {
            (Some(tls), _) => describe_tls_error(tls),
            (None, Some(io)) if io.raw_os_error().is_some() => io.kind().to_string(),
            (None, _) => cause.to_string(),
        };
    }
    clamp_text(&innermost, MAX_CAUSE_CHARS)
}

/// The next cause, also of an [`io::Error`], whose inner error is not its source.
fn inner_cause<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}
