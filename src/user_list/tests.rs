//! Property tests of the packed list.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{User, UserList, UserListBuilder, UserRole, UserStatus};

/// A user with owned strings, from which a `User` borrows.
#[derive(Clone, Debug)]
struct OwnedUser {
    id: String,
    texts: [String; 5],
    status: String,
    role: String,
    app: bool,
    created_at: Option<i64>,
    space_amount: i64,
}

impl OwnedUser {
    fn as_user(&self) -> User<'_> {
        let [login, name, job_title, language, timezone] = &self.texts;
        User {
            id: &self.id,
            login,
            name,
            job_title,
            language,
            timezone,
            status: UserStatus::from_name(&self.status),
            role: UserRole::from_name(&self.role),
            app: self.app,
            created_at: self.created_at,
            space_amount: self.space_amount,
        }
    }
}

/// Any text, mostly short. A regular expression as strategy would take seconds instead of milliseconds.
fn any_text() -> impl Strategy<Value = String> + Clone {
    prop::collection::vec(any::<char>(), 0..6).prop_map(String::from_iter)
}

fn any_user() -> impl Strategy<Value = OwnedUser> {
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
    // Few ids, so that many of them collide.
    let id = prop_oneof![(0..60_u8).prop_map(|id| id.to_string()), any_text()];
    let status = prop_oneof![4 => prop::sample::select(STATUSES).prop_map(String::from), 1 => any_text()];
    let role = prop_oneof![3 => prop::sample::select(ROLES).prop_map(String::from), 1 => any_text()];
    (id, prop::array::uniform5(any_text()), status, role, any::<bool>(), any::<Option<i64>>(), any::<i64>()).prop_map(
        |(id, texts, status, role, app, created_at, space_amount)| OwnedUser {
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

fn any_pages() -> impl Strategy<Value = Vec<Vec<OwnedUser>>> {
    prop::collection::vec(prop::collection::vec(any_user(), 0..12), 0..8)
}

fn build_list(pages: &[Vec<OwnedUser>]) -> UserList {
    let mut builder = UserListBuilder::default();
    for page in pages {
        builder.push_users(page.iter().map(OwnedUser::as_user));
    }
    assert_eq!(builder.len(), pages.iter().map(Vec::len).sum::<usize>());
    builder.build()
}

proptest! {
    #[test]
    fn a_list_equals_a_map_by_id_for_any_page_order(pages in any_pages()) {
        let model: BTreeMap<(usize, &str), User<'_>> = pages.iter().flatten().map(|p| ((p.id.len(), p.id.as_str()), p.as_user())).collect();
        let list = build_list(&pages);
        prop_assert_eq!(list.len(), model.len());
        prop_assert_eq!(list.iter_users().len(), model.len());
        prop_assert_eq!(list.iter_users().collect::<Vec<_>>(), model.into_values().collect::<Vec<_>>());
    }

    #[test]
    fn statuses_and_roles_round_trip_through_their_names(name in any_text()) {
        prop_assert_eq!(UserStatus::from_name(&name).as_str(), name.as_str());
        prop_assert_eq!(UserRole::from_name(&name).as_str(), name.as_str());
    }
}

fn sample_user<'a>(id: &'a str, name: &'a str) -> User<'a> {
    User {
        id,
        login: "max.muster@example.com",
        name,
        job_title: "Engineer",
        language: "en",
        timezone: "America/Los_Angeles",
        status: UserStatus::Active,
        role: UserRole::User,
        app: false,
        created_at: Some(1_700_000_000),
        space_amount: 10_737_418_240,
    }
}

#[test]
fn numeric_ids_sort_numerically() {
    let mut builder = UserListBuilder::default();
    builder.push_users(["100", "9", "20", "10"].map(|id| sample_user(id, "")));
    assert_eq!(builder.build().iter_users().map(|user| user.id).collect::<Vec<_>>(), ["9", "10", "20", "100"]);
}

#[test]
fn the_last_user_of_a_duplicate_id_wins() {
    let mut builder = UserListBuilder::default();
    builder.push_users([sample_user("1", "first"), sample_user("2", "only"), sample_user("1", "second")]);
    builder.push_users([sample_user("1", "third")]);
    let list = builder.build();
    assert_eq!(list.iter_users().map(|user| user.name).collect::<Vec<_>>(), ["third", "only"]);
}

#[test]
fn a_user_takes_about_a_hundred_bytes() {
    let mut builder = UserListBuilder::default();
    for page in 0..10_u64 {
        let ids: Vec<String> = (0..1000).map(|n| (33_770_000_000 + page * 1000 + n).to_string()).collect();
        builder.push_users(ids.iter().map(|id| sample_user(id, "Maximiliane Mustermann")));
    }
    let list = builder.build();
    assert!(list.memory_bytes() <= 125 * list.len(), "{} bytes per user", list.memory_bytes() / list.len());
}

#[test]
fn pushing_more_than_one_page_at_once_keeps_every_user() {
    let ids: Vec<String> = (0..20_000).map(|n| n.to_string()).collect();
    let mut builder = UserListBuilder::default();
    builder.push_users(ids.iter().map(|id| sample_user(id, "Maximiliane Mustermann")));
    let list = builder.build();
    assert!(list.iter_users().map(|user| user.id).eq(ids.iter().map(String::as_str)));
}

#[test]
fn an_empty_list_is_valid() {
    let list = UserListBuilder::default().build();
    assert!(list.is_empty() && list.iter_users().next().is_none());
}
