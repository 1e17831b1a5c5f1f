//! api — what users write and read: the custom resources and the words in their status.
//! Invariant: plain values only. Nothing here knows Kubernetes' API server, Box, or the time.
#![expect(unreachable_pub, reason = "KubeSchema repeats each struct inside a function")]
#![expect(clippy::duplicated_attributes, reason = "two columns of one type are no repetition")]

mod condition;
mod connection;
mod crd;
mod duration;
mod reason;
mod request;
mod roster;
mod schedule;
mod slice;
mod sync_status;
mod user_counts;

pub use condition::{ConditionStatus, ConditionsExt, new_condition};
pub use connection::{
    AcceptedCredentials, AuthMethod, AuthSpec, AuthType, Authorization, BoxAccount, BoxApp, BoxConnection,
    BoxConnectionSpec, BoxConnectionStatus, BoxEnterprise, RosterRef, SecretRef,
};
pub use crd::{crds, crds_yaml};
pub use duration::GoDuration;
pub use reason::{FailureClass, Reason};
pub use request::{
    ConnectionRef, RequestPhase, SyncProgress, UserSyncRequest, UserSyncRequestSpec, UserSyncRequestStatus,
};
pub use roster::{
    CONNECTION_LABEL, PreviousRevision, ROSTER_FORMAT_VERSION, RemovalHold, RequestRef, RevisionRecord, RosterChange,
    RosterContent, SliceRef, UserRoster,
};
pub use schedule::{Schedule, SyncSchedule};
pub use slice::{SliceContent, SliceState, UserSlice};
pub use sync_status::{CurrentSync, LastSync, SyncAttempt, SyncFailures, Trigger};
pub use user_counts::UserCounts;

/// The annotation whose changed value asks for a sync, for those who keep connections in Git.
pub const REQUESTED_AT_ANNOTATION: &str = "boxsync.dev/requested-at";

/// The annotation that says who asked: of a UserSyncRequest, or of a BoxConnection beside `REQUESTED_AT`. Anybody may write
/// it; only where the cluster stamps it does it say more than a claim.
pub const REQUESTED_BY_ANNOTATION: &str = "boxsync.dev/requested-by";

/// The annotation of a Secret with tokens that says to which BoxConnection they belong, by its UID.
pub const CONNECTION_UID_ANNOTATION: &str = "boxsync.dev/connection-uid";
