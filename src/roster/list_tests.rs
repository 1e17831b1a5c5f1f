//! What the packed list promises, for inputs nobody thought of.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// A user with owned texts, from which an `Entry` borrows.
#[derive(Clone, Debug)]
struct Person {
    id: String,
    texts: [String; 5],
    status: String,
    role: String,
    app: bool,
    created_at: Option<i64>,
    space_amount: i64,
}

impl Person {
    fn entry(&self) -> Entry<'_> {
        let [login, name, job_title, language, timezone] = &self.texts;
        Entry {
            id: &self.id,
            login,
            name,
            job_title,
            language,
            timezone,
            status: Status::named(&self.status),
            role: Role::named(&self.role),
            app: self.app,
            created_at: self.created_at,
            space_amount: self.space_amount,
        }
    }
}

/// Any text, mostly short: a regular expression would make a test of seconds out of one of milliseconds.
fn text() -> impl Strategy<Value = String> + Clone {
    prop::collection::vec(any::<char>(), 0..6).prop_map(String::from_iter)
}

fn person() -> impl Strategy<Value = Person> {
    const STATUSES: &[&str] = &[
        "active",
        "inactive",
        "cannot_delete_edit",
        "cannot_delete_edit_upload",
        "cannot_delete_edit_share",
        "pending",
        "",
    ];
    const ROLES: &[&str] = &["admin", "coadmin", "user"];
    // Few ids, so that many of them meet.
    let id = prop_oneof![(0..60_u8).prop_map(|id| id.to_string()), text()];
    let status = prop_oneof![4 => prop::sample::select(STATUSES).prop_map(String::from), 1 => text()];
    let role = prop_oneof![3 => prop::sample::select(ROLES).prop_map(String::from), 1 => text()];
    (id, prop::array::uniform5(text()), status, role, any::<bool>(), any::<Option<i64>>(), any::<i64>()).prop_map(
        |(id, texts, status, role, app, created_at, space_amount)| Person {
            id,
            texts,
            status,
            role,
            app,
            created_at,
            space_amount,
        },
    )
}

fn pages() -> impl Strategy<Value = Vec<Vec<Person>>> {
    prop::collection::vec(prop::collection::vec(person(), 0..12), 0..8)
}

fn list(pages: &[Vec<Person>]) -> List {
    let mut builder = Builder::default();
    for page in pages {
        builder.push_page(page.iter().map(Person::entry));
    }
    assert_eq!(builder.len(), pages.iter().map(Vec::len).sum::<usize>());
    builder.finish()
}

proptest! {
    #[test]
    fn a_list_is_what_a_map_by_id_would_hold_whatever_the_order_of_arrival(pages in pages()) {
        let model: BTreeMap<(usize, &str), Entry<'_>> = pages.iter().flatten().map(|p| ((p.id.len(), p.id.as_str()), p.entry())).collect();
        let list = list(&pages);
        prop_assert_eq!(list.len(), model.len());
        prop_assert_eq!(list.iter().len(), model.len());
        prop_assert_eq!(list.iter().collect::<Vec<_>>(), model.into_values().collect::<Vec<_>>());
    }

    #[test]
    fn the_counts_of_the_statuses_add_up_to_the_total(pages in pages()) {
        let list = list(&pages);
        let UserCounts { total, active, inactive, restricted, other, app, held, removed } = list.counts();
        prop_assert_eq!((held, removed), (0, 0));
        prop_assert_eq!(total, list.len() as i64);
        prop_assert_eq!(total, active + inactive + restricted + other);
        prop_assert_eq!(app, list.iter().filter(|user| user.app).count() as i64);
        prop_assert_eq!(restricted, list.iter().filter(|user| user.status.as_str().starts_with("cannot_delete_edit")).count() as i64);
    }

    #[test]
    fn a_status_and_a_role_keep_their_names(name in text()) {
        prop_assert_eq!(Status::named(&name).as_str(), name.as_str());
        prop_assert_eq!(Role::named(&name).as_str(), name.as_str());
    }
}

fn someone<'a>(id: &'a str, name: &'a str) -> Entry<'a> {
    Entry {
        id,
        login: "max.muster@example.com",
        name,
        job_title: "Engineer",
        language: "en",
        timezone: "America/Los_Angeles",
        status: Status::Active,
        role: Role::User,
        app: false,
        created_at: Some(1_700_000_000),
        space_amount: 10_737_418_240,
    }
}

#[test]
fn ids_that_are_numbers_come_in_the_order_of_the_numbers() {
    let mut builder = Builder::default();
    builder.push_page(["100", "9", "20", "10"].map(|id| someone(id, "")));
    assert_eq!(builder.finish().iter().map(|user| user.id).collect::<Vec<_>>(), ["9", "10", "20", "100"]);
}

#[test]
fn of_two_with_the_same_id_the_later_one_counts() {
    let mut builder = Builder::default();
    builder.push_page([someone("1", "first"), someone("2", "only"), someone("1", "second")]);
    builder.push_page([someone("1", "third")]);
    let list = builder.finish();
    assert_eq!(list.iter().map(|user| user.name).collect::<Vec<_>>(), ["third", "only"]);
    assert_eq!(list.counts().total, 2);
}

#[test]
fn a_user_takes_about_a_hundred_bytes() {
    let mut builder = Builder::default();
    for page in 0..10_u64 {
        let ids: Vec<String> = (0..1000).map(|n| (33_770_000_000 + page * 1000 + n).to_string()).collect();
        builder.push_page(ids.iter().map(|id| someone(id, "Maximiliane Mustermann")));
    }
    let list = builder.finish();
    assert!(list.payload() <= 125 * list.len(), "{} bytes a user", list.payload() / list.len());
}

#[test]
fn more_than_a_page_may_be_pushed_at_once() {
    let ids: Vec<String> = (0..20_000).map(|n| n.to_string()).collect();
    let mut builder = Builder::default();
    builder.push_page(ids.iter().map(|id| someone(id, "Maximiliane Mustermann")));
    let list = builder.finish();
    assert!(list.iter().map(|user| user.id).eq(ids.iter().map(String::as_str)));
}

#[test]
fn an_empty_list_is_a_list() {
    let list = Builder::default().finish();
    assert!(list.is_empty() && list.iter().next().is_none());
    assert_eq!(list.counts(), UserCounts::default());
}
