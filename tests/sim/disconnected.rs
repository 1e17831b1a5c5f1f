//! Disconnected connections and how they reconnect.

use box_sim::{Behaviour, EndpointFilter, ScriptedResponse};
use serde_json::json;

use crate::env::{NAMESPACE, SimEnv, count_listings, encode_base64, format_condition, format_conditions, sleep_secs};

const DISCONNECTED: &str = "Ready=False AppNotAuthorized, Connected=False AppNotAuthorized, Synced=False AppNotAuthorized, Stalled=True AppNotAuthorized";

#[tokio::test(start_paused = true)]
async fn a_first_sync_without_authorization_reports_the_next_steps() {
    let mut world = SimEnv::new();
    let initech = world.connect_enterprise("initech", 800);
    initech.deauthorize_app();
    world.spawn_operator();
    let status = world.wait_for_connection("initech", |s| s.observed_generation == Some(1)).await;
    assert_eq!(format_conditions(&status), DISCONNECTED);
    assert_eq!((status.next_sync_time, status.failures.expect("set").retry_time), (None, None));
    assert_eq!(status.app.expect("named").client_id, initech.client_id());
    let message = world.condition_message("initech", "Connected");
    for words in ["This app is not authorized", initech.client_id().as_str(), "Admin Console"] {
        assert!(message.contains(words), "{words:?} in {message:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_withdrawn_authorization_is_detected_by_the_probe_and_recovers_without_cluster_changes() {
    let (world, acme) = SimEnv::with_synced("acme", 100).await;
    acme.deauthorize_app();
    let begun = world.elapsed_secs();
    let status = world.wait_for_condition("acme", "Connected", "False AppNotAuthorized").await;
    assert!(world.elapsed_secs() - begun <= 3600, "within the probe interval");
    assert_eq!(format_condition(&status.conditions, "Synced"), "True Synced", "a probe is not a sync attempt");
    assert_eq!(format_condition(&status.conditions, "Ready"), "False AppNotAuthorized");
    assert_eq!(status.users.expect("the list stays").total, 100);
    sleep_secs(4 * 3600).await;
    acme.authorize_app();
    let begun = world.elapsed_secs();
    let status = world.wait_until_ready("acme").await;
    assert!(world.elapsed_secs() - begun <= 900, "probed every 15 minutes");
    assert_eq!(status.last_sync.expect("synced").trigger, boxsync::api::Trigger::Reconnected);
    assert_eq!(count_listings(&acme), 2);
}

#[tokio::test(start_paused = true)]
async fn a_disconnected_connection_is_probed_with_backoff_and_writes_nothing() {
    let mut world = SimEnv::new();
    let acme = world.connect_enterprise("acme", 100);
    acme.deauthorize_app();
    world.spawn_operator();
    world.wait_for_connection("acme", |s| s.observed_generation == Some(1)).await;
    sleep_secs(1).await;
    let mark = world.kube.log_position();
    acme.clear_calls();
    sleep_secs(14 * 60).await;
    let first = acme.call_counts().total();
    assert!((13..=15).contains(&first), "every minute: {first}");
    acme.clear_calls();
    sleep_secs(60 * 60).await;
    let second = acme.call_counts().total();
    assert!((11..=14).contains(&second), "every five minutes: {second}");
    acme.clear_calls();
    sleep_secs(24 * 3600).await;
    let third = acme.call_counts().total();
    assert!((94..=98).contains(&third), "every fifteen minutes: {third}");
    assert_eq!(world.writes_since(mark), Vec::<String>::new(), "an unchanged result is not written");
}

#[tokio::test(start_paused = true)]
async fn a_corrected_secret_is_tried_within_a_minute() {
    let world = SimEnv::with_operator();
    let acme = world.add_enterprise("acme", 100);
    world.apply_connection("acme", acme.id(), &json!({}));
    let status = world.wait_for_connection("acme", |s| s.observed_generation == Some(1)).await;
    assert_eq!(format_condition(&status.conditions, "Connected"), "False CredentialsMissing");
    sleep_secs(3 * 3600).await;
    world.apply_credentials(&acme, "acme");
    let begun = world.elapsed_secs();
    world.wait_until_ready("acme").await;
    assert!(world.elapsed_secs() - begun <= 65, "{} s", world.elapsed_secs() - begun);
}

#[tokio::test(start_paused = true)]
async fn new_labels_on_the_secret_of_a_disconnected_connection_trigger_no_attempt() {
    let (world, acme) = SimEnv::with_synced("acme", 100).await;
    acme.deauthorize_app();
    world.wait_for_condition("acme", "Connected", "False AppNotAuthorized").await;
    // By now the connection is probed every 15 minutes.
    sleep_secs(3 * 3600).await;
    acme.clear_calls();
    world.kube.edit("Secret", "backup", "acme-box", |s| s["metadata"]["labels"] = json!({ "team": "backup" }));
    sleep_secs(840).await;
    assert!(acme.call_counts().total() <= 1, "probed as before, not immediately: {}", acme.call_counts().total());
    world.apply_credentials(&acme, "acme");
    acme.rotate_secret();
    world.apply_credentials(&acme, "acme");
    let before = acme.call_counts().total();
    sleep_secs(65).await;
    assert!(acme.call_counts().total() > before, "new content is tried");
}

#[tokio::test(start_paused = true)]
async fn a_request_reconnects_at_once() {
    let (world, acme) = SimEnv::with_synced("acme", 100).await;
    acme.deauthorize_app();
    world.wait_for_condition("acme", "Connected", "False AppNotAuthorized").await;
    sleep_secs(3 * 3600).await;
    world.create_request("still-lost", "acme");
    let begun = world.elapsed_secs();
    let failed = world.wait_until_finished("still-lost").await;
    assert!(world.elapsed_secs() - begun <= 5);
    assert_eq!(format_condition(&failed.conditions, "Failed"), "True AppNotAuthorized");
    acme.authorize_app();
    world.create_request("fixed", "acme");
    let begun = world.elapsed_secs();
    let done = world.wait_until_finished("fixed").await;
    assert!(world.elapsed_secs() - begun <= 2);
    assert_eq!(format_condition(&done.conditions, "Complete"), "True Synced");
    assert_eq!(format_condition(&world.connection_status("acme").conditions, "Connected"), "True Connected");
}

#[tokio::test(start_paused = true)]
async fn transient_failures_change_nothing_while_disconnected() {
    let mut world = SimEnv::new();
    let acme = world.connect_enterprise("acme", 100);
    acme.deauthorize_app();
    world.spawn_operator();
    let before = world.wait_for_connection("acme", |s| s.observed_generation == Some(1)).await;
    acme.enable_behaviour(Behaviour::InternalError);
    sleep_secs(3600).await;
    assert_eq!(format!("{:#?}", world.connection_status("acme")), format!("{before:#?}"));
    acme.reset_behaviours();
    acme.authorize_app();
    world.wait_until_ready("acme").await;
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_respected_while_disconnected() {
    let mut world = SimEnv::new();
    let acme = world.connect_enterprise("acme", 100);
    acme.deauthorize_app();
    world.spawn_operator();
    world.wait_for_connection("acme", |s| s.observed_generation == Some(1)).await;
    acme.queue_response(
        1,
        ScriptedResponse::RateLimited { retry_after: Some("1800".to_owned()) },
        EndpointFilter::Token,
    );
    sleep_secs(70).await;
    acme.clear_calls();
    sleep_secs(1700).await;
    assert_eq!(acme.call_counts().total(), 0);
    sleep_secs(400).await;
    assert!(acme.call_counts().total() > 0);
}

#[tokio::test(start_paused = true)]
async fn rejected_new_credentials_keep_the_old_token_in_use_and_are_reported_once() {
    let (world, _) = SimEnv::with_synced("acme", 100).await;
    world
        .apply_secret("acme", &json!({ "clientId": encode_base64("somebody"), "clientSecret": encode_base64("else") }));
    sleep_secs(20).await;
    let done = world.run_request("r", "acme").await;
    assert_eq!(format_condition(&done.conditions, "Complete"), "True Synced", "{done:?}");
    assert_eq!(format_condition(&world.connection_status("acme").conditions, "Connected"), "True Connected");
    sleep_secs(1).await;
    assert_eq!(world.events_with_reason("CredentialsRejected").len(), 1, "{:#?}", world.kube.list("Event"));
    let status =
        world.wait_for_connection("acme", |s| format_condition(&s.conditions, "Connected").starts_with("False")).await;
    assert_eq!(
        format_condition(&status.conditions, "Connected"),
        "False CredentialsRejected",
        "after the token has expired"
    );
    assert!(world.elapsed_secs() < 2 * 3600 + 600, "{}", world.elapsed_secs());
}

#[tokio::test(start_paused = true)]
async fn a_rotated_secret_is_used_from_the_next_probe() {
    let world = SimEnv::with_operator();
    let acme = world.connect_enterprise("acme", 100);
    let before = world.wait_until_synced("acme").await.credentials.expect("accepted");
    acme.rotate_secret();
    world.apply_credentials(&acme, "acme");
    let status = world.wait_for_connection("acme", |s| s.credentials.as_ref() != Some(&before)).await;
    assert!(world.elapsed_secs() <= 3600);
    assert_eq!(format_condition(&status.conditions, "Ready"), "True Synced");
    assert_eq!(count_listings(&acme), 1, "new content causes a sign-in, no sync");
}

#[tokio::test(start_paused = true)]
async fn another_secret_name_triggers_a_sync_at_once() {
    let (world, acme) = SimEnv::with_synced("acme", 100).await;
    world.apply_credentials(&acme, "other");
    world.edit_connection("acme", |c| {
        c["spec"]["auth"]["clientCredentials"]["secretRef"]["name"] = "other-box".into();
        c["metadata"]["generation"] = 2.into();
    });
    let begun = world.elapsed_secs();
    let status = world.wait_for_connection("acme", |s| s.observed_generation == Some(2)).await;
    assert!(world.elapsed_secs() - begun <= 20, "{} s", world.elapsed_secs() - begun);
    assert_eq!(status.credentials.expect("accepted").secret_name, "other-box");
    assert_eq!(status.last_sync.expect("synced").trigger, boxsync::api::Trigger::Reconnected);
    assert_eq!(count_listings(&acme), 2);
}

#[tokio::test(start_paused = true)]
async fn credentials_of_another_enterprise_publish_nothing() {
    let world = SimEnv::with_operator();
    let other = world.add_enterprise("other", 10);
    world.apply_credentials(&other, "acme");
    world.apply_connection("acme", "4711", &json!({}));
    let status = world.wait_for_connection("acme", |s| s.observed_generation == Some(1)).await;
    assert!(
        format_condition(&status.conditions, "Connected").starts_with("False Credentials"),
        "{}",
        format_conditions(&status)
    );
    let swapped = world.connect_enterprise("swap", 10);
    swapped.enable_behaviour(Behaviour::OtherEnterprise);
    let status =
        world.wait_for_connection("swap", |s| format_condition(&s.conditions, "Connected").starts_with("False")).await;
    assert_eq!(format_condition(&status.conditions, "Connected"), "False EnterpriseMismatch");
    assert_eq!((status.users, count_listings(&swapped)), (None, 0));
}

#[tokio::test(start_paused = true)]
async fn a_secret_denied_by_rbac_is_an_internal_failure_that_names_the_role_binding() {
    let mut world = SimEnv::new();
    world.kube.forbid(|call| call.resource == "secrets");
    world.connect_enterprise("acme", 10);
    world.spawn_operator();
    let status = world.wait_for_connection("acme", |s| s.failures.is_some()).await;
    assert_eq!(format_condition(&status.conditions, "Synced"), "False Internal");
    assert_eq!(format_condition(&status.conditions, "Connected"), "Unknown NotChecked");
    let message = world.condition_message("acme", "Synced");
    assert!(message.contains("RoleBinding"), "{message}");
    world.kube.clear_faults();
    world.wait_until_ready("acme").await;
    assert!(world.elapsed_secs() < 120);
}

#[tokio::test(start_paused = true)]
async fn a_transient_failure_after_rejected_new_credentials_does_not_disconnect() {
    let (world, acme) = SimEnv::with_synced("acme", 100).await;
    sleep_secs(20).await;
    world
        .apply_secret("acme", &json!({ "clientId": encode_base64("somebody"), "clientSecret": encode_base64("else") }));
    acme.queue_response(5, ScriptedResponse::InternalError, EndpointFilter::Me);
    world.create_request("r", "acme");
    let waiting = world.wait_for_request("r", |s| s.attempts == 1).await;
    assert_eq!(format_condition(&waiting.conditions, "Reconciling"), "True BoxUnavailable");
    assert_eq!(format_condition(&world.connection_status("acme").conditions, "Connected"), "True Connected");
    assert_eq!(format_condition(&world.wait_until_finished("r").await.conditions, "Complete"), "True Synced");
}

#[tokio::test(start_paused = true)]
async fn a_disconnected_connection_without_a_roster_does_not_say_that_its_list_is_kept() {
    let (world, acme) = SimEnv::with_synced("acme", 20).await;
    acme.deauthorize_app();
    world.wait_for_condition("acme", "Connected", "False AppNotAuthorized").await;
    let roster = world.kube.get("UserRoster", NAMESPACE, "acme").expect("published");
    let deleted = "its UserRoster was deleted.";
    let says_deleted = || world.condition_message("acme", "Ready").contains(deleted);
    assert!(!says_deleted());
    world.kube.delete("UserRoster", NAMESPACE, "acme");
    sleep_secs(30).await;
    assert!(says_deleted());
    assert!(world.condition_message("acme", "Ready").contains("A Box admin of enterprise"), "who must act is said too");
    let request = world.run_request("r", "acme").await;
    assert_eq!(format_condition(&request.conditions, "Failed"), "True AppNotAuthorized");
    sleep_secs(3600).await;
    assert!(says_deleted());
    let mut restored = roster.clone();
    let metadata = restored["metadata"].as_object_mut().expect("an object");
    metadata.retain(|field, _| !["resourceVersion", "uid"].contains(&field.as_str()));
    world.kube.create(restored);
    sleep_secs(30).await;
    assert!(!says_deleted());
}
