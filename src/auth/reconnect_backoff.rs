//! How often it is tried whether a lost connection is mended. Pure.

use std::time::Duration;

use jiff::SignedDuration;

/// How often Box is asked whether a lost connection is mended, by how long ago it was lost: somebody who is at work on
/// it sees the effect soon, and one that nobody mends costs four calls an hour.
pub fn reconnect_interval(lost_for: SignedDuration) -> Duration {
    match lost_for.as_secs() {
        ..900 => Duration::from_secs(60),
        900..4500 => Duration::from_secs(300),
        4500.. => Duration::from_secs(900),
    }
}
