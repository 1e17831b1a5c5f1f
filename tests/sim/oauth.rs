//! The authorization of a user: its tokens are renewed, kept before they are used, and never used twice.

use box_sim::{Auth, Endpoint, Enterprise};
use boxsync::api::Trigger;
use kube_sim::Verb;
use serde_json::{Value, json};

use crate::world::{World, base64, condition, listings, pass, secs, state, succeeded};

const DAY: u64 = 86_400;

pub(crate) fn kept(world: &World, name: &str, key: &str) -> String {
    let secret = world.tokens(name).expect("tokens are kept");
    let bytes: k8s_openapi::ByteString = serde_json::from_value(secret["data"][key].clone()).expect("base64");
    String::from_utf8(bytes.0).expect("text")
}

fn renewals(enterprise: &Enterprise) -> u64 {
    enterprise.calls().of(Endpoint::Token)
}

pub(crate) fn message(world: &World, name: &str, kind: &str) -> String {
    let status = world.status(name);
    status.conditions.iter().find(|c| c.type_ == kind).map(|c| c.message.clone()).unwrap_or_default()
}

pub(crate) async fn connected(world: &World, name: &str) {
    world.until(name, |s| condition(&s.conditions, "Ready") == "True Synced").await;
}

async fn lost(world: &World, name: &str, reason: &str) {
    let expected = format!("False {reason}");
    world.until(name, |s| condition(&s.conditions, "Connected") == expected).await;
}

#[tokio::test(start_paused = true)]
async fn the_users_secret_is_only_the_seed() {
    let world = World::running();
    let acme = world.connect_by("acme", 100, Auth::Oauth2);
    let seed = acme.refresh_token().expect("authorized");
    let mine = world.kube.get("Secret", "backup", "acme-box").expect("there");
    connected(&world, "acme").await;
    assert_eq!(world.kube.get("Secret", "backup", "acme-box").expect("there"), mine, "the user's Secret is untouched");
    let tokens = world.tokens("acme").expect("kept");
    assert_eq!(tokens["metadata"]["ownerReferences"][0]["name"], "acme", "{tokens:#}");
    let now = acme.refresh_token().expect("authorized");
    assert_eq!(kept(&world, "acme", "refreshToken"), now);
    assert_ne!(now, seed, "it was spent");
    let ends = world.status("acme").authorization.expect("told").expiration_time.0;
    assert_eq!(ends.duration_since(world.clock.now()).as_hours(), 60 * 24 - 1);
}

#[tokio::test(start_paused = true)]
async fn a_month_of_probes_and_syncs_renews_the_grant_and_asks_nobody() {
    let world = World::running();
    let acme = world.connect_by("acme", 100, Auth::Oauth2);
    connected(&world, "acme").await;
    pass(30 * DAY).await;
    assert_eq!(listings(&acme), 31);
    assert_eq!(state(&world.status("acme")), "Ready=True Synced, Connected=True Connected, Synced=True Synced");
    assert_eq!(acme.calls().with(Endpoint::Token, 400), 0, "no token was spent twice");
    assert_eq!(kept(&world, "acme", "refreshToken"), acme.refresh_token().expect("authorized"));
}

#[tokio::test(start_paused = true)]
async fn a_restart_goes_on_with_the_token_that_is_kept() {
    let mut world = World::running();
    let acme = world.connect_by("acme", 100, Auth::Oauth2);
    connected(&world, "acme").await;
    pass(60).await;
    world.stop().await;
    world.start();
    world.request("r", "acme");
    assert!(succeeded(&world.ended("r").await));
    assert_eq!(renewals(&acme), 1, "the access token that is kept still lives");
}

#[tokio::test(start_paused = true)]
async fn an_expired_authorization_says_how_to_reconnect_and_a_new_one_is_taken_up_at_once() {
    let world = World::running();
    let acme = world.connect_by("acme", 100, Auth::Oauth2);
    connected(&world, "acme").await;
    acme.authorize_again(); // elsewhere: what the operator keeps is worth nothing now
    acme.revoke_tokens();
    world.request("r", "acme");
    let failed = world.ended("r").await;
    assert_eq!(condition(&failed.conditions, "Failed"), "True AuthorizationExpired");
    let told = message(&world, "acme", "Connected");
    for words in ["refresh token", "kubectl boxsync connect acme -n backup", "100 users) stays"] {
        assert!(told.contains(words), "{words:?} in {told:?}");
    }
    assert_eq!(world.status("acme").authorization, None);
    world.authorize(&acme, "acme");
    let begun = world.elapsed();
    connected(&world, "acme").await;
    assert!(world.elapsed() - begun <= 65, "{} s", world.elapsed() - begun);
    assert_eq!(world.status("acme").last_sync.expect("synced").trigger, Trigger::Reconnected);
}

