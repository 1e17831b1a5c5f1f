//! The rule for held removals, and the digests that identify them. Pure.

use jiff::{SignedDuration, Timestamp};

use super::chunking::sha256_hex;
use crate::{api::RevisionRecord, user_list::UserList};

/// Up to this number removals are not a large percentage by themselves: in a small list they often would be.
const ALWAYS_ALLOWED_REMOVALS: i64 = 10;
/// Fewer are not more than half of a list, however small it is.
const MIN_HALF_REMOVALS: i64 = 3;
/// This percentage switches the guard off.
const NO_LIMIT_PERCENT: i32 = 100;
/// How long removals count together.
const WINDOW: SignedDuration = SignedDuration::from_hours(24);

/// The removals of the last 24 hours that nobody approved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RecentRemovals {
    /// Users who were removed.
    pub(super) removed: i64,
    /// Users whose removal was held; some may have returned since.
    pub(super) held: i64,
    /// The users in the list before the first of these removals.
    pub(super) total_before: i64,
}

/// Reads the journal, newest first, of a list of `total` users.
pub(super) fn recent_removals(journal: &[RevisionRecord], total: i64, now: Timestamp) -> RecentRemovals {
    let mut recent = RecentRemovals { removed: 0, held: 0, total_before: total };
    let mut size = total;
    for entry in journal.iter().take_while(|entry| entry.time.0.duration_until(now) < WINDOW) {
        let removed = entry.removed - entry.approved;
        size += removed - entry.added;
        recent.removed += removed;
        recent.held += entry.held;
        if removed + entry.held > 0 {
            recent.total_before = size;
        }
    }
    recent
}

/// Whether so many removals from a list of `total` users need approval.
pub(super) fn must_hold_removals(removals: i64, total: i64, max_percent: i32) -> bool {
    let more_than_half = removals >= MIN_HALF_REMOVALS && removals.saturating_mul(2) > total;
    max_percent < NO_LIMIT_PERCENT && (more_than_half || is_mass_change(removals, total, max_percent))
}

/// Whether so many users are more than the percentage of the list and more than ten.
pub(super) fn is_mass_change(users: i64, total: i64, max_percent: i32) -> bool {
    users > ALWAYS_ALLOWED_REMOVALS && users.saturating_mul(100) > total.saturating_mul(max_percent.into())
}

/// Whether nobody but app users would be left of a list that has people.
pub(super) fn removes_all_people(vanished: &UserList, list: &UserList, max_percent: i32) -> bool {
    let has_people = |list: &UserList| list.iter_users().any(|user| !user.app);
    max_percent < NO_LIMIT_PERCENT && has_people(vanished) && !has_people(list)
}

/// Identifies exactly the users of a list.
pub(super) fn digest_user_ids(list: &UserList) -> String {
    let mut ids = String::new();
    for at in 0..list.len() {
        ids.push_str(list.id_at(at));
        ids.push('\n');
    }
    sha256_hex(ids.as_bytes())
}

/// Identifies removals of which only the number is known, because the published list is lost.
pub(super) fn digest_removal_counts(before: i64, now: i64) -> String {
    sha256_hex(format!("{before} users before, {now} now\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;
    use crate::user_list::{User, UserListBuilder};

    #[test]
    fn removals_above_ten_users_and_the_percentage_or_above_half_of_the_list_are_held() {
        for (removals, total, percent, held) in [
            (10, 20, 20, false),
            (11, 20, 20, true),
            (20, 100, 20, false),
            (21, 100, 20, true),
            (11, 1_000_000, 0, true),
            (10, 1_000_000, 0, false),
            // More than half.
            (10, 11, 20, true),
            (10, 19, 20, true),
            (3, 5, 20, true),
            (3, 6, 20, false),
            (2, 2, 20, false),
            (60, 100, 90, true),
            // Switched off.
            (1000, 1000, 100, false),
            (10, 11, 100, false),
        ] {
            assert_eq!(must_hold_removals(removals, total, percent), held, "{removals} of {total} at {percent} %");
        }
    }

    fn journal_entry(hours_ago: i64, [added, removed, held, approved]: [i64; 4]) -> RevisionRecord {
        RevisionRecord {
            revision: 1,
            time: Time(now() - SignedDuration::from_hours(hours_ago)),
            added,
            updated: 0,
            removed,
            held,
            approved,
            mass_changes: Vec::new(),
            requested_by: Vec::new(),
            slices: Vec::new(),
        }
    }

    fn now() -> Timestamp {
        Timestamp::from_second(1_800_000_000).expect("a time")
    }

    #[test]
    fn the_removals_of_a_day_count_against_the_list_before_them() {
        let recent = |journal: &[RevisionRecord]| recent_removals(journal, 1_000, now());
        let counts = |removed, held, total_before| RecentRemovals { removed, held, total_before };
        assert_eq!(recent(&[]), counts(0, 0, 1_000));
        // Added afterwards: the list before the removals was smaller.
        let journal =
            [journal_entry(1, [50, 0, 0, 0]), journal_entry(2, [0, 100, 0, 0]), journal_entry(3, [7, 0, 0, 0])];
        assert_eq!(recent(&journal), counts(100, 0, 1_050));
        // Held users are in the list; approved removals are nobody's mistake.
        assert_eq!(recent(&[journal_entry(1, [0, 0, 30, 0])]), counts(0, 30, 1_000));
        assert_eq!(recent(&[journal_entry(1, [0, 35, 0, 30])]), counts(5, 0, 1_005));
        // Yesterday's do not count.
        assert_eq!(recent(&[journal_entry(24, [0, 100, 0, 0])]), counts(0, 0, 1_000));
        assert_eq!(recent(&[journal_entry(23, [0, 100, 0, 0])]), counts(100, 0, 1_100));
    }

    #[test]
    fn a_list_that_keeps_only_app_users_has_lost_all_people() {
        let list = |users: &[(&str, bool)]| {
            let mut builder = UserListBuilder::default();
            builder.push_users(users.iter().map(|(id, app)| User { id, app: *app, ..User::default() }));
            builder.build()
        };
        let apps = list(&[("1", true), ("2", true)]);
        assert!(removes_all_people(&list(&[("7", false)]), &apps, 20));
        assert!(!removes_all_people(&list(&[("7", true)]), &apps, 20), "no person vanished");
        assert!(!removes_all_people(&list(&[("7", false)]), &list(&[("1", true), ("3", false)]), 20));
        assert!(!removes_all_people(&list(&[("7", false)]), &apps, 100), "switched off");
    }
}
