//! The clock of the simulated Box, always passed as a parameter.

use jiff::Timestamp;
use std::sync::Arc;
use tokio::time::Instant;

/// The time of Box's servers.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The system time, for a simulator served on a socket.
#[must_use]
pub fn system_clock() -> Clock {
    Arc::new(Timestamp::now)
}

/// Starts at `start` and then follows tokio's clock, so that sleeps and timestamps agree under paused
/// time. Must be called inside the runtime with paused time.
#[must_use]
pub fn tokio_clock(start: Timestamp) -> Clock {
    let started = Instant::now();
    Arc::new(move || start + started.elapsed())
}

/// The `Date` header (RFC 9110).
pub(crate) fn http_date(now: Timestamp) -> String {
    jiff::fmt::rfc2822::DateTimePrinter::new()
        .timestamp_to_rfc9110_string(&now)
        .unwrap_or_else(|_| "Thu, 01 Jan 1970 00:00:00 GMT".to_owned())
}
