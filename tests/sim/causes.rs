//! Every cause, by every way to sign in: which reason it ends in, what the conditions and a request say of it, that the
//! list stays, and that it is found again when the cause is gone.

use box_sim::{
    Auth::{self, ClientCredentials, Jwt, Oauth2},
    Behaviour, Enterprise,
};
use boxsync::api::{Conditions, Consequence, Phase, Reason};
use serde_json::{Value, json};

use crate::{
    sign_in::credentials,
    world::{World, base64, condition, pass},
};

/// More than a page.
const USERS: usize = 1001;
const ALL: &[Auth] = &[ClientCredentials, Jwt, Oauth2];
const SERVER: &[Auth] = &[ClientCredentials, Jwt];

/// A behaviour of Box, whom it meets, its reason, and words that the message must hold.
struct Cause(Behaviour, &'static [Auth], Reason, &'static [&'static str]);

const CAUSES: &[Cause] = &[
    Cause(
        Behaviour::RefreshTokenExpired,
        &[Oauth2],
        Reason::AuthorizationExpired,
        &["Refresh token has expired", "boxsync connect"],
    ),
    Cause(
        Behaviour::RefreshTokenInvalid,
        &[Oauth2],
        Reason::AuthorizationExpired,
        &["Invalid refresh token", "boxsync connect"],
    ),
    Cause(Behaviour::AppNotAuthorized, ALL, Reason::AppNotAuthorized, &["not authorized", "Platform Apps Manager"]),
    Cause(
        Behaviour::ClientRefused,
        ALL,
        Reason::CredentialsRejected,
        &["client credentials are invalid", "developer console"],
    ),
    Cause(
        Behaviour::GrantRefused,
        SERVER,
        Reason::CredentialsRejected,
        &["Grant credentials are invalid", "four causes"],
    ),
    Cause(Behaviour::GrantRefusedOddly, ALL, Reason::CredentialsRejected, &["migrated to another region"]),
    Cause(Behaviour::KidRefused, &[Jwt], Reason::CredentialsRejected, &["key pair was replaced"]),
    Cause(Behaviour::SubRefused, &[Jwt], Reason::CredentialsRejected, &["spec.enterpriseId"]),
    Cause(Behaviour::GrantTypeRefused, ALL, Reason::CredentialsRejected, &["another way to sign in"]),
    Cause(Behaviour::ExpAlwaysRefused, &[Jwt], Reason::ClockSkew, &["clock of the node"]),
    Cause(Behaviour::JtiAlwaysRefused, &[Jwt], Reason::ClockSkew, &["clock of the node"]),
    Cause(Behaviour::Unauthorized, ALL, Reason::AuthorizationExpired, &["no longer accepts the authorization"]),
    Cause(Behaviour::InsufficientScope, ALL, Reason::PermissionDenied, &["Manage users"]),
    Cause(Behaviour::AccessDeniedInsufficientPermissions, ALL, Reason::PermissionDenied, &["App + Enterprise Access"]),
    Cause(Behaviour::ForbiddenForAnotherReason, ALL, Reason::PermissionDenied, &["terms_of_service_required"]),
    Cause(Behaviour::LocationBlocked, ALL, Reason::AccessBlocked, &["from this network"]),
    Cause(Behaviour::ForbiddenByPolicy, ALL, Reason::AccessBlocked, &["security policies"]),
    Cause(Behaviour::OtherEnterprise, ALL, Reason::EnterpriseMismatch, &["999999"]),
    Cause(Behaviour::NoEnterprise, ALL, Reason::EnterpriseMismatch, &["outside any enterprise"]),
    Cause(Behaviour::RateLimitedForLong, ALL, Reason::RateLimited, &["the time that Box named"]),
    Cause(Behaviour::RateLimitedWithoutRetryAfter, ALL, Reason::RateLimited, &["tried again at"]),
    Cause(Behaviour::RateLimitedWithNonsense, ALL, Reason::RateLimited, &["tried again at"]),
    Cause(Behaviour::InternalError, ALL, Reason::BoxUnavailable, &["500"]),
    Cause(Behaviour::BadGateway, ALL, Reason::BoxUnavailable, &["502"]),
    Cause(Behaviour::Unavailable, ALL, Reason::BoxUnavailable, &["503"]),
    Cause(Behaviour::UnavailableWithRetryAfter, ALL, Reason::BoxUnavailable, &["503"]),
    Cause(Behaviour::Accepted, ALL, Reason::BoxUnavailable, &["202"]),
    // An answer that gets lost takes a refresh token with it: `oauth` tells of that.
    Cause(Behaviour::HangsUp, SERVER, Reason::BoxUnavailable, &["not available"]),
    Cause(Behaviour::NeverAnswers, ALL, Reason::BoxUnavailable, &["60 s"]),
    Cause(Behaviour::Redirects, ALL, Reason::BoxResponseInvalid, &["302"]),
    Cause(Behaviour::HtmlInsteadOfJson, ALL, Reason::BoxResponseInvalid, &["not complete JSON"]),
    Cause(Behaviour::TruncatedJson, ALL, Reason::BoxResponseInvalid, &["not complete JSON"]),
    Cause(Behaviour::EntriesMissing, ALL, Reason::BoxResponseInvalid, &["not a page of users"]),
    Cause(Behaviour::IgnoresUsemarker, ALL, Reason::BoxResponseInvalid, &["by offset"]),
    Cause(Behaviour::RepeatedMarker, ALL, Reason::BoxResponseInvalid, &["marker that it had sent before"]),
    Cause(Behaviour::EndlessMarkers, ALL, Reason::BoxResponseInvalid, &["without anybody new"]),
    Cause(Behaviour::EndlessEmptyPages, ALL, Reason::BoxResponseInvalid, &["without anybody new"]),
    Cause(Behaviour::EmptyList, ALL, Reason::BoxResponseInvalid, &["without a single user"]),
    Cause(Behaviour::BadRequest, ALL, Reason::BoxResponseInvalid, &["bad_request"]),
    Cause(Behaviour::NotFound, ALL, Reason::BoxResponseInvalid, &["not_found"]),
];

/// What a connection says whose list is fresh, once an attempt has ended in this reason.
fn expected(reason: Reason) -> String {
    match reason.consequence() {
        Consequence::Disconnected => {
            format!("Ready=False {reason}, Connected=False {reason}, Synced=False {reason}, Stalled=True {reason}")
        }
        Consequence::Stalled => {
            format!(
                "Ready=True LastAttemptFailed, Connected=True Connected, Synced=False {reason}, Stalled=True {reason}"
            )
        }
        Consequence::Retried | Consequence::Doubted => {
            format!("Ready=True LastAttemptFailed, Connected=True Connected, Synced=False {reason}")
        }
        Consequence::Neutral | Consequence::Refused => unreachable!("{reason} ends no attempt"),
    }
}

fn message(world: &World, name: &str, reason: Reason) -> String {
    let cause = if reason.consequence() == Consequence::Disconnected { "Connected" } else { "Synced" };
    world.status(name).conditions.of(cause).map(|c| c.message.clone()).unwrap_or_default()
}

/// What happened to a connected account, told by a request.
async fn told(world: &World, enterprise: &Enterprise, cause: &Cause) -> Vec<String> {
    let Cause(behaviour, _, reason, words) = cause;
    world.until("acme", |s| s.last_sync.is_some()).await;
    pass(30).await;
    // Words to the token endpoint are heard only by those who need a token.
    enterprise.revoke_tokens();
    enterprise.behave(*behaviour);
    world.request("r", "acme");
    world.asked_until("r", |s| s.attempts > 0).await;
    pass(1).await;
    let mut wrong = Vec::new();
    let mut check = |what: &str, found: String, wanted: &str| {
        if found != wanted {
            wrong.push(format!("{what} is {found}, not {wanted}"));
        }
    };
    let status = world.status("acme");
    check("the state", crate::world::state(&status), &expected(*reason));
    check("the list", format!("{:?}", status.users.map(|u| u.total)), &format!("Some({USERS})"));
    let asked = world.asked("r");
    let failed = matches!(reason.consequence(), Consequence::Disconnected | Consequence::Stalled);
    check("the request's phase", format!("{:?}", asked.phase), if failed { "Failed" } else { "Pending" });
    let kind = if failed { "Failed" } else { "Reconciling" };
    check("the request", condition(&asked.conditions, kind), &format!("True {reason}"));
    let message = message(world, "acme", *reason);
    wrong.extend(words.iter().filter(|w| !message.contains(**w)).map(|w| format!("no {w:?} in {message:?}")));
    wrong
}

#[tokio::test(start_paused = true)]
async fn every_cause_ends_in_its_reason_says_what_to_do_keeps_the_list_and_is_found_again() {
    let mut wrong = Vec::new();
    for cause in CAUSES {
        let Cause(behaviour, methods, reason, _) = cause;
        for auth in *methods {
            let what = format!("{} by {auth:?}", behaviour.as_str());
            let mut world = World::running();
            let enterprise = world.connect_by("acme", USERS, *auth);
            wrong.extend(told(&world, &enterprise, cause).await.into_iter().map(|w| format!("{what}: {w}")));
            // How it is found again does not depend on the method.
            if *auth != methods[0] {
                world.kill().await;
                continue;
            }
            enterprise.normal();
            let mended = world.until("acme", |s| s.failures.is_none()).await;
            let state = crate::world::state(&mended);
            if state != "Ready=True Synced, Connected=True Connected, Synced=True Synced" {
                wrong.push(format!("{what}: afterwards {state}"));
            }
            let hours = (world.elapsed() + 3599) / 3600;
            let by_itself = match reason.consequence() {
                Consequence::Stalled => 25,
                _ => 2,
            };
            if hours > by_itself {
                wrong.push(format!("{what}: found again after {hours} h"));
            }
            world.kill().await;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn the_same_causes_met_first_connect_nobody_who_is_not_and_publish_nothing() {
    let mut wrong = Vec::new();
    for Cause(behaviour, methods, reason, _) in CAUSES {
        for auth in *methods {
            let what = format!("{} by {auth:?}", behaviour.as_str());
            let mut world = World::new();
            let enterprise = world.connect_by("acme", USERS, *auth);
            enterprise.behave(*behaviour);
            world.start();
            let status = world.until("acme", |s| s.failures.is_some()).await;
            let ready = condition(&status.conditions, "Ready");
            if ready != format!("False {reason}") || status.users.is_some() {
                wrong.push(format!("{what}: Ready is {ready}, users {:?}", status.users));
            }
            let connected = condition(&status.conditions, "Connected");
            let lost = reason.consequence() == Consequence::Disconnected;
            if lost != (connected == format!("False {reason}")) {
                wrong.push(format!("{what}: Connected is {connected}"));
            }
            enterprise.normal();
            world.request("r", "acme");
            if world.ended("r").await.phase != Phase::Succeeded {
                wrong.push(format!("{what}: {:?}", world.asked("r")));
            }
            world.kill().await;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What can be wrong with a Secret, for those methods that can have it.
fn damaged(good: &Value, auth: Auth) -> Vec<(&'static str, Option<Value>, Reason)> {
    let with = |key: &str, value: Value| {
        let mut changed = good.clone();
        changed[key] = value;
        Some(changed)
    };
    let without = |key: &str| {
        let mut changed = good.clone();
        changed.as_object_mut().expect("an object").remove(key);
        Some(changed)
    };
    let key = if auth == Jwt { "config.json" } else { "clientSecret" };
    let mut all = vec![
        ("no Secret", None, Reason::CredentialsMissing),
        ("no key", without(key), Reason::CredentialsMissing),
        ("an empty key", with(key, "".into()), Reason::CredentialsMissing),
        ("another method's keys", Some(json!({ "token": base64("12345678") })), Reason::CredentialsMissing),
        ("no text", with(key, "/////w==".into()), Reason::CredentialsInvalid),
    ];
    match auth {
        ClientCredentials => {}
        Jwt => {
            all.push(("not JSON", with(key, base64("{ boxAppSettings }").into()), Reason::CredentialsInvalid));
            all.push(("another file", with(key, base64("{}").into()), Reason::CredentialsInvalid));
        }
        Oauth2 => {
            all.push(("no refresh token", without("refreshToken"), Reason::CredentialsMissing));
            all.push(("a blank refresh token", with("refreshToken", base64(" \n").into()), Reason::CredentialsInvalid));
        }
    }
    all
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_cannot_be_used_says_so_asks_box_nothing_and_is_taken_up_when_it_is_mended() {
    let mut wrong = Vec::new();
    for auth in ALL {
        let world = World::new();
        let sample = world.enterprise_by("sample", 1, *auth);
        let good = credentials(&sample, *auth);
        for (what, data, reason) in damaged(&good, *auth) {
            let mut world = World::running();
            let acme = world.enterprise_by("acme", 100, *auth);
            if let Some(data) = &data {
                world.secret_of("acme", data);
            }
            world.connection_by("acme", acme.id(), *auth);
            let status = world.until("acme", |s| s.failures.is_some()).await;
            let connected = condition(&status.conditions, "Connected");
            if connected != format!("False {reason}") || acme.calls().total() > 0 {
                wrong.push(format!("{what} by {auth:?}: {connected}, {} calls", acme.calls().total()));
            }
            world.secret_of("acme", &credentials(&acme, *auth));
            world.until("acme", |s| condition(&s.conditions, "Ready") == "True Synced").await;
            if world.elapsed() > 65 {
                wrong.push(format!("{what} by {auth:?}: taken up after {} s", world.elapsed()));
            }
            world.kill().await;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
