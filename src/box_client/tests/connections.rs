//! HTTP/2 connections that die or stall.

use std::sync::atomic::{AtomicUsize, Ordering};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio::net::TcpListener;

use super::*;
use crate::box_client::{
    CaBundle,
    transport::{TransportLimits, https_transport_with_limits},
};

/// What a server does with its first connection after the first response; every other connection works.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trouble {
    /// Nothing more arrives, not even a ping.
    Dead,
    /// Pings are answered, requests are not.
    Mute,
}

struct Http2Server {
    url: String,
    connections: Arc<AtomicUsize>,
}

const CERTIFICATES: &str = "tests/e2e/like_kubectl/certificates";

async fn serve_http2(trouble: Trouble) -> Http2Server {
    let identity = std::fs::read(format!("{CERTIFICATES}/p256.pem")).expect("a certificate with its key");
    let chain = CertificateDer::pem_slice_iter(&identity).map(|item| item.expect("a certificate")).collect();
    let key = PrivateKeyDer::from_pem_slice(&identity).expect("a key");
    let mut config =
        rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).expect("an identity");
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("https://{}/", listener.local_addr().expect("an address"));
    let connections = Arc::new(AtomicUsize::new(0));
    let accepted = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let trouble = (accepted.fetch_add(1, Ordering::SeqCst) == 0).then_some(trouble);
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let stream = acceptor.accept(stream).await.expect("a TLS connection");
                serve_connection(h2::server::handshake(stream).await.expect("an HTTP/2 connection"), trouble).await;
            });
        }
    });
    Http2Server { url, connections }
}

async fn serve_connection(
    mut connection: h2::server::Connection<tokio_rustls::server::TlsStream<tokio::net::TcpStream>, Bytes>,
    trouble: Option<Trouble>,
) {
    let mut unanswered = Vec::new();
    let mut requests = 0;
    while let Some(Ok((_, mut respond))) = connection.accept().await {
        requests += 1;
        match trouble {
            Some(Trouble::Dead) if requests > 1 => std::future::pending().await,
            Some(Trouble::Mute) if requests > 1 => unanswered.push(respond),
            Some(Trouble::Dead | Trouble::Mute) | None => {
                respond.send_response(http::Response::new(()), true).expect("sent");
            }
        }
    }
}

fn transport(limits: TransportLimits) -> Transport {
    // Only the first call in the process succeeds, which is enough.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let ca: CaBundle = format!("{CERTIFICATES}/ca-p256.crt").parse().expect("a CA");
    https_transport_with_limits("1.2.3", &ca, limits).expect("a transport")
}

async fn get(transport: &Transport, server: &Http2Server) -> Result<http::Response<Bytes>, TransportError> {
    let request = http::Request::get(&server.url).body(Bytes::new()).expect("a request");
    let exchange = transport.clone().oneshot(request);
    tokio::time::timeout(Duration::from_secs(20), exchange).await.expect("an end of the request")
}

#[tokio::test]
async fn a_dead_connection_fails_its_request_and_the_next_one_gets_another() {
    let server = serve_http2(Trouble::Dead).await;
    let soon = Duration::from_millis(100);
    let transport =
        transport(TransportLimits { ping_interval: soon, ping_timeout: soon, ..TransportLimits::default() });
    get(&transport, &server).await.expect("a response");
    let error = get(&transport, &server).await.expect_err("nothing comes back");
    assert!(matches!(error, TransportError::Broken { .. }), "{error:?}");
    get(&transport, &server).await.expect("a response over a new connection");
    assert_eq!(server.connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn after_a_request_that_stalled_the_next_one_gets_a_new_connection() {
    let server = serve_http2(Trouble::Mute).await;
    let stalled_after = Duration::from_millis(200);
    let transport = transport(TransportLimits { stalled_after, ..TransportLimits::default() });
    get(&transport, &server).await.expect("a response");
    // Two at once make one new client, not two.
    let (first, second) = tokio::join!(
        tokio::time::timeout(stalled_after * 2, get(&transport, &server)),
        tokio::time::timeout(stalled_after * 2, get(&transport, &server))
    );
    assert!(first.is_err() && second.is_err(), "no response comes");
    get(&transport, &server).await.expect("a response over a new connection");
    get(&transport, &server).await.expect("another one");
    assert_eq!(server.connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_cancelled_request_leaves_its_connection_in_use() {
    let server = serve_http2(Trouble::Mute).await;
    let transport = transport(TransportLimits::default());
    get(&transport, &server).await.expect("a response");
    for _ in 0..2 {
        let cancelled = tokio::time::timeout(Duration::from_millis(50), get(&transport, &server)).await;
        assert!(cancelled.is_err(), "the connection of the first request is used again");
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
}
