//! The decision table of removals, from which `docs/removals.md` is generated.

use jiff::SignedDuration;

use super::*;
use crate::user_list::{UserStanding, UserStatus};

/// A published list and the next answer of Box.
struct Case {
    /// Ids from 1; the last of them are app users.
    people: usize,
    app_users: usize,
    /// People who are missing in the answer: the first ones.
    missing: usize,
    /// Users of the answer who are in it twice.
    twice: usize,
    /// What Box says of the people who are missing.
    standing: fn(usize) -> UserStanding,
    max_percent: i32,
    /// Of the last 24 hours.
    removed_today: i64,
    /// People who were held in earlier syncs, besides `people`, and are still missing; of how many Box did not say that
    /// they are gone.
    held: usize,
    unconfirmed: usize,
    hours_since_held: i64,
    approved: bool,
    /// People whose records are lost.
    lost: usize,
    /// Whether the answer before had the same users.
    fetched_twice: bool,
}

fn missing_of(missing: usize, people: usize) -> Case {
    Case {
        people,
        app_users: 0,
        missing,
        twice: 0,
        standing: |_| UserStanding::Gone,
        max_percent: 20,
        removed_today: 0,
        held: 0,
        unconfirmed: 0,
        hours_since_held: 48,
        approved: false,
        lost: 0,
        fetched_twice: false,
    }
}

const FIRST_HELD_ID: usize = 1_000_000;

fn user_list(ids: impl Iterator<Item = usize>, first_app_user: usize) -> UserList {
    let ids: Vec<(usize, String)> = ids.map(|id| (id, id.to_string())).collect();
    let mut builder = UserListBuilder::default();
    builder.push_users(ids.iter().map(|(id, text)| User {
        id: text,
        login: text,
        status: UserStatus::Active,
        app: (first_app_user..FIRST_HELD_ID).contains(id),
        ..User::default()
    }));
    builder.build()
}

