//! Publishing: which objects are written when, what readers see, and recovery from deleted or foreign objects.

use boxsync::{
    api::{SliceState, UserSlice},
    roster::ChangeOp,
};
use kube::ResourceExt;
use serde_json::json;

use crate::{
    env::{NAMESPACE, SimEnv, format_condition, request_succeeded, secs, sleep_secs},
    reader::box_users,
};

/// Writes to rosters and slices since `mark`.
fn list_writes(world: &SimEnv, mark: kube_sim::LogPosition) -> Vec<String> {
    let writes = world.writes_since(mark).into_iter();
    writes.filter(|w| w.contains("userrosters") || w.contains("userslices")).collect()
}

#[tokio::test(start_paused = true)]
async fn a_new_user_is_published_by_the_next_request() {
    let (world, acme) = SimEnv::with_synced("acme", 1200).await;
    assert_eq!(world.published_users("acme").await, box_users(&acme));
    acme.add_user("Jane Doe", "jane@acme.com");
    let leaver = acme.users()[3].clone();
    acme.remove_user(leaver.id);
    acme.deactivate_user(acme.users()[500].id);
    let done = world.run_request("r", "acme").await;
    assert!(request_succeeded(&done));
    assert_eq!((done.added, done.updated, done.removed, done.revision), (Some(1), Some(1), Some(1), Some(2)));
    assert_eq!(world.published_users("acme").await, box_users(&acme));
    assert_eq!(world.removed_logins("acme").await, [leaver.login]);
    let last = world.connection_status("acme").last_sync.expect("synced");
    assert_eq!((last.added, last.updated, last.removed, last.revision), (1, 1, 1, 2));
    let users = world.connection_status("acme").users.expect("has counts");
    assert_eq!((users.total, users.removed, users.held), (1200, 1, 0));
    let latest = world.connection_status("acme").history[0].clone();
    assert_eq!((latest.added, latest.revision), (Some(1), Some(2)));
}

#[tokio::test(start_paused = true)]
async fn a_sync_without_changes_reads_no_slice_and_writes_no_list() {
    let (world, _) = SimEnv::with_synced("acme", 3000).await;
    sleep_secs(60).await;
    let mark = world.kube.log_position();
    let done = world.run_request("r", "acme").await;
    assert_eq!((done.added, done.updated, done.removed, done.revision), (Some(0), Some(0), Some(0), Some(1)));
    assert!(done.conditions[0].message.contains("Revision 1 was published"), "{}", done.conditions[0].message);
    assert_eq!(list_writes(&world, mark), Vec::<String>::new());
    let reads = world.kube.requests_since(mark).into_iter();
    assert_eq!(reads.filter(|r| r.resource == "userslices").count(), 1, "one metadata list");
}

#[tokio::test(start_paused = true)]
async fn one_changed_user_writes_one_user_slice_and_one_change_slice() {
    let (world, acme) = SimEnv::with_synced("acme", 5000).await;
    sleep_secs(60).await;
    let mark = world.kube.log_position();
    acme.update_user(acme.users()[2500].id, |u| "Head of Everything".clone_into(&mut u.job_title));
    world.run_request("r", "acme").await;
    let writes = list_writes(&world, mark);
    assert_eq!(writes.iter().filter(|w| w.contains("userslices")).count(), 2, "{writes:#?}");
    assert_eq!(writes.iter().filter(|w| w.contains("userrosters")).count(), 1, "{writes:#?}");
    let roster = world.get_roster("acme");
    let live = roster.spec.slices.iter().filter(|s| s.state == SliceState::Live).count();
    assert!(live >= 5, "{live} slices");
    let changes = world.recorded_changes("acme").await;
    assert_eq!(changes.len(), 1);
    assert_eq!(
        (changes[0].op, changes[0].fields["jobTitle"][1].clone()),
        (ChangeOp::Updated, json!("Head of Everything"))
    );
}

