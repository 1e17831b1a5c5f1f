//! Connections that are lost, and the way back.

use box_sim::{Answer, Behaviour, On};
use serde_json::json;

use crate::world::{World, base64, condition, listings, pass, state};

const LOST: &str = "Ready=False AppNotAuthorized, Connected=False AppNotAuthorized, Synced=False AppNotAuthorized, Stalled=True AppNotAuthorized";

#[tokio::test(start_paused = true)]
async fn a_first_sync_without_authorization_says_who_does_what_where() {
    let world = World::new();
    let initech = world.connect("initech", 800);
    initech.withdraw();
    let mut world = world;
    world.start();
    let status = world.until("initech", |s| s.observed_generation == Some(1)).await;
    assert_eq!(state(&status), LOST);
    assert_eq!((status.next_sync_time, status.failures.expect("told").retry_time), (None, None));
    assert_eq!(status.app.expect("named").client_id, initech.client_id());
    let message = &status.conditions.iter().find(|c| c.type_ == "Connected").expect("told").message;
    for words in
        ["This app is not authorized", "No list has been fetched yet", initech.client_id().as_str(), "Admin Console"]
    {
        assert!(message.contains(words), "{words:?} in {message:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_withdrawn_authorization_is_noticed_by_the_probe_and_found_again_without_touching_the_cluster() {
    let world = World::running();
    let acme = world.connect("acme", 100);
    world.until("acme", |s| s.last_sync.is_some()).await;
    acme.withdraw();
    let begun = world.elapsed();
    let status = world.until("acme", |s| condition(&s.conditions, "Connected") == "False AppNotAuthorized").await;
    assert!(world.elapsed() - begun <= 3600, "within the probe interval");
    assert_eq!(condition(&status.conditions, "Synced"), "True Synced", "a probe is no attempt");
    assert_eq!(condition(&status.conditions, "Ready"), "False AppNotAuthorized");
    assert_eq!(status.users.expect("the list stays").total, 100);
    pass(4 * 3600).await;
    acme.grant();
    let begun = world.elapsed();
    let status = world.until("acme", |s| condition(&s.conditions, "Ready") == "True Synced").await;
    assert!(world.elapsed() - begun <= 900, "asked every 15 minutes");
    assert_eq!(status.last_sync.expect("synced").trigger, boxsync::api::Trigger::Reconnected);
    assert_eq!(listings(&acme), 2);
}

#[tokio::test(start_paused = true)]
async fn a_lost_connection_is_asked_less_and_less_and_writes_nothing() {
    let world = World::new();
    let acme = world.connect("acme", 100);
    acme.withdraw();
    let mut world = world;
    world.start();
    world.until("acme", |s| s.observed_generation == Some(1)).await;
    pass(1).await;
    let mark = world.kube.mark();
    acme.forget_calls();
    pass(14 * 60).await;
    let first = acme.calls().total();
    assert!((13..=15).contains(&first), "every minute: {first}");
    acme.forget_calls();
    pass(60 * 60).await;
    let second = acme.calls().total();
    assert!((11..=14).contains(&second), "every five minutes: {second}");
    acme.forget_calls();
    pass(24 * 3600).await;
    let third = acme.calls().total();
    assert!((94..=98).contains(&third), "every fifteen minutes: {third}");
    assert_eq!(world.writes_since(mark), Vec::<String>::new(), "the same answer is no news");
}

#[tokio::test(start_paused = true)]
async fn the_right_secret_is_tried_within_a_minute() {
    let world = World::running();
    let acme = world.enterprise("acme", 100);
    world.connection("acme", acme.id(), &json!({}));
    let status = world.until("acme", |s| s.observed_generation == Some(1)).await;
    assert_eq!(condition(&status.conditions, "Connected"), "False CredentialsMissing");
    pass(3 * 3600).await;
    world.secret(&acme, "acme");
    let begun = world.elapsed();
    world.until("acme", |s| condition(&s.conditions, "Ready") == "True Synced").await;
    assert!(world.elapsed() - begun <= 65, "{} s", world.elapsed() - begun);
}

#[tokio::test(start_paused = true)]
async fn labels_on_the_secret_of_a_lost_connection_are_nothing_new_to_try() {
    let world = World::running();
    let acme = world.connect("acme", 100);
    world.until("acme", |s| s.last_sync.is_some()).await;
    acme.withdraw();
    world.until("acme", |s| condition(&s.conditions, "Connected").starts_with("False")).await;
    // By now Box is asked every 15 minutes.
    pass(3 * 3600).await;
    acme.forget_calls();
    world.kube.edit("Secret", "backup", "acme-box", |s| s["metadata"]["labels"] = json!({ "team": "backup" }));
    pass(840).await;
    assert!(acme.calls().total() <= 1, "asked as before, not at once: {}", acme.calls().total());
    world.secret(&acme, "acme");
    acme.rotate_secret();
    world.secret(&acme, "acme");
    let before = acme.calls().total();
    pass(65).await;
    assert!(acme.calls().total() > before, "new content is");
}

#[tokio::test(start_paused = true)]
async fn a_request_reconnects_at_once() {
    let world = World::running();
    let acme = world.connect("acme", 100);
    world.until("acme", |s| s.last_sync.is_some()).await;
    acme.withdraw();
    world.until("acme", |s| condition(&s.conditions, "Connected").starts_with("False")).await;
    pass(3 * 3600).await;
    world.request("still-lost", "acme");
    let begun = world.elapsed();
    let failed = world.ended("still-lost").await;
    assert!(world.elapsed() - begun <= 5);
    assert_eq!(condition(&failed.conditions, "Failed"), "True AppNotAuthorized");
    acme.grant();
    world.request("mended", "acme");
    let begun = world.elapsed();
    let done = world.ended("mended").await;
    assert!(world.elapsed() - begun <= 2);
    assert_eq!(condition(&done.conditions, "Complete"), "True Synced");
    assert_eq!(condition(&world.status("acme").conditions, "Connected"), "True Connected");
}

#[tokio::test(start_paused = true)]
async fn trouble_that_passes_changes_nothing_while_disconnected() {
    let world = World::new();
    let acme = world.connect("acme", 100);
    acme.withdraw();
    let mut world = world;
    world.start();
    let before = world.until("acme", |s| s.observed_generation == Some(1)).await;
    acme.behave(Behaviour::InternalError);
    pass(3600).await;
    assert_eq!(format!("{:#?}", world.status("acme")), format!("{before:#?}"));
    acme.normal();
    acme.grant();
    world.until("acme", |s| condition(&s.conditions, "Ready") == "True Synced").await;
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_is_waited_for_while_disconnected() {
    let world = World::new();
    let acme = world.connect("acme", 100);
    acme.withdraw();
    let mut world = world;
    world.start();
    world.until("acme", |s| s.observed_generation == Some(1)).await;
    acme.next(1, Answer::RateLimited { retry_after: Some("1800".to_owned()) }, On::Token);
    pass(70).await;
    acme.forget_calls();
    pass(1700).await;
    assert_eq!(acme.calls().total(), 0);
    pass(400).await;
    assert!(acme.calls().total() > 0);
}

#[tokio::test(start_paused = true)]
async fn new_content_that_box_refuses_leaves_the_old_token_in_use_and_is_told_once() {
    let world = World::running();
    world.connect("acme", 100);
    world.until("acme", |s| s.last_sync.is_some()).await;
    world.secret_of("acme", &json!({ "clientId": base64("somebody"), "clientSecret": base64("else") }));
    pass(20).await;
    world.request("r", "acme");
    let done = world.ended("r").await;
    assert_eq!(condition(&done.conditions, "Complete"), "True Synced", "{done:?}");
    assert_eq!(condition(&world.status("acme").conditions, "Connected"), "True Connected");
    pass(1).await;
    let events: Vec<_> =
        world.kube.list("Event").into_iter().filter(|e| e["reason"] == "CredentialsRejected").collect();
    assert_eq!(events.len(), 1, "{:#?}", world.kube.list("Event"));
    let status = world.until("acme", |s| condition(&s.conditions, "Connected").starts_with("False")).await;
    assert_eq!(
        condition(&status.conditions, "Connected"),
        "False CredentialsRejected",
        "once the token's time is over"
    );
    assert!(world.elapsed() < 2 * 3600 + 600, "{}", world.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_rotated_secret_is_taken_over_by_the_next_probe() {
    let world = World::running();
    let acme = world.connect("acme", 100);
    let before = world.until("acme", |s| s.last_sync.is_some()).await.credentials.expect("accepted");
    acme.rotate_secret();
    world.secret(&acme, "acme");
    let status = world.until("acme", |s| s.credentials.as_ref() != Some(&before)).await;
    assert!(world.elapsed() <= 3600);
    assert_eq!(condition(&status.conditions, "Ready"), "True Synced");
    assert_eq!(listings(&acme), 1, "new content means a token, no sync");
}

#[tokio::test(start_paused = true)]
async fn another_secret_name_is_a_sync_at_once() {
    let world = World::running();
    let acme = world.connect("acme", 100);
    world.until("acme", |s| s.last_sync.is_some()).await;
    world.secret(&acme, "other");
    world.edit("acme", |c| {
        c["spec"]["auth"]["clientCredentials"]["secretRef"]["name"] = "other-box".into();
        c["metadata"]["generation"] = 2.into();
    });
    let begun = world.elapsed();
    let status = world.until("acme", |s| s.observed_generation == Some(2)).await;
    assert!(world.elapsed() - begun <= 20, "{} s", world.elapsed() - begun);
    assert_eq!(status.credentials.expect("accepted").secret_name, "other-box");
    assert_eq!(status.last_sync.expect("synced").trigger, boxsync::api::Trigger::Reconnected);
    assert_eq!(listings(&acme), 2);
}

#[tokio::test(start_paused = true)]
async fn credentials_of_another_enterprise_write_no_counts() {
    let world = World::running();
    let other = world.enterprise("other", 10);
    world.secret(&other, "acme");
    world.connection("acme", "4711", &json!({}));
    let status = world.until("acme", |s| s.observed_generation == Some(1)).await;
    assert!(condition(&status.conditions, "Connected").starts_with("False Credentials"), "{}", state(&status));
    let behaves = world.connect("swap", 10);
    behaves.behave(Behaviour::OtherEnterprise);
    let status = world.until("swap", |s| condition(&s.conditions, "Connected").starts_with("False")).await;
    assert_eq!(condition(&status.conditions, "Connected"), "False EnterpriseMismatch");
    assert_eq!((status.users, listings(&behaves)), (None, 0));
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_rbac_denies_is_the_operators_trouble_and_names_the_role_binding() {
    let world = World::new();
    world.kube.forbid(|call| call.resource == "secrets");
    world.connect("acme", 10);
    let mut world = world;
    world.start();
    let status = world.until("acme", |s| s.failures.is_some()).await;
    assert_eq!(condition(&status.conditions, "Synced"), "False Internal");
    assert_eq!(condition(&status.conditions, "Connected"), "Unknown NotChecked");
    let message = &status.conditions.iter().find(|c| c.type_ == "Synced").expect("told").message;
    assert!(message.contains("RoleBinding"), "{message}");
    world.kube.clear_faults();
    world.until("acme", |s| condition(&s.conditions, "Ready") == "True Synced").await;
    assert!(world.elapsed() < 120);
}

#[tokio::test(start_paused = true)]
async fn passing_trouble_beside_refused_new_content_does_not_disconnect() {
    let world = World::running();
    let acme = world.connect("acme", 100);
    world.until("acme", |s| s.last_sync.is_some()).await;
    pass(20).await;
    world.secret_of("acme", &json!({ "clientId": base64("somebody"), "clientSecret": base64("else") }));
    acme.next(5, Answer::InternalError, On::Me);
    world.request("r", "acme");
    let waiting = world.asked_until("r", |s| s.attempts == 1).await;
    assert_eq!(condition(&waiting.conditions, "Reconciling"), "True BoxUnavailable");
    assert_eq!(condition(&world.status("acme").conditions, "Connected"), "True Connected");
    assert_eq!(condition(&world.ended("r").await.conditions, "Complete"), "True Synced");
}
