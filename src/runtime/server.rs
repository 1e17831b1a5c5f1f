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
const TIME_LIMIT: Duration = Duration::from_secs(10);
/// Who asks begins at once: connections that stay silent must not keep the kubelet out.
const SILENCE: Duration = Duration::from_secs(1);
const AT_ONCE: usize = 256;
const AFTER_TROUBLE: Duration = Duration::from_secs(1);

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    pub status: StatusCode,
    pub content_type: &'static str,
    pub text: String,
}

impl Page {
    pub fn text(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, content_type: "text/plain; charset=utf-8", text: text.into() + "\n" }
    }
}

/// A path and its page.
pub type Route = (&'static str, Box<dyn Fn() -> Page + Send + Sync>);

/// Serves for ever. Dropping it ends every connection.
pub async fn serve(listener: TcpListener, routes: Vec<Route>) {
    let routes: Arc<[Route]> = routes.into();
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if open.len() < AT_ONCE => match accepted {
                Ok((socket, _)) => {
                    open.spawn(timeout(TIME_LIMIT, answered(socket, routes.clone())));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection to the port was not accepted");
                    sleep(AFTER_TROUBLE).await;
                }
            },
            Some(_) = open.join_next() => {}
        }
    }
}

async fn answered(socket: TcpStream, routes: Arc<[Route]>) -> Result<(), hyper::Error> {
    let service = service_fn(|request| std::future::ready(Ok::<_, Infallible>(answer(&routes, &request))));
    let mut connection = http1::Builder::new();
    connection.keep_alive(false).timer(TokioTimer::new()).header_read_timeout(SILENCE);
    connection.serve_connection(TokioIo::new(socket), service).await
}

fn answer(routes: &[Route], request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let page = match routes.iter().find(|(path, _)| *path == request.uri().path()) {
        Some((_, page)) if [Method::GET, Method::HEAD].contains(request.method()) => page(),
        Some(_) => Page::text(StatusCode::METHOD_NOT_ALLOWED, "only GET"),
        None => {
            let paths: Vec<&str> = routes.iter().map(|(path, _)| *path).collect();
            Page::text(StatusCode::NOT_FOUND, format!("there are {}", paths.join(", ")))
        }
    };
    let mut answer = Response::new(Full::new(Bytes::from(page.text)));
    *answer.status_mut() = page.status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(page.content_type));
    answer
}

/// Begins to listen, without answering yet. `[::]` is every address: on a machine without IPv6, those of IPv4.
///
/// # Errors
/// The address is taken, or is none of this machine's.
pub async fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    match TcpListener::bind(address).await {
        Err(error) if address.ip() == Ipv6Addr::UNSPECIFIED && error.kind() != io::ErrorKind::AddrInUse => {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())).await
        }
        listening => listening,
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        time::Instant,
    };

    use super::*;

    async fn port() -> SocketAddr {
        let listener = listen("[::]:0".parse().expect("an address")).await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let routes: Vec<Route> = vec![("/livez", Box::new(|| Page::text(StatusCode::OK, "alive")))];
        tokio::spawn(serve(listener, routes));
        (Ipv4Addr::LOCALHOST, port).into()
    }

    #[tokio::test]
    async fn every_address_is_those_of_ipv4_too() {
        let mut socket = TcpStream::connect(port().await).await.expect("connected");
        socket.write_all(b"GET /livez HTTP/1.1\r\nHost: any\r\n\r\n").await.expect("asked");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.expect("answered");
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("alive\n"), "{answer}");
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_connects_and_asks_nothing_is_sent_away() {
        let begun = Instant::now();
        let mut silent = TcpStream::connect(port().await).await.expect("connected");
        silent.read_to_end(&mut Vec::new()).await.ok();
        assert!(begun.elapsed() < TIME_LIMIT / 2, "{:?}", begun.elapsed());
    }
}
