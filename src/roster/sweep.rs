//! Slices that nobody names (any more) are deleted, after those who may still read or publish them had their time.

use std::collections::HashSet;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::publish::standing;
use super::store::{Present, Store};
use crate::{
    api::{RosterContent, UserRoster},
    cluster::Trouble,
};

/// Slices of this owner that neither the roster nor the revision before it names, and those without an owner that an
/// adopted roster named.
pub fn unnamed(roster: &RosterContent, owner: &str, present: &[Present]) -> Vec<Present> {
    let now: HashSet<&str> = roster.slices.iter().map(|s| s.name.as_str()).collect();
    let before: HashSet<&str> = roster.previous.iter().flat_map(|p| p.slices.iter()).map(String::as_str).collect();
    let nobodys = |slice: &&Present| {
        let name = slice.name.as_str();
        match slice.owner.as_deref() {
            Some(uid) => uid == owner && !now.contains(name) && !before.contains(name),
            None => before.contains(name) && !now.contains(name),
        }
    };
    present.iter().filter(nobodys).cloned().collect()
}

/// What a look for unnamed slices found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// How many were deleted.
    pub deleted: usize,
    /// Those that are there still.
    pub unnamed: Vec<Present>,
}

/// Looks which slices nobody names, and deletes those of them that are `due`. Without a roster of ours nothing is.
///
/// # Errors
/// The API server's trouble; [`Trouble::Conflict`] where the list moved on meanwhile.
pub async fn sweep(
    store: &Store,
    owner: &str,
    enterprise_id: &str,
    due: impl Fn(&Present) -> bool,
    now: Timestamp,
) -> Result<Swept, Trouble> {
    let Some(roster) = store.roster().await? else { return Ok(Swept::default()) };
    if standing(&roster, owner, enterprise_id) != Ok(true) {
        return Ok(Swept::default());
    }
    let unnamed = unnamed(&roster.spec, owner, &store.present().await?);
    let (due, rest): (Vec<Present>, Vec<Present>) = unnamed.into_iter().partition(due);
    if due.is_empty() {
        return Ok(Swept { deleted: 0, unnamed: rest });
    }
    // Whoever is about to publish one of them has read an older version of the roster, and is refused from now on.
    fence(store, owner, &roster, now).await?;
    for slice in &due {
        store.delete(slice).await?;
    }
    Ok(Swept { deleted: due.len(), unnamed: rest })
}

async fn fence(store: &Store, owner: &str, roster: &UserRoster, now: Timestamp) -> Result<(), Trouble> {
    let content = RosterContent { swept_at: Some(Time(now)), ..roster.spec.clone() };
    store.commit(owner, Some(roster), content).await.map(|_| ())
}
