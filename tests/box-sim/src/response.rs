//! A response: status, headers, body, and how the body is delivered.

use crate::token_error::TokenError;
use axum::body::Body;
use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};
use std::{io, time::Duration};

/// How the body is delivered.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivery {
    Complete,
    /// A few bytes per second.
    Slow,
    /// Half of it, then the connection breaks.
    Broken,
    /// After a large amount of white space.
    Huge,
    /// No response: the connection is closed.
    Closed,
}

/// Marks a response that a socket must not send: `serve` closes the connection instead.
#[derive(Clone, Copy)]
pub(crate) struct CloseConnection;

pub(crate) struct BoxResponse {
    pub(crate) status: StatusCode,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: Bytes,
    pub(crate) delivery: Delivery,
}

const PADDING_CHUNK_BYTES: usize = 1 << 20;
const PADDING_CHUNKS: usize = 256;
const SLOW_CHUNK_BYTES: usize = 16;

impl BoxResponse {
    pub(crate) fn new(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            headers: vec![(header::CONTENT_TYPE, HeaderValue::from_static(content_type))],
            body: body.into(),
            delivery: Delivery::Complete,
        }
    }

    pub(crate) fn json(status: StatusCode, body: &Value) -> Self {
        Self::new(status, "application/json", body.to_string())
    }

    pub(crate) fn empty(status: StatusCode) -> Self {
        Self { status, headers: Vec::new(), body: Bytes::new(), delivery: Delivery::Complete }
    }

    pub(crate) fn maintenance_page(status: StatusCode) -> Self {
        Self::html_page(status, "We'll be right back", "")
    }

    /// An HTML page.
    pub(crate) fn html_page(status: StatusCode, title: &str, body: &str) -> Self {
        let page = format!(
            "<!DOCTYPE html>\n<html><head><title>Box | {title}</title></head><body><h1>{title}</h1>\n{body}\n</body></html>\n"
        );
        Self::new(status, "text/html; charset=utf-8", page)
    }

    pub(crate) fn from_token_error(error: TokenError) -> Self {
        Self::token_error_json(error.error, error.description)
    }

    pub(crate) fn token_error_json(error: &str, description: &str) -> Self {
        Self::json(StatusCode::BAD_REQUEST, &json!({"error": error, "error_description": description}))
    }

    /// An API error as Box writes it.
    pub(crate) fn api_error(status: StatusCode, code: &str, message: &str, context: &Value, request_id: &str) -> Self {
        Self::json(
            status,
            &json!({
                "type": "error",
                "status": status.as_u16(),
                "code": code,
                "message": message,
                "context_info": context,
                "help_url": "http://developers.box.com/docs/#errors",
                "request_id": request_id,
            }),
        )
    }

    pub(crate) fn with_header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }

    pub(crate) fn into_response(self, date: &str) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        for (name, value) in self.headers {
            headers.append(name, value);
        }
        if let Ok(date) = HeaderValue::from_str(date) {
            headers.insert(header::DATE, date);
        }
        *response.body_mut() = match self.delivery {
            Delivery::Complete => Body::from(self.body),
            Delivery::Slow => slow_body(self.body),
            Delivery::Broken => truncated_body(&self.body),
            Delivery::Huge => {
                let blank = Bytes::from(vec![b' '; PADDING_CHUNK_BYTES]);
                let blanks = stream::iter(std::iter::repeat_n(blank, PADDING_CHUNKS));
                Body::from_stream(blanks.chain(stream::iter([self.body])).map(Ok::<_, io::Error>))
            }
            Delivery::Closed => {
                response.extensions_mut().insert(CloseConnection);
                Body::from_stream(stream::iter([Err::<Bytes, _>(connection_reset())]))
            }
        };
        response
    }
}

fn truncated_body(body: &Bytes) -> Body {
    let first = stream::iter([Ok(body.slice(..body.len() / 2))]);
    // Without the pause, the connection would close before the first half is sent.
    let then = stream::once(async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Err(connection_reset())
    });
    Body::from_stream(first.chain(then))
}

fn slow_body(body: Bytes) -> Body {
    Body::from_stream(stream::unfold(body, |mut left| async move {
        if left.is_empty() {
            return None;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        let drip = left.split_to(SLOW_CHUNK_BYTES.min(left.len()));
        Some((Ok::<_, io::Error>(drip), left))
    }))
}

pub(crate) fn connection_reset() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, "simulated connection reset")
}
