//! What is told of a call to Box, for whoever counts: where it went, how it ended, how long it took. Nothing that was said.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use tokio::time::error::Elapsed;

use super::meaning::Place;
use super::transport::TransportError;

/// A call that ended. One that was given up in flight, since the process is to end, is not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    pub endpoint: Endpoint,
    pub outcome: Outcome,
    pub took: Duration,
    /// For how long Box asked to be left alone (`Retry-After`), where it did.
    pub told_wait: Option<Duration>,
}

/// Who listens to a visit's calls.
pub type Listener = Arc<dyn Fn(&Call) + Send + Sync>;

/// What Box is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    Token,
    Me,
    Users,
}

/// How a call ended, whatever its answer meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    Status(u16),
    /// No complete answer within the time limit.
    Timeout,
    Connect,
    Broken,
    TooLarge,
}

impl Endpoint {
    pub const ALL: [Self; 3] = [Self::Token, Self::Me, Self::Users];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Me => "me",
            Self::Users => "users",
        }
    }

    pub(super) const fn place(self) -> Place {
        match self {
            Self::Token => Place::Token,
            Self::Me | Self::Users => Place::Api,
        }
    }
}

/// The status codes that Box documents, or a proxy before it may send. Others are told by their class, so that no
/// server decides how many words there are.
const CODES: [&str; 23] = [
    "200", "202", "204", "301", "302", "303", "307", "308", "400", "401", "403", "404", "405", "407", "409", "412",
    "413", "415", "429", "500", "502", "503", "504",
];

impl Outcome {
    /// All that [`as_str`](Self::as_str) says.
    pub fn words() -> Vec<&'static str> {
        let classes = (1..=6).map(|class| Self::Status(class * 100 + 99));
        let others = [Self::Timeout, Self::Connect, Self::Broken, Self::TooLarge];
        CODES.into_iter().chain(classes.chain(others).map(Self::as_str)).collect()
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Status(status) => CODES.into_iter().find(|code| code.parse() == Ok(status)).unwrap_or(class(status)),
            Self::Timeout => "timeout",
            Self::Connect => "connect",
            Self::Broken => "broken",
            Self::TooLarge => "too_large",
        }
    }

    pub(super) fn of(answer: &Result<Result<Response<Bytes>, TransportError>, Elapsed>) -> Self {
        match answer {
            Err(_) => Self::Timeout,
            Ok(Err(TransportError::TooLarge(_))) => Self::TooLarge,
            Ok(Err(TransportError::Connect { .. })) => Self::Connect,
            Ok(Err(TransportError::Broken { .. } | TransportError::Setup(_))) => Self::Broken,
            Ok(Ok(answer)) => Self::Status(answer.status().as_u16()),
        }
    }
}

const fn class(status: u16) -> &'static str {
    match status {
        100..=199 => "1xx",
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        500..=599 => "5xx",
        _ => "other",
    }
}
