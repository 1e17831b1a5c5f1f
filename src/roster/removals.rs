//! The decision which users are removed, held or returned, based on a diff. Pure.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{
    diff::{ChangeLog, Diff},
    records::{ChangeRecord, RemovedUser},
    removal_guard,
};
use crate::{
    api::RemovalHold,
    user_list::{User, UserList, UserListBuilder, compare_ids},
};

/// The published list, as far as it could be read, and the rules for removals.
pub(super) struct PreviousList<'a> {
    /// Users in the published list.
    pub(super) total: i64,
    /// Users whose removal is held.
    pub(super) held: UserList,
    /// The held removals in the roster.
    pub(super) held_summary: Option<RemovalHold>,
    /// Number of users in missing slices, whose ids are unknown.
    pub(super) lost_users: i64,
    pub(super) max_removal_percent: i32,
    /// The digest of the approved removals.
    pub(super) approved_digest: Option<&'a str>,
}

/// The users to add, remove and hold.
pub(super) struct RemovalDecision {
    /// Indices in the new list of users that were not in the published one, as far as that is known.
    pub(super) added: Vec<u32>,
    pub(super) added_count: i64,
    pub(super) updated: i64,
    /// Users to remove from the list.
    pub(super) removed: Vec<RemovedUser>,
    pub(super) removed_count: i64,
    /// All users whose removal is held.
    pub(super) held: UserList,
    pub(super) held_summary: Option<RemovalHold>,
    /// How many of them vanished in this sync.
    pub(super) newly_held: i64,
    /// The digest that was approved, if it took effect.
    pub(super) approved: Option<String>,
    pub(super) change_log: ChangeLog,
}

/// # Errors
/// The removals that would have to be held, if it is unknown which users vanished.
pub(super) fn decide_removals(
    list: &UserList,
    diff: Diff,
    previous: PreviousList<'_>,
    now: Timestamp,
) -> Result<RemovalDecision, RemovalHold> {
    let Diff { added, mut updated, vanished, mut change_log } = diff;
    let PreviousList { total, held, held_summary, lost_users, max_removal_percent, approved_digest } = previous;

    let (returned, added) = match held.is_empty() {
        true => (Vec::new(), added),
        false => added.into_iter().partition(|at| held.contains(list.id_at(*at as usize))),
    };
    for at in returned {
        let to = list.user_at(at as usize);
        if let Some(from) = held.find_user(to.id) {
            updated += i64::from(from != to);
            change_log.push_with(|| ChangeRecord::held_user_returned(from, to));
        }
    }
    let mut removed = Vec::new();
    let mut remove_users = |users: &mut dyn Iterator<Item = User<'_>>, change_log: &mut ChangeLog| {
        for user in users {
            removed.push(RemovedUser::from_user(&user, now));
            change_log.push_with(|| ChangeRecord::user_removed(user));
        }
    };
    let approves_held =
        approved_digest.is_some() && held_summary.as_ref().map(|h| h.digest.as_str()) == approved_digest;
    let mut still_held = UserListBuilder::default();
    {
        let mut missing = held.iter_users().filter(|user| !list.contains(user.id));
        if approves_held {
            remove_users(&mut missing, &mut change_log);
        } else {
            still_held.push_users(missing);
        }
    }

    let known = to_i64(vanished.len());
    let unknown = (lost_users - to_i64(added.len())).max(0);
    let mut approved = approved_digest.filter(|_| approves_held);
    let mut newly_held = 0;
    if removal_guard::must_hold_removals(known + unknown, total, max_removal_percent) {
        if lost_users > 0 {
            let digest = removal_guard::digest_removal_counts(total, to_i64(list.len()));
            if approved_digest != Some(digest.as_str()) {
                return Err(RemovalHold { time: Time(now), removals: known + unknown, total, digest });
            }
            approved = approved_digest;
            remove_users(&mut vanished.iter_users(), &mut change_log);
        } else {
            newly_held = known;
            vanished.iter_users().for_each(|user| change_log.push_with(|| ChangeRecord::removal_held(&user)));
            still_held.push_users(vanished.iter_users());
        }
    } else {
        remove_users(&mut vanished.iter_users(), &mut change_log);
    }
    removed.sort_by(|a, b| compare_ids(&a.id, &b.id));

    let held = still_held.build();
    let added_count = (to_i64(added.len()) - lost_users).max(0);
    let removed_count = to_i64(removed.len()) + unknown;
    let held_summary = (!held.is_empty()).then(|| RemovalHold {
        time: held_summary.filter(|_| newly_held == 0).map_or(Time(now), |h| h.time),
        removals: to_i64(held.len()),
        total: to_i64(list.len()) + to_i64(held.len()),
        digest: removal_guard::digest_held_users(&held),
    });
    Ok(RemovalDecision {
        added,
        added_count,
        updated,
        removed,
        removed_count,
        held,
        held_summary,
        newly_held,
        approved: approved.map(str::to_owned),
        change_log,
    })
}

pub(super) fn to_i64(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
