//! User authorization (OAuth 2.0): tokens are refreshed, stored before use, and no refresh token is used twice.

use box_sim::{AuthMethod, Endpoint, EndpointFilter, Enterprise, ScriptedResponse};
use boxsync::api::Trigger;
use kube_sim::Verb;
use serde_json::{Value, json};

use crate::env::{
    SimEnv, count_listings, encode_base64, format_condition, format_conditions, request_succeeded, secs, sleep_secs,
};

const DAY: u64 = 86_400;

pub(crate) fn stored_token(world: &SimEnv, name: &str, key: &str) -> String {
    let secret = world.token_secret(name).expect("stored tokens");
    let bytes: k8s_openapi::ByteString = serde_json::from_value(secret["data"][key].clone()).expect("base64");
    String::from_utf8(bytes.0).expect("text")
}

fn count_token_calls(enterprise: &Enterprise) -> u64 {
    enterprise.call_counts().for_endpoint(Endpoint::Token)
}

#[tokio::test(start_paused = true)]
async fn the_users_secret_only_provides_the_first_token() {
    let world = SimEnv::with_operator();
    let acme = world.connect_with_auth("acme", 100, AuthMethod::Oauth2);
    let first_token = acme.refresh_token().expect("authorized");
    let users_secret = world.kube.get("Secret", "backup", "acme-box").expect("exists");
    world.wait_until_ready("acme").await;
    assert_eq!(
        world.kube.get("Secret", "backup", "acme-box").expect("exists"),
        users_secret,
        "the user's Secret is untouched"
    );
    let tokens = world.token_secret("acme").expect("stored");
    assert_eq!(tokens["metadata"]["ownerReferences"][0]["name"], "acme", "{tokens:#}");
    let current_token = acme.refresh_token().expect("authorized");
    assert_eq!(stored_token(&world, "acme", "refreshToken"), current_token);
    assert_ne!(current_token, first_token, "the first token was used");
    let expiration = world.connection_status("acme").authorization.expect("set").expiration_time.0;
    assert_eq!(expiration.duration_since(world.clock.now()).as_hours(), 60 * 24 - 1);
}

#[tokio::test(start_paused = true)]
async fn a_month_of_probes_and_syncs_refreshes_the_tokens_without_user_action() {
    let world = SimEnv::with_operator();
    let acme = world.connect_with_auth("acme", 100, AuthMethod::Oauth2);
    world.wait_until_ready("acme").await;
    sleep_secs(30 * DAY).await;
    assert_eq!(count_listings(&acme), 31);
    assert_eq!(
        format_conditions(&world.connection_status("acme")),
        "Ready=True Synced, Connected=True Connected, Synced=True Synced"
    );
    assert_eq!(acme.call_counts().with_status(Endpoint::Token, 400), 0, "no refresh token was used twice");
    assert_eq!(stored_token(&world, "acme", "refreshToken"), acme.refresh_token().expect("authorized"));
}

#[tokio::test(start_paused = true)]
async fn a_rate_limited_refresh_is_sent_again_with_the_same_refresh_token() {
    let world = SimEnv::with_operator();
    let acme = world.connect_with_auth("acme", 100, AuthMethod::Oauth2);
    world.wait_until_ready("acme").await;
    let before = acme.refresh_token().expect("authorized");
    // Twice waited for in place, then for longer than that.
    for (times, retry_after) in [(2, "20"), (1, "600")] {
        acme.queue_response(
            times,
            ScriptedResponse::RateLimited { retry_after: Some(retry_after.to_owned()) },
            EndpointFilter::Token,
        );
    }
    acme.revoke_tokens();
    let limited = world.run_request("r", "acme").await;
    assert!(request_succeeded(&limited), "{limited:?}");
    assert_eq!(acme.call_counts().with_status(Endpoint::Token, 429), 3);
    assert_eq!(acme.call_counts().with_status(Endpoint::Token, 400), 0, "no other refresh token was tried");
    assert_eq!(acme.call_counts().with_status(Endpoint::Token, 200), 2, "one token at first, one now");
    let current = acme.refresh_token().expect("authorized");
    assert_ne!(current, before);
    assert_eq!(stored_token(&world, "acme", "refreshToken"), current);
}

