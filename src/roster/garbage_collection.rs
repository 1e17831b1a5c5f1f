//! Garbage collection of unreferenced slices. The caller decides when a slice is due, so that readers and publishers
//! that still use it can finish.

use std::collections::HashSet;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{
    ownership::{Ownership, check_ownership},
    store::{SliceMeta, Store},
};
use crate::{
    api::{RosterContent, UserRoster},
    kube_client::KubeError,
};

/// Slices of this owner that neither the roster nor its previous revision references, and slices without an owner that
/// an adopted roster referenced.
pub fn unreferenced_slices(roster: &RosterContent, owner_uid: &str, existing: &[SliceMeta]) -> Vec<SliceMeta> {
    let current: HashSet<&str> = roster.slices.iter().map(|s| s.name.as_str()).collect();
    let previous: HashSet<&str> = roster.previous.iter().flat_map(|p| p.slices.iter()).map(String::as_str).collect();
    let is_unreferenced = |slice: &&SliceMeta| {
        let name = slice.name.as_str();
        match slice.owner_uid.as_deref() {
            Some(uid) => uid == owner_uid && !current.contains(name) && !previous.contains(name),
            None => previous.contains(name) && !current.contains(name),
        }
    };
    existing.iter().filter(is_unreferenced).cloned().collect()
}

/// The result of a garbage collection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GcResult {
    /// The number of deleted slices.
    pub deleted: usize,
    /// Unreferenced slices that still exist.
    pub unreferenced: Vec<SliceMeta>,
}

/// Deletes the unreferenced slices that are `due`. Without a roster that the connection owns, nothing is deleted.
///
/// # Errors
/// API server errors; [`KubeError::Conflict`] if another revision was published meanwhile.
pub async fn collect_garbage(
    store: &Store,
    owner_uid: &str,
    enterprise_id: &str,
    due: impl Fn(&SliceMeta) -> bool,
    now: Timestamp,
) -> Result<GcResult, KubeError> {
    let Some(roster) = store.get_roster().await? else { return Ok(GcResult::default()) };
    if check_ownership(&roster, owner_uid, enterprise_id) != Ok(Ownership::Owned) {
        return Ok(GcResult::default());
    }
    let unreferenced = unreferenced_slices(&roster.spec, owner_uid, &store.list_slices().await?);
    let (due, remaining): (Vec<SliceMeta>, Vec<SliceMeta>) = unreferenced.into_iter().partition(due);
    if due.is_empty() {
        return Ok(GcResult { deleted: 0, unreferenced: remaining });
    }
    // A concurrent publisher that is about to reference one of them has read the older version of the roster, and gets a
    // conflict from now on.
    bump_resource_version(store, owner_uid, &roster, now).await?;
    for slice in &due {
        store.delete_slice(slice).await?;
    }
    Ok(GcResult { deleted: due.len(), unreferenced: remaining })
}

async fn bump_resource_version(
    store: &Store,
    owner_uid: &str,
    roster: &UserRoster,
    now: Timestamp,
) -> Result<(), KubeError> {
    let content = RosterContent { swept_at: Some(Time(now)), ..roster.spec.clone() };
    store.commit_roster(owner_uid, Some(roster), content).await.map(|_| ())
}
