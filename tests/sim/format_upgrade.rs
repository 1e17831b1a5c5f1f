//! Lists published in an older format are rewritten, and unchanged users do not count as changed.

use box_sim::Enterprise;
use boxsync::{
    api::{SliceState, UserRoster, UserSlice},
    roster::ChangeRecord,
};
use kube::ResourceExt;
use ring::digest::{SHA256, digest};
use serde_json::{Map, Value, json};

use crate::{
    env::{NAMESPACE, SimEnv, format_condition, sleep_secs},
    reader::box_users,
};

const USERS: usize = 3_000;

/// Rewrites the published list as a version before format 1 could have written it: each record changed by `older`, with
/// other digests.
fn rewrite_in_older_format(world: &SimEnv, connection: &str, edit_user: impl Fn(&mut Map<String, Value>)) {
    let roster = world.get_roster(connection);
    let mut digests = Vec::new();
    for slice in roster.spec.slices.iter().filter(|s| s.state == SliceState::Live) {
        let published: UserSlice = world.kube.object(NAMESPACE, &slice.name).expect("a slice");
        let lines = published.spec.data.lines().map(|line| {
            let mut user: Map<String, Value> = serde_json::from_str(line).expect("a line");
            edit_user(&mut user);
            format!("{}\n", Value::Object(user))
        });
        let data: String = lines.collect();
        let hex: String = digest(&SHA256, data.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        world.kube.edit("UserSlice", NAMESPACE, &published.name_any(), |object| {
            object["format"] = json!(0);
            object["digest"] = json!(hex);
            object["data"] = json!(data);
        });
        digests.push((slice.name.clone(), hex));
    }
    world.kube.edit("UserRoster", NAMESPACE, connection, |object| {
        object["format"] = json!(0);
        for slice in object["slices"].as_array_mut().expect("slices") {
            if let Some((_, digest)) = digests.iter().find(|(name, _)| slice["name"] == name.as_str()) {
                slice["digest"] = json!(digest);
            }
        }
    });
}

/// An environment with a list in the older format and its enterprise, without an operator.
async fn env_with_older_format(edit_user: impl Fn(&mut Map<String, Value>)) -> (SimEnv, Enterprise) {
    let mut world = SimEnv::with_operator();
    let acme = world.connect_enterprise("acme", USERS);
    world.wait_for_connection("acme", |s| s.last_sync.is_some()).await;
    world.stop_operator().await;
    rewrite_in_older_format(&world, "acme", edit_user);
    (world, acme)
}

#[tokio::test(start_paused = true)]
async fn after_an_upgrade_only_changed_users_count_as_changed() {
    let (mut world, acme) = env_with_older_format(|user| {
        user.insert("department".to_owned(), json!("a field that later versions dropped"));
    })
    .await;
    let before = world.read_snapshot("acme").await;
    assert!(before.record_lines(SliceState::Live).all(|line| line.starts_with(r#"{"app""#)), "keys in another order");

    acme.update_user(acme.users()[7].id, |user| "Jane Roe".clone_into(&mut user.name));
    let leaver = acme.users()[1_500].clone();
    acme.remove_user(leaver.id);
    acme.add_user("John Doe", "john@acme.com");
    world.spawn_operator();
    world.create_request("first", "acme");
    let done = world.wait_until_finished("first").await;
    assert_eq!((done.added, done.updated, done.removed), (Some(1), Some(1), Some(1)), "{done:?}");
    let after = world.read_snapshot("acme").await;
    let changes =
        after.record_lines(SliceState::Changes).map(|line| serde_json::from_str::<ChangeRecord>(line).expect("a line"));
    assert_eq!(changes.count(), 3);
    assert_eq!(world.published_users("acme").await, box_users(&acme));
    assert_eq!(world.removed_logins("acme").await, [leaver.login]);
    assert!(!after.record_lines(SliceState::Live).any(|line| line.contains("department")));
    assert_eq!(world.get_roster("acme").spec.format, 1);
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_without_changed_users_records_no_change() {
    let (mut world, acme) = env_with_older_format(|_| {}).await;
    let journal = world.get_roster("acme").spec.journal;
    world.spawn_operator();
    world.create_request("first", "acme");
    let done = world.wait_until_finished("first").await;
    assert_eq!((done.added, done.updated, done.removed), (Some(0), Some(0), Some(0)), "{done:?}");
    let roster: UserRoster = world.get_roster("acme");
    assert_eq!((roster.spec.format, roster.spec.revision), (1, 2), "rewritten");
    assert_eq!(roster.spec.journal, journal, "without a new journal entry");
    assert_eq!(world.published_users("acme").await, box_users(&acme));

    sleep_secs(60).await;
    world.create_request("second", "acme");
    world.wait_until_finished("second").await;
    assert_eq!(world.get_roster("acme").spec.revision, 2, "once");
}

/// Fields that the older format lacks cannot be compared.
#[tokio::test(start_paused = true)]
async fn users_with_fields_missing_in_the_older_format_do_not_count_as_changed() {
    let (mut world, acme) = env_with_older_format(|user| {
        user.remove("timezone");
    })
    .await;
    world.spawn_operator();
    world.create_request("first", "acme");
    let done = world.wait_until_finished("first").await;
    assert_eq!((done.added, done.updated, done.removed), (Some(0), Some(0), Some(0)), "{done:?}");
    assert_eq!(format_condition(&world.connection_status("acme").conditions, "Ready"), "True Synced");
    assert_eq!(world.published_users("acme").await, box_users(&acme));
}
