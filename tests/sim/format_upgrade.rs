//! Lists published in an older format are rewritten, and unchanged users do not count as changed.

use box_sim::Enterprise;
use boxsync::{api::SliceState, roster::sha256_hex};
use serde_json::{Map, Value, json};

use crate::{
    env::{NAMESPACE, SimEnv, format_condition, sleep_secs},
    reader::box_users,
};

const USERS: usize = 3_000;

/// Rewrites the published list as another version could have written it: the roster changed by `edit`, and each user's line
/// by `older`, with other digests.
pub(crate) fn rewrite_list(
    world: &SimEnv,
    connection: &str,
    edit: impl Fn(&mut Value),
    older: impl Fn(&str) -> String,
) {
    world.kube.edit("UserRoster", NAMESPACE, connection, |roster| {
        edit(roster);
        let format = roster["format"].clone();
        let slices = roster["slices"].as_array_mut().expect("slices").iter_mut();
        for slice_ref in slices.filter(|slice| slice["state"] == "Live") {
            let name = slice_ref["name"].as_str().expect("a name");
            let rewritten = world.kube.edit("UserSlice", NAMESPACE, name, |slice| {
                let lines = slice["data"].as_str().expect("lines").lines();
                let data: String = lines.map(|line| older(line) + "\n").collect();
                slice["format"] = format.clone();
                slice["digest"] = json!(sha256_hex(data.as_bytes()));
                slice["data"] = json!(data);
            });
            slice_ref["digest"] = rewritten["digest"].clone();
        }
    });
}

/// The user of this line after the change, with its keys in another order.
pub(crate) fn edited_user(line: &str, edit: impl Fn(&mut Map<String, Value>)) -> String {
    let mut user = serde_json::from_str(line).expect("a line");
    edit(&mut user);
    Value::Object(user).to_string()
}

/// An environment with a list in the older format and its enterprise, without an operator.
async fn env_with_older_format(older: impl Fn(&str) -> String) -> (SimEnv, Enterprise) {
    let (mut world, acme) = SimEnv::with_synced("acme", USERS).await;
    world.stop_operator().await;
    rewrite_list(&world, "acme", |roster| roster["format"] = json!(0), older);
    (world, acme)
}

#[tokio::test(start_paused = true)]
async fn after_an_upgrade_only_changed_users_count_as_changed() {
    let dropped = json!("a field that later versions dropped");
    let (mut world, acme) = env_with_older_format(|line| {
        edited_user(line, |user| drop(user.insert("department".to_owned(), dropped.clone())))
    })
    .await;
    let before = world.read_snapshot("acme").await;
    assert!(before.record_lines(SliceState::Live).all(|line| line.starts_with(r#"{"app""#)), "keys in another order");

    acme.update_user(acme.users()[7].id, |user| "Jane Roe".clone_into(&mut user.name));
    let leaver = acme.users()[1_500].clone();
    acme.remove_user(leaver.id);
    acme.add_user("John Doe", "john@acme.com");
    world.spawn_operator();
    let done = world.run_request("first", "acme").await;
    assert_eq!((done.added, done.updated, done.removed), (Some(1), Some(1), Some(1)), "{done:?}");
    let after = world.read_snapshot("acme").await;
    assert_eq!(world.recorded_changes("acme").await.len(), 3);
    assert_eq!(world.published_users("acme").await, box_users(&acme));
    assert_eq!(world.removed_logins("acme").await, [leaver.login]);
    assert!(!after.record_lines(SliceState::Live).any(|line| line.contains("department")));
    assert_eq!(world.get_roster("acme").spec.format, 1);
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_without_changed_users_records_no_change() {
    let (mut world, acme) = env_with_older_format(|line| edited_user(line, |_| {})).await;
    let journal = world.get_roster("acme").spec.journal;
    world.spawn_operator();
    let done = world.run_request("first", "acme").await;
    assert_eq!((done.added, done.updated, done.removed), (Some(0), Some(0), Some(0)), "{done:?}");
    let roster = world.get_roster("acme");
    assert_eq!((roster.spec.format, roster.spec.revision), (1, 2), "rewritten");
    assert_eq!(roster.spec.journal, journal, "without a new journal entry");
    assert_eq!(world.published_users("acme").await, box_users(&acme));

    sleep_secs(60).await;
    world.run_request("second", "acme").await;
    assert_eq!(world.get_roster("acme").spec.revision, 2, "once");
}

#[tokio::test(start_paused = true)]
async fn the_same_list_in_an_older_encoding_is_no_change() {
    let (mut world, acme) = env_with_older_format(|line| format!("{line} ")).await;
    world.spawn_operator();
    let done = world.run_request("r", "acme").await;
    assert_eq!((done.added, done.updated, done.removed, done.revision), (Some(0), Some(0), Some(0), Some(2)));
    assert_eq!(world.get_roster("acme").spec.format, 1);
    assert_eq!(world.published_users("acme").await, box_users(&acme));
}

/// Fields that the older format lacks cannot be compared.
#[tokio::test(start_paused = true)]
async fn users_with_fields_missing_in_the_older_format_do_not_count_as_changed() {
    let (mut world, acme) = env_with_older_format(|line| edited_user(line, |user| drop(user.remove("timezone")))).await;
    world.spawn_operator();
    let done = world.run_request("first", "acme").await;
    assert_eq!((done.added, done.updated, done.removed), (Some(0), Some(0), Some(0)), "{done:?}");
    assert_eq!(format_condition(&world.connection_status("acme").conditions, "Ready"), "True Synced");
    assert_eq!(world.published_users("acme").await, box_users(&acme));
}
