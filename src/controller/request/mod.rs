//! The reconcile of a UserSyncRequest, and its status.

pub(crate) mod index;
pub(crate) mod reconcile;
pub(crate) mod requested_by;
pub(crate) mod status;
