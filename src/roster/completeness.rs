//! Whether all slices of the published list exist.

use super::{
    ownership::check_ownership,
    store::{RosterVersion, SliceMeta, Store},
};
use crate::{api::RosterContent, kube_client::KubeError};

/// The number of slices that the roster names and that do not exist among these.
pub fn count_missing_slices(roster: &RosterContent, existing: &[SliceMeta]) -> usize {
    let existing: std::collections::HashSet<&str> = existing.iter().map(|slice| slice.name.as_str()).collect();
    roster.slices.iter().filter(|slice| !existing.contains(slice.name.as_str())).count()
}

/// Counts the missing slices of the stored roster; none if the roster is another's, or changes meanwhile.
///
/// # Errors
/// API server errors.
pub async fn confirm_missing_slices(store: &Store, owner_uid: &str, enterprise_id: &str) -> Result<usize, KubeError> {
    let Some(roster) = store.get_roster().await? else { return Ok(0) };
    if check_ownership(&roster, owner_uid, enterprise_id).is_err() {
        return Ok(0);
    }
    let missing = count_missing_slices(&roster.spec, &store.list_slices().await?);
    if missing == 0 {
        return Ok(0);
    }
    let reread = store.get_roster().await?.map(|reread| RosterVersion::of(&reread));
    Ok(if reread == Some(RosterVersion::of(&roster)) { missing } else { 0 })
}
