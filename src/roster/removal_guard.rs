//! The rule for held removals, and the digests that identify them. Pure.

use super::chunking::sha256_hex;
use crate::user_list::UserList;

/// Up to this number removals are never held: in a small list they would often be a large percentage.
const ALWAYS_ALLOWED_REMOVALS: i64 = 10;

/// Whether the removal of `vanished` of `total` users needs approval.
pub(super) fn must_hold_removals(vanished: i64, total: i64, max_percent: i32) -> bool {
    vanished > ALWAYS_ALLOWED_REMOVALS && vanished.saturating_mul(100) > total.saturating_mul(max_percent.into())
}

/// Identifies exactly these users.
pub(super) fn digest_held_users(held: &UserList) -> String {
    let mut ids = String::new();
    for at in 0..held.len() {
        ids.push_str(held.id_at(at));
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
    use super::*;

    #[test]
    fn removals_above_ten_users_and_above_the_percentage_are_held() {
        for (vanished, total, percent, held) in [
            (10, 20, 20, false),
            (11, 20, 20, true),
            (20, 100, 20, false),
            (21, 100, 20, true),
            (11, 1_000_000, 0, true),
            (10, 1_000_000, 0, false),
            (1000, 1000, 100, false),
        ] {
            assert_eq!(must_hold_removals(vanished, total, percent), held, "{vanished} of {total} at {percent} %");
        }
    }
}
