//! The port: a few pages for those who look after the process, over plain HTTP, each made when it is asked for.

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

/// So long a connection may take, from its first byte to its last. One question each: the next one is another.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);
/// Who asks begins at once: connections that stay silent must not keep the kubelet out.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(1);
const MAX_CONNECTIONS: usize = 256;
const ACCEPT_RETRY_DELAY: Duration = Duration::from_secs(1);

/// What is answered.
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

/// A path and its page.
pub type Route = (&'static str, Box<dyn Fn() -> AdminResponse + Send + Sync>);

/// Serves for ever. Dropping it ends every connection.
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
                    tracing::warn!(%error, "a connection to the port was not accepted");
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
        Some(_) => AdminResponse::plain_text(StatusCode::METHOD_NOT_ALLOWED, "only GET"),
        None => {
            let paths: Vec<&str> = routes.iter().map(|(path, _)| *path).collect();
            AdminResponse::plain_text(StatusCode::NOT_FOUND, format!("there are {}", paths.join(", ")))
        }
    };
    let mut http_response = Response::new(Full::new(Bytes::from(response.body)));
    *http_response.status_mut() = response.status;
    http_response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(response.content_type));
    http_response
}

/// Begins to listen, without answering yet. `[::]` is every address: on a machine without IPv6, those of IPv4.
///
/// # Errors
/// The address is taken, or is none of this machine's.
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
        socket.write_all(b"GET /livez HTTP/1.1\r\nHost: any\r\n\r\n").await.expect("asked");
        let mut response = String::new();
        socket.read_to_string(&mut response).await.expect("answered");
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
