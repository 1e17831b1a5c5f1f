//! A small Box in process, told what to answer next, and what it was asked.

mod credentials;
mod jwt;
mod token;
mod tries;
mod walk;
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

/// What was asked.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) headers: http::HeaderMap,
    pub(super) body: String,
}

impl Asked {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    pub(super) fn form(&self) -> HashMap<String, String> {
        let uri = format!("/?{}", self.body).parse().expect("a form");
        axum::extract::Query::try_from_uri(&uri).expect("a form").0
    }
}

/// What is answered, and how late.
#[derive(Clone, Default)]
pub(super) struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
    late: Duration,
}

pub(super) fn answer(status: u16, body: impl ToString) -> Answer {
    Answer { status, body: body.to_string(), ..Answer::default() }
}

impl Answer {
    pub(super) fn header(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }

    pub(super) fn late(mut self, by: Duration) -> Self {
        self.late = by;
        self
    }
}

#[derive(Clone, Default)]
pub(super) struct FakeBox {
    script: Arc<Mutex<HashMap<&'static str, VecDeque<Answer>>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl FakeBox {
    /// The next answers at this path; afterwards it answers as a Box in good health.
    pub(super) fn then(self, path: &'static str, answers: impl IntoIterator<Item = Answer>) -> Self {
        self.script.lock().expect("lock").entry(path).or_default().extend(answers);
        self
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("lock").clone()
    }

    pub(super) fn asked_at(&self, path: &str) -> Vec<Asked> {
        self.asked().into_iter().filter(|asked| asked.path == path).collect()
    }

    pub(super) fn router(&self) -> axum::Router {
        axum::Router::new().fallback(reply).with_state(self.clone())
    }

    pub(super) fn transport(&self) -> Transport {
        let router = self.router();
        Transport::new(tower::service_fn(move |request: http::Request<Bytes>| {
            let router = router.clone();
            async move {
                let Ok(response) = router.oneshot(request.map(Body::from)).await;
                let (head, body) = response.into_parts();
                let broken =
                    |error: axum::Error| TransportError::Broken { host: "test".into(), why: error.to_string() };
                Ok(http::Response::from_parts(head, body.collect().await.map_err(broken)?.to_bytes()))
            }
        }))
    }

    pub(super) fn session(&self) -> Session {
        self.session_with(client_credentials())
    }

    pub(super) fn session_with(&self, credentials: Credentials) -> Session {
        Session::new(self.transport(), BaseUrl::default(), credentials, "123".into(), Arc::new(now))
    }

    pub(super) fn visit(&self) -> Visit {
        self.session().visit(CancellationToken::new())
    }
}

async fn reply(State(fake): State<FakeBox>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = String::from_utf8(body.collect().await.expect("a body").to_bytes().to_vec()).expect("text");
    let (path, query) = (head.uri.path().to_owned(), head.uri.query().unwrap_or_default().to_owned());
    let count = {
        let mut asked = fake.asked.lock().expect("lock");
        asked.push(Asked { method: head.method.to_string(), path: path.clone(), query, headers: head.headers, body });
        asked.iter().filter(|asked| asked.path == path).count()
    };
    let scripted = fake.script.lock().expect("lock").get_mut(path.as_str()).and_then(VecDeque::pop_front);
    let Answer { status, headers, body, late } = scripted.unwrap_or_else(|| match path.as_str() {
        TOKEN => token(&format!("access-token-{count}"), 3600),
        ME => answer(200, json!({ "type": "user", "id": "7", "login": "a@b.c", "name": "App", "enterprise": { "id": "123", "name": "Acme" } })),
        USERS => page(&["1"], None),
        _ => answer(404, json!({ "code": "not_found" })),
    });
    tokio::time::sleep(late).await;
    let builder = headers
        .into_iter()
        .fold(Response::builder().status(status), |builder, (name, value)| builder.header(name, value));
    builder.body(Body::from(body)).expect("an answer")
}

pub(super) fn token(token: &str, seconds: u64) -> Answer {
    answer(200, json!({ "access_token": token, "expires_in": seconds, "token_type": "bearer", "restricted_to": [] }))
}

pub(super) fn oauth_error(error: &str, description: &str) -> Answer {
    answer(400, json!({ "error": error, "error_description": description }))
}

pub(super) fn api_error(status: u16, code: &str) -> Answer {
    answer(
        status,
        json!({ "type": "error", "status": status, "code": code, "message": "Words of Box", "request_id": "r1" }),
    )
}

pub(super) fn page(ids: &[&str], next: Option<&str>) -> Answer {
    let entries: Vec<Value> = ids
        .iter()
        .map(|id| json!({ "type": "user", "id": id, "name": "N", "login": "l@x", "status": "active" }))
        .collect();
    answer(200, json!({ "entries": entries, "limit": 1000, "next_marker": next }))
}

pub(super) fn client_credentials() -> Credentials {
    let secret = format!("{SECRET}\n").into_bytes();
    Credentials::client_credentials(b"the-client".to_vec().into(), secret.into()).expect("usable")
}

pub(super) fn now() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().expect("a time")
}

/// The ids of all pages, or the error that ended the walk.
pub(super) async fn walk(visit: &Visit, caps: Caps) -> Result<Vec<String>, Error> {
    let (mut walk, mut ids) = (visit.users(caps), Vec::new());
    while let Some(page) = walk.next().await? {
        assert_eq!(page.users().len(), page.len());
        ids.extend(page.users().map(|user| user.id.to_owned()));
    }
    assert!(walk.next().await.expect("still the end").is_none());
    Ok(ids)
}
