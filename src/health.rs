//! health — whether this process does its part, and what is missing where it does not.

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    controller::{CrdAvailability, ResourceKind},
    leader_election::Leadership,
};

/// What readiness follows from, as it is told by those who know.
pub struct Health {
    pub crd_availability: watch::Receiver<CrdAvailability>,
    pub leadership: watch::Receiver<Leadership>,
    /// The kinds whose first list is complete.
    pub listed: watch::Receiver<Vec<ResourceKind>>,
    pub stop: CancellationToken,
}

impl Health {
    /// What this process does, or why it does not.
    ///
    /// # Errors
    /// What is missing, and who mends it, in sentences for a person.
    pub fn readiness(&self) -> Result<String, String> {
        if self.stop.is_cancelled() {
            return Err("The process was told to stop.".to_owned());
        }
        readiness_message(&self.crd_availability.borrow(), &self.leadership.borrow(), &self.listed.borrow())
    }
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
            "It is not known yet which replica leads: the Lease boxsync-operator was not read or written. If it lasts, the operator's log says why."
                .to_owned(),
        ),
        Leadership::Lost => Err("This replica leads no longer, and ends.".to_owned()),
        Leadership::Standby { holder } => Ok(format!("This replica stands by: {holder} holds the Lease.")),
        Leadership::Leader => {
            let unlisted: Vec<&str> =
                ResourceKind::WATCHED.iter().filter(|kind| !listed.contains(kind)).map(|kind| kind.as_str()).collect();
            if unlisted.is_empty() {
                Ok("This replica does the work.".to_owned())
            } else {
                Err(format!("This replica leads; the first list of {} is still to come.", unlisted.join(", ")))
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
    fn readiness_names_what_is_missing() {
        let (all, two) = (ResourceKind::WATCHED.as_slice(), &ResourceKind::WATCHED[..2]);
        for (case, crd_availability, leadership, listed, expected) in [
            (
                "a leader that has seen all works",
                CrdAvailability::Available,
                Leadership::Leader,
                all,
                Ok("does the work"),
            ),
            (
                "a standby is ready: it stands by",
                CrdAvailability::Available,
                standby_of_one(),
                &[],
                Ok("stands by: one holds the Lease"),
            ),
            (
                "a leader waits for its lists",
                CrdAvailability::Available,
                Leadership::Leader,
                two,
                Err("first list of userrosters"),
            ),
            (
                "nobody has asked yet",
                CrdAvailability::Unknown,
                Leadership::Unknown,
                &[],
                Err("has not reached the API server yet"),
            ),
            (
                "nobody knows who leads",
                CrdAvailability::Available,
                Leadership::Unknown,
                &[],
                Err("which replica leads"),
            ),
            ("leadership is lost", CrdAvailability::Available, Leadership::Lost, all, Err("leads no longer")),
            (
                "a kind is missing",
                unavailable_kind(KubeError::UnknownKind),
                Leadership::Unknown,
                &[],
                Err("does not serve userslices.boxsync.dev: the CustomResourceDefinitions are not installed"),
            ),
            (
                "a kind is gone while it works",
                unavailable_kind(KubeError::UnknownKind),
                Leadership::Leader,
                all,
                Err("kubectl apply --server-side"),
            ),
            (
                "a right is missing",
                unavailable_kind(KubeError::Forbidden("no".to_owned())),
                standby_of_one(),
                &[],
                Err("list userslices.boxsync.dev"),
            ),
            (
                "the API server is away",
                unavailable_kind(KubeError::Unreachable("reset".to_owned())),
                Leadership::Leader,
                all,
                Err("cannot be reached"),
            ),
        ] {
            let result = readiness_message(&crd_availability, &leadership, listed);
            assert_eq!(result.is_ok(), expected.is_ok(), "{case}: {result:?}");
            let expected_text = expected.unwrap_or_else(|words| words);
            let text = result.unwrap_or_else(|text| text);
            assert!(text.contains(expected_text), "{case}: {text}");
        }
    }
}
