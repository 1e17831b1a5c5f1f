//! What stands between a client and the API server: servers with other certificates, and proxies. The proxies take each
//! host below `corp.test` for the server behind them.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

const MAX_HEAD_BYTES: usize = 16 << 10;

/// A listener on a free port; it lives as long as the test's runtime.
pub(crate) struct Endpoint {
    pub(crate) address: SocketAddr,
    /// Connections that were accepted.
    count: Arc<AtomicUsize>,
}

impl Endpoint {
    pub(crate) fn connections(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    async fn listen<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let count = Arc::new(AtomicUsize::new(0));
        let accepted = count.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                accepted.fetch_add(1, Ordering::SeqCst);
                // A client that hangs up is its own business.
                tokio::spawn(serve(stream));
            }
        });
        Self { address, count }
    }

    /// A server with this chain and key (PEM) that passes everything on to the API server. With `client_ca`, clients must
    /// show a certificate that it signed.
    pub(crate) async fn tls_server(api_server: &str, ca: &[u8], identity: &[u8], client_cas: &[&[u8]]) -> Self {
        let upstream: SocketAddr = api_server.trim_start_matches("https://").parse().expect("an address");
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates(ca));
        let connector =
            TlsConnector::from(Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()));
        let acceptor = TlsAcceptor::from(Arc::new(server_config(identity, client_cas)));
        Self::listen(move |stream| {
            let (acceptor, connector) = (acceptor.clone(), connector.clone());
            async move {
                let mut inner = acceptor.accept(stream).await?;
                let name = ServerName::from(upstream.ip());
                let mut outer = connector.connect(name, TcpStream::connect(upstream).await?).await?;
                copy_bidirectional(&mut inner, &mut outer).await.map(|_| ())
            }
        })
        .await
    }

    /// A server with this chain and key that passes everything on to a server without TLS.
    pub(crate) async fn tls_in_front_of(plain: SocketAddr, identity: &[u8]) -> Self {
        let acceptor = TlsAcceptor::from(Arc::new(server_config(identity, &[])));
        Self::listen(move |stream| {
            let acceptor = acceptor.clone();
            async move {
                let mut inner = acceptor.accept(stream).await?;
                copy_bidirectional(&mut inner, &mut TcpStream::connect(plain).await?).await.map(|_| ())
            }
        })
        .await
    }

    /// An HTTP proxy, behind TLS with an identity. `credentials` is what `Proxy-Authorization` must be.
    pub(crate) async fn http_proxy(
        target: SocketAddr,
        credentials: Option<&'static str>,
        identity: Option<&[u8]>,
    ) -> Self {
        let acceptor = identity.map(|pem| TlsAcceptor::from(Arc::new(server_config(pem, &[]))));
        Self::listen(move |stream| {
            let acceptor = acceptor.clone();
            async move {
                match acceptor {
                    Some(acceptor) => forward_http(acceptor.accept(stream).await?, target, credentials).await,
                    None => forward_http(stream, target, credentials).await,
                }
            }
        })
        .await
    }

    /// A SOCKS5 proxy without authentication (RFC 1928).
    pub(crate) async fn socks_proxy(target: SocketAddr) -> Self {
        Self::listen(move |stream| forward_socks(stream, target)).await
    }
}

pub(crate) fn certificates(pem: &[u8]) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem).filter_map(Result::ok).collect()
}

fn server_config(identity: &[u8], client_cas: &[&[u8]]) -> ServerConfig {
    let key = PrivateKeyDer::from_pem_slice(identity).expect("a key");
    let builder = if client_cas.is_empty() {
        ServerConfig::builder().with_no_client_auth()
    } else {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(client_cas.iter().flat_map(|pem| certificates(pem)));
        let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build().expect("authorities");
        ServerConfig::builder().with_client_cert_verifier(verifier)
    };
    builder.with_single_cert(certificates(identity), key).expect("an identity")
}

fn address_of(authority: &str, target: SocketAddr) -> io::Result<SocketAddr> {
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    if host.ends_with("corp.test") {
        return Ok(target);
    }
    authority.parse().map_err(|_| io::Error::other("an unknown host"))
}

async fn forward_http(
    mut client: impl AsyncRead + AsyncWrite + Unpin,
    target: SocketAddr,
    credentials: Option<&str>,
) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < MAX_HEAD_BYTES {
        head.push(client.read_u8().await?);
    }
    let text = String::from_utf8_lossy(&head).into_owned();
    let given = text.lines().find(|line| line.to_lowercase().starts_with("proxy-authorization:"));
    if credentials.is_some_and(|wanted| given.is_none_or(|line| !line.ends_with(wanted))) {
        let refused = "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n";
        return client.write_all(refused.as_bytes()).await;
    }
    let mut words = text.split_whitespace();
    let (method, url) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let authority = url.trim_start_matches("http://").split('/').next().unwrap_or_default();
    let mut server = match address_of(authority, target) {
        Ok(address) => TcpStream::connect(address).await?,
        Err(_) => return client.write_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n").await,
    };
    if method == "CONNECT" {
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
    } else {
        // A server takes requests with a whole URL as well.
        server.write_all(&head).await?;
    }
    copy_bidirectional(&mut client, &mut server).await.map(|_| ())
}

async fn forward_socks(mut client: TcpStream, target: SocketAddr) -> io::Result<()> {
    let [_, methods] = read_bytes(&mut client).await?;
    for _ in 0..methods {
        client.read_u8().await?;
    }
    client.write_all(&[5, 0]).await?;
    let [_, _, _, kind] = read_bytes(&mut client).await?;
    let host = match kind {
        1 => std::net::Ipv4Addr::from(read_bytes::<4>(&mut client).await?).to_string(),
        3 => {
            let mut name = vec![0; usize::from(client.read_u8().await?)];
            client.read_exact(&mut name).await?;
            String::from_utf8_lossy(&name).into_owned()
        }
        _ => return Err(io::Error::other("an unknown kind of address")),
    };
    let port = client.read_u16().await?;
    let mut server = TcpStream::connect(address_of(&format!("{host}:{port}"), target)?).await?;
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
    copy_bidirectional(&mut client, &mut server).await.map(|_| ())
}

async fn read_bytes<const N: usize>(client: &mut TcpStream) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    client.read_exact(&mut bytes).await?;
    Ok(bytes)
}
