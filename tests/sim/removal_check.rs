//! Users who are missing from Box's list are believed gone only when Box says so of each of them.

use box_sim::{Behaviour, Endpoint, Enterprise};
use boxsync::api::{BoxConnectionStatus, UserSyncRequestStatus};
use serde_json::json;

use crate::{
    env::{NAMESPACE, SimEnv, format_condition, format_conditions, request_succeeded, secs, sleep_secs},
    reader::box_users,
};

fn lookups(acme: &Enterprise) -> u64 {
    acme.call_counts().for_endpoint(Endpoint::User)
}

/// Removes the first users.
fn remove_users(acme: &Enterprise, count: usize) {
    acme.users().into_iter().take(count).for_each(|user| drop(acme.remove_user(user.id)));
}

fn held_counts(status: &BoxConnectionStatus) -> Option<(i64, i64)> {
    status.held.as_ref().map(|held| (held.removals, held.unconfirmed))
}

/// The request's condition, and its message.
fn failure(status: &UserSyncRequestStatus) -> (String, String) {
    let message = status.conditions.iter().find(|c| c.type_ == "Failed").map(|c| c.message.clone());
    (format_condition(&status.conditions, "Failed"), message.unwrap_or_default())
}

/// With and without the guard, nothing may be removed.
async fn check_that_a_lie_is_not_believed(lie: Behaviour, users: usize, max_removal_percent: i32) {
    let world = SimEnv::with_operator();
    let acme = world.connect_with_spec("acme", users, &json!({ "maxRemovalPercent": max_removal_percent }));
    world.wait_until_synced("acme").await;
    let before = box_users(&acme);
    acme.enable_behaviour(lie);
    sleep_secs(60).await;
    let (condition, message) = failure(&world.run_request("lie", "acme").await);
    assert_eq!(condition, "True BoxResponseInvalid", "{lie}");
    assert!(message.contains("the list was fetched twice"), "{lie}: {message}");
    assert_eq!(world.published_users("acme").await, before, "{lie}: nobody is lost");
    assert_eq!(world.connection_status("acme").held, None, "{lie}: and nobody is held");
    acme.disable_behaviour(lie);
    acme.add_user("Jane", "jane@acme.com");
    sleep_secs(60).await;
    let done = world.run_request("truth", "acme").await;
    assert_eq!((done.added, done.removed), (Some(1), Some(0)), "{lie}");
}

