//! An answer before it is sent: its status, its body, and how the body travels.

use crate::refusal::Refusal;
use axum::body::Body;
use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};
use std::{io, time::Duration};

/// How the body gets to the client.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivery {
    Whole,
    /// A little every second.
    Slow,
    /// Half of it, then the connection breaks.
    Broken,
    /// Behind an enormous amount of white space.
    Huge,
    /// Nothing at all: the connection is closed.
    HungUp,
}

/// Marks a response that a socket must not send: `serve` closes the connection instead.
#[derive(Clone, Copy)]
pub(crate) struct HangUp;

pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: Bytes,
    pub(crate) delivery: Delivery,
}

const CHUNK: usize = 1 << 20;
const CHUNKS: usize = 256;
const DRIP: usize = 16;

impl Reply {
    pub(crate) fn new(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            headers: vec![(header::CONTENT_TYPE, HeaderValue::from_static(content_type))],
            body: body.into(),
            delivery: Delivery::Whole,
        }
    }

    pub(crate) fn json(status: StatusCode, body: &Value) -> Self {
        Self::new(status, "application/json", body.to_string())
    }

    pub(crate) fn empty(status: StatusCode) -> Self {
        Self { status, headers: Vec::new(), body: Bytes::new(), delivery: Delivery::Whole }
    }

    pub(crate) fn html(status: StatusCode) -> Self {
        Self::page(status, "We'll be right back", "")
    }

    /// A page for people.
    pub(crate) fn page(status: StatusCode, title: &str, body: &str) -> Self {
        let page = format!(
            "<!DOCTYPE html>\n<html><head><title>Box | {title}</title></head><body><h1>{title}</h1>\n{body}\n</body></html>\n"
        );
        Self::new(status, "text/html; charset=utf-8", page)
    }

    pub(crate) fn refusal(refusal: Refusal) -> Self {
        Self::refused(refusal.error, refusal.description)
    }

    pub(crate) fn refused(error: &str, description: &str) -> Self {
        Self::json(StatusCode::BAD_REQUEST, &json!({"error": error, "error_description": description}))
    }

    /// An API error as Box writes it.
    pub(crate) fn error(status: StatusCode, code: &str, message: &str, context: &Value, request_id: &str) -> Self {
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

    pub(crate) fn with(mut self, name: HeaderName, value: &str) -> Self {
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
            Delivery::Whole => Body::from(self.body),
            Delivery::Slow => drips(self.body),
            Delivery::Broken => half(&self.body),
            Delivery::Huge => {
                let blank = Bytes::from(vec![b' '; CHUNK]);
                let blanks = stream::iter(std::iter::repeat_n(blank, CHUNKS));
                Body::from_stream(blanks.chain(stream::iter([self.body])).map(Ok::<_, io::Error>))
            }
            Delivery::HungUp => {
                response.extensions_mut().insert(HangUp);
                Body::from_stream(stream::iter([Err::<Bytes, _>(broken())]))
            }
        };
        response
    }
}

fn half(body: &Bytes) -> Body {
    let first = stream::iter([Ok(body.slice(..body.len() / 2))]);
    // Broken at once, the connection would close before the first half was sent.
    let then = stream::once(async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Err(broken())
    });
    Body::from_stream(first.chain(then))
}

fn drips(body: Bytes) -> Body {
    Body::from_stream(stream::unfold(body, |mut left| async move {
        if left.is_empty() {
            return None;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        let drip = left.split_to(DRIP.min(left.len()));
        Some((Ok::<_, io::Error>(drip), left))
    }))
}

pub(crate) fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, "the simulated connection broke")
}
