//! The interval between sign-in attempts of a disconnected connection. Pure.

use std::time::Duration;

use jiff::SignedDuration;

/// The interval between sign-in attempts of a disconnected connection. It is short at first, so that a fix takes effect
/// soon, and later costs four calls per hour.
pub fn reconnect_interval(lost_for: SignedDuration) -> Duration {
    match lost_for.as_secs() {
        ..900 => Duration::from_secs(60),
        900..4500 => Duration::from_secs(300),
        4500.. => Duration::from_secs(900),
    }
}
