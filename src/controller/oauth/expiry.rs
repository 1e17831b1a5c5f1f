//! The expiry of a user's authorization: when it is renewed and when the operator warns. Pure.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::{api::Authorization, controller::connection::backoff::add_seconds};

const DAY: i64 = 86_400;
/// How long before the expiry an event warns.
const EXPIRY_WARNING: i64 = 14 * DAY;
/// How long before the expiry it is renewed while the connection is suspended: half of its lifetime in Box.
const RENEWAL_LEAD: i64 = 30 * DAY;
/// A smaller change of the expiry is not written: each renewal moves it.
const MIN_REPORTED_CHANGE: SignedDuration = SignedDuration::from_secs(DAY);

/// The authorization for the status, from the previous one and the currently known expiry.
pub(crate) fn updated_authorization(
    previous: Option<Authorization>,
    expiration: Option<Timestamp>,
) -> Option<Authorization> {
    let ends = expiration?;
    match previous {
        Some(reported) if ends.duration_since(reported.expiration_time.0).abs() < MIN_REPORTED_CHANGE => Some(reported),
        Some(_) | None => Some(Authorization { expiration_time: Time(ends), warned_time: None }),
    }
}

/// Records the time of the warning when it is due.
pub(crate) fn mark_warned(authorization: &mut Authorization, now: Timestamp) {
    if authorization.warned_time.is_none() && warning_time(authorization) <= now {
        authorization.warned_time = Some(Time(now));
    }
}

pub(crate) fn warning_time(authorization: &Authorization) -> Timestamp {
    add_seconds(authorization.expiration_time.0, -EXPIRY_WARNING)
}

/// When it is renewed although nothing else needs it.
pub(crate) fn renewal_time(authorization: &Authorization) -> Timestamp {
    add_seconds(authorization.expiration_time.0, -RENEWAL_LEAD)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_time(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    fn authorization_until(text: &str) -> Authorization {
        Authorization { expiration_time: Time(parse_time(text)), warned_time: None }
    }

    #[test]
    fn an_expiry_change_under_a_day_is_not_reported() {
        let before = authorization_until("2027-01-21T12:00:00Z");
        assert_eq!(
            updated_authorization(Some(before.clone()), Some(parse_time("2027-01-22T11:00:00Z"))),
            Some(before.clone())
        );
        let warned = Authorization { warned_time: Some(Time(parse_time("2027-01-08T12:00:00Z"))), ..before.clone() };
        assert_eq!(
            updated_authorization(Some(warned), Some(parse_time("2027-03-01T00:00:00Z"))),
            Some(authorization_until("2027-03-01T00:00:00Z"))
        );
        assert_eq!(updated_authorization(Some(before), None), None, "another method has none");
    }

    #[test]
    fn a_warning_is_due_once_two_weeks_before_expiry() {
        let mut authorization = authorization_until("2027-01-21T12:00:00Z");
        mark_warned(&mut authorization, parse_time("2027-01-07T11:59:59Z"));
        assert_eq!(authorization.warned_time, None);
        mark_warned(&mut authorization, parse_time("2027-01-07T12:00:00Z"));
        mark_warned(&mut authorization, parse_time("2027-01-08T12:00:00Z"));
        assert_eq!(authorization.warned_time, Some(Time(parse_time("2027-01-07T12:00:00Z"))));
        assert_eq!(renewal_time(&authorization), parse_time("2026-12-22T12:00:00Z"));
    }
}
