//! health — readiness of this process, and the message of `/readyz`.

use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    controller::{CrdAvailability, ResourceKind, WatchScopes},
    leader_election::Leadership,
    runtime::BackgroundTasks,
};

/// The inputs of readiness, updated by the other parts of the process.
pub struct Health {
    pub crd_availability: watch::Receiver<CrdAvailability>,
    pub leadership: watch::Receiver<Leadership>,
    /// What the watches have read.
    pub scopes: watch::Receiver<WatchScopes>,
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
        readiness_message(&self.crd_availability.borrow(), &self.leadership.borrow(), &self.scopes.borrow())
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
    scopes: &WatchScopes,
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
        Leadership::Standby { holder } => {
            let role = format!("Standby: the Lease is held by {holder}.");
            Ok(with_restriction(role, crd_availability.restriction()))
        }
        Leadership::Leader => {
            let waiting: Vec<&str> = scopes.waiting().into_iter().map(ResourceKind::as_str).collect();
            if !waiting.is_empty() {
                let waiting = waiting.join(", ");
                return Err(format!("This replica is the leader; waiting for the first list of {waiting}."));
            }
            let restriction = scopes.problem().or_else(|| crd_availability.restriction());
            let text = with_restriction("This replica is the leader.".to_owned(), restriction);
            if scopes.works_somewhere() { Ok(text) } else { Err(text) }
        }
    }
}

/// The role, and in which namespaces it cannot be exercised.
fn with_restriction(role: String, restriction: Option<String>) -> String {
    restriction.map_or_else(|| role.clone(), |restriction| format!("{role} {restriction}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        controller::{ScopeState, UnavailableKind},
        kube_client::KubeError,
    };

    fn unavailable(namespace: Option<&str>, error: KubeError) -> Vec<UnavailableKind> {
        let (kind, namespace) = ("userslices.boxsync.dev".to_owned(), namespace.map(str::to_owned));
        vec![UnavailableKind { kind, namespace, error }]
    }

    fn unavailable_kind(error: KubeError) -> CrdAvailability {
        CrdAvailability::Unavailable(unavailable(None, error))
    }

    /// Two namespaces in which everything is read, except for the rosters, which are in these states.
    fn scopes_with_rosters(rosters: [ScopeState; 2]) -> WatchScopes {
        let namespaces = ["a", "b"];
        let mut scopes = WatchScopes::new(&namespaces.map(str::to_owned));
        for (namespace, rosters) in namespaces.into_iter().zip(rosters) {
            for kind in ResourceKind::WATCHED {
                let state = if kind == ResourceKind::Rosters { rosters } else { ScopeState::Current };
                scopes.set_state(kind, namespace, state);
            }
        }
        scopes
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
        use ScopeState::{Current, Isolated, Waiting};
        let [all, two, one_isolated, all_isolated, none] = [
            scopes_with_rosters([Current, Current]),
            scopes_with_rosters([Waiting, Current]),
            scopes_with_rosters([Current, Isolated]),
            scopes_with_rosters([Isolated, Isolated]),
            WatchScopes::new(&[]),
        ];
        let denied_in_b = CrdAvailability::Partial(unavailable(Some("b"), KubeError::Forbidden("no".to_owned())));
        for (case, crd_availability, leadership, scopes, expected) in [
            ("a leader with all lists", CrdAvailability::Available, Leadership::Leader, &all, Ok("is the leader.")),
            (
                "a standby",
                CrdAvailability::Available,
                standby_of_one(),
                &none,
                Ok("Standby: the Lease is held by one."),
            ),
            (
                "a standby that may not read a namespace",
                denied_in_b.clone(),
                standby_of_one(),
                &none,
                Ok("held by one. The operator cannot read userslices.boxsync.dev in namespace b"),
            ),
            (
                "a leader that may not list slices in a namespace",
                denied_in_b,
                Leadership::Leader,
                &all,
                Ok("is the leader. The operator cannot read userslices.boxsync.dev in namespace b"),
            ),
            (
                "a leader that cannot read a namespace",
                CrdAvailability::Available,
                Leadership::Leader,
                &one_isolated,
                Ok("is the leader. The operator cannot read userrosters in namespace b;"),
            ),
            (
                "a leader that can read none",
                CrdAvailability::Available,
                Leadership::Leader,
                &all_isolated,
                Err("cannot read userrosters in namespace a; userrosters in namespace b;"),
            ),
            (
                "a leader without all lists",
                CrdAvailability::Available,
                Leadership::Leader,
                &two,
                Err("first list of userrosters"),
            ),
            ("API server not queried yet", CrdAvailability::Unknown, Leadership::Unknown, &none, Err("not reached")),
            ("the leader is unknown", CrdAvailability::Available, Leadership::Unknown, &none, Err("leader is unknown")),
            ("leadership is lost", CrdAvailability::Available, Leadership::Lost, &all, Err("lost leadership")),
            (
                "a kind is missing",
                unavailable_kind(KubeError::UnknownKind),
                Leadership::Unknown,
                &none,
                Err("does not serve userslices.boxsync.dev: the CustomResourceDefinitions are not installed"),
            ),
            (
                "a kind is removed while the operator runs",
                unavailable_kind(KubeError::UnknownKind),
                Leadership::Leader,
                &all,
                Err("kubectl apply --server-side"),
            ),
            (
                "a permission is missing",
                unavailable_kind(KubeError::Forbidden("no".to_owned())),
                standby_of_one(),
                &none,
                Err("list userslices.boxsync.dev"),
            ),
            (
                "the API server is unreachable",
                unavailable_kind(KubeError::Unreachable("reset".to_owned())),
                Leadership::Leader,
                &all,
                Err("cannot be reached"),
            ),
        ] {
            let result = readiness_message(&crd_availability, &leadership, scopes);
            assert_eq!(result.is_ok(), expected.is_ok(), "{case}: {result:?}");
            let expected_text = expected.unwrap_or_else(|text| text);
            let text = result.unwrap_or_else(|text| text);
            assert!(text.contains(expected_text), "{case}: {text}");
        }
    }
}
