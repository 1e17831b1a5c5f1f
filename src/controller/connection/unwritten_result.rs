//! The result of a run or a probe between its end and the API server's acceptance of its status.

use super::{
    failure_messages::Failure,
    sync_outcome::{SignedIn, SyncOutcome},
};
use crate::api::UserSyncRequest;

/// The result of work whose status the API server has not accepted yet. Nothing else is done for the connection before it
/// is written: the next plan would repeat the work.
pub(crate) enum UnwrittenResult {
    Probe(Box<Result<SignedIn, Failure>>, Option<Failure>),
    Sync { outcome: Box<SyncOutcome>, requests: Vec<UserSyncRequest>, fallback_cause: Option<Failure> },
}
