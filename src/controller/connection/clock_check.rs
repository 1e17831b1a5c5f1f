//! Comparison of this process's clock with those of Box and the API server. Pure.

use jiff::{SignedDuration, Timestamp};

/// Clocks that differ by less are equal: they are set by the network, and a response takes a while.
pub(crate) const MAX_CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(5);

/// What the other clocks say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ClockCheck {
    /// They agree with ours.
    Right,
    /// They do not. Our clock is ahead by this much, and they agree with each other.
    Wrong(SignedDuration),
    /// At least one of them differs from ours, and they do not agree with each other, or there is no other.
    Doubtful(SignedDuration),
    /// There is nothing to compare with.
    Unknown,
}

/// Compares our time with that of Box and of the API server, as far as they are known.
pub(crate) fn check_clock(now: Timestamp, box_time: Option<Timestamp>, api_time: Option<Timestamp>) -> ClockCheck {
    let ahead_of = |time: Timestamp| time.duration_until(now);
    let is_far = |skew: &SignedDuration| skew.abs() > MAX_CLOCK_SKEW;
    match (box_time.map(ahead_of), api_time.map(ahead_of)) {
        (None, None) => ClockCheck::Unknown,
        (Some(one), Some(other)) if is_far(&one) && is_far(&other) && !is_far(&(one - other)) => {
            ClockCheck::Wrong(other)
        }
        (one, other) => match [one, other].into_iter().flatten().max_by_key(|skew| skew.abs()).filter(is_far) {
            Some(skew) => ClockCheck::Doubtful(skew),
            None => ClockCheck::Right,
        },
    }
}

impl ClockCheck {
    /// By how much our clock is ahead of another one.
    pub(crate) const fn skew(&self) -> SignedDuration {
        match self {
            Self::Right | Self::Unknown => SignedDuration::ZERO,
            Self::Wrong(skew) | Self::Doubtful(skew) => *skew,
        }
    }

    /// Our time, corrected if it is known to be wrong.
    pub(crate) fn correct(&self, now: Timestamp) -> Timestamp {
        match self {
            Self::Wrong(skew) => now.checked_sub(*skew).unwrap_or(now),
            Self::Right | Self::Doubtful(_) | Self::Unknown => now,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_wrong_if_two_others_agree_on_it() {
        let now: Timestamp = "2026-11-22T12:00:00Z".parse().expect("a time");
        let at = |minutes: i64| Some(now - SignedDuration::from_mins(minutes));
        let minutes = SignedDuration::from_mins;
        for (box_time, api_time, expected) in [
            (None, None, ClockCheck::Unknown),
            (at(4), at(-4), ClockCheck::Right),
            (at(0), None, ClockCheck::Right),
            (None, at(6), ClockCheck::Doubtful(minutes(6))),
            (at(6), at(0), ClockCheck::Doubtful(minutes(6))),
            (at(0), at(-6), ClockCheck::Doubtful(minutes(-6))),
            (at(6), at(-6), ClockCheck::Doubtful(minutes(-6))),
            (at(60), at(57), ClockCheck::Wrong(minutes(57))),
            (at(-60), at(-57), ClockCheck::Wrong(minutes(-57))),
        ] {
            let check = check_clock(now, box_time, api_time);
            assert_eq!(check.skew().abs(), expected.skew().abs(), "{box_time:?} {api_time:?}");
            assert_eq!(std::mem::discriminant(&check), std::mem::discriminant(&expected), "{box_time:?} {api_time:?}");
        }
        assert_eq!(ClockCheck::Wrong(minutes(60)).correct(now), now - minutes(60));
        assert_eq!(ClockCheck::Doubtful(minutes(60)).correct(now), now);
    }
}