#[tokio::test(start_paused = true)]
async fn a_lost_authorization_is_asked_for_again_and_writes_nothing() {
    let world = World::running();
    let acme = world.connect_by("acme", 100, Auth::Oauth2);
    connected(&world, "acme").await;
    acme.withdraw();
    lost(&world, "acme", "AuthorizationExpired").await;
    pass(3600).await;
    let mark = world.kube.mark();
    pass(6 * 3600).await;
    assert_eq!(world.writes_since(mark), Vec::<String>::new());
    acme.grant();
    let begun = world.elapsed();
    connected(&world, "acme").await;
    assert!(world.elapsed() - begun <= 900, "asked every 15 minutes");
}

#[tokio::test(start_paused = true)]
async fn a_spent_seed_that_git_puts_back_is_told_once_and_the_kept_tokens_go_on() {
    let mut world = World::running();
    let acme = world.connect_by("acme", 100, Auth::Oauth2);
    connected(&world, "acme").await;
    let spent = world.kube.get("Secret", "backup", "acme-box").expect("there")["data"].clone();
    world.authorize(&acme, "acme");
    world
        .until("acme", |s| {
            s.credentials
                .as_ref()
                .is_some_and(|c| c.accepted_time.0 > s.last_sync.as_ref().expect("synced").completion_time.0)
        })
        .await;
    world.secret_of("acme", &spent);
    pass(3 * 3600).await;
    let told: Vec<Value> =
        world.kube.list("Event").into_iter().filter(|e| e["reason"] == "AuthorizationExpired").collect();
    assert_eq!(told.len(), 1, "{told:#?}");
    world.kill().await;
    world.start();
    pass(2 * DAY).await;
    assert_eq!(state(&world.status("acme")), "Ready=True Synced, Connected=True Connected, Synced=True Synced");
    assert_eq!(acme.calls().with(Endpoint::Token, 400), 1, "the spent token was tried once");
}

#[tokio::test(start_paused = true)]
async fn a_spent_seed_that_a_new_process_finds_is_passed_over_too() {
    let mut world = World::running();
    let acme = world.connect_by("acme", 100, Auth::Oauth2);
    connected(&world, "acme").await;
    let spent = world.kube.get("Secret", "backup", "acme-box").expect("there")["data"].clone();
    world.authorize(&acme, "acme");
    world.request("r1", "acme");
    assert!(succeeded(&world.ended("r1").await));
    world.stop().await;
    world.secret_of("acme", &spent);
    world.start();
    world.request("r2", "acme");
    assert!(succeeded(&world.ended("r2").await), "the kept tokens go on: {:?}", world.asked("r2"));
    pass(1).await;
    let events = world.kube.list("Event");
    assert_eq!(events.iter().filter(|e| e["reason"] == "AuthorizationExpired").count(), 1, "{events:#?}");
}

#[tokio::test(start_paused = true)]
async fn labels_on_the_secret_start_nothing() {
    let world = World::running();
    let acme = world.connect_by("acme", 100, Auth::Oauth2);
    connected(&world, "acme").await;
    pass(1).await;
    let (mark, before) = (world.kube.mark(), renewals(&acme));
    world.kube.edit("Secret", "backup", "acme-box", |s| s["metadata"]["labels"] = json!({ "team": "backup" }));
    // A probe comes, and the token still lives.
    pass(3650).await;
    assert_eq!(world.writes_since(mark), Vec::<String>::new());
    assert_eq!(renewals(&acme), before);
}

#[tokio::test(start_paused = true)]
async fn tokens_that_came_from_a_backup_are_not_used_until_somebody_says_whose_they_are() {
    let mut world = World::running();
    let acme = world.connect_by("acme", 100, Auth::Oauth2);
    connected(&world, "acme").await;
    world.stop().await;
    world.kube.edit("Secret", "backup", "acme-oauth2", |s| {
        s["metadata"]["annotations"]["boxsync.dev/connection-uid"] = "of-production".into();
    });
    let (kept_before, renewed) = (kept(&world, "acme", "refreshToken"), renewals(&acme));
    world.start();
    world.request("r", "acme");
    let failed = world.ended("r").await;
    assert_eq!(condition(&failed.conditions, "Failed"), "True RestoredTokens");
    let told = message(&world, "acme", "Connected");
    let uid = world.kube.get("BoxConnection", "backup", "acme").expect("there")["metadata"]["uid"].clone();
    let uid = uid.as_str().expect("a UID");
    let way_out = format!("kubectl annotate secret acme-oauth2 -n backup --overwrite boxsync.dev/connection-uid={uid}");
    assert!(told.contains(&way_out), "{told}");
    pass(DAY).await;
    assert_eq!((kept(&world, "acme", "refreshToken"), renewals(&acme)), (kept_before, renewed), "nothing was renewed");
    world.kube.edit("Secret", "backup", "acme-oauth2", |s| {
        s["metadata"]["annotations"]["boxsync.dev/connection-uid"] = uid.into();
    });
    connected(&world, "acme").await;
}

