//! How long a new user of Box waits for the list. Pure.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// A user who was created earlier did not wait for a sync: the account came from another enterprise, or was hidden from
/// the app.
pub const MAX_VISIBILITY_DELAY: SignedDuration = SignedDuration::from_hours(7 * 24);

/// The time from the creation of a user in Box to the revision that first lists the user. `None` if Box does not report the
/// creation, or if it was [`MAX_VISIBILITY_DELAY`] before. Zero if the clocks differ and the creation is later.
pub fn visibility_delay(created_at: Option<Timestamp>, listed_at: Timestamp) -> Option<Duration> {
    let delay = created_at?.duration_until(listed_at);
    (delay < MAX_VISIBILITY_DELAY).then(|| Duration::try_from(delay).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_recently_created_users_waited_for_the_list() {
        let listed: Timestamp = "2026-11-22T12:00:00Z".parse().expect("a time");
        for (created, delay) in [
            (Some("2026-11-22T09:00:00Z"), Some(3 * 3_600)),
            (Some("2026-11-15T12:00:01Z"), Some(7 * 86_400 - 1)),
            (Some("2026-11-15T12:00:00Z"), None),
            (Some("2026-11-22T12:05:00Z"), Some(0)),
            (None, None),
        ] {
            let created = created.map(|time| time.parse().expect("a time"));
            assert_eq!(visibility_delay(created, listed), delay.map(Duration::from_secs), "{created:?}");
        }
    }
}
