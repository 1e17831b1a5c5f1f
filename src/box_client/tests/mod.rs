//! An in-process fake of Box with scripted responses and recorded requests.

mod connections;
mod credentials;
mod fuzz;
mod jwt;
mod retries;
mod token;
mod user_pages;
mod wire;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use http_body_util::BodyExt;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::*;

pub(super) const TOKEN: &str = "/oauth2/token";
pub(super) const ME: &str = "/2.0/users/me";
pub(super) const USERS: &str = "/2.0/users";
pub(super) const SECRET: &str = "the-client-secret-of-the-test";

/// A request that the fake received.
#[derive(Clone, Debug)]
pub(super) struct RecordedRequest {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) headers: http::HeaderMap,
    pub(super) body: String,
}

impl RecordedRequest {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    pub(super) fn form_fields(&self) -> HashMap<String, String> {
        let uri = format!("/?{}", self.body).parse().expect("a form");
        axum::extract::Query::try_from_uri(&uri).expect("a form").0
    }
}

/// A scripted response and its delay.
#[derive(Clone, Default)]
pub(super) struct CannedResponse {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
    delay: Duration,
}

pub(super) fn canned_response(status: u16, body: impl ToString) -> CannedResponse {
    CannedResponse { status, body: body.to_string(), ..CannedResponse::default() }
}

impl CannedResponse {
    pub(super) fn with_header(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }

    pub(super) fn with_delay(mut self, by: Duration) -> Self {
        self.delay = by;
        self
    }
}

#[derive(Clone, Default)]
pub(super) struct FakeBox {
    responses: Arc<Mutex<HashMap<&'static str, VecDeque<CannedResponse>>>>,
    requests: Arc<Mutex<Vec<RecordedRequest>>>,
}

pub(super) fn enterprise_subject() -> TokenSubject {
    TokenSubject::Enterprise("123".into())
}

impl FakeBox {
    /// The next responses at this path; later requests get default responses.
    pub(super) fn respond_with(self, path: &'static str, responses: impl IntoIterator<Item = CannedResponse>) -> Self {
        self.responses.lock().expect("lock").entry(path).or_default().extend(responses);
        self
    }

    pub(super) fn recorded_requests(&self) -> Vec<RecordedRequest> {
        self.requests.lock().expect("lock").clone()
    }

    pub(super) fn requests_to(&self, path: &str) -> Vec<RecordedRequest> {
        self.recorded_requests().into_iter().filter(|request| request.path == path).collect()
    }

    pub(super) fn router(&self) -> axum::Router {
        axum::Router::new().fallback(handle_request).with_state(self.clone())
    }

    pub(super) fn transport(&self) -> Transport {
        let router = self.router();
        Transport::new(tower::service_fn(move |request: http::Request<Bytes>| {
            let router = router.clone();
            async move {
                let Ok(response) = router.oneshot(request.map(Body::from)).await;
                let (head, body) = response.into_parts();
                let broken =
                    |error: axum::Error| TransportError::Broken { host: "test".into(), cause: error.to_string() };
                Ok(http::Response::from_parts(head, body.collect().await.map_err(broken)?.to_bytes()))
            }
        }))
    }

    pub(super) fn new_token_source(&self) -> TokenSource {
        self.token_source_for(client_credentials())
    }

    pub(super) fn token_source_for(&self, credentials: Credentials) -> TokenSource {
        TokenSource::new(self.transport(), BaseUrl::default(), credentials, enterprise_subject(), Arc::new(test_time))
    }

    pub(super) fn connect(&self) -> Client {
        Client::new(&self.new_token_source(), CancellationToken::new())
    }
}

async fn handle_request(State(fake): State<FakeBox>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = String::from_utf8(body.collect().await.expect("a body").to_bytes().to_vec()).expect("text");
    let (path, query) = (head.uri.path().to_owned(), head.uri.query().unwrap_or_default().to_owned());
    let count = {
        let mut requests = fake.requests.lock().expect("lock");
        requests.push(RecordedRequest {
            method: head.method.to_string(),
            path: path.clone(),
            query,
            headers: head.headers,
            body,
        });
        requests.iter().filter(|request| request.path == path).count()
    };
    let scripted = fake.responses.lock().expect("lock").get_mut(path.as_str()).and_then(VecDeque::pop_front);
    let CannedResponse { status, headers, body, delay } = scripted.unwrap_or_else(|| match path.as_str() {
        TOKEN => token_response(&format!("access-token-{count}"), 3600),
        ME => canned_response(200, json!({ "type": "user", "id": "7", "login": "a@b.c", "name": "App", "enterprise": { "id": "123", "name": "Acme" } })),
        USERS => user_page_response(&["1"], None),
        _ => canned_response(404, json!({ "code": "not_found" })),
    });
    tokio::time::sleep(delay).await;
    let builder = headers
        .into_iter()
        .fold(Response::builder().status(status), |builder, (name, value)| builder.header(name, value));
    builder.body(Body::from(body)).expect("an answer")
}

pub(super) fn token_response(token: &str, seconds: u64) -> CannedResponse {
    canned_response(
        200,
        json!({ "access_token": token, "expires_in": seconds, "token_type": "bearer", "restricted_to": [] }),
    )
}

pub(super) fn oauth_error(error: &str, description: &str) -> CannedResponse {
    canned_response(400, json!({ "error": error, "error_description": description }))
}

pub(super) fn api_error(status: u16, code: &str) -> CannedResponse {
    canned_response(
        status,
        json!({ "type": "error", "status": status, "code": code, "message": "A message of Box", "request_id": "r1" }),
    )
}

pub(super) fn user_page_response(ids: &[&str], next: Option<&str>) -> CannedResponse {
    let entries: Vec<Value> = ids
        .iter()
        .map(|id| json!({ "type": "user", "id": id, "name": "N", "login": "l@x", "status": "active" }))
        .collect();
    canned_response(200, json!({ "entries": entries, "limit": 1000, "next_marker": next }))
}

pub(super) fn client_credentials() -> Credentials {
    let secret = format!("{SECRET}\n").into_bytes();
    Credentials::client_credentials(b"the-client".to_vec().into(), secret.into()).expect("usable")
}

pub(super) fn test_time() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().expect("a time")
}

/// The ids of all pages, or the error of the listing.
pub(super) async fn collect_user_ids(client: &Client, limits: Limits) -> Result<Vec<String>, Error> {
    let (mut pages, mut ids) = (client.list_users(limits), Vec::new());
    while let Some(page) = pages.next().await? {
        assert_eq!(page.iter().len(), page.len());
        ids.extend(page.iter().map(|user| user.id.to_owned()));
    }
    assert!(pages.next().await.expect("still the end").is_none());
    Ok(ids)
}