#[tokio::test(start_paused = true)]
async fn a_restart_continues_with_the_stored_token() {
    let mut world = SimEnv::with_operator();
    let acme = world.connect_with_auth("acme", 100, AuthMethod::Oauth2);
    world.wait_until_ready("acme").await;
    sleep_secs(60).await;
    world.stop_operator().await;
    world.spawn_operator();
    assert!(request_succeeded(&world.run_request("r", "acme").await));
    assert_eq!(count_token_calls(&acme), 1, "the stored access token is still valid");
}

#[tokio::test(start_paused = true)]
async fn an_expired_authorization_reports_how_to_reconnect_and_a_new_one_is_used_at_once() {
    let world = SimEnv::with_operator();
    let acme = world.connect_with_auth("acme", 100, AuthMethod::Oauth2);
    world.wait_until_ready("acme").await;
    acme.reauthorize_user(); // elsewhere: this revokes the tokens that the operator has stored
    acme.revoke_tokens();
    let failed = world.run_request("r", "acme").await;
    assert_eq!(format_condition(&failed.conditions, "Failed"), "True AuthorizationExpired");
    let message_text = world.condition_message("acme", "Connected");
    for words in ["refresh token", "kubectl boxsync connect acme -n backup"] {
        assert!(message_text.contains(words), "{words:?} in {message_text:?}");
    }
    assert_eq!(world.connection_status("acme").authorization, None);
    world.authorize_connection(&acme, "acme");
    let begun = world.elapsed_secs();
    world.wait_until_ready("acme").await;
    assert!(world.elapsed_secs() - begun <= 65, "{} s", world.elapsed_secs() - begun);
    assert_eq!(world.connection_status("acme").last_sync.expect("synced").trigger, Trigger::Reconnected);
}

#[tokio::test(start_paused = true)]
async fn a_lost_authorization_is_retried_and_writes_nothing() {
    let world = SimEnv::with_operator();
    let acme = world.connect_with_auth("acme", 100, AuthMethod::Oauth2);
    world.wait_until_ready("acme").await;
    acme.deauthorize_app();
    world.wait_for_condition("acme", "Connected", "False AuthorizationExpired").await;
    sleep_secs(3600).await;
    let mark = world.kube.log_position();
    sleep_secs(6 * 3600).await;
    assert_eq!(world.writes_since(mark), Vec::<String>::new());
    acme.authorize_app();
    let begun = world.elapsed_secs();
    world.wait_until_ready("acme").await;
    assert!(world.elapsed_secs() - begun <= 900, "probed every 15 minutes");
}

#[tokio::test(start_paused = true)]
async fn a_used_refresh_token_restored_from_git_is_reported_once_and_stored_tokens_stay_in_use() {
    let mut world = SimEnv::with_operator();
    let acme = world.connect_with_auth("acme", 100, AuthMethod::Oauth2);
    world.wait_until_ready("acme").await;
    let spent = world.kube.get("Secret", "backup", "acme-box").expect("exists")["data"].clone();
    world.authorize_connection(&acme, "acme");
    world
        .wait_for_connection("acme", |s| {
            s.credentials
                .as_ref()
                .is_some_and(|c| c.accepted_time.0 > s.last_sync.as_ref().expect("synced").completion_time.0)
        })
        .await;
    world.apply_secret("acme", &spent);
    sleep_secs(3 * 3600).await;
    let events = world.events_with_reason("AuthorizationExpired");
    assert_eq!(events.len(), 1, "{events:#?}");
    world.kill_operator().await;
    world.spawn_operator();
    sleep_secs(2 * DAY).await;
    assert_eq!(
        format_conditions(&world.connection_status("acme")),
        "Ready=True Synced, Connected=True Connected, Synced=True Synced"
    );
    assert_eq!(acme.call_counts().with_status(Endpoint::Token, 400), 1, "the used token was tried once");
}

#[tokio::test(start_paused = true)]
async fn a_used_refresh_token_found_after_a_restart_is_ignored_too() {
    let mut world = SimEnv::with_operator();
    let acme = world.connect_with_auth("acme", 100, AuthMethod::Oauth2);
    world.wait_until_ready("acme").await;
    let spent = world.kube.get("Secret", "backup", "acme-box").expect("exists")["data"].clone();
    world.authorize_connection(&acme, "acme");
    assert!(request_succeeded(&world.run_request("r1", "acme").await));
    world.stop_operator().await;
    world.apply_secret("acme", &spent);
    world.spawn_operator();
    world.create_request("r2", "acme");
    assert!(
        request_succeeded(&world.wait_until_finished("r2").await),
        "the stored tokens stay in use: {:?}",
        world.request_status("r2")
    );
    sleep_secs(1).await;
    let events = world.events_with_reason("AuthorizationExpired");
    assert_eq!(events.len(), 1, "{events:#?}");
}

