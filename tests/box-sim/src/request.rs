//! A parsed request.

use crate::call_log::Endpoint;
use axum::body::{Body, to_bytes};
use http::{Method, Request, header};

/// Request bodies are small, at most a form with a signed assertion.
const MAX_BODY_BYTES: usize = 64 * 1024;

pub(crate) struct BoxRequest {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) endpoint: Endpoint,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) form: Vec<(String, String)>,
    pub(crate) bearer: Option<String>,
}

impl BoxRequest {
    pub(crate) async fn from_http(request: Request<Body>) -> Self {
        let (head, body) = request.into_parts();
        let text =
            |name: header::HeaderName| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let is_form = text(header::CONTENT_TYPE).starts_with("application/x-www-form-urlencoded");
        let bearer = text(header::AUTHORIZATION)
            .split_once(' ')
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.to_owned());
        let endpoint = Endpoint::from_path(head.uri.path());
        let body = to_bytes(body, MAX_BODY_BYTES).await.unwrap_or_default();
        Self {
            endpoint,
            query: parse_pairs(head.uri.query().unwrap_or_default().as_bytes()),
            form: if is_form { parse_pairs(&body) } else { Vec::new() },
            bearer,
            path: head.uri.path().to_owned(),
            method: head.method,
        }
    }

    pub(crate) fn query_param(&self, name: &str) -> Option<&str> {
        find_value(&self.query, name)
    }

    pub(crate) fn form_field(&self, name: &str) -> Option<&str> {
        find_value(&self.form, name)
    }
}

fn parse_pairs(text: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(text).into_owned().collect()
}

fn find_value<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}
