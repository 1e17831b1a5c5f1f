//! The record of a call to Box, for metrics and logs: endpoint, outcome and duration, without any content.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use tokio::time::error::Elapsed;

use super::{error_classification::EndpointKind, transport::TransportError};

/// A finished call. A call that is dropped in flight has no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallRecord {
    pub endpoint: Endpoint,
    pub outcome: CallOutcome,
    pub duration: Duration,
    /// The `Retry-After` of the response.
    pub retry_after: Option<Duration>,
}

/// Receives the record of every finished call.
pub type CallObserver = Arc<dyn Fn(&CallRecord) + Send + Sync>;

/// The endpoints that are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    Token,
    Me,
    Users,
    /// One user by its id.
    User,
}

/// How a call ended, regardless of what the response means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallOutcome {
    Status(u16),
    /// No complete response within the time limit.
    Timeout,
    Connect,
    Broken,
    BodyTooLarge,
}

impl Endpoint {
    pub const ALL: [Self; 4] = [Self::Token, Self::Me, Self::Users, Self::User];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Me => "me",
            Self::Users => "users",
            Self::User => "user",
        }
    }

    pub(super) const fn kind(self) -> EndpointKind {
        match self {
            Self::Token => EndpointKind::Token,
            Self::Me | Self::Users | Self::User => EndpointKind::Api,
        }
    }
}

/// The status codes that Box documents, or that a proxy may send. Others are labeled by their class, so that the
/// number of label values does not depend on a server.
const KNOWN_STATUS_CODES: [&str; 23] = [
    "200", "202", "204", "301", "302", "303", "307", "308", "400", "401", "403", "404", "405", "407", "409", "412",
    "413", "415", "429", "500", "502", "503", "504",
];

impl CallOutcome {
    /// All values of [`as_str`](Self::as_str).
    pub fn all_labels() -> Vec<&'static str> {
        let classes = (1..=6).map(|class| Self::Status(class * 100 + 99));
        let others = [Self::Timeout, Self::Connect, Self::Broken, Self::BodyTooLarge];
        KNOWN_STATUS_CODES.into_iter().chain(classes.chain(others).map(Self::as_str)).collect()
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Status(status) => {
                let code = status.to_string();
                KNOWN_STATUS_CODES.into_iter().find(|known| *known == code).unwrap_or(status_class(status))
            }
            Self::Timeout => "timeout",
            Self::Connect => "connect",
            Self::Broken => "broken",
            Self::BodyTooLarge => "too_large",
        }
    }

    pub(super) fn from_result(result: &Result<Result<Response<Bytes>, TransportError>, Elapsed>) -> Self {
        match result {
            Err(_) => Self::Timeout,
            Ok(Err(TransportError::BodyTooLarge(_))) => Self::BodyTooLarge,
            Ok(Err(TransportError::Connect { .. })) => Self::Connect,
            Ok(Err(TransportError::Broken { .. } | TransportError::Setup(_))) => Self::Broken,
            Ok(Ok(response)) => Self::Status(response.status().as_u16()),
        }
    }
}

const fn status_class(status: u16) -> &'static str {
    match status {
        100..=199 => "1xx",
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        500..=599 => "5xx",
        _ => "other",
    }
}
