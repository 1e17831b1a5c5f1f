//! Property tests of the packed list.

use std::{borrow::Cow, collections::BTreeMap};

use proptest::prelude::*;

use super::{CodesByName, TrackingCodes, User, UserList, UserListBuilder, UserPage, UserRole, UserStatus};

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
    codes: CodesByName<'static>,
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
            tracking_codes: TrackingCodes::by_name(&self.codes),
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
    // Few names and values, so that many users share theirs.
    let code =
        prop_oneof![prop::sample::select(&["a", "b"][..]).prop_map(String::from), any_text()].prop_map(Cow::Owned);
    let codes = prop::collection::btree_map(code.clone(), code, 0..3);
    let numbers = (any::<Option<i64>>(), any::<i64>());
    (id, prop::array::uniform5(any_text()), status, role, any::<bool>(), numbers, codes).prop_map(
        |(id, texts, status, role, app, (created_at, space_amount), codes)| OwnedUser {
            id,
            texts,
            status,
            role,
            app,
            created_at,
            space_amount,
            codes,
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
        // Packed users as well as those from which they were packed.
        let mut again = UserListBuilder::default();
        again.push_users(list.iter_users());
        prop_assert!(again.build().iter_users().eq(list.iter_users()));
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
        ..User::default()
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

/// The list of so many users, each with the codes of its number.
fn list_with_codes(users: usize, codes: impl Fn(usize) -> CodesByName<'static>) -> UserList {
    let users: Vec<(String, CodesByName<'_>)> =
        (0..users).map(|n| ((33_770_000_000 + n as u64).to_string(), codes(n))).collect();
    let mut builder = UserListBuilder::default();
    for page in users.chunks(1000) {
        builder.push_users(page.iter().map(|(id, codes)| User {
            tracking_codes: TrackingCodes::by_name(codes),
            ..sample_user(id, "Maximiliane Mustermann")
        }));
    }
    builder.build()
}

#[test]
fn tracking_codes_that_users_share_take_four_bytes_a_user_and_unique_ones_at_most_a_third_more() {
    let department = |n: usize| (Cow::from("department"), Cow::from(["Sales", "Legal", "Human Resources"][n % 3]));
    let shared =
        |n: usize| CodesByName::from([department(n), ("cost centre".into(), (4000 + n % 40).to_string().into())]);
    let unique = |n: usize| CodesByName::from([department(n), ("staff".into(), (100_000 + n).to_string().into())]);
    let without = list_with_codes(10_000, |_| CodesByName::new());
    let (shared, unique) = (list_with_codes(10_000, shared), list_with_codes(10_000, unique));
    let more = |list: &UserList| (list.memory_bytes() - without.memory_bytes()) as f64 / without.len() as f64;
    assert!(more(&shared) <= 8.0, "{} bytes a user", more(&shared));
    assert!(unique.memory_bytes() * 3 <= without.memory_bytes() * 4, "{} bytes a user", more(&unique));
    let user = unique.user_at(7);
    assert_eq!(user.tracking_codes.pairs().collect::<Vec<_>>(), [("department", "Legal"), ("staff", "100007")]);
}

#[test]
fn a_user_without_tracking_codes_takes_no_byte_for_them() {
    for app in [false, true] {
        let user = User { app, ..sample_user("33770000001", "Maximiliane Mustermann") };
        let User { id, login, name, job_title, language, timezone, status, role, created_at, space_amount, .. } = user;
        let texts = (id, login, name, job_title, language, timezone);
        let fields = postcard::to_allocvec(&(texts, status, role, app, created_at, space_amount)).expect("serializes");
        let mut page = UserPage::default();
        page.push(&user);
        assert_eq!(page.memory_bytes(), fields.len() + size_of::<u32>());
    }
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