impl Case {
    /// The decision in words, with the number of users that Box was asked about.
    fn decide(&self) -> String {
        let now = Timestamp::from_second(1_800_000_000).expect("a time");
        let all = 1..=self.people + self.app_users;
        let first_app_user = self.people + 1;
        let users = |ids: std::ops::Range<usize>| user_list(ids, first_app_user);
        let twice = all.clone().skip(self.missing).take(self.twice);
        let list = user_list(all.skip(self.missing).chain(twice), first_app_user);
        let held = || users(FIRST_HELD_ID..FIRST_HELD_ID + self.held);
        let unconfirmed: Vec<String> =
            (FIRST_HELD_ID..FIRST_HELD_ID + self.unconfirmed).map(|id| id.to_string()).collect();
        let digest = digest_user_ids(&held());
        let entry = |hours, removed, held| RevisionRecord {
            revision: 1,
            time: Time(now - SignedDuration::from_hours(hours)),
            added: 0,
            updated: 0,
            removed,
            held,
            approved: 0,
            mass_changes: Vec::new(),
            requested_by: Vec::new(),
            slices: Vec::new(),
        };
        let mut journal = vec![entry(1, self.removed_today, 0), entry(self.hours_since_held, 0, to_i64(self.held))];
        journal.sort_by_key(|entry| std::cmp::Reverse(entry.time.0));
        let total = to_i64(self.people + self.app_users + self.held + self.lost);
        let mut answers = RemovalAnswers::default();
        if self.fetched_twice {
            answers.keep_for_next_list(&list);
        }
        let mut asked = 0;
        let result = loop {
            let diff = Diff {
                added: Vec::new(),
                updates: UpdateCounts::default(),
                vanished: users(1..self.missing + 1),
                change_log: ChangeLog::default(),
            };
            let previous = PreviousList {
                total,
                held: held(),
                known: KnownKeys::All,
                held_summary: (self.held > 0).then(|| RemovalHold {
                    time: Time(now - SignedDuration::from_hours(self.hours_since_held)),
                    removals: to_i64(self.held),
                    total,
                    digest: digest.clone(),
                    unconfirmed: to_i64(self.unconfirmed),
                }),
                unconfirmed: unconfirmed.iter().map(String::as_str).collect(),
                journal: &journal,
                lost_users: to_i64(self.lost),
                max_removal_percent: self.max_percent,
                approved_digest: self.approved.then_some(digest.as_str()),
            };
            match decide_removals(&list, diff, previous, &answers, now) {
                Err(NoDecision::Undecided(Undecided::AskAbout(ids))) => {
                    asked += ids.len();
                    for id in ids {
                        let standing = (self.standing)(id.parse().expect("a number"));
                        answers.insert(id, standing);
                    }
                }
                result => break result,
            }
        };
        let decision = match result {
            Ok(decision) => {
                let held = to_i64(decision.held.len());
                let parts = [(decision.removed_count, "remove"), (held, "hold")];
                let parts: Vec<String> =
                    parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{what} {n}")).collect();
                let unconfirmed = decision.unconfirmed.len();
                let again = if unconfirmed > 0 { format!(", ask again about {unconfirmed}") } else { String::new() };
                format!("{}{again}", if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") })
            }
            Err(NoDecision::Undecided(Undecided::Incomplete(users))) => {
                format!("fetch the list again: it lacks {users}")
            }
            Err(NoDecision::Undecided(_)) => "fetch the list again".to_owned(),
            Err(NoDecision::BaselineLost(hold)) => format!("publish nothing: {} missing", hold.removals),
        };
        format!("{asked} | {decision}")
    }
}

/// A row: the case in words and in values, how many users Box is asked about, and what is decided.
type Row = (&'static str, Case, &'static str);

fn confirmation_rows() -> Vec<Row> {
    let managed = |_: usize| UserStanding::Managed;
    vec![
        ("Nobody is missing", missing_of(0, 1000), "0 | nothing"),
        ("Some left, as every night", missing_of(3, 1000), "3 | remove 3"),
        (
            "The list ended early: 55 of 361 are missing",
            Case { standing: managed, ..missing_of(55, 361) },
            "55 | fetch the list again: it lacks 55",
        ),
        (
            "The same with the limit switched off",
            Case { standing: managed, max_percent: 100, ..missing_of(55, 361) },
            "55 | fetch the list again: it lacks 55",
        ),
        (
            "Box says of one of them that the user belongs to the enterprise",
            Case {
                standing: |id| if id == 2 { UserStanding::Managed } else { UserStanding::Gone },
                ..missing_of(3, 1000)
            },
            "3 | fetch the list again: it lacks 1",
        ),
        (
            "Box does not say it of one",
            Case {
                standing: |id| if id == 2 { UserStanding::Unknown } else { UserStanding::Gone },
                ..missing_of(3, 1000)
            },
            "3 | remove 2, hold 1, ask again about 1",
        ),
        (
            "Box still does not say it",
            Case { standing: |_| UserStanding::Unknown, held: 2, unconfirmed: 2, ..missing_of(0, 1000) },
            "2 | hold 2, ask again about 2",
        ),
        ("Then it says it", Case { held: 2, unconfirmed: 2, ..missing_of(0, 1000) }, "2 | remove 2"),
        ("150 of 1,000 left: a sample is enough", missing_of(150, 1000), "100 | remove 150"),
        (
            "But not if Box does not confirm all of the sample",
            Case { standing: |_| UserStanding::Unknown, ..missing_of(150, 1000) },
            "100 | hold 150",
        ),
        ("And not if users were in the answer twice", Case { twice: 5, ..missing_of(150, 1000) }, "150 | remove 150"),
        (
            "Of more than 1,000 the others are held then",
            Case { twice: 5, ..missing_of(1500, 10_000) },
            "1000 | remove 1000, hold 500",
        ),
    ]
}

fn guard_rows() -> Vec<Row> {
    vec![
        ("200 of 1,000 left", missing_of(200, 1000), "100 | remove 200"),
        ("201 of 1,000 left", missing_of(201, 1000), "100 | hold 201"),
        ("10 of 20 left", missing_of(10, 20), "10 | remove 10"),
        ("11 of 20 left", missing_of(11, 20), "11 | hold 11"),
        ("10 of 11 left", missing_of(10, 11), "10 | hold 10"),
        ("3 of 5 left", missing_of(3, 5), "3 | hold 3"),
        ("2 of 3 left", missing_of(2, 3), "2 | remove 2"),
        ("The only person beside 40 app users left", Case { app_users: 40, ..missing_of(1, 1) }, "1 | hold 1"),
        (
            "All left but one, and the limit is switched off",
            Case { max_percent: 100, ..missing_of(999, 1000) },
            "100 | remove 999",
        ),
        (
            "90 of 910 left, and 90 others earlier that day",
            Case { removed_today: 90, ..missing_of(90, 910) },
            "90 | remove 90",
        ),
        (
            "120 of 910 left, and 90 others earlier that day",
            Case { removed_today: 90, ..missing_of(120, 910) },
            "100 | hold 120",
        ),
        (
            "15 more left while 250 have been held for two days",
            Case { held: 250, ..missing_of(15, 750) },
            "15 | remove 15, hold 250",
        ),
        (
            "15 more left while 250 have been held for an hour",
            Case { held: 250, hours_since_held: 1, ..missing_of(15, 750) },
            "15 | hold 265",
        ),
    ]
}

fn approval_rows() -> Vec<Row> {
    vec![
        (
            "250 held removals are approved",
            Case { held: 250, approved: true, ..missing_of(0, 750) },
            "100 | remove 250",
        ),
        (
            "Box does not say of them that they are gone",
            Case { standing: |_| UserStanding::Unknown, held: 250, approved: true, ..missing_of(0, 750) },
            "100 | remove 250",
        ),
        (
            "Box says that they belong to the enterprise",
            Case { standing: |_| UserStanding::Managed, held: 25, approved: true, ..missing_of(0, 75) },
            "25 | fetch the list again: it lacks 25",
        ),
        ("5 more left meanwhile", Case { held: 250, approved: true, ..missing_of(5, 750) }, "100 | remove 255"),
        (
            "30 % more left meanwhile",
            Case { held: 250, approved: true, ..missing_of(225, 750) },
            "100 | remove 250, hold 225",
        ),
    ]
}

fn lost_rows() -> Vec<Row> {
    vec![
        (
            "3 of 100 users with lost records are missing",
            Case { lost: 3, ..missing_of(0, 97) },
            "0 | fetch the list again",
        ),
        (
            "It was fetched again, with the same users",
            Case { lost: 3, fetched_twice: true, ..missing_of(0, 97) },
            "0 | remove 3",
        ),
        ("30 of 100 are missing", Case { lost: 30, ..missing_of(0, 70) }, "0 | publish nothing: 30 missing"),
    ]
}

const INTRO: &str = "\
# Removals

Who is removed from the list is decided by one pure function of the published list, Box's answer and what Box says of the
users who are missing in it (`src/roster/removals.rs`). The rules are in [approving.md](approving.md). Each row
below is a test of that function, with `maxRemovalPercent: 20`. \"Asked\" is the number of users that Box is asked about one
by one; where nothing else is said, Box confirms that they are gone.
";

#[test]
fn the_decision_table_of_removals_is_up_to_date() {
    let mut page = INTRO.to_owned();
    for (title, rows) in [
        ("Box confirms each removal", confirmation_rows()),
        ("Many removals need a person", guard_rows()),
        ("Approval", approval_rows()),
        ("Slices of the published list were deleted", lost_rows()),
    ] {
        page.push_str(&format!("\n## {title}\n\n| when | asked | then |\n| --- | --- | --- |\n"));
        for (when, case, expected) in rows {
            assert_eq!(case.decide(), expected, "{when}");
            page.push_str(&format!("| {when} | {expected} |\n"));
        }
    }
    crate::test_support::assert_generated("docs/removals.md", &page);
}
