//! Slices that nobody names (any more) are deleted, after those who may still read or publish them had their time.

use std::collections::HashSet;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{
    publish::check_ownership,
    store::{SliceMeta, Store},
};
use crate::{
    api::{RosterContent, UserRoster},
    kube_client::KubeError,
};

/// Slices of this owner that neither the roster nor the revision before it names, and those without an owner that an
/// adopted roster named.
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

/// What a look for unnamed slices found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GcResult {
    /// How many were deleted.
    pub deleted: usize,
    /// Those that are there still.
    pub unreferenced: Vec<SliceMeta>,
}

/// Looks which slices nobody names, and deletes those of them that are `due`. Without a roster of ours nothing is.
///
/// # Errors
/// The API server's trouble; [`Trouble::Conflict`] where the list moved on meanwhile.
pub async fn collect_garbage(
    store: &Store,
    owner_uid: &str,
    enterprise_id: &str,
    due: impl Fn(&SliceMeta) -> bool,
    now: Timestamp,
) -> Result<GcResult, KubeError> {
    let Some(roster) = store.get_roster().await? else { return Ok(GcResult::default()) };
    if check_ownership(&roster, owner_uid, enterprise_id) != Ok(true) {
        return Ok(GcResult::default());
    }
    let unreferenced = unreferenced_slices(&roster.spec, owner_uid, &store.list_slices().await?);
    let (due, remaining): (Vec<SliceMeta>, Vec<SliceMeta>) = unreferenced.into_iter().partition(due);
    if due.is_empty() {
        return Ok(GcResult { deleted: 0, unreferenced: remaining });
    }
    // Whoever is about to publish one of them has read an older version of the roster, and is refused from now on.
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
