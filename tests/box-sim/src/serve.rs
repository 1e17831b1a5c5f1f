//! The router on a loopback socket. Dropping the server closes all of its connections.

use crate::{
    response::{CloseConnection, connection_reset},
    sim::BoxSim,
};
use axum::{Router, body::Body};
use http::{Request, Response};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use std::{io, net::SocketAddr};
use tokio::{
    net::{TcpListener, TcpStream},
    task::{AbortHandle, JoinSet},
};
use tower::ServiceExt;

/// A running server; it stops when dropped.
pub struct Server {
    address: SocketAddr,
    task: AbortHandle,
}

impl Server {
    /// `http://127.0.0.1:PORT`: the base for `/oauth2/token` and `/2.0`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl BoxSim {
    /// Serves on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// No port is free.
    pub async fn serve(&self) -> io::Result<Server> {
        self.serve_at(SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    /// Serves on this address, which must be a loopback address: secrets are sent in plain text.
    ///
    /// # Errors
    /// The address is in use or not a loopback address.
    pub async fn serve_at(&self, address: SocketAddr) -> io::Result<Server> {
        if !address.ip().is_loopback() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{address} is not a loopback address")));
        }
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(accept_connections(listener, self.router())).abort_handle();
        Ok(Server { address, task })
    }
}

async fn accept_connections(listener: TcpListener, router: Router) {
    // The connections are aborted with this set.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // A connection that failed before it was accepted must not stop the server.
                if let Ok((stream, _)) = accepted {
                    connections.spawn(serve_connection(stream, router.clone()));
                }
            }
            Some(_ended) = connections.join_next() => {}
        }
    }
}

async fn serve_connection(stream: TcpStream, router: Router) {
    // Without this, a small page waits for the client's delayed ACK.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request: Request<Incoming>| call_router(router.clone(), request));
    // Errors here are caused by the client or by a scripted response; the call log has the details.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn call_router(router: Router, request: Request<Incoming>) -> io::Result<Response<Body>> {
    let Ok(response) = router.oneshot(request.map(Body::new)).await;
    if response.extensions().get::<CloseConnection>().is_some() { Err(connection_reset()) } else { Ok(response) }
}
