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
/// an adopted roster referenced. Without a roster, all slices of the owner.
pub fn unreferenced_slices(roster: Option<&RosterContent>, owner_uid: &str, existing: &[SliceMeta]) -> Vec<SliceMeta> {
    let slices = roster.iter().flat_map(|roster| &roster.slices);
    let current: HashSet<&str> = slices.map(|s| s.name.as_str()).collect();
    let previous = roster.iter().filter_map(|roster| roster.previous.as_ref()).flat_map(|p| p.slices.iter());
    let previous: HashSet<&str> = previous.map(String::as_str).collect();
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
    /// Why the deletion ended early.
    pub error: Option<KubeError>,
}

/// What a garbage collection may delete.
pub struct GcScope<'a> {
    pub owner_uid: &'a str,
    pub enterprise_id: &'a str,
    /// Whether a list was ever published. If one was and its roster is gone, nothing is deleted: the roster may be
    /// restored.
    pub was_published: bool,
    /// The slices that have been unreferenced long enough.
    pub due: &'a HashSet<SliceMeta>,
    /// The slices before whose deletion the roster has been written once: it is not written again for them.
    pub fenced: &'a HashSet<SliceMeta>,
}

/// Deletes the unreferenced slices that are due, if the connection owns the roster or none was published yet.
///
/// # Errors
/// API server errors before the first deletion; [`KubeError::Conflict`] if another revision was published meanwhile.
pub async fn collect_garbage(store: &Store, scope: &GcScope<'_>, now: Timestamp) -> Result<GcResult, KubeError> {
    let GcScope { owner_uid, enterprise_id, was_published, due, fenced } = *scope;
    let roster = store.get_roster().await?;
    let may_delete = match &roster {
        Some(roster) => check_ownership(roster, owner_uid, enterprise_id) == Ok(Ownership::Owned),
        None => !was_published,
    };
    if !may_delete {
        return Ok(GcResult::default());
    }
    let unreferenced =
        unreferenced_slices(roster.as_ref().map(|roster| &roster.spec), owner_uid, &store.list_slices().await?);
    let (due, remaining): (Vec<SliceMeta>, Vec<SliceMeta>) = unreferenced.into_iter().partition(|s| due.contains(s));
    // A concurrent publisher that is about to reference one of them has read the older version of the roster, and gets a
    // conflict from now on. A publisher that reads the roster later never references them, so once is enough. Without a
    // roster, only a publisher that made them itself could, and it would have begun before they became due.
    if let Some(roster) = roster.filter(|_| due.iter().any(|slice| !fenced.contains(slice))) {
        bump_resource_version(store, owner_uid, &roster, now).await?;
    }
    let mut result = GcResult { deleted: 0, unreferenced: remaining, error: None };
    let mut due = due.into_iter();
    for slice in due.by_ref() {
        if let Err(error) = store.delete_slice(&slice).await {
            result.error = Some(error);
            result.unreferenced.push(slice);
            break;
        }
        result.deleted += 1;
    }
    result.unreferenced.extend(due);
    Ok(result)
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
