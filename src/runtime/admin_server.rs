//! The HTTP server for probes and metrics.

use std::{
    convert::Infallible,
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{sleep, timeout},
};

/// Limit of a whole connection, which serves one request.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);
/// Short, so that idle connections cannot use up `MAX_CONNECTIONS` and block the kubelet's probes.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(1);
const MAX_CONNECTIONS: usize = 256;
const ACCEPT_RETRY_DELAY: Duration = Duration::from_secs(1);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminResponse {
    pub status: StatusCode,
    pub content_type: &'static str,
    pub body: String,
}

impl AdminResponse {
    pub fn plain_text(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, content_type: "text/plain; charset=utf-8", body: text.into() + "\n" }
    }
}

/// A path and its handler.
pub type Route = (&'static str, Box<dyn Fn() -> AdminResponse + Send + Sync>);

/// Serves until it is dropped, which closes every connection.
pub async fn serve_routes(listener: TcpListener, routes: Vec<Route>) {
    let routes: Arc<[Route]> = routes.into();
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => match accepted {
                Ok((socket, _)) => {
                    connections.spawn(timeout(CONNECTION_TIMEOUT, handle_connection(socket, routes.clone())));
                }
                Err(error) => {
                    tracing::warn!(%error, "accepting a connection failed");
                    sleep(ACCEPT_RETRY_DELAY).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn handle_connection(socket: TcpStream, routes: Arc<[Route]>) -> Result<(), hyper::Error> {
    let service = service_fn(|request| std::future::ready(Ok::<_, Infallible>(route_request(&routes, &request))));
    let mut connection = http1::Builder::new();
    connection.keep_alive(false).timer(TokioTimer::new()).header_read_timeout(HEADER_READ_TIMEOUT);
    connection.serve_connection(TokioIo::new(socket), service).await
}

fn route_request(routes: &[Route], request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let response = match routes.iter().find(|(path, _)| *path == request.uri().path()) {
        Some((_, handler)) if [Method::GET, Method::HEAD].contains(request.method()) => handler(),
        Some(_) => AdminResponse::plain_text(StatusCode::METHOD_NOT_ALLOWED, "method not allowed, use GET"),
        None => {
            let paths: Vec<&str> = routes.iter().map(|(path, _)| *path).collect();
            AdminResponse::plain_text(
                StatusCode::NOT_FOUND,
                format!("not found; available paths: {}", paths.join(", ")),
            )
        }
    };
    let mut http_response = Response::new(Full::new(Bytes::from(response.body)));
    *http_response.status_mut() = response.status;
    http_response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(response.content_type));
    http_response
}

/// Listens without accepting yet. `[::]` includes IPv4, and falls back to `0.0.0.0` on a machine without IPv6.
///
/// # Errors
/// The address is in use or not local.
pub async fn bind_listener(address: SocketAddr) -> io::Result<TcpListener> {
    match TcpListener::bind(address).await {
        Err(error) if address.ip() == Ipv6Addr::UNSPECIFIED && error.kind() != io::ErrorKind::AddrInUse => {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())).await
        }
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        time::Instant,
    };

    use super::*;

    async fn start_test_server() -> SocketAddr {
        let listener = bind_listener("[::]:0".parse().expect("an address")).await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let routes: Vec<Route> = vec![("/livez", Box::new(|| AdminResponse::plain_text(StatusCode::OK, "alive")))];
        tokio::spawn(serve_routes(listener, routes));
        (Ipv4Addr::LOCALHOST, port).into()
    }

    #[tokio::test]
    async fn the_unspecified_ipv6_address_also_accepts_ipv4() {
        let mut socket = TcpStream::connect(start_test_server().await).await.expect("connected");
        socket.write_all(b"GET /livez HTTP/1.1\r\nHost: any\r\n\r\n").await.expect("sent");
        let mut response = String::new();
        socket.read_to_string(&mut response).await.expect("a response");
        assert!(response.starts_with("HTTP/1.1 200") && response.ends_with("alive\n"), "{response}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_without_a_request_is_closed() {
        let started = Instant::now();
        let mut socket = TcpStream::connect(start_test_server().await).await.expect("connected");
        socket.read_to_end(&mut Vec::new()).await.ok();
        assert!(started.elapsed() < CONNECTION_TIMEOUT / 2, "{:?}", started.elapsed());
    }
}
