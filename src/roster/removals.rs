//! The decision which users are removed, held or returned, based on a diff. Pure.

use std::{
    collections::HashSet,
    fmt,
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{
    diff::{ChangeLog, Diff, UpdateCounts},
    records::{ChangeRecord, KnownKeys, RemovedUser},
    removal_check::{Coverage, RemovalAnswers, RemovalCheck, check_removals},
    removal_guard::{
        digest_removal_counts, digest_user_ids, is_mass_change, must_hold_removals, recent_removals, removes_all_people,
    },
};
use crate::{
    api::{MassChange, MassChangeKind, RemovalHold, RevisionRecord},
    user_list::{User, UserList, UserListBuilder, compare_ids},
};

/// More unconfirmed removals than that are held until they are approved: their ids are part of the roster.
const MAX_UNCONFIRMED: usize = 100;

/// The published list, as far as it could be read, and the rules for removals.
pub(super) struct PreviousList<'a> {
    /// Users in the published list.
    pub(super) total: i64,
    /// Users whose removal is held.
    pub(super) held: UserList,
    /// What their lines can tell.
    pub(super) known: KnownKeys,
    /// The held removals in the roster.
    pub(super) held_summary: Option<RemovalHold>,
    /// Held users of whom Box did not say whether they are gone.
    pub(super) unconfirmed: HashSet<&'a str>,
    pub(super) journal: &'a [RevisionRecord],
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
    /// How many of them had been held, and were approved.
    pub(super) approved_count: i64,
    /// All users whose removal is held.
    pub(super) held: UserList,
    pub(super) held_summary: Option<RemovalHold>,
    /// Ids of those who are held only because Box did not say that they are gone.
    pub(super) unconfirmed: Vec<String>,
    /// How many of them vanished in this sync.
    pub(super) newly_held: i64,
    /// The digest that was approved, if it took effect.
    pub(super) approved: Option<String>,
    pub(super) mass_changes: Vec<MassChange>,
    pub(super) change_log: ChangeLog,
    /// How long new users waited for the list since they were created in Box; not those who return, nor of a first list.
    pub(super) visibility_delays: Vec<Duration>,
}

/// Why removals cannot be decided yet, or not with this list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undecided {
    /// Box must be asked first whether these users still belong to the enterprise.
    AskAbout(Vec<String>),
    /// Box says of so many users who are missing that they belong to the enterprise: the list is incomplete.
    Incomplete(usize),
    /// Users are missing of whom not even the ids are known: the list must be fetched once more, with the same users.
    Unproven,
}

/// In words for the log.
impl fmt::Display for Undecided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AskAbout(ids) => write!(f, "{} users, of whom nothing is known yet", ids.len()),
            Self::Incomplete(users) => write!(f, "{users} users who belong to the enterprise, as Box says"),
            Self::Unproven => f.write_str("users who are unknown, since slices of the published list are missing"),
        }
    }
}

/// Why there is no decision.
pub(super) enum NoDecision {
    Undecided(Undecided),
    /// The removals that would have to be held, if it is unknown which users vanished.
    BaselineLost(RemovalHold),
}

