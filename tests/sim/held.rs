//! The guard: when many vanish at once, somebody has to look before they are gone.

use box_sim::{Behaviour, Enterprise, User};
use boxsync::api::SliceState;
use serde_json::json;

use crate::reader::answer;
use crate::world::{NAMESPACE, World, condition, pass, state, succeeded};

/// 1,000 users are listed, and then 250 of them vanish.
async fn vanished() -> (World, Enterprise, Vec<User>) {
    let world = World::running();
    let acme = world.connect("acme", 1000);
    world.until("acme", |s| s.last_sync.is_some()).await;
    let leavers: Vec<User> = acme.users().into_iter().step_by(4).collect();
    leavers.iter().for_each(|user| drop(acme.remove_user(user.id)));
    (world, acme, leavers)
}

#[tokio::test(start_paused = true)]
async fn many_who_vanish_at_once_stay_in_the_list_and_new_ones_are_published() {
    let (world, acme, leavers) = vanished().await;
    acme.add_user("Jane", "jane@acme.com");
    world.request("r", "acme");
    let done = world.ended("r").await;
    assert_eq!((done.added, done.updated, done.removed), (Some(1), Some(0), Some(0)));
    let status = world.status("acme");
    assert_eq!(state(&status), "Ready=True RemovalsHeld, Connected=True Connected, Synced=True Synced");
    let held = status.held.expect("held");
    assert_eq!((held.removals, held.total), (250, 1001));
    let users = status.users.expect("counted");
    assert_eq!((users.total, users.held, users.removed), (1001, 250, 0));
    assert_eq!(users.total, users.active + users.inactive + users.restricted + users.other);
    let people = world.people("acme").await;
    assert_eq!(people.len(), 1001);
    assert!(leavers.iter().all(|user| people.contains_key(&user.id.to_string())));
    let digest = held.digest.clone();
    pass(86_400).await;
    let later = world.status("acme").held.expect("held");
    assert_eq!((later.digest, later.time), (digest, held.time), "a night later it is the same");
}

#[tokio::test(start_paused = true)]
async fn an_approval_lets_exactly_those_go_who_were_looked_at() {
    let (world, acme, leavers) = vanished().await;
    world.request("r", "acme");
    world.ended("r").await;
    let held = world.status("acme").held.expect("held");
    acme.put(leavers[0].clone());
    pass(60).await;
    world.request_with("approval", "acme", &json!({ "approveRemovals": held.digest }));
    let done = world.ended("approval").await;
    assert!(succeeded(&done), "{done:?}");
    assert_eq!((done.added, done.removed), (Some(0), Some(249)), "who is back was in the list all along");
    let status = world.status("acme");
    assert_eq!((status.held.clone(), condition(&status.conditions, "Ready")), (None, "True Synced".to_owned()));
    assert_eq!(world.people("acme").await, answer(&acme));
    assert_eq!(world.removed("acme").await.len(), 249);
}

#[tokio::test(start_paused = true)]
async fn an_approval_of_another_list_fails_and_removes_nobody() {
    let (world, acme, _) = vanished().await;
    world.request("r", "acme");
    world.ended("r").await;
    let looked_at = world.status("acme").held.expect("held").digest;
    for user in acme.users().into_iter().take(300) {
        acme.remove_user(user.id);
    }
    pass(60).await;
    world.request("more", "acme");
    world.ended("more").await;
    let held = world.status("acme").held.expect("held");
    assert_eq!(held.removals, 550, "those who vanished later join them");
    assert_ne!(held.digest, looked_at);
    pass(60).await;
    let calls = acme.calls().total();
    world.request_with("approval", "acme", &json!({ "approveRemovals": looked_at }));
    let failed = world.ended("approval").await;
    assert_eq!(condition(&failed.conditions, "Failed"), "True HeldListChanged");
    assert_eq!(acme.calls().total(), calls, "Box was not asked");
    assert_eq!(world.people("acme").await.len(), 1000);
}

#[tokio::test(start_paused = true)]
async fn held_users_who_come_back_are_simply_live_again() {
    let (world, acme, leavers) = vanished().await;
    world.request("r", "acme");
    world.ended("r").await;
    leavers.iter().for_each(|user| acme.put(user.clone()));
    pass(60).await;
    world.request("back", "acme");
    let done = world.ended("back").await;
    assert_eq!((done.added, done.updated, done.removed), (Some(0), Some(0), Some(0)));
    let status = world.status("acme");
    assert_eq!((status.held, status.users.expect("counted").held), (None, 0));
    assert_eq!(world.people("acme").await, answer(&acme));
    assert!(world.roster("acme").spec.slices.iter().all(|s| s.state != SliceState::Held));
}

#[tokio::test(start_paused = true)]
async fn those_already_held_do_not_count_again() {
    let (world, acme, _) = vanished().await;
    world.request("r", "acme");
    world.ended("r").await;
    let digest = world.status("acme").held.expect("held").digest;
    for user in acme.users().into_iter().take(20) {
        acme.remove_user(user.id);
    }
    pass(60).await;
    world.request("few", "acme");
    assert_eq!(world.ended("few").await.removed, Some(20), "a few more are believed");
    assert_eq!(world.status("acme").held.expect("still").digest, digest);
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_a_single_user_is_never_believed() {
    let world = World::running();
    let acme = world.enterprise("acme", 50);
    world.secret(&acme, "acme");
    world.connection("acme", acme.id(), &json!({ "maxRemovalPercent": 100 }));
    world.until("acme", |s| s.last_sync.is_some()).await;
    acme.behave(Behaviour::EmptyList);
    let before = answer(&acme);
    world.until("acme", |s| s.failures.as_ref().is_some_and(|f| f.reason == "BoxResponseInvalid")).await;
    assert_eq!(world.people("acme").await, before);
}

#[tokio::test(start_paused = true)]
async fn a_lost_list_of_which_many_are_missing_waits_for_somebody_who_approves_the_numbers() {
    let (world, acme, _) = vanished().await;
    world.kube.delete("UserRoster", NAMESPACE, "acme");
    let status = world.until("acme", |s| s.held.is_some()).await;
    assert_eq!(condition(&status.conditions, "Ready"), "False RemovalsHeld");
    assert_eq!(condition(&status.conditions, "Stalled"), "True RemovalsHeld");
    let held = status.held.expect("held");
    assert_eq!((held.removals, held.total), (250, 1000));
    assert!(world.kube.get("UserRoster", NAMESPACE, "acme").is_none(), "nothing was published");
    pass(60).await;
    world.request("asked", "acme");
    assert_eq!(condition(&world.ended("asked").await.conditions, "Failed"), "True RemovalsHeld");
    pass(60).await;
    world.request_with("approval", "acme", &json!({ "approveRemovals": held.digest }));
    let done = world.ended("approval").await;
    assert!(succeeded(&done), "{done:?}");
    assert_eq!((done.removed, done.revision), (Some(250), Some(2)));
    assert_eq!(world.people("acme").await, answer(&acme));
    assert_eq!(condition(&world.status("acme").conditions, "Ready"), "True Synced");
}
