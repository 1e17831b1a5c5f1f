//! When removals are held, and what names those who are. Pure.

use super::List;
use super::cut::digest_of;

/// So many users may always go: in a small list they would soon be a large share.
const FLOOR: i64 = 10;

/// Whether it takes a person to believe that so many of `total` users are gone.
pub(super) fn holds(vanished: i64, total: i64, max_percent: i32) -> bool {
    vanished > FLOOR && vanished.saturating_mul(100) > total.saturating_mul(max_percent.into())
}

/// Names exactly these users.
pub(super) fn digest_of_users(held: &List) -> String {
    let mut ids = String::new();
    for at in 0..held.len() {
        ids.push_str(held.id_at(at));
        ids.push('\n');
    }
    digest_of(ids.as_bytes())
}

/// Names removals of which only the number is known, since the published list is lost.
pub(super) fn digest_of_numbers(before: i64, now: i64) -> String {
    digest_of(format!("{before} users before, {now} now\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_ten_users_and_more_than_the_share_are_held() {
        for (vanished, total, percent, held) in [
            (10, 20, 20, false),
            (11, 20, 20, true),
            (20, 100, 20, false),
            (21, 100, 20, true),
            (11, 1_000_000, 0, true),
            (10, 1_000_000, 0, false),
            (1000, 1000, 100, false),
        ] {
            assert_eq!(holds(vanished, total, percent), held, "{vanished} of {total} at {percent} %");
        }
    }
}
