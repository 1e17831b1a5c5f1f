//! What was asked of Box, and how it ended. Names of parameters are kept, their values never.

use http::Method;
use jiff::Timestamp;
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Endpoint {
    Token,
    /// The page that asks a user to grant access.
    Authorize,
    Revoke,
    Me,
    Users,
    /// Anything that this Box does not have.
    Other,
}

impl Endpoint {
    pub(crate) fn of(path: &str) -> Self {
        match path {
            "/oauth2/token" => Self::Token,
            "/api/oauth2/authorize" => Self::Authorize,
            "/oauth2/revoke" => Self::Revoke,
            "/2.0/users/me" => Self::Me,
            "/2.0/users" => Self::Users,
            _ => Self::Other,
        }
    }
}

/// One call as it was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Call {
    pub at: Timestamp,
    #[serde(serialize_with = "as_text")]
    pub method: Method,
    pub path: String,
    pub endpoint: Endpoint,
    /// Names of the query's parameters, as sent.
    pub params: Vec<String>,
    /// Names of the form's fields, as sent.
    pub form: Vec<String>,
    /// 0: never answered, because the client gave up or was hung up on.
    pub status: u16,
}

fn as_text<S: serde::Serializer>(method: &Method, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(method.as_str())
}

/// Calls counted by endpoint and status since the last reset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    counts: BTreeMap<(Endpoint, u16), u64>,
    /// Calls under way at the same time, at most.
    pub most_at_once: usize,
}

impl Calls {
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.values().sum()
    }

    #[must_use]
    pub fn of(&self, endpoint: Endpoint) -> u64 {
        self.counts.iter().filter(|((known, _), _)| *known == endpoint).map(|(_, n)| n).sum()
    }

    #[must_use]
    pub fn with(&self, endpoint: Endpoint, status: u16) -> u64 {
        self.counts.get(&(endpoint, status)).copied().unwrap_or_default()
    }

    /// Every endpoint and status that occurred, with its count.
    pub fn iter(&self) -> impl Iterator<Item = (Endpoint, u16, u64)> {
        self.counts.iter().map(|((endpoint, status), n)| (*endpoint, *status, *n))
    }
}

/// The log keeps the newest calls only; the counts keep all.
const KEPT: usize = 100_000;

#[derive(Default)]
pub(crate) struct CallLog {
    pub(crate) calls: Calls,
    seen: VecDeque<Call>,
    under_way: usize,
}

impl CallLog {
    pub(crate) fn begin(&mut self) {
        self.under_way += 1;
        self.calls.most_at_once = self.calls.most_at_once.max(self.under_way);
    }

    /// Answered, or given up by the client.
    pub(crate) const fn end(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }

    pub(crate) fn record(&mut self, call: Call) {
        *self.calls.counts.entry((call.endpoint, call.status)).or_default() += 1;
        if self.seen.len() == KEPT {
            self.seen.pop_front();
        }
        self.seen.push_back(call);
    }

    pub(crate) fn seen(&self) -> Vec<Call> {
        self.seen.iter().cloned().collect()
    }

    pub(crate) fn forget(&mut self) {
        self.calls = Calls { most_at_once: self.under_way, ..Calls::default() };
        self.seen.clear();
    }
}
