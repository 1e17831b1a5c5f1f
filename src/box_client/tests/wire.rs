//! Behavior over real sockets.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::box_client::{
    CaBundle,
    transport::{TransportLimits, https_transport_with_limits},
};

const SHORT: Duration = Duration::from_millis(500);

/// Serves each connection with `handler`, after the head of its request.
async fn serve_with<F, T>(handler: F) -> SocketAddr
where
    F: Fn(TcpStream) -> T + Send + 'static,
    T: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 4096];
            let _ = stream.read(&mut head).await;
            tokio::spawn(handler(stream));
        }
    });
    address
}

fn transport_with_limit(max_body_bytes: usize) -> Transport {
    // Only the first call in the process succeeds, which is enough.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let limits = TransportLimits { max_body_bytes, ..TransportLimits::default() };
    https_transport_with_limits("1.2.3", &CaBundle::default(), limits).expect("a transport")
}

async fn send_get(transport: Transport, url: String) -> Result<http::Response<Bytes>, TransportError> {
    transport.oneshot(http::Request::get(url).body(Bytes::new()).expect("a request")).await
}

#[tokio::test]
async fn sign_in_and_listing_work_over_a_socket_and_send_the_user_agent() {
    let fake = FakeBox::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base = format!("http://{}", listener.local_addr().expect("an address")).parse().expect("loopback");
    let server = tokio::spawn(axum::serve(listener, fake.router()).into_future());
    let token_source = TokenSource::new(
        transport_with_limit(1 << 20),
        base,
        client_credentials(),
        enterprise_subject(),
        Arc::new(test_time),
    );
    let client = Client::new(&token_source, CancellationToken::new());
    assert_eq!(client.get_account().await.expect("an account").id, "7");
    assert_eq!(collect_user_ids(&client, Limits::default()).await.expect("a list"), ["1"]);
    assert!(fake.recorded_requests().iter().all(|request| request.header("user-agent") == "boxsync-operator/1.2.3"));
    server.abort();
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let fake = FakeBox::default().respond_with(ME, [canned_response(302, "").with_header("location", "/elsewhere")]);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}{ME}", listener.local_addr().expect("an address"));
    let server = tokio::spawn(axum::serve(listener, fake.router()).into_future());
    assert_eq!(send_get(transport_with_limit(1024), url).await.expect("an answer").status(), 302);
    assert_eq!(fake.recorded_requests().len(), 1);
    server.abort();
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_not_read_to_its_end() {
    let address = serve_with(async |mut stream: TcpStream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
        while stream.write_all(b"400\r\n").await.is_ok() {
            let _ = stream.write_all(&[b'x'; 1024]).await;
            let _ = stream.write_all(b"\r\n").await;
        }
    });
    let url = format!("http://{}/", address.await);
    assert_eq!(
        send_get(transport_with_limit(100_000), url).await.expect_err("too large"),
        TransportError::BodyTooLarge(100_000)
    );
}

#[tokio::test]
async fn a_connection_reset_in_the_middle_of_a_body_is_an_error() {
    let address = serve_with(async |mut stream: TcpStream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{\"entries\":[]").await;
        // Closing normally is an orderly end; closing with linger 0 is a reset.
        let _ = stream.set_zero_linger();
    });
    let address = address.await;
    let error = send_get(transport_with_limit(1 << 20), format!("http://{address}/?secret=in-the-query"))
        .await
        .expect_err("broken");
    assert!(matches!(&error, TransportError::Broken { host, .. } if host == "127.0.0.1"), "{error:?}");
    assert!(!error.to_string().contains("secret"), "{error}");
}

#[tokio::test]
async fn connection_refused_has_a_plain_message() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/?marker=in-the-query", listener.local_addr().expect("an address"));
    drop(listener);
    let error = send_get(transport_with_limit(1024), url).await.expect_err("connection refused");
    assert_eq!(error.to_string(), "could not connect to 127.0.0.1: connection refused");
}

#[tokio::test]
async fn a_slow_body_hits_the_timeout() {
    let address = serve_with(async |mut stream: TcpStream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n").await;
        while stream.write_all(b" ").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let base = format!("http://{}", address.await).parse().expect("loopback");
    let token_source = TokenSource::with_call_timeout(
        transport_with_limit(1024),
        base,
        client_credentials(),
        enterprise_subject(),
        Arc::new(test_time),
        SHORT,
    );
    let cancel = CancellationToken::new();
    let client = Client::new(&token_source, cancel.clone());
    let cancelling = async {
        tokio::time::sleep(SHORT * 2).await;
        cancel.cancel();
    };
    // The first attempt has timed out, and the cancellation comes while it waits for the next one.
    let start = std::time::Instant::now();
    let (signed_in, ()) = tokio::join!(client.sign_in(), cancelling);
    assert_eq!(signed_in, Err(Error::Cancelled));
    assert!(start.elapsed() < SHORT * 6, "{:?}", start.elapsed());
    assert_eq!(client.call_count(), 1);
}

#[tokio::test]
async fn a_server_without_tls_is_an_error() {
    let address = serve_with(async |mut stream: TcpStream| {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    });
    let error = send_get(transport_with_limit(1024), format!("https://127.0.0.1:{}/", address.await.port()))
        .await
        .expect_err("no TLS");
    assert!(
        matches!(&error, TransportError::Connect { phase: ConnectPhase::Tls, cause, .. } if !cause.is_empty()),
        "{error:?}"
    );
}

#[tokio::test]
async fn plain_http_to_a_remote_host_is_rejected_before_anything_is_sent() {
    let error =
        send_get(transport_with_limit(1024), "http://api.box.example/2.0/users".into()).await.expect_err("refused");
    assert_eq!(error.to_string(), "the connection to api.box.example failed: URL scheme is not allowed");
}
