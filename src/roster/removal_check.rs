//! Which vanished users Box is asked about one by one, and what its answers prove. Pure, except that the sample is random.

use std::{
    collections::{BinaryHeap, HashMap},
    hash::{BuildHasher, RandomState},
};

use super::removal_guard::digest_user_ids;
use crate::user_list::{UserList, UserStanding};

/// Up to this number all vanished users are asked about; of more, as many are drawn at random.
const SAMPLE_SIZE: usize = 100;
/// As many at most if the list shows that it moved while it was fetched: then a sample could miss those who are missing by
/// mistake. Box allows 1,000 calls a minute.
const MAX_ASKED: usize = 1_000;

/// What Box said of single users, by their ids, during one run.
#[derive(Debug, Default)]
pub struct RemovalAnswers {
    answers: HashMap<String, UserStanding>,
    /// The digest of the ids of the list that was fetched before.
    earlier_list: Option<String>,
}

impl RemovalAnswers {
    pub fn insert(&mut self, id: String, standing: UserStanding) {
        self.answers.insert(id, standing);
    }

    /// The list is fetched once more. Who belongs to the enterprise should be in it; whoever is still missing may have left
    /// since, so Box is asked again.
    pub fn keep_for_next_list(&mut self, list: &UserList) {
        self.answers.retain(|_, standing| *standing == UserStanding::Gone);
        self.earlier_list = Some(digest_user_ids(list));
    }

    pub(super) fn earlier_list(&self) -> Option<&str> {
        self.earlier_list.as_deref()
    }

    fn get(&self, id: &str) -> Option<UserStanding> {
        self.answers.get(id).copied()
    }
}

/// How many of the vanished users must be asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coverage {
    /// A sample speaks for the rest.
    Sample,
    /// No answer speaks for another user.
    Everybody,
}

/// What is known of vanished users.
pub(super) enum RemovalCheck<'a> {
    /// Box must be asked about these first.
    Ask(Vec<String>),
    /// So many of them still belong to the enterprise: the list is incomplete.
    Contradicted(usize),
    Checked(ConfirmedRemovals<'a>),
}

/// Whose removal Box has confirmed.
pub(super) struct ConfirmedRemovals<'a> {
    answers: &'a RemovalAnswers,
    /// Whether that holds for those who were not asked about.
    others: bool,
}

impl ConfirmedRemovals<'_> {
    pub(super) fn contains(&self, id: &str) -> bool {
        self.answers.get(id).map_or(self.others, |standing| standing == UserStanding::Gone)
    }
}

/// `vanished` gives the ids of the vanished users.
pub(super) fn check_removals<'i, 'a, I: Iterator<Item = &'i str>>(
    vanished: impl Fn() -> I,
    answers: &'a RemovalAnswers,
    coverage: Coverage,
) -> RemovalCheck<'a> {
    let standings = || vanished().filter_map(|id| answers.get(id));
    let managed = standings().filter(|standing| *standing == UserStanding::Managed).count();
    if managed > 0 {
        return RemovalCheck::Contradicted(managed);
    }
    let limit = match coverage {
        Coverage::Sample => SAMPLE_SIZE,
        Coverage::Everybody => MAX_ASKED,
    };
    let missing = vanished().count().min(limit).saturating_sub(standings().count());
    if missing > 0 {
        return RemovalCheck::Ask(draw_at_random(vanished().filter(|id| answers.get(id).is_none()), missing));
    }
    let others = coverage == Coverage::Sample && standings().all(|standing| standing == UserStanding::Gone);
    RemovalCheck::Checked(ConfirmedRemovals { answers, others })
}