#[tokio::test(start_paused = true)]
async fn a_listing_that_ends_early_is_not_believed() {
    for max_removal_percent in [0, 20, 100] {
        check_that_a_lie_is_not_believed(Behaviour::WalkEndsEarly, 361, max_removal_percent).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_listing_with_some_users_twice_and_others_never_is_not_believed() {
    for max_removal_percent in [0, 20, 100] {
        check_that_a_lie_is_not_believed(Behaviour::TwiceAndNever, 1_200, max_removal_percent).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_stale_replica_is_not_believed() {
    for max_removal_percent in [0, 20, 100] {
        check_that_a_lie_is_not_believed(Behaviour::StaleReplica, 361, max_removal_percent).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_listing_that_ends_early_once_is_repeated_and_published() {
    let (world, acme) = SimEnv::with_synced("acme", 361).await;
    acme.enable_behaviour(Behaviour::OneWalkEndsEarly);
    acme.add_user("Jane", "jane@acme.com");
    sleep_secs(60).await;
    acme.clear_calls();
    let done = world.run_request("r", "acme").await;
    assert_eq!((done.added, done.removed), (Some(1), Some(0)));
    assert_eq!(world.published_users("acme").await, box_users(&acme));
    let calls = acme.call_counts();
    assert_eq!(calls.for_endpoint(Endpoint::Users), 2, "two listings");
    let counted = world.connection_status("acme").history[0].calls;
    assert_eq!(counted, i64::try_from(calls.total()).expect("few"), "all calls are counted");
    assert_eq!(world.get_roster("acme").spec.change.calls, counted);
}

#[tokio::test(start_paused = true)]
async fn a_normal_night_costs_one_call_for_each_leaver() {
    let (world, acme) = SimEnv::with_synced("acme", 2_000).await;
    remove_users(&acme, 2);
    sleep_secs(60).await;
    acme.clear_calls();
    assert_eq!(world.run_request("r", "acme").await.removed, Some(2));
    assert_eq!(lookups(&acme), 2);
    let metrics = world.scrape_metrics();
    let labels = [("box_endpoint", "user"), ("code", "404")];
    assert_eq!(metrics.value("boxsync_box_calls_total", &labels), Some(2.0));
    acme.clear_calls();
    sleep_secs(60).await;
    world.run_request("again", "acme").await;
    assert_eq!(lookups(&acme), 0, "who is gone is not asked about again");
}

#[tokio::test(start_paused = true)]
async fn up_to_a_hundred_leavers_are_all_asked_about_and_of_more_a_hundred() {
    for (leavers, asked) in [(100, 100), (150, 100)] {
        let (world, acme) = SimEnv::with_synced("acme", 1_000).await;
        remove_users(&acme, leavers);
        sleep_secs(60).await;
        let done = world.run_request("r", "acme").await;
        assert_eq!(done.removed, i64::try_from(leavers).ok());
        assert_eq!(lookups(&acme), asked, "{leavers} leavers");
    }
}

#[tokio::test(start_paused = true)]
async fn where_a_user_is_listed_twice_all_leavers_are_asked_about() {
    let (world, acme) = SimEnv::with_synced("acme", 2_000).await;
    acme.enable_behaviour(Behaviour::DuplicateAcrossPages);
    remove_users(&acme, 150);
    sleep_secs(60).await;
    assert_eq!(world.run_request("r", "acme").await.removed, Some(150));
    assert_eq!(lookups(&acme), 150);
}

#[tokio::test(start_paused = true)]
async fn a_user_of_another_enterprise_or_of_none_is_gone() {
    let (world, acme) = SimEnv::with_synced("acme", 100).await;
    let users = acme.users();
    acme.roll_out_user(users[0].id, None);
    acme.roll_out_user(users[1].id, Some("2002"));
    sleep_secs(60).await;
    assert_eq!(world.run_request("r", "acme").await.removed, Some(2));
    assert_eq!(world.published_users("acme").await, box_users(&acme));
}

#[tokio::test(start_paused = true)]
async fn users_of_whom_box_does_not_say_that_they_are_gone_are_held_until_it_says_so() {
    for mute in [Behaviour::LookupForbidden, Behaviour::LookupOfProxy] {
        let (world, acme) = SimEnv::with_synced("acme", 100).await;
        acme.enable_behaviour(mute);
        remove_users(&acme, 3);
        acme.add_user("Jane", "jane@acme.com");
        sleep_secs(60).await;
        let done = world.run_request("r", "acme").await;
        assert_eq!((done.added, done.removed), (Some(1), Some(0)), "{mute}: the others are published");
        let status = world.connection_status("acme");
        assert_eq!(held_counts(&status), Some((3, 3)), "{mute}");
        assert_eq!(format_conditions(&status), "Ready=True RemovalsHeld, Connected=True Connected, Synced=True Synced");
        let message = world.condition_message("acme", "Ready");
        assert!(message.contains("Box did not say that they are gone"), "{message}");
        let revision = world.get_roster("acme").spec.revision;
        sleep_secs(60).await;
        world.run_request("again", "acme").await;
        assert_eq!(world.get_roster("acme").spec.revision, revision, "{mute}: nothing changed");
        acme.disable_behaviour(mute);
        sleep_secs(60).await;
        let done = world.run_request("told", "acme").await;
        assert_eq!((done.removed, held_counts(&world.connection_status("acme"))), (Some(3), None), "{mute}");
        assert_eq!(world.published_users("acme").await, box_users(&acme));
    }
}

#[tokio::test(start_paused = true)]
async fn unconfirmed_removals_can_be_approved() {
    let (world, acme) = SimEnv::with_synced("acme", 100).await;
    acme.enable_behaviour(Behaviour::LookupForbidden);
    remove_users(&acme, 3);
    sleep_secs(60).await;
    world.run_request("r", "acme").await;
    let held = world.connection_status("acme").held.expect("held");
    sleep_secs(60).await;
    world.create_request_with("approval", "acme", &json!({ "approveRemovals": held.digest }));
    let done = world.wait_until_finished("approval").await;
    assert!(request_succeeded(&done), "{done:?}");
    assert_eq!((done.removed, held_counts(&world.connection_status("acme"))), (Some(3), None));
}

#[tokio::test(start_paused = true)]
async fn an_approval_that_box_contradicts_removes_nobody() {
    let (world, acme) = SimEnv::with_synced("acme", 100).await;
    let leavers: Vec<u64> = acme.users().into_iter().take(30).map(|user| user.id).collect();
    leavers.iter().for_each(|id| drop(acme.remove_user(*id)));
    sleep_secs(60).await;
    world.run_request("r", "acme").await;
    let held = world.connection_status("acme").held.expect("held");
    // The first one is back, and Box's list does not show it.
    let returned = acme.new_user("Jane", "jane@acme.com");
    acme.put_user(box_sim::User { id: leavers[0], ..returned });
    acme.roll_out_user(leavers[0], Some(acme.id()));
    sleep_secs(60).await;
    world.create_request_with("approval", "acme", &json!({ "approveRemovals": held.digest }));
    let (condition, message) = failure(&world.wait_until_finished("approval").await);
    assert_eq!(condition, "True BoxResponseInvalid", "{message}");
    assert_eq!(world.published_users("acme").await.len(), 100);
    sleep_secs(60).await;
    assert!(request_succeeded(&world.run_request("later", "acme").await), "held users stop no other sync");
}

#[tokio::test(start_paused = true)]
async fn while_box_cannot_be_asked_nothing_is_published() {
    let (world, acme) = SimEnv::with_synced("acme", 100).await;
    let before = box_users(&acme);
    acme.enable_behaviour(Behaviour::LookupUnavailable);
    remove_users(&acme, 3);
    world.create_request("r", "acme");
    let failed = |s: &BoxConnectionStatus| s.failures.as_ref().is_some_and(|f| f.reason == "BoxUnavailable");
    world.wait_for_connection("acme", failed).await;
    assert_eq!(world.published_users("acme").await, before);
    acme.disable_behaviour(Behaviour::LookupUnavailable);
    assert_eq!(world.wait_until_finished("r").await.removed, Some(3));
}

#[tokio::test(start_paused = true)]
async fn of_a_deleted_list_users_are_removed_only_after_two_equal_listings() {
    let (world, acme) = SimEnv::with_synced("acme", 361).await;
    acme.enable_behaviour(Behaviour::OneWalkEndsEarly);
    world.kube.delete("UserRoster", NAMESPACE, "acme");
    world.wait_for_connection("acme", |s| s.roster_ref.as_ref().is_some_and(|r| r.revision == 2)).await;
    assert_eq!(world.published_users("acme").await, box_users(&acme), "the first listing was not believed");
    remove_users(&acme, 3);
    acme.clear_calls();
    world.kube.delete("UserRoster", NAMESPACE, "acme");
    world.wait_for_connection("acme", |s| s.roster_ref.as_ref().is_some_and(|r| r.revision == 3)).await;
    assert_eq!(acme.call_counts().for_endpoint(Endpoint::Users), 2);
    assert_eq!(world.published_users("acme").await, box_users(&acme));
}

#[tokio::test(start_paused = true)]
async fn ninety_leavers_of_a_hundred_thousand_cost_seconds_at_the_speed_of_box() {
    let (world, acme) = SimEnv::with_synced("acme", 100_000).await;
    remove_users(&acme, 90);
    acme.set_latency(secs(1));
    sleep_secs(60).await;
    acme.clear_calls();
    let started = world.elapsed_secs();
    assert_eq!(world.run_request("r", "acme").await.removed, Some(90));
    assert_eq!(lookups(&acme), 90);
    let listing = i64::try_from(acme.call_counts().for_endpoint(Endpoint::Users)).expect("few");
    let confirming = world.elapsed_secs() - started - listing;
    assert!(confirming < 30, "{confirming} s beside the listing at a second for each call");
}