#[tokio::test(start_paused = true)]
async fn removed_users_are_kept_for_the_retention_and_returning_users_count_as_added() {
    let world = SimEnv::with_operator();
    let acme = world.connect_with_spec("acme", 300, &json!({ "historyRetention": "72h" }));
    world.wait_until_synced("acme").await;
    let (leaver, returner) = (acme.users()[1].clone(), acme.users()[2].clone());
    acme.remove_user(leaver.id);
    acme.remove_user(returner.id);
    assert_eq!(world.run_request("fire", "acme").await.removed, Some(2));
    acme.put_user(returner.clone());
    sleep_secs(60).await;
    let back = world.run_request("return", "acme").await;
    assert_eq!((back.added, back.users.expect("has counts").removed), (Some(1), 1));
    let changes = world.recorded_changes("acme").await;
    assert_eq!(changes.iter().filter(|change| change.op == ChangeOp::Returned).count(), 1);
    world.wait_for_connection("acme", |s| s.users.is_some_and(|u| u.removed == 0)).await;
    assert!((72 * 3600..97 * 3600).contains(&world.elapsed_secs()), "{}", world.elapsed_secs());
    assert_eq!(world.removed_logins("acme").await, Vec::<String>::new());
    let revision = world.get_roster("acme").spec.revision;
    sleep_secs(10 * 86_400).await;
    assert_eq!(world.get_roster("acme").spec.revision, revision, "no write without an expired user");
    assert_eq!(world.get_roster("acme").spec.journal, []);
}

#[tokio::test(start_paused = true)]
async fn a_deleted_roster_is_published_again_and_the_connection_is_not_ready_until_then() {
    let (world, acme) = SimEnv::with_synced("acme", 600).await;
    sleep_secs(60).await;
    acme.set_latency(secs(20));
    world.kube.delete("UserRoster", NAMESPACE, "acme");
    let status = world.wait_for_condition("acme", "Ready", "False Syncing").await;
    assert!(status.roster_ref.is_some());
    let status = world.wait_until_ready("acme").await;
    assert_eq!(status.roster_ref.expect("published").revision, 2, "the revision continues");
    assert_eq!(status.last_sync.expect("synced").trigger.as_str(), "Scheduled");
    assert_eq!(world.published_users("acme").await, box_users(&acme));
}

