//! What a Lease means for this process, and what it writes into one. Pure: every time and identity comes in.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::{api::coordination::v1::LeaseSpec, apimachinery::pkg::apis::meta::v1::MicroTime};

/// For so long after a renewal nobody else takes the Lease.
pub(super) const LEASE: Duration = Duration::from_secs(15);
/// Without a renewal for so long, leadership is lost: the work has the time between the two to end.
pub(super) const RENEW_DEADLINE: Duration = Duration::from_secs(10);

/// What a candidate does.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Acquire,
    /// Somebody else holds the Lease, and will for so long if it does not change.
    Wait {
        holder: String,
        rest: Duration,
    },
}

/// Why this process leads no longer.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    #[error("the Lease could not be renewed for {} s", RENEW_DEADLINE.as_secs())]
    NotRenewed,
    #[error("somebody else has changed the Lease")]
    Changed,
    #[error("{0} holds the Lease")]
    Taken(String),
    #[error("the Lease was deleted, or its holder removed")]
    Removed,
}

enum Holder<'a> {
    Nobody,
    Me,
    Other { name: &'a str, term: Duration },
}

/// What a candidate does about a Lease that it has seen `unchanged` for so long by its own steady clock. The times in
/// the Lease come from another machine's clock and prove nothing.
pub(super) fn decide(me: &str, lease: Option<&LeaseSpec>, unchanged: Duration) -> Decision {
    match holder(me, lease) {
        // My identity is that of my former life: a container that was restarted does not wait for its own ghost.
        Holder::Nobody | Holder::Me => Decision::Acquire,
        Holder::Other { term, .. } if unchanged >= term => Decision::Acquire,
        Holder::Other { name, term } => Decision::Wait { holder: name.to_owned(), rest: term - unchanged },
    }
}

/// Whether a leader that does not know what became of its last write still is one.
pub(super) fn confirm(me: &str, lease: Option<&LeaseSpec>) -> Result<(), Lost> {
    match holder(me, lease) {
        Holder::Me => Ok(()),
        Holder::Nobody => Err(Lost::Removed),
        Holder::Other { name, .. } => Err(Lost::Taken(name.to_owned())),
    }
}

fn holder<'a>(me: &str, lease: Option<&'a LeaseSpec>) -> Holder<'a> {
    let Some(lease) = lease else { return Holder::Nobody };
    match lease.holder_identity.as_deref() {
        None | Some("") => Holder::Nobody,
        Some(name) if name == me => Holder::Me,
        Some(name) => {
            let seconds = lease.lease_duration_seconds.and_then(|s| u64::try_from(s).ok());
            Holder::Other { name, term: seconds.map_or(LEASE, Duration::from_secs) }
        }
    }
}

/// The Lease in my hand; `old`: as it was before.
pub(super) fn acquired(me: &str, old: Option<&LeaseSpec>, now: Timestamp) -> LeaseSpec {
    let transitions = old.and_then(|l| l.lease_transitions);
    LeaseSpec {
        holder_identity: Some(me.to_owned()),
        lease_duration_seconds: i32::try_from(LEASE.as_secs()).ok(),
        acquire_time: Some(MicroTime(now)),
        renew_time: Some(MicroTime(now)),
        lease_transitions: match holder(me, old) {
            Holder::Me => transitions,
            Holder::Nobody | Holder::Other { .. } => {
                Some(old.map_or(0, |_| transitions.unwrap_or(0).saturating_add(1)))
            }
        },
        ..old.cloned().unwrap_or_default()
    }
}

pub(super) fn renewed(mine: LeaseSpec, now: Timestamp) -> LeaseSpec {
    LeaseSpec { renew_time: Some(MicroTime(now)), ..mine }
}

/// Anybody's at once. The API server takes no duration of 0.
pub(super) fn released(mine: LeaseSpec, now: Timestamp) -> LeaseSpec {
    LeaseSpec {
        holder_identity: Some(String::new()),
        lease_duration_seconds: Some(1),
        acquire_time: Some(MicroTime(now)),
        renew_time: Some(MicroTime(now)),
        ..mine
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: &str = "boxsync-0";

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_795_348_800 + second).expect("in range")
    }

    fn held_by(name: &str) -> Option<LeaseSpec> {
        Some(acquired(name, None, at(0)))
    }

    fn released_by(name: &str) -> Option<LeaseSpec> {
        held_by(name).map(|lease| released(lease, at(60)))
    }

    fn lasting(seconds: Option<i32>) -> Option<LeaseSpec> {
        held_by("other").map(|lease| LeaseSpec { lease_duration_seconds: seconds, ..lease })
    }

    fn wait(seconds: u64) -> Decision {
        Decision::Wait { holder: "other".to_owned(), rest: Duration::from_secs(seconds) }
    }

    #[test]
    fn a_candidate_takes_what_is_free_and_waits_for_what_is_not() {
        for (sentence, lease, unchanged, expected) in [
            ("a Lease that is not there is made", None, 0, Decision::Acquire),
            ("a Lease that was released is taken at once", released_by("other"), 0, Decision::Acquire),
            ("a Lease without a holder is free", Some(LeaseSpec::default()), 0, Decision::Acquire),
            ("my own ghost is not waited for", held_by(ME), 0, Decision::Acquire),
            ("one that was just seen for the first time is waited for", held_by("other"), 0, wait(15)),
            ("one that has not changed for long is nearly over", held_by("other"), 14, wait(1)),
            ("one that has not changed for its whole term is over", held_by("other"), 15, Decision::Acquire),
            ("the holder's term counts and not mine", lasting(Some(40)), 39, wait(1)),
            ("a holder without a term has the usual one", lasting(None), 14, wait(1)),
            ("a term that makes no sense is the usual one", lasting(Some(-1)), 14, wait(1)),
        ] {
            assert_eq!(decide(ME, lease.as_ref(), Duration::from_secs(unchanged)), expected, "{sentence}");
        }
    }

    #[test]
    fn a_leader_that_looks_again_leads_only_while_the_lease_names_it() {
        for (sentence, lease, expected) in [
            ("it holds what names it", held_by(ME), Ok(())),
            ("it has lost what names another", held_by("other"), Err(Lost::Taken("other".to_owned()))),
            ("it has lost what names nobody", released_by(ME), Err(Lost::Removed)),
            ("it has lost what is not there", None, Err(Lost::Removed)),
        ] {
            assert_eq!(confirm(ME, lease.as_ref()), expected, "{sentence}");
        }
    }

    #[test]
    fn a_transition_is_a_change_of_the_holder() {
        for (sentence, old, expected) in [
            ("the first holder is none", None, 0),
            ("taken from another", held_by("other"), 1),
            ("taken after a release", released_by("other"), 1),
            ("taken from my own ghost", held_by(ME), 0),
        ] {
            let new = acquired(ME, old.as_ref(), at(90));
            assert_eq!(new.lease_transitions, Some(expected), "{sentence}");
            assert_eq!((new.acquire_time, new.renew_time), (Some(MicroTime(at(90))), Some(MicroTime(at(90)))));
        }
    }

    #[test]
    fn a_renewal_changes_the_time_alone() {
        let mine = acquired(ME, None, at(0));
        let later = renewed(mine.clone(), at(2));
        assert_eq!(later.renew_time, Some(MicroTime(at(2))));
        assert_eq!(LeaseSpec { renew_time: mine.renew_time.clone(), ..later }, mine);
    }
}
