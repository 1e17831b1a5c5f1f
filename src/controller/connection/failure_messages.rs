//! Messages for failures of the cluster. Pure. Those of Box and the credentials are in `auth`.

pub(crate) use crate::auth::{Failure, FailureContext};
use crate::{
    api::Reason,
    controller::refusal_messages::{RefusalMessage, RefusedWrite, refusal_message},
    kube_client::KubeError,
    roster::{self, OwnershipConflict},
    text::quote_text,
};

/// The limit for an answer of the API server in a message.
const MAX_ANSWER_CHARS: usize = 300;

impl Failure {
    /// `right`: what is denied, in the API server's words.
    pub(crate) fn secret_forbidden(failure_context: &FailureContext, right: &str) -> Self {
        Self::new(
            Reason::Internal,
            format!("The operator is not allowed to read Secret {}: {}.", failure_context.secret, shorten(right)),
            format!(
                "A cluster admin must let the operator get Secrets in namespace {} (a RoleBinding, as the chart creates it).",
                failure_context.namespace
            ),
        )
    }

    pub(crate) fn secret_unreadable(failure_context: &FailureContext, code: u16, answer: &str) -> Self {
        Self::new(
            Reason::Internal,
            format!("The API server returned {code} for Secret {}: {}.", failure_context.secret, shorten(answer)),
            "If this persists, a cluster admin should check the API server's log.",
        )
    }

    /// The API server does not know the operator.
    pub(crate) fn unauthenticated(answer: &str) -> Self {
        Self::new(
            Reason::Internal,
            format!("The API server does not accept the operator's credentials: {}.", shorten(answer)),
            "A cluster admin must check that its ServiceAccount exists and its token is valid, and restart the operator.",
        )
    }

    pub(crate) fn panicked() -> Self {
        Self::new(Reason::Internal, "Internal error in the operator.", "Check the operator's log and report the error.")
    }

    /// Why a list could not be published.
    pub(crate) fn from_roster_error(failure_context: &FailureContext, error: &roster::Error) -> Self {
        match error {
            roster::Error::NotOwned(conflict) => Self::roster_conflict(failure_context, conflict),
            roster::Error::TooLarge { .. } | roster::Error::RecordTooLarge => Self::new(
                Reason::ListTooLarge,
                format!("The list cannot be published: {error}."),
                "Report the size of the enterprise to the maintainers of the operator.",
            ),
            roster::Error::BaselineLost(held) => Self {
                held: Some(Box::new(held.clone())),
                ..Self::new(
                    Reason::RemovalsHeld,
                    format!(
                        "The published list was deleted or damaged, and {} of its {} users are missing from Box and cannot be identified.",
                        held.removals, held.total
                    ),
                    format!(
                        "Restore the UserRoster {name} and its UserSlices from a backup, or approve the removal of these users if it is right: kubectl boxsync approve {name} -n {}.",
                        failure_context.namespace,
                        name = failure_context.connection,
                    ),
                )
            },
            // Such a run is repeated without a result; see `StopReason::Superseded`.
            roster::Error::Superseded => Self::from_kube_error(failure_context, &KubeError::Conflict),
            roster::Error::Kube(trouble) => Self::from_kube_error(failure_context, trouble),
        }
    }

    /// A roster of the connection's name belongs to something else.
    pub(crate) fn roster_conflict(failure_context: &FailureContext, conflict: &OwnershipConflict) -> Self {
        let (name, namespace) = (&failure_context.connection, &failure_context.namespace);
        let remedy = match conflict {
            OwnershipConflict::OtherOwner => format!(
                "What a deleted BoxConnection left is deleted within about two minutes; otherwise find the owner (kubectl get userroster {name} -n {namespace} -o yaml) and delete the roster."
            ),
            OwnershipConflict::OtherEnterprise(_) => format!(
                "It has no owner. If it is no longer needed, delete it (kubectl delete userroster {name} -n {namespace}); otherwise give this BoxConnection another name."
            ),
            OwnershipConflict::NewerFormat(_) => {
                "Run the newer version of the operator again, or delete the roster.".to_owned()
            }
        };
        Self::new(
            Reason::RosterConflict,
            format!("UserRoster {name} in namespace {namespace} does not belong to this connection: {conflict}."),
            remedy,
        )
    }

    fn from_kube_error(failure_context: &FailureContext, error: &KubeError) -> Self {
        let namespace = &failure_context.namespace;
        match error {
            KubeError::Refused(refusal) => {
                let write = RefusedWrite {
                    what: "the list",
                    resource: "userslices.boxsync.dev",
                    namespace,
                    needed: "a slice for each 250 to 1,000 users, and as many again",
                };
                let RefusalMessage { summary, remediation } = refusal_message(refusal, write);
                Self::new(Reason::Internal, summary, remediation)
            }
            KubeError::Unauthenticated(answer) => Self::unauthenticated(answer),
            KubeError::Forbidden(right) => Self::new(
                Reason::Internal,
                format!("The operator is not allowed to write the list: {}.", shorten(right)),
                format!(
                    "A cluster admin must let the operator write UserRosters and UserSlices in namespace {namespace} (a RoleBinding, as the chart creates it)."
                ),
            ),
            KubeError::Unavailable { code, message } | KubeError::Rejected { code, message } => Self::new(
                Reason::Internal,
                format!("The API server returned {code} when writing the list: {}.", shorten(message)),
                "If this persists, a cluster admin should check the API server's log, and whether etcd is full.",
            ),
            KubeError::NotFound | KubeError::UnknownKind => Self::new(
                Reason::Internal,
                "The API server does not serve UserRosters and UserSlices.",
                "A cluster admin must install the CustomResourceDefinitions of this version of the operator.",
            ),
            KubeError::Conflict => Self::new(
                Reason::Internal,
                "The list was changed repeatedly by another writer during publishing.",
                "Check that no second operator manages this namespace.",
            ),
            KubeError::TooManyRequests { .. } => {
                Self::new(Reason::Internal, "The API server limited requests while the list was written.", "")
            }
            KubeError::Unreadable(_) => Self::new(
                Reason::Internal,
                "The published list cannot be read by this version of the operator.",
                "A cluster admin must run the newer version of the operator again, or delete the UserRoster.",
            ),
            KubeError::Unreachable(_) => {
                Self::new(Reason::Internal, "The API server was unreachable while writing the list.", "")
            }
        }
    }
}

fn shorten(answer: &str) -> String {
    quote_text(answer, MAX_ANSWER_CHARS)
}
