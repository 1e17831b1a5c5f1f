//! The authorization of a user: its tokens are renewed, kept before they are used, and never used twice.

use box_sim::{Auth, Behaviour, Endpoint, Enterprise};
use boxsync::api::Trigger;
use kube_sim::{Fault, Trouble, Verb};
use serde_json::{Value, json};

use crate::line::Cut;
use crate::world::{World, base64, condition, listings, pass, secs, state, succeeded};

/// Longer than a turn that nobody ends.
const ABANDONED: i64 = 90;
const DAY: u64 = 86_400;

fn kept(world: &World, name: &str, key: &str) -> String {
    let secret = world.tokens(name).expect("tokens are kept");
    let bytes: k8s_openapi::ByteString = serde_json::from_value(secret["data"][key].clone()).expect("base64");
    String::from_utf8(bytes.0).expect("text")
}

fn renewals(enterprise: &Enterprise) -> u64 {
    enterprise.calls().of(Endpoint::Token)
}

fn message(world: &World, name: &str, kind: &str) -> String {
    let status = world.status(name);
    status.conditions.iter().find(|c| c.type_ == kind).map(|c| c.message.clone()).unwrap_or_default()
}

async fn connected(world: &World, name: &str) {
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

/// What a moment is called, and what brings it about.
type Moment = (&'static str, fn(&World));

/// A renewal whose process is gone at this moment; then a new process starts.
async fn killed(world: &mut World, acme: &Enterprise, when: impl FnOnce(&World)) {
    connected(world, "acme").await;
    pass(60).await;
    acme.revoke_tokens();
    when(world);
    world.request("r", "acme");
    tokio::select! {
        () = world.kube.killed() => {}
        () = world.line.met.notified() => {}
    }
    world.kill().await;
    pass(5).await;
    world.start();
}

fn killed_at_write(world: &World, secrets: usize, fault: Fault) {
    let mut seen = 0;
    world.kube.on_write(move |_, call| {
        seen += usize::from(call.resource == "secrets");
        (call.resource == "secrets" && seen == secrets).then(|| fault.clone())
    });
}

/// It goes on as if nothing had been, at most a little later.
async fn goes_on(world: &World, acme: &Enterprise, what: &str) {
    let begun = world.elapsed();
    assert!(succeeded(&world.ended("r").await), "{what}: {:?}", world.asked("r"));
    assert!(world.elapsed() - begun <= ABANDONED + 10, "{what}: {} s", world.elapsed() - begun);
    assert_eq!(kept(world, "acme", "refreshToken"), acme.refresh_token().expect("authorized"), "{what}");
    pass(3 * DAY).await;
    assert_eq!(condition(&world.status("acme").conditions, "Connected"), "True Connected", "{what}");
}

#[tokio::test(start_paused = true)]
async fn a_process_that_is_gone_before_box_heard_of_it_or_after_the_token_is_kept_loses_nothing() {
    let moments: [Moment; 5] = [
        ("before the turn is taken", |w| killed_at_write(w, 1, Fault::Before(Trouble::Kill))),
        ("after the turn is taken", |w| killed_at_write(w, 1, Fault::After(Trouble::Kill))),
        ("before Box heard of it", |w| w.line.cut(Cut::Before)),
        ("after the token is kept", |w| killed_at_write(w, 2, Fault::After(Trouble::Kill))),
        ("the answer to the write is lost", |w| killed_at_write(w, 2, Fault::After(Trouble::Drop))),
    ];
    for (what, when) in moments {
        let mut world = World::running();
        let acme = world.connect_by("acme", 100, Auth::Oauth2);
        if what.contains("lost") {
            connected(&world, "acme").await;
            pass(60).await;
            acme.revoke_tokens();
            when(&world);
            world.request("r", "acme");
        } else {
            killed(&mut world, &acme, when).await;
        }
        goes_on(&world, &acme, what).await;
        world.kill().await;
    }
}

const IN_BETWEEN: [Moment; 2] = [
    ("Box's answer got lost", |w| w.line.cut(Cut::After)),
    ("before the token is kept", |w| killed_at_write(w, 2, Fault::Before(Trouble::Kill))),
];

/// The one moment in which a token exists nowhere but in the process that died: Box has spent the old one. If Box is as
/// strict as it says, nobody can go on, and the way back is told.
#[tokio::test(start_paused = true)]
async fn a_process_that_is_gone_between_boxs_answer_and_its_keeping_tells_how_to_reconnect() {
    for (what, when) in IN_BETWEEN {
        let mut world = World::running();
        let acme = world.connect_by("acme", 100, Auth::Oauth2);
        killed(&mut world, &acme, when).await;
        let failed = world.ended("r").await;
        assert_eq!(condition(&failed.conditions, "Failed"), "True AuthorizationExpired", "{what}");
        assert!(message(&world, "acme", "Connected").contains("kubectl boxsync connect acme"), "{what}");
        assert_eq!(world.status("acme").users.expect("the list stays").total, 100, "{what}");
        world.authorize(&acme, "acme");
        connected(&world, "acme").await;
        world.kill().await;
    }
}

/// Box once wrote that the old token stays usable until the new access token is first used: nothing is lost then.
#[tokio::test(start_paused = true)]
async fn a_lenient_box_leaves_no_moment_in_which_an_authorization_can_be_lost() {
    for (what, when) in IN_BETWEEN {
        let mut world = World::running();
        let acme = world.connect_by("acme", 100, Auth::Oauth2);
        acme.behave(Behaviour::LenientRefresh);
        killed(&mut world, &acme, when).await;
        goes_on(&world, &acme, what).await;
        world.kill().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_in_the_middle_of_a_renewal_waits_until_the_token_is_kept() {
    let mut world = World::running();
    let acme = world.connect_by("acme", 100, Auth::Oauth2);
    connected(&world, "acme").await;
    pass(60).await;
    acme.revoke_tokens();
    acme.latency(secs(5));
    world.request("r", "acme");
    pass(8).await; // users/me is refused after 5 s; the renewal is under way
    world.stop().await;
    assert_eq!(kept(&world, "acme", "refreshToken"), acme.refresh_token().expect("authorized"));
    acme.latency(secs(0));
    world.start();
    assert!(succeeded(&world.ended("r").await));
    assert_eq!(acme.calls().with(Endpoint::Token, 400), 0);
}
