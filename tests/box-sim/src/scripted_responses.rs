//! Scripted responses for the next calls.

use crate::{
    call_log::Endpoint,
    response::{BoxResponse, Delivery},
};
use http::{StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::Duration;

/// The endpoints of a scripted response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndpointFilter {
    Any,
    Token,
    Me,
    Users,
    /// One user by its id.
    User,
    /// All endpoints that require a token.
    Api,
}

impl EndpointFilter {
    pub(crate) const fn matches(self, endpoint: Endpoint) -> bool {
        match self {
            Self::Any => true,
            Self::Token => matches!(endpoint, Endpoint::Token),
            Self::Me => matches!(endpoint, Endpoint::Me),
            Self::Users => matches!(endpoint, Endpoint::Users),
            Self::User => matches!(endpoint, Endpoint::User),
            Self::Api => matches!(endpoint, Endpoint::Me | Endpoint::Users | Endpoint::User | Endpoint::Other),
        }
    }
}

/// A scripted response. The last seven variants change the delivery of the regular response; the others replace it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "response", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum ScriptedResponse {
    /// 429; `retry_after` is the verbatim header value.
    RateLimited { retry_after: Option<String> },
    /// 503.
    Unavailable { retry_after: Option<String> },
    /// 500.
    InternalError,
    /// 202 without a body: Box asks for a retry.
    Accepted { retry_after: Option<String> },
    /// An HTML page, with any status.
    Html { status: u16 },
    /// 302.
    Redirect,
    /// 401 with `WWW-Authenticate`.
    Unauthorized,
    /// 403 with this code.
    Forbidden { code: String },
    /// Any API error.
    Error { status: u16, code: String, message: String },
    /// 400 with `error` and `error_description`.
    TokenError { error: String, description: String },
    /// The regular response after a delay.
    Delayed { millis: u64 },
    /// The connection stays open without a response.
    NeverRespond,
    /// The first half of the regular response, with a matching content-length.
    Truncated,
    /// The regular response at 16 bytes per second.
    SlowBody,
    /// Half of the regular response, then the connection is reset.
    ResetMidBody,
    /// The regular response after 256 MiB of white space.
    HugeBody,
    /// No response: the connection is closed.
    CloseConnection,
}

impl ScriptedResponse {
    /// Waits until the response can be sent.
    pub(crate) async fn delay(&self) {
        match self {
            Self::Delayed { millis } => tokio::time::sleep(Duration::from_millis(*millis)).await,
            Self::NeverRespond => std::future::pending().await,
            _ => {}
        }
    }

    /// The response that replaces the regular one, if any.
    pub(crate) fn replacement(&self, endpoint: Endpoint, request_id: &str) -> Option<BoxResponse> {
        let error = |status: StatusCode, code: &str, message: &str| match endpoint {
            Endpoint::Token | Endpoint::Authorize | Endpoint::Revoke => {
                BoxResponse::json(status, &json!({"error": code, "error_description": message}))
            }
            Endpoint::Me | Endpoint::Users | Endpoint::User | Endpoint::Other => {
                BoxResponse::api_error(status, code, message, &Value::Null, request_id)
            }
        };
        let with_retry_after = |reply: BoxResponse, after: &Option<String>| match after {
            Some(after) => reply.with_header(header::RETRY_AFTER, after),
            None => reply,
        };
        Some(match self {
            Self::RateLimited { retry_after } => with_retry_after(
                error(
                    StatusCode::TOO_MANY_REQUESTS,
                    "rate_limit_exceeded",
                    "Request rate limit exceeded, please try again later",
                ),
                retry_after,
            ),
            Self::Unavailable { retry_after } => with_retry_after(
                error(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Service unavailable"),
                retry_after,
            ),
            Self::InternalError => {
                error(StatusCode::INTERNAL_SERVER_ERROR, "internal_server_error", "Internal Server Error")
            }
            Self::Accepted { retry_after } => with_retry_after(BoxResponse::empty(StatusCode::ACCEPTED), retry_after),
            Self::Html { status } => BoxResponse::maintenance_page(status_code(*status)),
            Self::Redirect => BoxResponse::empty(StatusCode::FOUND).with_header(header::LOCATION, "/maintenance"),
            Self::Unauthorized => unauthorized(request_id),
            Self::Forbidden { code } => forbidden(code, request_id),
            Self::Error { status, code: word, message } => error(status_code(*status), word, message),
            Self::TokenError { error, description } => BoxResponse::token_error_json(error, description),
            Self::Delayed { .. }
            | Self::NeverRespond
            | Self::Truncated
            | Self::SlowBody
            | Self::ResetMidBody
            | Self::HugeBody
            | Self::CloseConnection => return None,
        })
    }

    /// Changes the delivery of the regular response.
    pub(crate) fn apply_delivery(&self, reply: &mut BoxResponse) {
        match self {
            Self::Truncated => reply.body = reply.body.slice(..reply.body.len() / 2),
            Self::SlowBody => reply.delivery = Delivery::Slow,
            Self::ResetMidBody => reply.delivery = Delivery::Broken,
            Self::HugeBody => reply.delivery = Delivery::Huge,
            Self::CloseConnection => reply.delivery = Delivery::Closed,
            Self::RateLimited { .. }
            | Self::Unavailable { .. }
            | Self::InternalError
            | Self::Accepted { .. }
            | Self::Html { .. }
            | Self::Redirect
            | Self::Unauthorized
            | Self::Forbidden { .. }
            | Self::Error { .. }
            | Self::TokenError { .. }
            | Self::Delayed { .. }
            | Self::NeverRespond => {}
        }
    }
}

fn status_code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

pub(crate) fn unauthorized(request_id: &str) -> BoxResponse {
    let reply =
        BoxResponse::api_error(StatusCode::UNAUTHORIZED, "unauthorized", "Unauthorized", &Value::Null, request_id);
    with_challenge(reply, "invalid_token", "The access token provided is invalid.")
}

fn with_challenge(reply: BoxResponse, error: &str, description: &str) -> BoxResponse {
    let challenge = format!(r#"Bearer realm="Service", error="{error}", error_description="{description}""#);
    reply.with_header(header::WWW_AUTHENTICATE, &challenge)
}

pub(crate) fn forbidden(code: &str, request_id: &str) -> BoxResponse {
    let message = match code {
        "insufficient_scope" => "The request requires higher privileges than provided by the access token.",
        "access_from_location_blocked" => {
            "You're attempting to log in to Box from a location that has not been approved by your admin."
        }
        "access_denied_insufficient_permissions" => "Access denied - insufficient permission",
        _ => "Forbidden",
    };
    let reply = BoxResponse::api_error(StatusCode::FORBIDDEN, code, message, &json!({"message": message}), request_id);
    if code == "insufficient_scope" { with_challenge(reply, code, message) } else { reply }
}
