//! The history of a list (removed users and changes) and what others have set on its roster.

use std::collections::HashSet;

use boxsync::api::{SliceState, UserSlice};
use kube::ResourceExt;
use serde_json::{Value, json};

use crate::{
    env::{NAMESPACE, SimEnv, request_succeeded, sleep_secs},
    reader::box_users,
};

/// Deletes the connection `acme` with its list, and restores the list as a backup tool does: without owners.
fn restore_list(world: &SimEnv, damage: impl Fn(&mut Value)) {
    let backup: Vec<Value> = world.kube.list("UserSlice").into_iter().chain(world.kube.list("UserRoster")).collect();
    world.kube.delete("BoxConnection", NAMESPACE, "acme");
    world.kube.collect_garbage();
    assert!(world.kube.list("UserSlice").is_empty());
    for mut object in backup {
        let metadata = object["metadata"].as_object_mut().expect("metadata");
        metadata.retain(|key, _| ["name", "namespace", "labels"].contains(&key.as_str()));
        damage(&mut object);
        world.kube.create(object);
    }
}

#[tokio::test(start_paused = true)]
async fn a_damaged_slice_of_the_history_does_not_keep_a_restored_list_from_being_adopted() {
    for damaged_state in ["Removed", "Changes"] {
        let (world, acme) = SimEnv::with_synced("acme", 600).await;
        acme.remove_user(acme.users()[3].id);
        world.run_request("r", "acme").await;
        restore_list(&world, |object| {
            if object["state"] == damaged_state {
                object["data"] = json!("{\"id\":\"1\"}\n");
            }
        });
        world.apply_connection("acme", acme.id(), &json!({}));
        let status = world.wait_until_synced("acme").await;
        assert_eq!(status.roster_ref.expect("published").revision, 3, "{damaged_state}");
        assert_eq!(world.published_users("acme").await, box_users(&acme));
        let removed = world.removed_logins("acme").await.len();
        assert_eq!(removed, usize::from(damaged_state != "Removed"), "{damaged_state}");
        let named_by_journal =
            world.get_roster("acme").spec.journal.iter().map(|entry| entry.slices.len()).sum::<usize>();
        assert_eq!(named_by_journal, usize::from(damaged_state != "Changes"), "{damaged_state}");
        let message = world.condition_message("acme", "Synced");
        assert!(message.contains("1 record of the restored history was damaged"), "{message}");
        sleep_secs(25 * 3600).await;
        let message = world.condition_message("acme", "Synced");
        assert!(!message.contains("damaged"), "only the sync that dropped it says so: {message}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slice_of_changes_is_named_once_even_if_the_same_change_recurs() {
    let (world, acme) = SimEnv::with_synced("acme", 600).await;
    let id = acme.users()[3].id;
    for (run, name) in ["Anna", "Berta", "Anna", "Berta"].into_iter().enumerate() {
        acme.update_user(id, |user| user.name = name.to_owned());
        sleep_secs(60).await;
        assert!(request_succeeded(&world.run_request(&format!("r{run}"), "acme").await));
    }
    let roster = world.get_roster("acme").spec;
    let names: Vec<&str> = roster.slices.iter().map(|slice| slice.name.as_str()).collect();
    assert_eq!(names.len(), names.iter().collect::<HashSet<_>>().len(), "{names:#?}");
    let changes = roster.slices.iter().filter(|slice| slice.state == SliceState::Changes).count();
    assert_eq!(changes, 3, "the change to Berta occurred twice");
    assert_eq!(roster.journal.iter().filter(|entry| !entry.slices.is_empty()).count(), 4);
}

#[tokio::test(start_paused = true)]
async fn what_others_have_set_on_a_roster_is_kept() {
    let (world, acme) = SimEnv::with_synced("acme", 600).await;
    let other_owner = json!({ "apiVersion": "v1", "kind": "ConfigMap", "name": "audit", "uid": "audit-uid" });
    world.kube.edit("UserRoster", NAMESPACE, "acme", |roster| {
        let metadata = &mut roster["metadata"];
        metadata["finalizers"] = json!(["audit.example.com/export"]);
        metadata["labels"]["team"] = "backup".into();
        metadata["annotations"]["audit.example.com/seen"] = "2".into();
        metadata["ownerReferences"].as_array_mut().expect("owned").insert(0, other_owner.clone());
    });
    let before = world.get_roster("acme");
    acme.add_user("Jane", "jane@acme.com");
    assert!(request_succeeded(&world.run_request("r", "acme").await));
    let after = world.get_roster("acme");
    assert_eq!(after.spec.revision, 2);
    assert_eq!(after.finalizers(), before.finalizers());
    assert_eq!(after.labels(), before.labels());
    assert_eq!(after.annotations(), before.annotations());
    assert_eq!(after.owner_references(), before.owner_references());
}

#[tokio::test(start_paused = true)]
async fn the_connection_may_be_any_owner_of_a_slice() {
    let (world, acme) = SimEnv::with_synced("acme", 600).await;
    let other_owner = json!({ "apiVersion": "v1", "kind": "ConfigMap", "name": "audit", "uid": "audit-uid" });
    let slices = world.kube.objects::<UserSlice>();
    for slice in &slices {
        world.kube.edit("UserSlice", NAMESPACE, &slice.name_any(), |slice| {
            slice["metadata"]["ownerReferences"].as_array_mut().expect("owned").insert(0, other_owner.clone());
        });
    }
    acme.remove_user(acme.users()[3].id);
    assert!(request_succeeded(&world.run_request("r", "acme").await));
    let kept = world
        .get_roster("acme")
        .spec
        .slices
        .iter()
        .filter(|s| slices.iter().any(|old| old.name_any() == s.name))
        .count();
    assert!(kept >= slices.len() - 1, "{kept} of {} slices are reused", slices.len());
    acme.remove_user(acme.users()[3].id);
    sleep_secs(60).await;
    assert!(request_succeeded(&world.run_request("r2", "acme").await));
    sleep_secs(3600).await;
    let named: HashSet<String> = {
        let roster = world.get_roster("acme").spec;
        let previous = roster.previous.into_iter().flat_map(|previous| previous.slices);
        roster.slices.into_iter().map(|slice| slice.name).chain(previous).collect()
    };
    for slice in world.kube.objects::<UserSlice>() {
        assert!(named.contains(&slice.name_any()), "{} is left behind", slice.name_any());
    }
}
