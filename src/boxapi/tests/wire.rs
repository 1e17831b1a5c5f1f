//! What only real sockets show.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::super::transport::capped_https;
use super::*;

const SHORT: Duration = Duration::from_millis(500);

/// Serves each connection with `talk`, after the head of its request.
async fn serve<F, T>(talk: F) -> SocketAddr
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
            tokio::spawn(talk(stream));
        }
    });
    address
}

fn transport(cap: usize) -> Transport {
    // Only the first test of the process succeeds in it, and that is enough.
    let _ = rustls::crypto::ring::default_provider().install_default();
    capped_https("1.2.3", cap).expect("a transport")
}

async fn get(transport: Transport, url: String) -> Result<http::Response<Bytes>, TransportError> {
    transport.oneshot(http::Request::get(url).body(Bytes::new()).expect("a request")).await
}

#[tokio::test]
async fn the_whole_errand_works_over_a_socket_and_says_who_asks() {
    let fake = FakeBox::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base = format!("http://{}", listener.local_addr().expect("an address")).parse().expect("loopback");
    let server = tokio::spawn(axum::serve(listener, fake.router()).into_future());
    let session = Session::new(transport(1 << 20), base, client_credentials(), "123".into(), Arc::new(now));
    let visit = session.visit(CancellationToken::new());
    assert_eq!(visit.account().await.expect("an account").id, "7");
    assert_eq!(walk(&visit, Caps::default()).await.expect("a list"), ["1"]);
    assert!(fake.asked().iter().all(|asked| asked.header("user-agent") == "boxsync-operator/1.2.3"));
    server.abort();
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let fake = FakeBox::default().then(ME, [answer(302, "").header("location", "/elsewhere")]);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}{ME}", listener.local_addr().expect("an address"));
    let server = tokio::spawn(axum::serve(listener, fake.router()).into_future());
    assert_eq!(get(transport(1024), url).await.expect("an answer").status(), 302);
    assert_eq!(fake.asked().len(), 1);
    server.abort();
}

#[tokio::test]
async fn a_body_beyond_the_cap_is_not_read_to_its_end() {
    let endless = serve(async |mut stream: TcpStream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
        while stream.write_all(b"400\r\n").await.is_ok() {
            let _ = stream.write_all(&[b'x'; 1024]).await;
            let _ = stream.write_all(b"\r\n").await;
        }
    });
    let url = format!("http://{}/", endless.await);
    assert_eq!(get(transport(100_000), url).await.expect_err("too large"), TransportError::TooLarge(100_000));
}

#[tokio::test]
async fn a_connection_that_breaks_in_the_middle_of_a_body_is_no_answer() {
    let cut = serve(async |mut stream: TcpStream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{\"entries\":[]").await;
        // Closing without a lingering byte unread would be an orderly end; dropping with linger 0 is a reset.
        let _ = stream.set_zero_linger();
    });
    let address = cut.await;
    let error = get(transport(1 << 20), format!("http://{address}/?secret=in-the-query")).await.expect_err("broken");
    assert!(matches!(&error, TransportError::Broken { host, .. } if host == "127.0.0.1"), "{error:?}");
    assert!(!error.to_string().contains("secret"), "{error}");
}

#[tokio::test]
async fn nobody_there_is_said_in_plain_words() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/?marker=in-the-query", listener.local_addr().expect("an address"));
    drop(listener);
    let error = get(transport(1024), url).await.expect_err("nobody there");
    assert_eq!(error.to_string(), "could not connect to 127.0.0.1: connection refused");
}

#[tokio::test]
async fn a_body_that_drips_slowly_hits_the_time_limit() {
    let slow = serve(async |mut stream: TcpStream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n").await;
        while stream.write_all(b" ").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let base = format!("http://{}", slow.await).parse().expect("loopback");
    let session = Session::with_limit(transport(1024), base, client_credentials(), "123".into(), Arc::new(now), SHORT);
    let stop = CancellationToken::new();
    let visit = session.visit(stop.clone());
    let stopping = async {
        tokio::time::sleep(SHORT * 2).await;
        stop.cancel();
    };
    // It was given up after the limit and waits for its next try when it is told to stop.
    let start = std::time::Instant::now();
    let (signed_in, ()) = tokio::join!(visit.sign_in(), stopping);
    assert_eq!(signed_in, Err(Error::Stopped));
    assert!(start.elapsed() < SHORT * 6, "{:?}", start.elapsed());
    assert_eq!(visit.calls(), 1);
}

#[tokio::test]
async fn a_server_that_does_not_speak_tls_is_not_talked_to() {
    let plain = serve(async |mut stream: TcpStream| {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    });
    let error = get(transport(1024), format!("https://127.0.0.1:{}/", plain.await.port())).await.expect_err("no TLS");
    assert!(matches!(&error, TransportError::Connect { at: Stage::Tls, why, .. } if !why.is_empty()), "{error:?}");
}

#[tokio::test]
async fn plain_http_to_another_machine_is_refused_before_anything_is_sent() {
    let error = get(transport(1024), "http://api.box.example/2.0/users".into()).await.expect_err("refused");
    assert_eq!(error.to_string(), "the connection to api.box.example broke: URL scheme is not allowed");
}
