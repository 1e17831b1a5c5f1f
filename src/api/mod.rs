//! api — what users write and read: the custom resources and the words in their status.
//! Invariant: plain values only. Nothing here knows Kubernetes' API server, Box, or the time.
#![expect(unreachable_pub, reason = "KubeSchema repeats each struct inside a function")]
#![expect(clippy::duplicated_attributes, reason = "two columns of one type are no repetition")]

mod condition;
mod connection;
mod counts;
mod crd;
mod interval;
mod reason;
mod reason_page;
mod request;
mod roster;
mod slice;

pub use condition::{Conditions, State, condition};
pub use connection::{
    Account, App, Attempt, Auth, AuthType, BoxConnection, BoxConnectionSpec, BoxConnectionStatus, Credentials,
    CurrentSync, Enterprise, Failures, LastSync, Method, RosterRef, SecretRef, Trigger,
};
pub use counts::UserCounts;
pub use crd::{all as crds, yaml as crds_yaml};
pub use interval::Interval;
pub use reason::{Consequence, Reason};
pub use reason_page::Page;
pub use request::{ConnectionRef, Phase, Progress, UserSyncRequest, UserSyncRequestSpec, UserSyncRequestStatus};
pub use roster::{
    CONNECTION_LABEL, Change, FORMAT, Held, JournalEntry, Previous, RequestRef, RosterContent, SliceRef, UserRoster,
};
pub use slice::{SliceContent, SliceState, UserSlice};

/// The annotation whose changed value asks for a sync, for those who keep connections in Git.
pub const REQUESTED_AT: &str = "boxsync.dev/requested-at";