#[tokio::test(start_paused = true)]
async fn a_new_authorization_takes_the_place_of_tokens_from_a_backup() {
    let mut world = World::running();
    let acme = world.connect_by("acme", 100, Auth::Oauth2);
    connected(&world, "acme").await;
    world.stop().await;
    world.kube.edit("Secret", "backup", "acme-oauth2", |s| {
        s["metadata"]["annotations"]["boxsync.dev/connection-uid"] = "of-production".into();
    });
    world.authorize(&acme, "acme");
    world.start();
    world.request("r", "acme");
    assert!(succeeded(&world.ended("r").await));
    assert_eq!(kept(&world, "acme", "refreshToken"), acme.refresh_token().expect("authorized"));
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_is_not_ours_is_left_alone() {
    let world = World::running();
    let foreign = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "acme-oauth2", "namespace": "backup" },
        "data": { "refreshToken": base64("somebody's") },
    });
    let foreign = world.kube.apply(foreign);
    world.connect_by("acme", 100, Auth::Oauth2);
    lost(&world, "acme", "CredentialsInvalid").await;
    assert_eq!(world.tokens("acme"), Some(foreign));
}

#[tokio::test(start_paused = true)]
async fn an_operator_without_the_switch_says_so_and_touches_nothing() {
    let mut world = World::new();
    world.rules.oauth = false;
    let acme = world.connect_by("acme", 100, Auth::Oauth2);
    world.start();
    lost(&world, "acme", "OAuthDisabled").await;
    assert!(message(&world, "acme", "Connected").contains("oauth.enabled"));
    assert_eq!((acme.calls().total(), world.tokens("acme")), (0, None));
}

#[tokio::test(start_paused = true)]
async fn a_right_to_write_secrets_that_is_missing_is_found_before_anything_is_spent() {
    let world = World::running();
    world.kube.forbid(|call| call.resource == "secrets" && call.verb != Verb::Get);
    let acme = world.connect_by("acme", 100, Auth::Oauth2);
    let status = world.until("acme", |s| s.failures.is_some()).await;
    assert_eq!(condition(&status.conditions, "Synced"), "False Internal");
    assert!(message(&world, "acme", "Synced").contains("oauth.enabled"));
    assert_eq!(acme.calls().total(), 0);
    world.kube.clear_faults();
    connected(&world, "acme").await;
}

#[tokio::test(start_paused = true)]
async fn a_suspended_connection_does_not_lose_its_authorization() {
    let world = World::running();
    let acme = world.connect_by("acme", 100, Auth::Oauth2);
    connected(&world, "acme").await;
    world.edit("acme", |c| c["spec"]["suspend"] = true.into());
    pass(DAY).await;
    acme.forget_calls();
    pass(65 * DAY).await;
    assert_eq!(renewals(&acme), 2, "each 30 days");
    world.edit("acme", |c| c["spec"]["suspend"] = false.into());
    world.request("r", "acme");
    assert!(succeeded(&world.ended("r").await));
}

#[tokio::test(start_paused = true)]
async fn an_authorization_that_nobody_renews_is_warned_of_two_weeks_before_its_end() {
    let mut world = World::running();
    world.connect_by("acme", 100, Auth::Oauth2);
    connected(&world, "acme").await;
    world.edit("acme", |c| c["spec"]["suspend"] = true.into());
    pass(60).await;
    // The API server denies the Secret: nothing can be renewed.
    world.kube.forbid(|call| call.resource == "secrets");
    world.stop().await;
    pass(40 * DAY).await;
    world.start();
    pass(5 * DAY).await;
    let warnings = |world: &World| {
        let events = world.kube.list("Event");
        events.into_iter().filter(|e| e["reason"] == "AuthorizationEndsSoon").collect::<Vec<_>>()
    };
    assert_eq!(warnings(&world), Vec::<Value>::new());
    pass(2 * DAY).await;
    let told = warnings(&world);
    assert_eq!(told.len(), 1, "{told:#?}");
    assert_eq!(told[0]["type"], "Warning");
}

#[tokio::test(start_paused = true)]
async fn two_operators_never_spend_one_token_twice() {
    let world = World::running();
    let acme = world.connect_by("acme", 100, Auth::Oauth2);
    let other = world.machine().operator_as("system:serviceaccount:boxsync:the-other");
    connected(&world, "acme").await;
    pass(3 * DAY).await;
    assert_eq!(acme.calls().with(Endpoint::Token, 400), 0);
    assert_eq!(kept(&world, "acme", "refreshToken"), acme.refresh_token().expect("authorized"));
    other.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_token_that_somebody_else_kept_during_a_renewal_is_used_before_anybody_gives_up() {
    let world = World::running();
    let acme = world.connect_by("acme", 100, Auth::Oauth2);
    connected(&world, "acme").await;
    pass(60).await;
    acme.revoke_tokens();
    acme.latency(secs(5));
    world.request("r", "acme");
    pass(8).await; // users/me is refused after 5 s; the renewal is on its way
    let newer = acme.authorize_again();
    world.kube.edit("Secret", "backup", "acme-oauth2", |s| s["data"]["refreshToken"] = base64(&newer).into());
    acme.latency(secs(0));
    assert!(succeeded(&world.ended("r").await), "{:?}", world.asked("r"));
    assert_eq!(acme.calls().with(Endpoint::Token, 400), 1, "the older one was refused");
}
