//! The decisions of leader election, and the Lease specs to write. Pure: times and identities are arguments.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::{api::coordination::v1::LeaseSpec, apimachinery::pkg::apis::meta::v1::MicroTime};

/// No other replica acquires the Lease within this time after a renewal.
pub(super) const LEASE_DURATION: Duration = Duration::from_secs(15);
/// Leadership is lost after this time without a renewal. The work must end between this and `LEASE_DURATION`.
pub(super) const RENEW_DEADLINE: Duration = Duration::from_secs(10);

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Acquire,
    /// Another replica holds the Lease; it expires after `remaining` unless it is renewed.
    Wait {
        holder: String,
        remaining: Duration,
    },
}

/// Why this process lost leadership.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeadershipLost {
    #[error("the Lease could not be renewed for {} s", RENEW_DEADLINE.as_secs())]
    NotRenewed,
    #[error("the Lease was changed by another client")]
    Changed,
    #[error("the Lease is held by {0}")]
    HeldByOther(String),
    #[error("the Lease was deleted or has no holder")]
    Removed,
}

enum Holder<'a> {
    Vacant,
    ThisProcess,
    Other { name: &'a str, duration: Duration },
}

/// `unchanged` is how long this process has observed the Lease without a change, by its own monotonic clock. The
/// timestamps in the Lease come from another machine's clock and are ignored.
pub(super) fn decide(identity: &str, lease: Option<&LeaseSpec>, unchanged: Duration) -> Decision {
    match holder(identity, lease) {
        // A restarted container has the identity of its previous process and need not wait for it.
        Holder::Vacant | Holder::ThisProcess => Decision::Acquire,
        Holder::Other { duration, .. } if unchanged >= duration => Decision::Acquire,
        Holder::Other { name, duration } => Decision::Wait { holder: name.to_owned(), remaining: duration - unchanged },
    }
}

/// Whether this process still holds a Lease that it has read again.
pub(super) fn confirm_holder(identity: &str, lease: Option<&LeaseSpec>) -> Result<(), LeadershipLost> {
    match holder(identity, lease) {
        Holder::ThisProcess => Ok(()),
        Holder::Vacant => Err(LeadershipLost::Removed),
        Holder::Other { name, .. } => Err(LeadershipLost::HeldByOther(name.to_owned())),
    }
}

fn holder<'a>(identity: &str, lease: Option<&'a LeaseSpec>) -> Holder<'a> {
    let Some(lease) = lease else { return Holder::Vacant };
    match lease.holder_identity.as_deref() {
        None | Some("") => Holder::Vacant,
        Some(name) if name == identity => Holder::ThisProcess,
        Some(name) => {
            let seconds = lease.lease_duration_seconds.and_then(|s| u64::try_from(s).ok());
            Holder::Other { name, duration: seconds.map_or(LEASE_DURATION, Duration::from_secs) }
        }
    }
}

/// The spec that acquires a Lease whose spec is `old`.
pub(super) fn acquired_spec(identity: &str, old: Option<&LeaseSpec>, now: Timestamp) -> LeaseSpec {
    let transitions = old.and_then(|l| l.lease_transitions);
    LeaseSpec {
        holder_identity: Some(identity.to_owned()),
        lease_duration_seconds: i32::try_from(LEASE_DURATION.as_secs()).ok(),
        acquire_time: Some(MicroTime(now)),
        renew_time: Some(MicroTime(now)),
        lease_transitions: match holder(identity, old) {
            Holder::ThisProcess => transitions,
            Holder::Vacant | Holder::Other { .. } => {
                Some(old.map_or(0, |_| transitions.unwrap_or(0).saturating_add(1)))
            }
        },
        ..old.cloned().unwrap_or_default()
    }
}

pub(super) fn renewed_spec(spec: LeaseSpec, now: Timestamp) -> LeaseSpec {
    LeaseSpec { renew_time: Some(MicroTime(now)), ..spec }
}

