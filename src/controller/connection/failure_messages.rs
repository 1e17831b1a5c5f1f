//! Why the cluster kept an attempt from its end, in words for a person. Pure; what Box and the credentials had to do
//! with it is told by `signin`.

pub(crate) use crate::auth::{Failure, FailureContext};
use crate::{
    api::Reason,
    kube_client::KubeError,
    roster::{self, OwnershipConflict},
};

impl Failure {
    pub(crate) fn secret_forbidden(failure_context: &FailureContext) -> Self {
        Self::new(
            Reason::Internal,
            format!("The API server does not let the operator read Secret {}.", failure_context.secret),
            format!(
                "A cluster admin gives the operator's ServiceAccount the right to get Secrets in namespace {} (a RoleBinding to the operator's ClusterRole, as its chart makes it).",
                failure_context.namespace
            ),
        )
    }

    pub(crate) fn secret_unreadable(failure_context: &FailureContext, code: u16) -> Self {
        Self::new(
            Reason::Internal,
            format!("The API server answered {code} when the operator read Secret {}.", failure_context.secret),
            "If it lasts, a cluster admin looks at the API server's log.",
        )
    }

    pub(crate) fn panicked() -> Self {
        Self::new(
            Reason::Internal,
            "The operator ran into an error of its own.",
            "The operator's log has the details; please report them.",
        )
    }

    /// What it means that a list could not be published.
    pub(crate) fn from_roster_error(failure_context: &FailureContext, error: &roster::Error) -> Self {
        match error {
            roster::Error::NotOwned(conflict) => Self::roster_conflict(failure_context, conflict),
            roster::Error::TooLarge { .. } | roster::Error::RecordTooLarge => Self::new(
                Reason::ListTooLarge,
                format!("The list cannot be published: {error}."),
                "Please report the size of the enterprise to the makers of the operator.",
            ),
            roster::Error::BaselineLost(held) => Self {
                held: Some(Box::new(held.clone())),
                ..Self::new(
                    Reason::RemovalsHeld,
                    format!(
                        "The published list was deleted or damaged, and {} of its {} users are missing in Box; nobody knows who they are. Nothing was published.",
                        held.removals, held.total
                    ),
                    format!(
                        "Restore the UserRoster {} and its UserSlices from a backup, or, if so many users are really gone, create a UserSyncRequest with approveRemovals: \"{}\".",
                        failure_context.connection, held.digest
                    ),
                )
            },
            roster::Error::Kube(trouble) => Self::from_kube_error(failure_context, trouble),
        }
    }

    /// Another roster of the connection's name is in the way.
    pub(crate) fn roster_conflict(failure_context: &FailureContext, conflict: &OwnershipConflict) -> Self {
        let (name, namespace) = (&failure_context.connection, &failure_context.namespace);
        let remedy = match conflict {
            OwnershipConflict::OtherOwner => format!(
                "If it belongs to a BoxConnection {name} that was deleted, Kubernetes removes it by itself within a minute or two; otherwise find its owner (kubectl get userroster {name} -o yaml) and delete the roster."
            ),
            OwnershipConflict::OtherEnterprise(_) => format!(
                "Nobody owns it: if it is no longer needed, delete it (kubectl delete userroster {name} -n {namespace}); otherwise give this BoxConnection another name."
            ),
            OwnershipConflict::NewerFormat(_) => {
                "Run the newer version of the operator again, or delete the roster.".to_owned()
            }
        };
        Self::new(
            Reason::RosterConflict,
            format!("There is a UserRoster {name} in namespace {namespace} that is not this connection's: {conflict}."),
            remedy,
        )
    }

    fn from_kube_error(failure_context: &FailureContext, error: &KubeError) -> Self {
        let namespace = &failure_context.namespace;
        match error {
            KubeError::Forbidden(_) => Self::new(
                Reason::Internal,
                "The API server does not let the operator write the list.",
                format!(
                    "A cluster admin gives the operator's ServiceAccount the rights to UserRosters and UserSlices in namespace {namespace} (a RoleBinding to the operator's ClusterRole, as its chart makes it)."
                ),
            ),
            KubeError::Rejected { code, .. } => Self::new(
                Reason::Internal,
                format!("The API server answered {code} when the list was written."),
                "If it lasts, a cluster admin looks at the API server's log: is a quota or an admission webhook in the way, is etcd full?",
            ),
            KubeError::NotFound | KubeError::UnknownKind => Self::new(
                Reason::Internal,
                "The API server does not know UserRosters and UserSlices.",
                "A cluster admin installs the CustomResourceDefinitions of this version of the operator.",
            ),
            KubeError::Conflict => Self::new(
                Reason::Internal,
                "Others wrote the list again and again while it was to be published.",
                "Check that no second operator works on this namespace.",
            ),
            KubeError::Unreachable(_) => {
                Self::new(Reason::Internal, "The API server could not be reached when the list was to be written.", "")
            }
        }
    }
}