#[tokio::test(start_paused = true)]
async fn a_deleted_slice_is_recreated_by_the_next_sync() {
    for state in ["Live", "Changes", "Removed"] {
        let (world, acme) = SimEnv::with_synced("acme", 600).await;
        acme.remove_user(acme.users()[3].id);
        world.run_request("first", "acme").await;
        let lost =
            world.get_roster("acme").spec.slices.iter().find(|s| s.state.as_str() == state).expect("one").name.clone();
        world.kube.delete("UserSlice", NAMESPACE, &lost);
        sleep_secs(60).await;
        let done = world.run_request("second", "acme").await;
        assert_eq!((done.added, done.updated, done.removed), (Some(0), Some(0), Some(0)), "{state}");
        assert_eq!(world.published_users("acme").await, box_users(&acme), "{state}");
        world.read_snapshot("acme").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_slice_with_a_changed_owner_is_replaced_but_not_deleted() {
    let (world, acme) = SimEnv::with_synced("acme", 600).await;
    let foreign_slice = world.get_roster("acme").spec.slices[0].name.clone();
    world.kube.edit("UserSlice", NAMESPACE, &foreign_slice, |s| {
        s["metadata"]["ownerReferences"][0]["uid"] = "somebody-else".into();
    });
    let reader = world.start_reader("acme", secs(1));
    sleep_secs(60).await;
    let done = world.run_request("r", "acme").await;
    assert_eq!((done.added, done.updated, done.removed), (Some(0), Some(0), Some(0)));
    let roster = world.get_roster("acme");
    assert!(roster.spec.slices.iter().all(|s| s.name != foreign_slice), "it has its own slice again");
    sleep_secs(3600).await;
    assert!(world.kube.get("UserSlice", NAMESPACE, &foreign_slice).is_some(), "the foreign slice stays");
    reader.assert_saw_only(&[box_users(&acme)]);
}

#[tokio::test(start_paused = true)]
async fn changes_in_an_unreadable_slice_are_only_counted() {
    let (world, acme) = SimEnv::with_synced("acme", 1200).await;
    let lost = world.get_roster("acme").spec.slices[0].name.clone();
    world.kube.delete("UserSlice", NAMESPACE, &lost);
    acme.remove_user(acme.users()[0].id);
    acme.add_user("Jane", "jane@acme.com");
    sleep_secs(60).await;
    let done = world.run_request("r", "acme").await;
    assert!(request_succeeded(&done), "{done:?}");
    assert_eq!(world.published_users("acme").await, box_users(&acme));
    assert_eq!(done.users.expect("has counts").total, 1200);
}

#[tokio::test(start_paused = true)]
async fn a_recreated_connection_waits_for_its_predecessors_list_to_be_collected() {
    let (world, acme) = SimEnv::with_synced("acme", 600).await;
    sleep_secs(60).await;
    world.kube.delete("BoxConnection", NAMESPACE, "acme");
    world.apply_connection("acme", acme.id(), &json!({}));
    let status = world.wait_for_connection("acme", |s| s.failures.is_some()).await;
    assert_eq!(format_condition(&status.conditions, "Synced"), "False RosterConflict");
    assert_eq!(format_condition(&status.conditions, "Connected"), "True Connected");
    sleep_secs(120).await;
    let before = world.elapsed_secs();
    world.kube.collect_garbage();
    let status = world.wait_until_ready("acme").await;
    assert!(world.elapsed_secs() - before <= 20, "{} s after the garbage was collected", world.elapsed_secs() - before);
    assert_eq!(status.roster_ref.expect("published").revision, 1);
    assert_eq!(world.published_users("acme").await, box_users(&acme));
}

#[tokio::test(start_paused = true)]
async fn a_restored_backup_is_adopted_with_its_history() {
    let (world, acme) = SimEnv::with_synced("acme", 600).await;
    acme.remove_user(acme.users()[3].id);
    world.run_request("r", "acme").await;
    let backup: Vec<serde_json::Value> =
        world.kube.list("UserSlice").into_iter().chain(world.kube.list("UserRoster")).collect();
    world.kube.delete("BoxConnection", NAMESPACE, "acme");
    world.kube.delete("UserSyncRequest", NAMESPACE, "r");
    world.kube.collect_garbage();
    assert!(world.kube.list("UserSlice").is_empty());
    for mut object in backup {
        let metadata = object["metadata"].as_object_mut().expect("metadata");
        metadata.retain(|key, _| ["name", "namespace", "labels"].contains(&key.as_str()));
        world.kube.create(object);
    }
    let reader = world.start_reader("acme", secs(1));
    let before = box_users(&acme);
    acme.add_user("Jane", "jane@acme.com");
    world.apply_connection("acme", acme.id(), &json!({}));
    let status = world.wait_until_synced("acme").await;
    let last = status.last_sync.expect("synced");
    assert_eq!(
        (last.added, last.updated, last.removed, last.revision),
        (1, 0, 0, 3),
        "compared with the restored list"
    );
    assert_eq!(world.published_users("acme").await, box_users(&acme));
    assert_eq!(world.removed_logins("acme").await.len(), 1, "the removed user is still recorded");
    assert_eq!(world.get_roster("acme").spec.journal.len(), 3);
    let owner = world.kube.get("BoxConnection", NAMESPACE, "acme").expect("exists")["metadata"]["uid"].clone();
    let owners =
        |o: &[k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference]| o.iter().all(|o| o.uid == owner);
    assert!(owners(world.get_roster("acme").owner_references()));
    sleep_secs(3600).await;
    for slice in world.kube.objects::<UserSlice>() {
        assert!(owners(slice.owner_references()) && !slice.owner_references().is_empty(), "{}", slice.name_any());
    }
    reader.assert_saw_only(&[before, box_users(&acme)]);
}

#[tokio::test(start_paused = true)]
async fn a_roster_of_another_enterprise_is_never_overwritten() {
    let (world, acme) = SimEnv::with_synced("acme", 300).await;
    let mut foreign = world.kube.get("UserRoster", NAMESPACE, "acme").expect("a roster");
    world.kube.delete("BoxConnection", NAMESPACE, "acme");
    world.kube.collect_garbage();
    foreign["enterpriseId"] = "999".into();
    foreign["metadata"] = json!({ "name": "acme", "namespace": NAMESPACE });
    let foreign = world.kube.create(foreign);
    world.apply_connection("acme", acme.id(), &json!({}));
    let status = world.wait_for_connection("acme", |s| s.failures.is_some()).await;
    assert_eq!(format_condition(&status.conditions, "Synced"), "False RosterConflict");
    sleep_secs(7200).await;
    assert_eq!(world.kube.get("UserRoster", NAMESPACE, "acme"), Some(foreign));
    world.kube.delete("UserRoster", NAMESPACE, "acme");
    world.wait_until_ready("acme").await;
}
