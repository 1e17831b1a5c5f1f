//! The retry policy: which errors are retried and after which delay, and the `Retry-After` and `Date` headers.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use http::{HeaderMap, header};
use jiff::Timestamp;

use super::error::Error;

/// Attempts per request, including the first (Box's recommendation).
const MAX_ATTEMPTS: usize = 5;
/// A longer `Retry-After` is returned to the caller instead of waited for.
const MAX_INLINE_WAIT: Duration = Duration::from_secs(60);
/// A longer `Retry-After` is taken for a mistake and ignored.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(86_400);

/// The delays between the attempts of one request.
pub(super) struct RetryDelays(ExponentialBackoff);

impl RetryDelays {
    pub(super) fn new() -> Self {
        Self(
            ExponentialBuilder::default()
                .with_min_delay(Duration::from_secs(1))
                .with_factor(2.0)
                .with_max_delay(Duration::from_secs(16))
                .with_max_times(MAX_ATTEMPTS - 1)
                .with_jitter()
                .build(),
        )
    }

    /// The delay before the next attempt; `None` if the error is permanent or the attempts are used up.
    pub(super) fn next_delay(&mut self, error: &Error) -> Option<Duration> {
        if !matches!(error, Error::RateLimited { .. } | Error::Unavailable { .. }) {
            return None;
        }
        let retry_after = error.retry_after();
        if retry_after.is_some_and(|wait| wait > MAX_INLINE_WAIT) {
            return None;
        }
        let backoff = self.0.next()?;
        Some(retry_after.unwrap_or(backoff))
    }
}

/// `Retry-After`, in seconds or as a date, which is compared with the `Date` of the same response. `None` if it is
/// missing, invalid, zero or longer than a day.
pub(super) fn parse_retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let value = header_text(headers, header::RETRY_AFTER.as_str())?.trim();
    let wait = match value.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            Duration::try_from(parse_http_date(value)?.duration_since(date_header(headers).unwrap_or(now))).ok()?
        }
    };
    Some(wait).filter(|wait| !wait.is_zero() && *wait <= MAX_RETRY_AFTER)
}

/// The time of the response by the server's clock.
pub(super) fn date_header(headers: &HeaderMap) -> Option<Timestamp> {
    parse_http_date(header_text(headers, header::DATE.as_str())?)
}

pub(super) fn header_text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn parse_http_date(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()
}
