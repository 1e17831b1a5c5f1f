//! The removal guard: when many users are missing at once, their removal needs an approval.

use box_sim::{Behaviour, Enterprise, User};
use boxsync::api::SliceState;
use serde_json::json;

use crate::{
    env::{NAMESPACE, SimEnv, format_condition, format_conditions, request_succeeded, sleep_secs},
    reader::box_users,
};

/// 250 of 1,000 listed users are missing in the next sync.
async fn env_with_vanished_users() -> (SimEnv, Enterprise, Vec<User>) {
    let (world, acme) = SimEnv::with_synced("acme", 1000).await;
    let leavers: Vec<User> = acme.users().into_iter().step_by(4).collect();
    leavers.iter().for_each(|user| drop(acme.remove_user(user.id)));
    (world, acme, leavers)
}

#[tokio::test(start_paused = true)]
async fn many_users_vanishing_at_once_are_held_and_new_users_are_published() {
    let (world, acme, leavers) = env_with_vanished_users().await;
    acme.add_user("Jane", "jane@acme.com");
    let done = world.run_request("r", "acme").await;
    assert_eq!((done.added, done.updated, done.removed), (Some(1), Some(0), Some(0)));
    let status = world.connection_status("acme");
    assert_eq!(format_conditions(&status), "Ready=True RemovalsHeld, Connected=True Connected, Synced=True Synced");
    let held = status.held.expect("held");
    assert_eq!((held.removals, held.total), (250, 1001));
    let users = status.users.expect("has counts");
    assert_eq!((users.total, users.held, users.removed), (1001, 250, 0));
    assert_eq!(users.total, users.active + users.inactive + users.restricted + users.other);
    let people = world.published_users("acme").await;
    assert_eq!(people.len(), 1001);
    assert!(leavers.iter().all(|user| people.contains_key(&user.id.to_string())));
    let digest = held.digest.clone();
    sleep_secs(86_400).await;
    let later = world.connection_status("acme").held.expect("held");
    assert_eq!((later.digest, later.time), (digest, held.time), "unchanged a day later");
}

#[tokio::test(start_paused = true)]
async fn an_approval_removes_exactly_the_reviewed_users() {
    let (world, acme, leavers) = env_with_vanished_users().await;
    world.run_request("r", "acme").await;
    let held = world.connection_status("acme").held.expect("held");
    acme.put_user(leavers[0].clone());
    sleep_secs(60).await;
    world.create_request_with("approval", "acme", &json!({ "approveRemovals": held.digest }));
    let done = world.wait_until_finished("approval").await;
    assert!(request_succeeded(&done), "{done:?}");
    assert_eq!((done.added, done.removed), (Some(0), Some(249)), "a returned user was in the list all along");
    let status = world.connection_status("acme");
    assert_eq!((status.held.clone(), format_condition(&status.conditions, "Ready")), (None, "True Synced".to_owned()));
    assert_eq!(world.published_users("acme").await, box_users(&acme));
    assert_eq!(world.removed_logins("acme").await.len(), 249);
}

#[tokio::test(start_paused = true)]
async fn an_approval_of_another_list_fails_and_removes_nobody() {
    let (world, acme, _) = env_with_vanished_users().await;
    world.run_request("r", "acme").await;
    let reviewed_digest = world.connection_status("acme").held.expect("held").digest;
    for user in acme.users().into_iter().take(300) {
        acme.remove_user(user.id);
    }
    sleep_secs(60).await;
    world.run_request("more", "acme").await;
    let held = world.connection_status("acme").held.expect("held");
    assert_eq!(held.removals, 550, "users missing later are added");
    assert_ne!(held.digest, reviewed_digest);
    sleep_secs(60).await;
    let calls = acme.call_counts().total();
    world.create_request_with("approval", "acme", &json!({ "approveRemovals": reviewed_digest }));
    let failed = world.wait_until_finished("approval").await;
    assert_eq!(format_condition(&failed.conditions, "Failed"), "True HeldListChanged");
    assert_eq!(acme.call_counts().total(), calls, "no Box call");
    assert_eq!(world.published_users("acme").await.len(), 1000);
}

#[tokio::test(start_paused = true)]
async fn held_users_who_come_back_become_live_again() {
    let (world, acme, leavers) = env_with_vanished_users().await;
    world.run_request("r", "acme").await;
    leavers.iter().for_each(|user| acme.put_user(user.clone()));
    sleep_secs(60).await;
    let done = world.run_request("back", "acme").await;
    assert_eq!((done.added, done.updated, done.removed), (Some(0), Some(0), Some(0)));
    let status = world.connection_status("acme");
    assert_eq!((status.held, status.users.expect("has counts").held), (None, 0));
    assert_eq!(world.published_users("acme").await, box_users(&acme));
    assert!(world.get_roster("acme").spec.slices.iter().all(|s| s.state != SliceState::Held));
}

#[tokio::test(start_paused = true)]
async fn users_who_vanish_on_the_day_of_others_that_are_held_are_held_with_them() {
    let (world, acme, _) = env_with_vanished_users().await;
    world.run_request("r", "acme").await;
    let held_users = async |request| {
        for user in acme.users().into_iter().take(20) {
            acme.remove_user(user.id);
        }
        let done = world.run_request(request, "acme").await;
        (done.removed, world.connection_status("acme").held.expect("held").removals)
    };
    sleep_secs(3600).await;
    assert_eq!(held_users("same-day").await, (Some(0), 270));
    sleep_secs(24 * 3600).await;
    assert_eq!(held_users("next-day").await, (Some(20), 270), "a day later, 20 are few again");
}

