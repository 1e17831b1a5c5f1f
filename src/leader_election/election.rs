//! The decisions of leader election, and the Lease specs to write. Pure: times and identities are arguments.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::{api::coordination::v1::LeaseSpec, apimachinery::pkg::apis::meta::v1::MicroTime};

/// The times of the election, with the names and the rules of client-go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ElectionTiming {
    /// No other replica acquires the Lease within this time after a renewal.
    pub(super) lease_duration: Duration,
    /// Leadership is lost after this time without a renewal.
    pub(super) renew_deadline: Duration,
    /// Interval at which the leader renews and a candidate retries.
    pub(super) retry_period: Duration,
}

/// Why times are not possible together.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTiming {
    #[error("--lease-duration ({0:?}) must be whole seconds, because the Lease stores it so")]
    LeaseFraction(Duration),
    #[error("--lease-duration ({0:?}) must not be longer than {1:?}")]
    LeaseTooLong(Duration, Duration),
    #[error("--lease-duration ({0:?}) must be longer than --renew-deadline ({1:?})")]
    Lease(Duration, Duration),
    #[error("--renew-deadline ({0:?}) must be longer than 1.2 times --retry-period ({1:?})")]
    Renewal(Duration, Duration),
}

impl ElectionTiming {
    /// A replica that crashed is replaced only after its Lease has expired; `kubectl boxsync` believes no Lease for longer.
    const MAX_LEASE_DURATION: Duration = Duration::from_secs(300);

    /// # Errors
    /// The times contradict each other.
    pub fn new(
        lease_duration: Duration,
        renew_deadline: Duration,
        retry_period: Duration,
    ) -> Result<Self, InvalidTiming> {
        if lease_duration.subsec_nanos() > 0 {
            return Err(InvalidTiming::LeaseFraction(lease_duration));
        }
        if lease_duration > Self::MAX_LEASE_DURATION {
            return Err(InvalidTiming::LeaseTooLong(lease_duration, Self::MAX_LEASE_DURATION));
        }
        if lease_duration <= renew_deadline {
            return Err(InvalidTiming::Lease(lease_duration, renew_deadline));
        }
        // 1.2 is client-go's factor for the jitter of retries.
        if renew_deadline <= retry_period.saturating_mul(6) / 5 {
            return Err(InvalidTiming::Renewal(renew_deadline, retry_period));
        }
        Ok(Self { lease_duration, renew_deadline, retry_period })
    }

    /// The work is aborted this long after the last renewal: some time before another replica can become leader, by
    /// default two seconds.
    pub(super) fn work_deadline(&self) -> Duration {
        self.renew_deadline + (self.lease_duration - self.renew_deadline) * 3 / 5
    }

    /// After two requests that time out, a third is possible before the renew deadline.
    pub(super) fn request_timeout(&self) -> Duration {
        self.renew_deadline * 2 / 5
    }
}

impl Default for ElectionTiming {
    /// client-go's defaults.
    fn default() -> Self {
        Self {
            lease_duration: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            retry_period: Duration::from_secs(2),
        }
    }
}

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
    #[error("the Lease could not be renewed for {0:?}")]
    NotRenewed(Duration),
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
            let default = || ElectionTiming::default().lease_duration;
            Holder::Other { name, duration: seconds.map_or_else(default, Duration::from_secs) }
        }
    }
}

/// The spec that acquires a Lease whose spec is `old`.
pub(super) fn acquired_spec(
    identity: &str,
    old: Option<&LeaseSpec>,
    lease_duration: Duration,
    now: Timestamp,
) -> LeaseSpec {
    let transitions = old.and_then(|l| l.lease_transitions);
    LeaseSpec {
        holder_identity: Some(identity.to_owned()),
        lease_duration_seconds: i32::try_from(lease_duration.as_secs()).ok(),
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
    const LEASE: Duration = Duration::from_secs(15);

    fn at_second(second: i64) -> Timestamp {
        Timestamp::from_second(1_795_348_800 + second).expect("in range")
    }

    fn held_by(name: &str) -> Option<LeaseSpec> {
        Some(acquired_spec(name, None, LEASE, at_second(0)))
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
    fn times_that_contradict_each_other_are_refused() {
        let timing = |lease, renew, retry| {
            ElectionTiming::new(
                Duration::from_millis(lease),
                Duration::from_millis(renew),
                Duration::from_millis(retry),
            )
        };
        assert_eq!(timing(15_000, 10_000, 2000), Ok(ElectionTiming::default()));
        for (lease, renew, retry, refusal) in [
            (10_000, 10_000, 2000, "--lease-duration (10s) must be longer than --renew-deadline (10s)"),
            (15_000, 2400, 2000, "--renew-deadline (2.4s) must be longer than 1.2 times --retry-period (2s)"),
            (15_500, 10_000, 2000, "--lease-duration (15.5s) must be whole seconds, because the Lease stores it so"),
            (7_200_000, 10_000, 2000, "--lease-duration (7200s) must not be longer than 300s"),
            (15_000, 0, 0, "--renew-deadline (0ns) must be longer than 1.2 times --retry-period (0ns)"),
        ] {
            assert_eq!(timing(lease, renew, retry).expect_err(refusal).to_string(), refusal);
        }
        assert!(timing(15_000, 2401, 2000).is_ok());
    }

    #[test]
    fn the_work_ends_between_the_renew_deadline_and_the_end_of_the_lease() {
        assert_eq!(ElectionTiming::default().work_deadline(), Duration::from_secs(13));
        assert_eq!(ElectionTiming::default().request_timeout(), Duration::from_secs(4));
        let narrow = ElectionTiming::new(LEASE, LEASE - Duration::from_millis(1), Duration::from_secs(2));
        let narrow = narrow.expect("valid");
        assert!(narrow.work_deadline() > narrow.renew_deadline && narrow.work_deadline() < LEASE);
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
            let new = acquired_spec(IDENTITY, old.as_ref(), LEASE, at_second(90));
            assert_eq!(new.lease_transitions, Some(expected), "{case}");
            assert_eq!(
                (new.acquire_time, new.renew_time),
                (Some(MicroTime(at_second(90))), Some(MicroTime(at_second(90))))
            );
        }
    }

    #[test]
    fn a_renewal_changes_only_the_renew_time() {
        let before = acquired_spec(IDENTITY, None, LEASE, at_second(0));
        let after = renewed_spec(before.clone(), at_second(2));
        assert_eq!(after.renew_time, Some(MicroTime(at_second(2))));
        assert_eq!(LeaseSpec { renew_time: before.renew_time.clone(), ..after }, before);
    }
}