#[tokio::test(start_paused = true)]
async fn new_labels_on_the_secret_trigger_nothing() {
    let world = SimEnv::with_operator();
    let acme = world.connect_with_auth("acme", 100, AuthMethod::Oauth2);
    world.wait_until_ready("acme").await;
    sleep_secs(1).await;
    let (mark, before) = (world.kube.log_position(), count_token_calls(&acme));
    world.kube.edit("Secret", "backup", "acme-box", |s| s["metadata"]["labels"] = json!({ "team": "backup" }));
    // A probe runs, and the token is still valid.
    sleep_secs(3650).await;
    assert_eq!(world.writes_since(mark), Vec::<String>::new());
    assert_eq!(count_token_calls(&acme), before);
}

#[tokio::test(start_paused = true)]
async fn tokens_restored_from_a_backup_are_not_used_until_their_owner_is_confirmed() {
    let mut world = SimEnv::with_operator();
    let acme = world.connect_with_auth("acme", 100, AuthMethod::Oauth2);
    world.wait_until_ready("acme").await;
    world.stop_operator().await;
    world.kube.edit("Secret", "backup", "acme-oauth2", |s| {
        s["metadata"]["annotations"]["boxsync.dev/connection-uid"] = "of-production".into();
    });
    let (stored_before, renewed) = (stored_token(&world, "acme", "refreshToken"), count_token_calls(&acme));
    world.spawn_operator();
    let failed = world.run_request("r", "acme").await;
    assert_eq!(format_condition(&failed.conditions, "Failed"), "True RestoredTokens");
    let message_text = world.condition_message("acme", "Connected");
    let uid = world.kube.get("BoxConnection", "backup", "acme").expect("exists")["metadata"]["uid"].clone();
    let uid = uid.as_str().expect("a UID");
    let command = format!("kubectl annotate secret acme-oauth2 -n backup --overwrite boxsync.dev/connection-uid={uid}");
    assert!(message_text.contains(&command), "{message_text}");
    sleep_secs(DAY).await;
    assert_eq!(
        (stored_token(&world, "acme", "refreshToken"), count_token_calls(&acme)),
        (stored_before, renewed),
        "nothing was refreshed"
    );
    world.kube.edit("Secret", "backup", "acme-oauth2", |s| {
        s["metadata"]["annotations"]["boxsync.dev/connection-uid"] = uid.into();
    });
    world.wait_until_ready("acme").await;
}

#[tokio::test(start_paused = true)]
async fn a_new_authorization_replaces_tokens_from_a_backup() {
    let mut world = SimEnv::with_operator();
    let acme = world.connect_with_auth("acme", 100, AuthMethod::Oauth2);
    world.wait_until_ready("acme").await;
    world.stop_operator().await;
    world.kube.edit("Secret", "backup", "acme-oauth2", |s| {
        s["metadata"]["annotations"]["boxsync.dev/connection-uid"] = "of-production".into();
    });
    world.authorize_connection(&acme, "acme");
    world.spawn_operator();
    assert!(request_succeeded(&world.run_request("r", "acme").await));
    assert_eq!(stored_token(&world, "acme", "refreshToken"), acme.refresh_token().expect("authorized"));
}

#[tokio::test(start_paused = true)]
async fn a_token_secret_of_another_owner_is_not_touched() {
    let world = SimEnv::with_operator();
    let foreign = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "acme-oauth2", "namespace": "backup" },
        "data": { "refreshToken": encode_base64("somebody's") },
    });
    let foreign = world.kube.apply(foreign);
    world.connect_with_auth("acme", 100, AuthMethod::Oauth2);
    world.wait_for_condition("acme", "Connected", "False CredentialsInvalid").await;
    assert_eq!(world.token_secret("acme"), Some(foreign));
}

#[tokio::test(start_paused = true)]
async fn an_operator_with_oauth_disabled_reports_it_and_touches_nothing() {
    let mut world = SimEnv::new();
    world.options.oauth = false;
    let acme = world.connect_with_auth("acme", 100, AuthMethod::Oauth2);
    world.spawn_operator();
    world.wait_for_condition("acme", "Connected", "False OAuthDisabled").await;
    assert!(world.condition_message("acme", "Connected").contains("oauth.enabled"));
    assert_eq!((acme.call_counts().total(), world.token_secret("acme")), (0, None));
}

