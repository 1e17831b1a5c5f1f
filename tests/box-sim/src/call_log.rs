//! The call log. It stores the names of parameters, never their values.

use http::Method;
use jiff::Timestamp;
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Endpoint {
    Token,
    /// The authorize page.
    Authorize,
    Revoke,
    Me,
    Users,
    /// One user by its id.
    User,
    /// Any other path.
    Other,
}

impl Endpoint {
    pub(crate) fn from_path(path: &str) -> Self {
        match path {
            "/oauth2/token" => Self::Token,
            "/api/oauth2/authorize" => Self::Authorize,
            "/oauth2/revoke" => Self::Revoke,
            "/2.0/users/me" => Self::Me,
            "/2.0/users" => Self::Users,
            _ if path.starts_with("/2.0/users/") => Self::User,
            _ => Self::Other,
        }
    }
}

/// One call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Call {
    pub at: Timestamp,
    #[serde(serialize_with = "serialize_method")]
    pub method: Method,
    pub path: String,
    pub endpoint: Endpoint,
    /// Names of the query's parameters, as sent.
    pub params: Vec<String>,
    /// Names of the form's fields, as sent.
    pub form: Vec<String>,
    /// 0 if there was no response because the client or the server closed the connection.
    pub status: u16,
}

fn serialize_method<S: serde::Serializer>(method: &Method, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(method.as_str())
}

/// Calls counted by endpoint and status since the last reset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallCounts {
    counts: BTreeMap<(Endpoint, u16), u64>,
    /// The maximum of concurrent calls.
    pub max_in_flight: usize,
}

impl CallCounts {
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.values().sum()
    }

    #[must_use]
    pub fn for_endpoint(&self, endpoint: Endpoint) -> u64 {
        self.counts.iter().filter(|((known, _), _)| *known == endpoint).map(|(_, n)| n).sum()
    }

    #[must_use]
    pub fn with_status(&self, endpoint: Endpoint, status: u16) -> u64 {
        self.counts.get(&(endpoint, status)).copied().unwrap_or_default()
    }

    /// Every endpoint and status that occurred, with its count.
    pub fn iter(&self) -> impl Iterator<Item = (Endpoint, u16, u64)> {
        self.counts.iter().map(|((endpoint, status), n)| (*endpoint, *status, *n))
    }
}

/// The log stores only the newest calls; the counts include all.
const MAX_RECORDED_CALLS: usize = 100_000;

#[derive(Default)]
pub(crate) struct CallLog {
    pub(crate) counts: CallCounts,
    recent: VecDeque<Call>,
    in_flight: usize,
}

impl CallLog {
    pub(crate) fn start_call(&mut self) {
        self.in_flight += 1;
        self.counts.max_in_flight = self.counts.max_in_flight.max(self.in_flight);
    }

    /// Called after the response, or when the client has disconnected.
    pub(crate) const fn end_call(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    pub(crate) fn record(&mut self, call: Call) {
        *self.counts.counts.entry((call.endpoint, call.status)).or_default() += 1;
        if self.recent.len() == MAX_RECORDED_CALLS {
            self.recent.pop_front();
        }
        self.recent.push_back(call);
    }

    pub(crate) fn recent_calls(&self) -> Vec<Call> {
        self.recent.iter().cloned().collect()
    }

    pub(crate) fn clear(&mut self) {
        self.counts = CallCounts { max_in_flight: self.in_flight, ..CallCounts::default() };
        self.recent.clear();
    }
}
