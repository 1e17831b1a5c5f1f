//! A list that an older version left behind: it is written anew, and nobody in it counts as changed.

use box_sim::Enterprise;
use boxsync::api::{SliceState, UserRoster, UserSlice};
use boxsync::roster::Changed;
use kube::ResourceExt;
use ring::digest::{SHA256, digest};
use serde_json::{Map, Value, json};

use crate::reader::answer;
use crate::world::{NAMESPACE, World, condition, pass};

const USERS: usize = 3_000;

/// Rewrites the published list as a version before format 1 might have written it: each line by `older`, other digests.
fn age(world: &World, connection: &str, older: impl Fn(&mut Map<String, Value>)) {
    let roster = world.roster(connection);
    let mut digests = Vec::new();
    for slice in roster.spec.slices.iter().filter(|s| s.state == SliceState::Live) {
        let published: UserSlice = world.kube.object(NAMESPACE, &slice.name).expect("a slice");
        let lines = published.spec.data.lines().map(|line| {
            let mut user: Map<String, Value> = serde_json::from_str(line).expect("a line");
            older(&mut user);
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

/// A list of an older version, and the enterprise that it is of; no operator runs.
async fn left_behind(older: impl Fn(&mut Map<String, Value>)) -> (World, Enterprise) {
    let mut world = World::running();
    let acme = world.connect("acme", USERS);
    world.until("acme", |s| s.last_sync.is_some()).await;
    world.stop().await;
    age(&world, "acme", older);
    (world, acme)
}

#[tokio::test(start_paused = true)]
async fn after_an_upgrade_only_those_who_changed_count_as_changed() {
    let (mut world, acme) = left_behind(|user| {
        user.insert("department".to_owned(), json!("what a later version no longer tells"));
    })
    .await;
    let before = world.snapshot("acme").await;
    assert!(before.lines(SliceState::Live).all(|line| line.starts_with(r#"{"app""#)), "keys in another order");

    acme.edit(acme.users()[7].id, |user| "Jane Roe".clone_into(&mut user.name));
    let leaver = acme.users()[1_500].clone();
    acme.remove_user(leaver.id);
    acme.add_user("John Doe", "john@acme.com");
    world.start();
    world.request("first", "acme");
    let done = world.ended("first").await;
    assert_eq!((done.added, done.updated, done.removed), (Some(1), Some(1), Some(1)), "{done:?}");
    let after = world.snapshot("acme").await;
    let changes = after.lines(SliceState::Changes).map(|line| serde_json::from_str::<Changed>(line).expect("a line"));
    assert_eq!(changes.count(), 3);
    assert_eq!(world.people("acme").await, answer(&acme));
    assert_eq!(world.removed("acme").await, [leaver.login]);
    assert!(!after.lines(SliceState::Live).any(|line| line.contains("department")));
    assert_eq!(world.roster("acme").spec.format, 1);
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_that_finds_nobody_changed_is_no_change() {
    let (mut world, acme) = left_behind(|_| {}).await;
    let journal = world.roster("acme").spec.journal;
    world.start();
    world.request("first", "acme");
    let done = world.ended("first").await;
    assert_eq!((done.added, done.updated, done.removed), (Some(0), Some(0), Some(0)), "{done:?}");
    let roster: UserRoster = world.roster("acme");
    assert_eq!((roster.spec.format, roster.spec.revision), (1, 2), "written anew");
    assert_eq!(roster.spec.journal, journal, "and no change to tell of");
    assert_eq!(world.people("acme").await, answer(&acme));

    pass(60).await;
    world.request("second", "acme");
    world.ended("second").await;
    assert_eq!(world.roster("acme").spec.revision, 2, "once");
}

/// What a version did not know of its users, nobody can compare: they are counted, and none of them is called changed.
#[tokio::test(start_paused = true)]
async fn users_of_whom_an_older_version_knew_less_are_not_called_changed() {
    let (mut world, acme) = left_behind(|user| {
        user.remove("timezone");
    })
    .await;
    world.start();
    world.request("first", "acme");
    let done = world.ended("first").await;
    assert_eq!((done.added, done.updated, done.removed), (Some(0), Some(0), Some(0)), "{done:?}");
    assert_eq!(condition(&world.status("acme").conditions, "Ready"), "True Synced");
    assert_eq!(world.people("acme").await, answer(&acme));
}
