//! Times of the next attempt: interval grid, backoffs and probes. Pure.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

const FIRST_BACKOFF: Duration = Duration::from_secs(30);
const MAX_BACKOFF: Duration = Duration::from_secs(3600);
const FIRST_ERROR_BACKOFF: Duration = Duration::from_secs(1);
const MAX_ERROR_BACKOFF: Duration = Duration::from_secs(300);

/// The first time after `after` on the connection's grid: a fixed phase, given by its UID, modulo the interval. Equal
/// intervals do not fire together, the time of day does not drift, and no gap is longer than the interval.
pub(crate) fn next_on_grid(uid: &str, interval: Duration, after: Timestamp) -> Timestamp {
    let phase = ceil_seconds(phase(uid, interval));
    let interval = ceil_seconds(interval).max(1);
    let since = (after.as_second() - phase).rem_euclid(interval);
    add_seconds(after, interval - since)
}

/// The connection's offset within `whole`, in whole seconds.
pub(crate) fn phase(uid: &str, whole: Duration) -> Duration {
    let part = i64::try_from(fnv1a_hash(uid.as_bytes()) >> 1).unwrap_or(0).rem_euclid(ceil_seconds(whole).max(1));
    Duration::from_secs(part.unsigned_abs())
}

/// How long to wait after the `count`th failure in a row: 30 s doubling to 1 h, shortened by up to a fifth so that
/// connections that failed together are not retried together.
pub(crate) fn backoff(uid: &str, count: i64) -> Duration {
    let doublings = u32::try_from(count.clamp(1, 16) - 1).unwrap_or(0);
    let full = FIRST_BACKOFF.saturating_mul(1 << doublings).min(MAX_BACKOFF);
    let jitter = fnv1a_hash(format!("{uid}/{count}").as_bytes()) % 1000;
    let shortened = u64::try_from(full.as_millis()).unwrap_or(u64::MAX) * (5000 - jitter) / 5000;
    Duration::from_secs(shortened / 1000)
}

/// How long a reconcile of this object waits after the `count`th error of the API server in a row: 1 s doubling to 5
/// min, shorter or longer by up to a fifth so that objects that failed together are not retried together.
pub(crate) fn error_backoff(name: &str, count: u32) -> Duration {
    let full = FIRST_ERROR_BACKOFF.saturating_mul(1 << (count.clamp(1, 16) - 1)).min(MAX_ERROR_BACKOFF);
    let jitter = fnv1a_hash(format!("{name}/{count}").as_bytes()) % 401;
    full * u32::try_from(800 + jitter).unwrap_or(1000) / 1000
}

/// How long the rest of a connection's work goes on without what was refused `count` times in a row, such as a deletion or
/// the answer to a request: 1 min doubling to 1 h, with the jitter of [`error_backoff`].
pub(crate) fn slow_backoff(uid: &str, count: u32) -> Duration {
    (error_backoff(uid, count.min(7)) * 60).min(MAX_BACKOFF)
}

/// The time between two probes of this connection: the interval, shortened by up to a tenth.
pub(crate) fn probe_interval(uid: &str, interval: Duration) -> Duration {
    let jitter = u32::try_from(fnv1a_hash(uid.as_bytes()) % 1000).unwrap_or(0);
    interval - interval * jitter / 10_000
}

/// Whole seconds, rounded up, so that a wait does not end early.
pub(crate) fn ceil_seconds(duration: Duration) -> i64 {
    let whole = duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0));
    i64::try_from(whole).unwrap_or(i64::MAX)
}

/// `time` plus `seconds`, saturating.
pub(crate) fn add_seconds(time: Timestamp, seconds: i64) -> Timestamp {
    time.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
}

pub(crate) fn add_duration(time: Timestamp, duration: Duration) -> Timestamp {
    add_seconds(time, ceil_seconds(duration))
}

/// FNV-1a, finished by a multiplication: spreads UIDs evenly and stays the same over versions, which `std`'s hashes
/// do not promise.
fn fnv1a_hash(bytes: &[u8]) -> u64 {
    let fnv = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3));
    (fnv ^ (fnv >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (fnv >> 29)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at_second(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    proptest! {
        #[test]
        fn the_next_grid_time_is_later_by_at_most_the_interval(uid in ".{1,40}", interval in 900_u64..31_536_000, at in 0_i64..4_000_000_000) {
            let interval = Duration::from_secs(interval);
            let next = next_on_grid(&uid, interval, at_second(at));
            prop_assert!(next > at_second(at) && next <= add_duration(at_second(at), interval));
        }

        #[test]
        fn grid_times_are_exactly_one_interval_apart(uid in ".{1,40}", interval in 900_u64..31_536_000, at in 0_i64..4_000_000_000) {
            let interval = Duration::from_secs(interval);
            let first = next_on_grid(&uid, interval, at_second(at));
            prop_assert_eq!(next_on_grid(&uid, interval, first), add_duration(first, interval));
        }

        #[test]
        fn backoff_stays_within_a_fifth_of_its_step(uid in ".{1,40}", count in -5_i64..1000) {
            let full = match count { ..=1 => 30, 2..=7 => 30 << (count - 1), _ => 3600 };
            let got = backoff(&uid, count).as_secs();
            prop_assert!(got <= full && got >= full * 4 / 5 - 1, "{} of {}", got, full);
        }
    }

    proptest! {
        #[test]
        fn error_backoff_stays_within_a_fifth_of_its_step(name in ".{1,40}", count in 0_u32..1000) {
            let full = match count { ..=1 => 1, 2..=9 => 1 << (count - 1), _ => 300 };
            let got = error_backoff(&name, count).as_millis();
            prop_assert!(got >= full * 800 && got <= full * 1200, "{} of {}", got, full);
        }
    }

    #[test]
    fn a_thousand_daily_connections_spread_over_the_day() {
        let day = Duration::from_secs(86_400);
        let mut hours = [0; 24];
        for n in 0..1000 {
            let next = next_on_grid(&format!("2f1d9c1e-0000-4000-8000-{n:012}"), day, at_second(0));
            hours[usize::try_from((next.as_second() - 1) / 3600).expect("positive")] += 1;
        }
        assert!(hours.iter().all(|n| (15..=85).contains(n)), "{hours:?}");
    }
}
