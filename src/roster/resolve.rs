//! Who is gone, who is held and who is back, once it is known what is different. Pure.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::compare::{Compared, Record};
use super::line::{Changed, Gone};
use super::{Builder, List, guard};
use crate::api::Held;

/// What the published list says, as far as it could be read, and what the rules are.
pub(super) struct Before<'a> {
    /// Users in the published list.
    pub(super) total: i64,
    /// Users whose removal is held.
    pub(super) held: List,
    /// The same as the roster tells it.
    pub(super) held_told: Option<Held>,
    /// Users of slices that are lost: nobody knows who they were.
    pub(super) lost: i64,
    pub(super) max_removal_percent: i32,
    /// The digest of the removals that somebody approved.
    pub(super) approve: Option<&'a str>,
}

/// What becomes of everybody.
pub(super) struct Resolved {
    /// Places in the new list of users who were not in the published one, as far as these are known.
    pub(super) added: Vec<u32>,
    pub(super) added_count: i64,
    pub(super) updated: i64,
    /// Users who go from the list now.
    pub(super) removed: Vec<Gone>,
    pub(super) removed_count: i64,
    /// Everybody whose removal is held from now on.
    pub(super) held: List,
    pub(super) held_told: Option<Held>,
    /// How many of them vanished just now.
    pub(super) newly_held: i64,
    /// The digest that was approved, if it took effect.
    pub(super) approved: Option<String>,
    pub(super) record: Record,
}

/// # Errors
/// The removals that would be held, where nobody knows who vanished.
pub(super) fn resolve(list: &List, found: Compared, before: Before<'_>, now: Timestamp) -> Result<Resolved, Held> {
    let Compared { added, mut updated, vanished, mut record } = found;
    let Before { total, held, held_told, lost, max_removal_percent, approve } = before;

    let (back, added) = match held.is_empty() {
        true => (Vec::new(), added),
        false => added.into_iter().partition(|at| held.contains(list.id_at(*at as usize))),
    };
    for at in back {
        let to = list.get(at as usize);
        if let Some(from) = held.find(to.id) {
            updated += i64::from(from != to);
            record.note(|| Changed::released(from, to));
        }
    }
    let mut removed = Vec::new();
    let mut removed_users = |users: &mut dyn Iterator<Item = super::Entry<'_>>, record: &mut Record| {
        for user in users {
            removed.push(Gone::of(&user, now));
            record.note(|| Changed::removed(user));
        }
    };
    let approves_held = approve.is_some() && held_told.as_ref().map(|h| h.digest.as_str()) == approve;
    let mut still_held = Builder::default();
    {
        let mut missing = held.iter().filter(|user| !list.contains(user.id));
        if approves_held {
            removed_users(&mut missing, &mut record);
        } else {
            still_held.push_page(missing);
        }
    }

    let known = count(vanished.len());
    let unknown = (lost - count(added.len())).max(0);
    let mut approved = approve.filter(|_| approves_held);
    let mut newly_held = 0;
    if guard::holds(known + unknown, total, max_removal_percent) {
        if lost > 0 {
            let digest = guard::digest_of_numbers(total, count(list.len()));
            if approve != Some(digest.as_str()) {
                return Err(Held { time: Time(now), removals: known + unknown, total, digest });
            }
            approved = approve;
            removed_users(&mut vanished.iter(), &mut record);
        } else {
            newly_held = known;
            vanished.iter().for_each(|user| record.note(|| Changed::held(&user)));
            still_held.push_page(vanished.iter());
        }
    } else {
        removed_users(&mut vanished.iter(), &mut record);
    }
    removed.sort_by(|a, b| super::by_id(&a.id, &b.id));

    let held = still_held.finish();
    let added_count = (count(added.len()) - lost).max(0);
    let removed_count = count(removed.len()) + unknown;
    let held_told = (!held.is_empty()).then(|| Held {
        time: held_told.filter(|_| newly_held == 0).map_or(Time(now), |h| h.time),
        removals: count(held.len()),
        total: count(list.len()) + count(held.len()),
        digest: guard::digest_of_users(&held),
    });
    Ok(Resolved {
        added,
        added_count,
        updated,
        removed,
        removed_count,
        held,
        held_told,
        newly_held,
        approved: approved.map(str::to_owned),
        record,
    })
}

pub(super) fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
