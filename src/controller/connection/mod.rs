//! The reconcile of a BoxConnection, with its decision, its sync run and its status.

mod act;
pub(crate) mod backoff;
pub(crate) mod conditions;
pub(crate) mod cron;
pub(crate) mod failure_messages;
mod maintain;
pub(crate) mod messages;
pub(crate) mod observe;
pub(crate) mod orphan_slices;
pub(crate) mod plan;
pub(crate) mod plan_input;
pub(crate) mod plan_reason;
pub(crate) mod progress;
pub(crate) mod reconcile;
pub(crate) mod sign_in;
pub(crate) mod state;
pub(crate) mod status;
pub(crate) mod sync_outcome;
pub(crate) mod sync_run;
pub(crate) mod sync_schedule;
mod unwritten_result;