/// Draws `count` ids, each with the same probability.
fn draw_at_random<'i>(ids: impl Iterator<Item = &'i str>, count: usize) -> Vec<String> {
    let random = RandomState::new();
    let mut drawn: BinaryHeap<(u64, &str)> = BinaryHeap::with_capacity(count + 1);
    for id in ids {
        drawn.push((random.hash_one(id), id));
        if drawn.len() > count {
            drawn.pop();
        }
    }
    drawn.into_iter().map(|(_, id)| id.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(count: usize) -> Vec<String> {
        (1..=count).map(|id| id.to_string()).collect()
    }

    /// Asks until everything is known; returns how many were asked, and what is known then.
    fn check(
        count: usize,
        coverage: Coverage,
        answer: impl Fn(&str) -> UserStanding,
        judge: impl FnOnce(usize, RemovalCheck<'_>),
    ) {
        let ids = ids(count);
        let vanished = || ids.iter().map(String::as_str);
        let mut answers = RemovalAnswers::default();
        while let RemovalCheck::Ask(ask) = check_removals(vanished, &answers, coverage) {
            assert!(!ask.is_empty());
            for id in ask {
                let standing = answer(&id);
                answers.insert(id, standing);
            }
        }
        judge(answers.answers.len(), check_removals(vanished, &answers, coverage));
    }

    fn confirmed(check: &RemovalCheck<'_>, count: usize) -> usize {
        let RemovalCheck::Checked(confirmed) = check else { panic!("contradicted") };
        ids(count).iter().filter(|id| confirmed.contains(id)).count()
    }

    #[test]
    fn up_to_a_hundred_are_all_asked_about_and_only_those_whom_box_does_not_know_are_confirmed() {
        for count in [0, 1, 100] {
            check(
                count,
                Coverage::Sample,
                |_| UserStanding::Gone,
                |asked, checked| {
                    assert_eq!((asked, confirmed(&checked, count)), (count, count));
                },
            );
        }
        let mute = |id: &str| if id == "7" { UserStanding::Unknown } else { UserStanding::Gone };
        check(50, Coverage::Sample, mute, |asked, checked| {
            assert_eq!((asked, confirmed(&checked, 50)), (50, 49));
        });
    }

    #[test]
    fn of_more_a_sample_speaks_for_the_rest_only_if_box_confirms_all_of_it() {
        check(
            5_000,
            Coverage::Sample,
            |_| UserStanding::Gone,
            |asked, checked| {
                assert_eq!((asked, confirmed(&checked, 5_000)), (100, 5_000));
            },
        );
        let mostly_mute = |id: &str| if id.ends_with('7') { UserStanding::Gone } else { UserStanding::Unknown };
        check(5_000, Coverage::Sample, mostly_mute, |asked, checked| {
            assert_eq!(asked, 100);
            assert!(confirmed(&checked, 5_000) < 100, "nobody is confirmed who was not asked about");
        });
    }

    #[test]
    fn where_the_list_moved_nobody_is_confirmed_who_was_not_asked_about() {
        check(
            900,
            Coverage::Everybody,
            |_| UserStanding::Gone,
            |asked, checked| {
                assert_eq!((asked, confirmed(&checked, 900)), (900, 900));
            },
        );
        check(
            5_000,
            Coverage::Everybody,
            |_| UserStanding::Gone,
            |asked, checked| {
                assert_eq!((asked, confirmed(&checked, 5_000)), (1_000, 1_000));
            },
        );
    }

    #[test]
    fn one_user_who_still_belongs_to_the_enterprise_contradicts_the_list() {
        let managed = |id: &str| if id == "42" { UserStanding::Managed } else { UserStanding::Gone };
        check(60, Coverage::Sample, managed, |_, checked| {
            assert!(matches!(checked, RemovalCheck::Contradicted(1)));
        });
    }

    #[test]
    fn for_the_next_list_only_the_users_who_are_gone_stay_known() {
        let mut answers = RemovalAnswers::default();
        for (id, standing) in [("1", UserStanding::Gone), ("2", UserStanding::Managed), ("3", UserStanding::Unknown)] {
            answers.insert(id.to_owned(), standing);
        }
        let list = UserList::default();
        answers.keep_for_next_list(&list);
        assert_eq!(answers.earlier_list(), Some(digest_user_ids(&list).as_str()));
        let RemovalCheck::Ask(ask) = check_removals(|| ["1", "2", "3"].into_iter(), &answers, Coverage::Sample) else {
            panic!("nobody is asked about")
        };
        assert_eq!(ask.len(), 2);
        assert!(!ask.contains(&"1".to_owned()));
    }
}
