//! How long the authorization of a user still lives, and what follows from it. Pure.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::schedule::later;
use crate::api::Authorization;

const DAY: i64 = 86_400;
/// An event warns so long before its end.
const WARNING: i64 = 14 * DAY;
/// While a connection is suspended, it is renewed so long before its end: half of what Box lets it live.
const RENEWAL: i64 = 30 * DAY;
/// An end that moves by less is not told: each renewal moves it, and nobody wants to know each time.
const WORTH_TELLING: SignedDuration = SignedDuration::from_secs(DAY);

/// What the status should say, given what it says and when the authorization ends as far as is known now.
pub(super) fn told(before: Option<Authorization>, ends: Option<Timestamp>) -> Option<Authorization> {
    let ends = ends?;
    match before {
        Some(told) if ends.duration_since(told.expiration_time.0).abs() < WORTH_TELLING => Some(told),
        Some(_) | None => Some(Authorization { expiration_time: Time(ends), warned_time: None }),
    }
}

/// Notes that it is time to warn.
pub(super) fn warn(authorization: &mut Authorization, now: Timestamp) {
    if authorization.warned_time.is_none() && warns_at(authorization) <= now {
        authorization.warned_time = Some(Time(now));
    }
}

pub(super) fn warns_at(authorization: &Authorization) -> Timestamp {
    later(authorization.expiration_time.0, -WARNING)
}

/// From when on it is renewed although nothing else needs it.
pub(super) fn renewed_at(authorization: &Authorization) -> Timestamp {
    later(authorization.expiration_time.0, -RENEWAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    fn ends(text: &str) -> Authorization {
        Authorization { expiration_time: Time(at(text)), warned_time: None }
    }

    #[test]
    fn only_an_end_that_moves_by_a_day_is_told() {
        let before = ends("2027-01-21T12:00:00Z");
        assert_eq!(told(Some(before.clone()), Some(at("2027-01-22T11:00:00Z"))), Some(before.clone()));
        let warned = Authorization { warned_time: Some(Time(at("2027-01-08T12:00:00Z"))), ..before.clone() };
        assert_eq!(told(Some(warned), Some(at("2027-03-01T00:00:00Z"))), Some(ends("2027-03-01T00:00:00Z")));
        assert_eq!(told(Some(before), None), None, "another method has none");
    }

    #[test]
    fn a_warning_is_due_two_weeks_before_the_end_and_once() {
        let mut authorization = ends("2027-01-21T12:00:00Z");
        warn(&mut authorization, at("2027-01-07T11:59:59Z"));
        assert_eq!(authorization.warned_time, None);
        warn(&mut authorization, at("2027-01-07T12:00:00Z"));
        warn(&mut authorization, at("2027-01-08T12:00:00Z"));
        assert_eq!(authorization.warned_time, Some(Time(at("2027-01-07T12:00:00Z"))));
        assert_eq!(renewed_at(&authorization), at("2026-12-22T12:00:00Z"));
    }
}
