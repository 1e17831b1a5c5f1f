//! The OAuth 2.0 redirect endpoint: a port of 127.0.0.1 that accepts one authorization response.

use std::{cell::Cell, convert::Infallible, future::ready, net::Ipv4Addr};

use futures::{StreamExt, stream::FuturesUnordered};
use http::{Method, Request, Response, StatusCode, header};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

use crate::{
    box_client::{AuthorizationRequest, AuthorizationResponse},
    cli::exit_code::CliError,
};

const CALLBACK_PATH: &str = "/callback";

/// The redirect URI. Not `localhost`, which may resolve to another machine or to an IPv6 address.
pub(crate) fn redirect_uri(port: Option<u16>) -> String {
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    format!("http://{}{port}{CALLBACK_PATH}", Ipv4Addr::LOCALHOST)
}

pub(crate) struct CallbackServer {
    listener: TcpListener,
    port: u16,
}

impl CallbackServer {
    /// Listens on this port of 127.0.0.1; 0 is any free one.
    pub(crate) async fn bind(port: u16) -> Result<Self, CliError> {
        let bound = async {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
            let port = listener.local_addr()?.port();
            Ok::<_, std::io::Error>(Self { listener, port })
        };
        bound.await.map_err(|e| {
            CliError::error(format!(
                "cannot listen on port {port} of 127.0.0.1: {e}. Choose another --port, or pass --no-browser."
            ))
        })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Waits for the response to the authorization request. Other requests (an icon, an old page, another client) are
    /// rejected.
    pub(crate) async fn wait_for_response(self, authorization_request: &AuthorizationRequest) -> AuthorizationResponse {
        // Browsers open connections that they do not use, so all are served concurrently.
        let mut connections = FuturesUnordered::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept() => {
                    // A connection that failed before it was accepted is ignored.
                    if let Ok((stream, _)) = accepted {
                        connections.push(serve_callback(stream, authorization_request));
                    }
                }
                Some(authorization_response) = connections.next() => {
                    if let Some(authorization_response) = authorization_response {
                        return authorization_response;
                    }
                }
            }
        }
    }
}

/// Serves one request, and returns the authorization response in it.
async fn serve_callback(
    stream: TcpStream,
    authorization_request: &AuthorizationRequest,
) -> Option<AuthorizationResponse> {
    let received = Cell::new(None);
    let service = service_fn(|request: Request<Incoming>| {
        let (authorization_response, page) = handle_request(&request, authorization_request);
        received.set(authorization_response);
        ready(Ok::<_, Infallible>(page))
    });
    // The browser may disconnect before it has read the page.
    http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(stream), service).await.ok();
    received.take()
}

fn handle_request(
    request: &Request<Incoming>,
    authorization_request: &AuthorizationRequest,
) -> (Option<AuthorizationResponse>, Response<String>) {
    if (request.method(), request.uri().path()) != (&Method::GET, CALLBACK_PATH) {
        return (None, html_response(StatusCode::NOT_FOUND, "Not found."));
    }
    let authorization_response = authorization_request.parse_redirect(request.uri().query().unwrap_or_default());
    let page = match &authorization_response {
        AuthorizationResponse::Granted(_) => {
            html_response(StatusCode::OK, "Access was granted. You can close this page and continue in the terminal.")
        }
        AuthorizationResponse::Denied(_) => {
            html_response(StatusCode::OK, "Access was not granted. You can close this page.")
        }
        AuthorizationResponse::StateMismatch => {
            let text = "This page is from an earlier run. Open the address that the terminal shows now.";
            return (None, html_response(StatusCode::BAD_REQUEST, text));
        }
    };
    (Some(authorization_response), page)
}

/// A page with a fixed text; it repeats nothing of the request.
fn html_response(status: StatusCode, text: &str) -> Response<String> {
    let html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>boxsync</title></head><body><p>{text}</p></body></html>\n"
    );
    let mut response = Response::new(html);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, http::HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, http::HeaderValue::from_static("no-store"));
    // The URL of this page contains the code.
    headers.insert(header::REFERRER_POLICY, http::HeaderValue::from_static("no-referrer"));
    response
}
