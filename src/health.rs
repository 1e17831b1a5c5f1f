//! health — readiness of this process, and the message of `/readyz`.

use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    controller::{CrdAvailability, ResourceKind},
    leader_election::Leadership,
    runtime::BackgroundTasks,
};

/// The inputs of readiness, updated by the other parts of the process.
pub struct Health {
    pub crd_availability: watch::Receiver<CrdAvailability>,
    pub leadership: watch::Receiver<Leadership>,
    /// The kinds whose first list is complete.
    pub listed: watch::Receiver<Vec<ResourceKind>>,
    pub background: Arc<BackgroundTasks>,
    pub stop: CancellationToken,
}

impl Health {
    /// The role of this process, in a sentence for a user.
    ///
    /// # Errors
    /// Not ready: what is missing and how to fix it, in sentences for a user.
    pub fn readiness(&self) -> Result<String, String> {
        if self.stop.is_cancelled() {
            return Err("The process is shutting down.".to_owned());
        }
        if *self.leadership.borrow() == Leadership::Lost {
            return Err(leadership_lost_message(self.background.unfinished()));
        }
        readiness_message(&self.crd_availability.borrow(), &self.leadership.borrow(), &self.listed.borrow())
    }
}

fn leadership_lost_message(unstored_tokens: usize) -> String {
    let what = match unstored_tokens {
        0 => return "This replica lost leadership and is exiting.".to_owned(),
        1 => "one renewed token waits to be stored",
        _ => &format!("{unstored_tokens} renewed tokens wait to be stored"),
    };
    format!("This replica is not leading; {what}. It exits when the API server has accepted them.")
}

fn readiness_message(
    crd_availability: &CrdAvailability,
    leadership: &Leadership,
    listed: &[ResourceKind],
) -> Result<String, String> {
    if let Some(problem) = crd_availability.problem() {
        return Err(problem);
    }
    match leadership {
        Leadership::Unknown => Err(
            "The leader is unknown: the Lease boxsync-operator could not be read or written. If this persists, check the operator's log."
                .to_owned(),
        ),
        Leadership::Lost => Err(leadership_lost_message(0)),
        Leadership::Standby { holder } => Ok(format!("Standby: the Lease is held by {holder}.")),
        Leadership::Leader => {
            let unlisted: Vec<&str> =
                ResourceKind::WATCHED.iter().filter(|kind| !listed.contains(kind)).map(|kind| kind.as_str()).collect();
            if unlisted.is_empty() {
                Ok("This replica is the leader.".to_owned())
            } else {
                Err(format!("This replica is the leader; waiting for the first list of {}.", unlisted.join(", ")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kube_client::KubeError;

    fn unavailable_kind(error: KubeError) -> CrdAvailability {
        CrdAvailability::Unavailable(vec![("userslices.boxsync.dev".to_owned(), error)])
    }

    fn standby_of_one() -> Leadership {
        Leadership::Standby { holder: "one".to_owned() }
    }

    #[test]
    fn a_replica_that_lost_leadership_says_what_it_waits_for() {
        assert_eq!(leadership_lost_message(0), "This replica lost leadership and is exiting.");
        let texts = ["one renewed token waits to be stored", "2 renewed tokens wait to be stored"];
        for (unstored, text) in [1, 2].into_iter().zip(texts) {
            let message = leadership_lost_message(unstored);
            assert!(message.contains("not leading") && message.contains(text), "{message}");
        }
    }

    #[test]
    fn readiness_names_what_is_missing() {
        let (all, two) = (ResourceKind::WATCHED.as_slice(), &ResourceKind::WATCHED[..2]);
        for (case, crd_availability, leadership, listed, expected) in [
            ("a leader with all lists", CrdAvailability::Available, Leadership::Leader, all, Ok("is the leader.")),
            ("a standby", CrdAvailability::Available, standby_of_one(), &[], Ok("Standby: the Lease is held by one.")),
            (
                "a leader without all lists",
                CrdAvailability::Available,
                Leadership::Leader,
                two,
                Err("first list of userrosters"),
            ),
            ("API server not queried yet", CrdAvailability::Unknown, Leadership::Unknown, &[], Err("not reached")),
            ("the leader is unknown", CrdAvailability::Available, Leadership::Unknown, &[], Err("leader is unknown")),
            ("leadership is lost", CrdAvailability::Available, Leadership::Lost, all, Err("lost leadership")),
            (
                "a kind is missing",
                unavailable_kind(KubeError::UnknownKind),
                Leadership::Unknown,
                &[],
                Err("does not serve userslices.boxsync.dev: the CustomResourceDefinitions are not installed"),
            ),
            (
                "a kind is removed while the operator runs",
                unavailable_kind(KubeError::UnknownKind),
                Leadership::Leader,
                all,
                Err("kubectl apply --server-side"),
            ),
            (
                "a permission is missing",
                unavailable_kind(KubeError::Forbidden("no".to_owned())),
                standby_of_one(),
                &[],
                Err("list userslices.boxsync.dev"),
            ),
            (
                "the API server is unreachable",
                unavailable_kind(KubeError::Unreachable("reset".to_owned())),
                Leadership::Leader,
                all,
                Err("cannot be reached"),
            ),
        ] {
            let result = readiness_message(&crd_availability, &leadership, listed);
            assert_eq!(result.is_ok(), expected.is_ok(), "{case}: {result:?}");
            let expected_text = expected.unwrap_or_else(|text| text);
            let text = result.unwrap_or_else(|text| text);
            assert!(text.contains(expected_text), "{case}: {text}");
        }
    }
}