#[tokio::test(start_paused = true)]
async fn removals_of_one_day_are_judged_together() {
    let (world, acme) = SimEnv::with_synced("acme", 1000).await;
    let mut results = Vec::new();
    for hour in 0..3 {
        acme.users().iter().step_by(100 / 9).for_each(|user| drop(acme.remove_user(user.id)));
        let done = world.run_request(&format!("hour-{hour}"), "acme").await;
        let held = world.connection_status("acme").held.map_or(0, |held| held.removals);
        results.push((done.removed.expect("a count"), held));
        sleep_secs(3600).await;
    }
    assert_eq!(results, [(91, 0), (83, 0), (0, 76)], "the third time it would be 250 of 1,000");
}

#[tokio::test(start_paused = true)]
async fn a_held_user_who_returns_does_not_count() {
    let (world, acme, leavers) = env_with_vanished_users().await;
    world.run_request("r", "acme").await;
    leavers.iter().for_each(|user| acme.put_user(user.clone()));
    sleep_secs(60).await;
    world.run_request("back", "acme").await;
    acme.users().into_iter().take(20).for_each(|user| drop(acme.remove_user(user.id)));
    sleep_secs(60).await;
    assert_eq!(world.run_request("few", "acme").await.removed, Some(20));
}

#[tokio::test(start_paused = true)]
async fn approved_removals_do_not_count() {
    let (world, acme, _) = env_with_vanished_users().await;
    world.run_request("r", "acme").await;
    let held = world.connection_status("acme").held.expect("held");
    sleep_secs(60).await;
    world.create_request_with("approval", "acme", &json!({ "approveRemovals": held.digest }));
    assert!(request_succeeded(&world.wait_until_finished("approval").await));
    acme.users().into_iter().take(20).for_each(|user| drop(acme.remove_user(user.id)));
    sleep_secs(60).await;
    assert_eq!(world.run_request("few", "acme").await.removed, Some(20));
}

#[tokio::test(start_paused = true)]
async fn more_than_half_of_a_small_list_is_held() {
    let (world, acme) = SimEnv::with_synced("acme", 11).await;
    acme.users().into_iter().skip(1).for_each(|user| drop(acme.remove_user(user.id)));
    assert_eq!(world.run_request("r", "acme").await.removed, Some(0));
    let held = world.connection_status("acme").held.expect("held");
    assert_eq!((held.removals, held.total), (10, 11));
}

#[tokio::test(start_paused = true)]
async fn the_last_person_beside_app_users_is_held() {
    let world = SimEnv::with_operator();
    let acme = world.connect_enterprise("acme", 12);
    let person = acme.users()[0].id;
    for user in acme.users() {
        acme.update_user(user.id, |user| user.app = user.id != person);
    }
    world.wait_until_synced("acme").await;
    let app_user = acme.users()[1].id;
    acme.remove_user(app_user);
    sleep_secs(60).await;
    assert_eq!(world.run_request("app-user", "acme").await.removed, Some(1));
    acme.remove_user(person);
    sleep_secs(60).await;
    assert_eq!(world.run_request("person", "acme").await.removed, Some(0));
    assert_eq!(world.connection_status("acme").held.expect("held").removals, 1);
}

#[tokio::test(start_paused = true)]
async fn an_empty_user_list_is_never_published() {
    let world = SimEnv::with_operator();
    let acme = world.connect_with_spec("acme", 50, &json!({ "maxRemovalPercent": 100 }));
    world.wait_until_synced("acme").await;
    acme.enable_behaviour(Behaviour::EmptyList);
    let before = box_users(&acme);
    world.wait_for_connection("acme", |s| s.failures.as_ref().is_some_and(|f| f.reason == "BoxResponseInvalid")).await;
    assert_eq!(world.published_users("acme").await, before);
}

#[tokio::test(start_paused = true)]
async fn a_deleted_list_with_many_vanished_users_waits_for_an_approval() {
    let (world, acme, _) = env_with_vanished_users().await;
    world.kube.delete("UserRoster", NAMESPACE, "acme");
    let status = world.wait_for_connection("acme", |s| s.held.is_some()).await;
    assert_eq!(format_condition(&status.conditions, "Ready"), "False RemovalsHeld");
    assert_eq!(format_condition(&status.conditions, "Stalled"), "True RemovalsHeld");
    let held = status.held.expect("held");
    assert_eq!((held.removals, held.total), (250, 1000));
    assert!(world.kube.get("UserRoster", NAMESPACE, "acme").is_none(), "nothing was published");
    sleep_secs(60).await;
    world.create_request("requested", "acme");
    assert_eq!(
        format_condition(&world.wait_until_finished("requested").await.conditions, "Failed"),
        "True RemovalsHeld"
    );
    sleep_secs(60).await;
    world.create_request_with("approval", "acme", &json!({ "approveRemovals": held.digest }));
    let done = world.wait_until_finished("approval").await;
    assert!(request_succeeded(&done), "{done:?}");
    assert_eq!((done.removed, done.revision), (Some(250), Some(2)));
    assert_eq!(world.published_users("acme").await, box_users(&acme));
    assert_eq!(format_condition(&world.connection_status("acme").conditions, "Ready"), "True Synced");
}
