//! api — the custom resources, and the reasons and conditions in their status.
//! Invariant: plain values only; no dependency on the API server, on Box, or on the clock.
#![expect(unreachable_pub, reason = "KubeSchema repeats each struct inside a function")]
#![expect(clippy::duplicated_attributes, reason = "printer columns of the same type are not duplicates")]

mod condition;
mod condition_message;
mod connection;
mod crd;
mod duration;
mod extra_metadata;
mod judgement;
mod mass_change;
mod reason;
mod request;
mod roster;
mod schedule;
mod slice;
mod stored;
mod sync_status;
mod unknown_word;
mod user_counts;

pub use condition::{ConditionStatus, ConditionsExt, new_condition};
pub use condition_message::{MAX_CONDITION_MESSAGE, compose_message, event_message, quotation, split_message};
pub use connection::{
    AcceptedCredentials, AuthMethod, AuthSpec, AuthType, Authorization, BoxAccount, BoxApp, BoxConnection,
    BoxConnectionSpec, BoxConnectionStatus, BoxEnterprise, LeaseRef, OperatorRef, RosterRef, SecretRef,
    ServerAuthMethod,
};
pub use crd::{crds, crds_yaml};
pub use duration::GoDuration;
pub use extra_metadata::{ExtraAnnotations, ExtraLabels, ExtraMetadata};
pub use judgement::{
    ConnectionHealth, Evidence, Judgement, ListEvidence, OperatorEvidence, judge, plugin_command, sync_command,
};
pub use mass_change::{MassChange, MassChangeKind};
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
pub use stored::{DecodeStored, Stored, Unreadable};
pub use sync_status::{CurrentSync, LastSync, SyncAttempt, SyncFailures, Trigger};
pub use unknown_word::UnknownWord;
pub use user_counts::UserCounts;

/// The annotation that requests a sync when its value changes, for connections that are managed in Git.
pub const REQUESTED_AT_ANNOTATION: &str = "boxsync.dev/requested-at";

/// The annotation that names the requester, on a UserSyncRequest, or on a BoxConnection together with
/// [`REQUESTED_AT_ANNOTATION`]. Anyone who can write the object can set it, so it is an unverified claim unless an
/// admission policy sets it.
pub const REQUESTED_BY_ANNOTATION: &str = "boxsync.dev/requested-by";

/// The annotation of a token Secret with the UID of the BoxConnection that owns the tokens.
pub const CONNECTION_UID_ANNOTATION: &str = "boxsync.dev/connection-uid";