#[tokio::test(start_paused = true)]
async fn a_missing_permission_to_write_secrets_is_detected_before_a_token_is_used() {
    let world = SimEnv::with_operator();
    world.kube.forbid(|call| call.resource == "secrets" && call.verb != Verb::Get);
    let acme = world.connect_with_auth("acme", 100, AuthMethod::Oauth2);
    let status = world.wait_for_connection("acme", |s| s.failures.is_some()).await;
    assert_eq!(format_condition(&status.conditions, "Synced"), "False Internal");
    assert!(world.condition_message("acme", "Synced").contains("oauth.enabled"));
    assert_eq!(acme.call_counts().total(), 0);
    world.kube.clear_faults();
    world.wait_until_ready("acme").await;
}

#[tokio::test(start_paused = true)]
async fn a_suspended_connection_does_not_lose_its_authorization() {
    let world = SimEnv::with_operator();
    let acme = world.connect_with_auth("acme", 100, AuthMethod::Oauth2);
    world.wait_until_ready("acme").await;
    world.edit_connection("acme", |c| c["spec"]["suspend"] = true.into());
    sleep_secs(DAY).await;
    acme.clear_calls();
    sleep_secs(65 * DAY).await;
    assert_eq!(count_token_calls(&acme), 2, "each 30 days");
    world.edit_connection("acme", |c| c["spec"]["suspend"] = false.into());
    assert!(request_succeeded(&world.run_request("r", "acme").await));
}

#[tokio::test(start_paused = true)]
async fn an_authorization_that_is_not_refreshed_warns_two_weeks_before_it_expires() {
    let mut world = SimEnv::with_operator();
    world.connect_with_auth("acme", 100, AuthMethod::Oauth2);
    world.wait_until_ready("acme").await;
    world.edit_connection("acme", |c| c["spec"]["suspend"] = true.into());
    sleep_secs(60).await;
    // The API server rejects writes of the Secret, so no token can be refreshed.
    world.kube.forbid(|call| call.resource == "secrets");
    world.stop_operator().await;
    sleep_secs(40 * DAY).await;
    world.spawn_operator();
    sleep_secs(5 * DAY).await;
    assert_eq!(world.events_with_reason("AuthorizationEndsSoon"), Vec::<Value>::new());
    world.kube.lag_watches(secs(5));
    let mark = world.kube.log_position();
    sleep_secs(2 * DAY).await;
    let writes = world.writes_since(mark).into_iter().filter(|write| write.contains("boxconnections")).count();
    assert!((1..300).contains(&writes), "{writes} writes in two days, behind a lagging watch");
    let events = world.events_with_reason("AuthorizationEndsSoon");
    assert_eq!(events.len(), 1, "{events:#?}");
    assert_eq!(events[0]["type"], "Warning");
}

#[tokio::test(start_paused = true)]
async fn two_operators_never_use_a_refresh_token_twice() {
    let world = SimEnv::with_operator();
    let acme = world.connect_with_auth("acme", 100, AuthMethod::Oauth2);
    let other = world.operator_factory().start_as("system:serviceaccount:boxsync:the-other");
    world.wait_until_ready("acme").await;
    sleep_secs(3 * DAY).await;
    assert_eq!(acme.call_counts().with_status(Endpoint::Token, 400), 0);
    assert_eq!(stored_token(&world, "acme", "refreshToken"), acme.refresh_token().expect("authorized"));
    other.shut_down().await;
}

#[tokio::test(start_paused = true)]
async fn a_token_stored_by_another_process_during_a_refresh_is_used() {
    let world = SimEnv::with_operator();
    let acme = world.connect_with_auth("acme", 100, AuthMethod::Oauth2);
    world.wait_until_ready("acme").await;
    sleep_secs(60).await;
    acme.revoke_tokens();
    acme.set_latency(secs(5));
    world.create_request("r", "acme");
    sleep_secs(8).await; // users/me is rejected after 5 s; the refresh is in flight
    let newer = acme.reauthorize_user();
    world.kube.edit("Secret", "backup", "acme-oauth2", |s| s["data"]["refreshToken"] = encode_base64(&newer).into());
    acme.set_latency(secs(0));
    assert!(request_succeeded(&world.wait_until_finished("r").await), "{:?}", world.request_status("r"));
    assert_eq!(acme.call_counts().with_status(Endpoint::Token, 400), 1, "the older token was rejected");
}
