//! The router on a socket of this machine. Dropping the server ends it, with every connection it has.

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

/// A running server; it ends when this is dropped.
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

    /// Serves on this address, which has to be one of the loopback interface: secrets travel in plain text.
    ///
    /// # Errors
    /// The address is taken, or not of the loopback interface.
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
    // The connections belong to this set: they end with the task.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // A connection that broke before it was accepted is no reason to stop.
                if let Ok((stream, _)) = accepted {
                    connections.spawn(serve_connection(stream, router.clone()));
                }
            }
            Some(_ended) = connections.join_next() => {}
        }
    }
}

async fn serve_connection(stream: TcpStream, router: Router) {
    // Without this a small page waits for the client's delayed acknowledgement.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request: Request<Incoming>| call_router(router.clone(), request));
    // An error here is the client's or an ordered one; the log of calls has what matters.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn call_router(router: Router, request: Request<Incoming>) -> io::Result<Response<Body>> {
    let Ok(response) = router.oneshot(request.map(Body::new)).await;
    if response.extensions().get::<CloseConnection>().is_some() { Err(connection_reset()) } else { Ok(response) }
}
