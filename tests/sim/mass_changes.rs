//! Very many users who change at once: the list shows it, and somebody is told.

use box_sim::{Enterprise, User};
use boxsync::api::{MassChange, MassChangeKind};

use crate::env::{SimEnv, sleep_secs};

/// What a sync tells after the change, everywhere.
async fn changes_told(world: &SimEnv, kind: MassChangeKind) -> Vec<MassChange> {
    sleep_secs(60).await;
    world.run_request("r", "acme").await;
    let status = world.connection_status("acme");
    let roster = world.get_roster("acme").spec;
    let told = status.history[0].mass_changes.clone();
    assert_eq!(roster.journal[0].mass_changes, told);
    assert_eq!(roster.change.mass_changes, told);
    let events = world.events_with_reason("MassChange");
    assert_eq!(events.len(), usize::from(!told.is_empty()), "{events:?}");
    assert!(events.iter().all(|event| event["type"] == "Warning"));
    let labels = [("name", "acme"), ("kind", kind.as_str())];
    let metric = world.scrape_metrics().value("boxsync_connection_mass_change_timestamp_seconds", &labels);
    assert_eq!(metric.is_some(), !told.is_empty());
    told
}

/// A synced enterprise of 100 active people.
async fn env_with_active_users() -> (SimEnv, Enterprise) {
    let world = SimEnv::with_operator();
    let acme = world.connect_enterprise("acme", 100);
    change_users(&acme, 100, |user| {
        user.app = false;
        user.status = "active".to_owned();
    });
    world.wait_until_synced("acme").await;
    (world, acme)
}

fn change_users(acme: &Enterprise, count: usize, change: impl Fn(&mut User)) {
    for user in acme.users().into_iter().take(count) {
        acme.update_user(user.id, &change);
    }
}

#[tokio::test(start_paused = true)]
async fn many_users_who_leave_the_status_active_are_published_and_told() {
    let (world, acme) = env_with_active_users().await;
    change_users(&acme, 21, |user| user.status = "inactive".to_owned());
    let told = changes_told(&world, MassChangeKind::Deactivated).await;
    assert_eq!(told, [MassChange { kind: MassChangeKind::Deactivated, users: 21 }]);
    let status = world.connection_status("acme");
    assert_eq!(status.users.expect("has counts").inactive, 21, "the list shows it");
    assert_eq!(status.held, None);
    sleep_secs(60).await;
    world.run_request("later", "acme").await;
    assert_eq!(world.connection_status("acme").history[0].mass_changes, [], "it is told once");
}

#[tokio::test(start_paused = true)]
async fn twenty_of_a_hundred_are_not_told() {
    let (world, acme) = env_with_active_users().await;
    change_users(&acme, 20, |user| user.status = "inactive".to_owned());
    assert_eq!(changes_told(&world, MassChangeKind::Deactivated).await, []);
}

#[tokio::test(start_paused = true)]
async fn a_new_domain_of_the_logins_is_told() {
    let (world, acme) = env_with_active_users().await;
    change_users(&acme, 100, |user| user.login = user.login.replace('@', "@new."));
    let told = changes_told(&world, MassChangeKind::LoginChanged).await;
    assert_eq!(told, [MassChange { kind: MassChangeKind::LoginChanged, users: 100 }]);
}

#[tokio::test(start_paused = true)]
async fn everybody_recreated_with_new_ids_is_held_and_told() {
    let (world, acme) = env_with_active_users().await;
    for user in acme.users() {
        acme.remove_user(user.id);
        acme.add_user(&user.name, &user.login);
    }
    let told = changes_told(&world, MassChangeKind::Recreated).await;
    assert_eq!(told, [MassChange { kind: MassChangeKind::Recreated, users: 100 }]);
    let status = world.connection_status("acme");
    assert_eq!(status.held.expect("held").removals, 100);
    assert_eq!(status.users.expect("has counts").total, 200, "each login is in the list twice");
}