/// The spec that releases the Lease. The API server rejects a duration of 0.
pub(super) fn released_spec(spec: LeaseSpec, now: Timestamp) -> LeaseSpec {
    LeaseSpec {
        holder_identity: Some(String::new()),
        lease_duration_seconds: Some(1),
        acquire_time: Some(MicroTime(now)),
        renew_time: Some(MicroTime(now)),
        ..spec
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDENTITY: &str = "boxsync-0";

    fn at_second(second: i64) -> Timestamp {
        Timestamp::from_second(1_795_348_800 + second).expect("in range")
    }

    fn held_by(name: &str) -> Option<LeaseSpec> {
        Some(acquired_spec(name, None, at_second(0)))
    }

    fn released_by(name: &str) -> Option<LeaseSpec> {
        held_by(name).map(|lease| released_spec(lease, at_second(60)))
    }

    fn held_with_duration(seconds: Option<i32>) -> Option<LeaseSpec> {
        held_by("other").map(|lease| LeaseSpec { lease_duration_seconds: seconds, ..lease })
    }

    fn wait_decision(seconds: u64) -> Decision {
        Decision::Wait { holder: "other".to_owned(), remaining: Duration::from_secs(seconds) }
    }

    #[test]
    fn a_candidate_acquires_a_free_lease_and_waits_for_a_held_one() {
        for (case, lease, unchanged, expected) in [
            ("no Lease", None, 0, Decision::Acquire),
            ("released", released_by("other"), 0, Decision::Acquire),
            ("no holder", Some(LeaseSpec::default()), 0, Decision::Acquire),
            ("held by this identity's previous process", held_by(IDENTITY), 0, Decision::Acquire),
            ("held by another, first observed now", held_by("other"), 0, wait_decision(15)),
            ("held by another, expires soon", held_by("other"), 14, wait_decision(1)),
            ("held by another, expired", held_by("other"), 15, Decision::Acquire),
            ("the holder's duration is used", held_with_duration(Some(40)), 39, wait_decision(1)),
            ("no duration: the default is used", held_with_duration(None), 14, wait_decision(1)),
            ("negative duration: the default is used", held_with_duration(Some(-1)), 14, wait_decision(1)),
        ] {
            assert_eq!(decide(IDENTITY, lease.as_ref(), Duration::from_secs(unchanged)), expected, "{case}");
        }
    }

    #[test]
    fn a_leader_stays_leader_only_while_it_is_the_lease_holder() {
        for (case, lease, expected) in [
            ("held by this process", held_by(IDENTITY), Ok(())),
            ("held by another", held_by("other"), Err(LeadershipLost::HeldByOther("other".to_owned()))),
            ("released", released_by(IDENTITY), Err(LeadershipLost::Removed)),
            ("no Lease", None, Err(LeadershipLost::Removed)),
        ] {
            assert_eq!(confirm_holder(IDENTITY, lease.as_ref()), expected, "{case}");
        }
    }

    #[test]
    fn lease_transitions_counts_changes_of_the_holder() {
        for (case, old, expected) in [
            ("new Lease", None, 0),
            ("taken over from another", held_by("other"), 1),
            ("taken over after a release", released_by("other"), 1),
            ("taken over from this identity's previous process", held_by(IDENTITY), 0),
        ] {
            let new = acquired_spec(IDENTITY, old.as_ref(), at_second(90));
            assert_eq!(new.lease_transitions, Some(expected), "{case}");
            assert_eq!(
                (new.acquire_time, new.renew_time),
                (Some(MicroTime(at_second(90))), Some(MicroTime(at_second(90))))
            );
        }
    }

    #[test]
    fn a_renewal_changes_only_the_renew_time() {
        let before = acquired_spec(IDENTITY, None, at_second(0));
        let after = renewed_spec(before.clone(), at_second(2));
        assert_eq!(after.renew_time, Some(MicroTime(at_second(2))));
        assert_eq!(LeaseSpec { renew_time: before.renew_time.clone(), ..after }, before);
    }
}