/// # Errors
/// Box must be asked first, the list is incomplete, or it is unknown which users vanished.
pub(super) fn decide_removals(
    list: &UserList,
    diff: Diff,
    previous: PreviousList<'_>,
    answers: &RemovalAnswers,
    now: Timestamp,
) -> Result<RemovalDecision, NoDecision> {
    let Diff { added, updates, vanished, mut change_log } = diff;
    let PreviousList { total, held, unconfirmed, lost_users, max_removal_percent, approved_digest, .. } = previous;
    let UpdateCounts { mut updated, .. } = updates;

    let (returned, added): (Vec<u32>, Vec<u32>) =
        added.into_iter().partition(|at| !held.is_empty() && held.contains(list.id_at(*at as usize)));
    for at in returned {
        let to = list.user_at(at as usize);
        if let Some(from) = held.find_user(to.id).map(|from| previous.known.comparable(from, &to)) {
            updated += i64::from(from != to);
            change_log.push_with(|| ChangeRecord::held_user_returned(from, to));
        }
    }
    let approves_held =
        approved_digest.is_some() && previous.held_summary.as_ref().map(|h| h.digest.as_str()) == approved_digest;
    // None of them is collected: after a mass deletion they are as many as the list.
    let still_missing = || held.iter_users().filter(|user| !list.contains(user.id));
    let awaits_box = |user: &User<'_>| !approves_held && unconfirmed.contains(user.id);
    let awaiting_box = || still_missing().filter(|user| awaits_box(user));
    let awaiting_approval = || still_missing().filter(|user| !awaits_box(user));

    let known = to_i64(vanished.len());
    let unknown = (lost_users - to_i64(added.len())).max(0);
    let recent = recent_removals(previous.journal, total, now);
    let recently_held = if approves_held { 0 } else { recent.held.min(to_i64(awaiting_approval().count())) };
    let of_this_run = known + unknown + to_i64(awaiting_box().count());
    let must_hold = of_this_run > 0
        && (must_hold_removals(of_this_run + recent.removed + recently_held, recent.total_before, max_removal_percent)
            || removes_all_people(&vanished, list, max_removal_percent));

    let approved_users = || awaiting_approval().filter(|_| approves_held);
    let to_ask = || vanished.iter_users().chain(awaiting_box()).chain(approved_users()).map(|user| user.id);
    let coverage = if list.duplicate_count() > 0 && !must_hold { Coverage::Everybody } else { Coverage::Sample };
    let confirmed = match check_removals(to_ask, answers, coverage) {
        RemovalCheck::Ask(ids) => return Err(NoDecision::Undecided(Undecided::AskAbout(ids))),
        RemovalCheck::Contradicted(users) => return Err(NoDecision::Undecided(Undecided::Incomplete(users))),
        RemovalCheck::Checked(confirmed) => confirmed,
    };

    let mut approved = approved_digest.filter(|_| approves_held);
    let (mut removals_allowed, mut approves_lost) = (!must_hold, false);
    if must_hold && lost_users > 0 {
        let digest = digest_removal_counts(total, to_i64(list.len()));
        if approved_digest != Some(digest.as_str()) {
            let hold = RemovalHold { time: Time(now), removals: known + unknown, total, digest, unconfirmed: 0 };
            return Err(NoDecision::BaselineLost(hold));
        }
        approved = approved_digest;
        (removals_allowed, approves_lost) = (true, true);
    } else if unknown > 0 && answers.earlier_list() != Some(digest_user_ids(list).as_str()) {
        return Err(NoDecision::Undecided(Undecided::Unproven));
    }

    let mass_changes = match lost_users > 0 {
        true => Vec::new(),
        false => mass_changes(list, &added, &updates, &vanished, total, max_removal_percent),
    };
    let is_removed = |user: &User<'_>| removals_allowed && (approves_lost || confirmed.contains(user.id));
    let mut removed = Vec::new();
    for user in vanished.iter_users().chain(awaiting_box()).filter(is_removed).chain(approved_users()) {
        removed.push(RemovedUser::from_user(&user, now));
        change_log.push_with(|| ChangeRecord::user_removed(user));
    }
    let approved_count = to_i64(approved_users().count());
    let newly_held_users = || vanished.iter_users().filter(|user| !is_removed(user));
    newly_held_users().for_each(|user| change_log.push_with(|| ChangeRecord::removal_held(&user)));
    let newly_held = to_i64(newly_held_users().count());
    let still_awaiting_box = || awaiting_box().filter(|user| !is_removed(user));
    let unconfirmed = newly_held_users().chain(still_awaiting_box()).filter(|_| removals_allowed);
    let mut unconfirmed: Vec<String> = unconfirmed.map(|user| user.id.to_owned()).take(MAX_UNCONFIRMED + 1).collect();
    let mut still_held = UserListBuilder::default();
    let held_for_approval = awaiting_approval().filter(|_| !approves_held);
    still_held.push_users(held_for_approval.chain(newly_held_users()).chain(still_awaiting_box()));
    if unconfirmed.len() > MAX_UNCONFIRMED {
        unconfirmed.clear();
    }
    removed.sort_by(|a, b| compare_ids(&a.id, &b.id));
    unconfirmed.sort_by(|a, b| compare_ids(a, b));

    let held = still_held.build();
    let added_count = (to_i64(added.len()) - lost_users).max(0);
    let removed_count = to_i64(removed.len()) + unknown;
    let held_summary = (!held.is_empty()).then(|| RemovalHold {
        time: previous.held_summary.filter(|_| newly_held == 0).map_or(Time(now), |h| h.time),
        removals: to_i64(held.len()),
        total: to_i64(list.len()) + to_i64(held.len()),
        digest: digest_user_ids(&held),
        unconfirmed: to_i64(unconfirmed.len()),
    });
    Ok(RemovalDecision {
        added,
        added_count,
        updated,
        removed,
        removed_count,
        approved_count,
        held,
        held_summary,
        unconfirmed,
        newly_held,
        approved: approved.map(str::to_owned),
        mass_changes,
        change_log,
        visibility_delays: Vec::new(),
    })
}

/// What changed for so many users that somebody should know of it.
fn mass_changes(
    list: &UserList,
    added: &[u32],
    updates: &UpdateCounts,
    vanished: &UserList,
    total: i64,
    max_percent: i32,
) -> Vec<MassChange> {
    let is_mass = |users| is_mass_change(users, total, max_percent);
    let recreated = if is_mass(to_i64(added.len())) && is_mass(to_i64(vanished.len())) {
        // Their hashes take less memory.
        let random = RandomState::new();
        let hash = |user: User<'_>| random.hash_one(user.login.to_lowercase());
        let logins: HashSet<u64> = vanished.iter_users().map(hash).collect();
        to_i64(added.iter().filter(|at| logins.contains(&hash(list.user_at(**at as usize)))).count())
    } else {
        0
    };
    [
        (MassChangeKind::Deactivated, updates.deactivated),
        (MassChangeKind::LoginChanged, updates.login_changed),
        (MassChangeKind::Recreated, recreated),
        (MassChangeKind::TrackingCodeLost, updates.tracking_code_lost),
    ]
    .into_iter()
    .filter(|(_, users)| is_mass(*users))
    .map(|(kind, users)| MassChange { kind, users })
    .collect()
}

pub(super) fn to_i64(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

#[cfg(test)]
#[path = "removals_tests.rs"]
mod tests;
