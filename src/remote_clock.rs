//! remote_clock — the time of a server, by the `Date` of its last response.
//! Invariant: plain HTTP headers; no dependency on Box or the API server.

use std::sync::{Arc, Mutex, PoisonError};

use http::{HeaderMap, header};
use jiff::Timestamp;
use tokio::time::Instant;

/// The clock of one server. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct RemoteClock(Arc<Mutex<Option<(Timestamp, Instant)>>>);

impl RemoteClock {
    /// Reads the `Date` of a response.
    pub(crate) fn set_from(&self, headers: &HeaderMap) {
        if let Some(date) = date_header(headers) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((date, Instant::now()));
        }
    }

    /// The server's time now, as far as a monotonic clock can tell; `None` before the first response.
    pub(crate) fn estimate(&self) -> Option<Timestamp> {
        let (date, received) = (*self.0.lock().unwrap_or_else(PoisonError::into_inner))?;
        date.checked_add(jiff::SignedDuration::try_from(received.elapsed()).ok()?).ok()
    }
}

/// The `Date` of a response (RFC 9110).
pub(crate) fn date_header(headers: &HeaderMap) -> Option<Timestamp> {
    parse_http_date(headers.get(header::DATE)?.to_str().ok()?)
}

pub(crate) fn parse_http_date(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()
}
