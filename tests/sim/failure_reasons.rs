//! Every failure with every authentication method: its reason, conditions and message, that the list stays, and that the
//! connection recovers.

use box_sim::{
    AuthMethod::{self, ClientCredentials, Jwt, Oauth2},
    Behaviour, Enterprise,
};
use boxsync::api::{FailureClass, Reason, RequestPhase};
use serde_json::{Value, json};

use crate::{
    env::{SimEnv, encode_base64, format_condition, sleep_secs},
    sign_in::secret_data,
};

/// More than a page.
const USERS: usize = 1001;
const ALL_METHODS: &[AuthMethod] = &[ClientCredentials, Jwt, Oauth2];
const SERVER_METHODS: &[AuthMethod] = &[ClientCredentials, Jwt];

/// A behavior of Box, the methods it applies to, the expected reason, and texts that the message must contain.
struct FailureCase(Behaviour, &'static [AuthMethod], Reason, &'static [&'static str]);

const FAILURE_CASES: &[FailureCase] = &[
    FailureCase(
        Behaviour::RefreshTokenExpired,
        &[Oauth2],
        Reason::AuthorizationExpired,
        &["Refresh token has expired", "boxsync connect"],
    ),
    FailureCase(
        Behaviour::RefreshTokenInvalid,
        &[Oauth2],
        Reason::AuthorizationExpired,
        &["Invalid refresh token", "boxsync connect"],
    ),
    FailureCase(
        Behaviour::AppNotAuthorized,
        ALL_METHODS,
        Reason::AppNotAuthorized,
        &["not authorized", "Platform Apps Manager"],
    ),
    FailureCase(
        Behaviour::InvalidClient,
        ALL_METHODS,
        Reason::CredentialsRejected,
        &["client credentials are invalid", "developer console"],
    ),
    FailureCase(
        Behaviour::InvalidGrant,
        SERVER_METHODS,
        Reason::CredentialsRejected,
        &["Grant credentials are invalid", "four possible causes"],
    ),
    FailureCase(
        Behaviour::InvalidGrantUnknownDescription,
        ALL_METHODS,
        Reason::CredentialsRejected,
        &["migrated to another region"],
    ),
    FailureCase(Behaviour::InvalidKid, &[Jwt], Reason::CredentialsRejected, &["key pair was replaced"]),
    FailureCase(Behaviour::InvalidSub, &[Jwt], Reason::CredentialsRejected, &["spec.enterpriseId"]),
    FailureCase(
        Behaviour::UnauthorizedGrantType,
        ALL_METHODS,
        Reason::CredentialsRejected,
        &["another authentication method"],
    ),
    FailureCase(Behaviour::ExpAlwaysRejected, &[Jwt], Reason::ClockSkew, &["clock of the node"]),
    FailureCase(Behaviour::JtiAlwaysRejected, &[Jwt], Reason::ClockSkew, &["clock of the node"]),
    FailureCase(
        Behaviour::Unauthorized,
        ALL_METHODS,
        Reason::BoxUnavailable,
        &["rejects access tokens that it has just issued", "401"],
    ),
    FailureCase(Behaviour::InsufficientScope, ALL_METHODS, Reason::PermissionDenied, &["Manage users"]),
    FailureCase(
        Behaviour::AccessDeniedInsufficientPermissions,
        ALL_METHODS,
        Reason::PermissionDenied,
        &["App + Enterprise Access"],
    ),
    FailureCase(Behaviour::ForbiddenUnknownCode, ALL_METHODS, Reason::PermissionDenied, &["terms_of_service_required"]),
    FailureCase(Behaviour::LocationBlocked, ALL_METHODS, Reason::AccessBlocked, &["from this network"]),
    FailureCase(Behaviour::ForbiddenByPolicy, ALL_METHODS, Reason::AccessBlocked, &["by its policies"]),
    FailureCase(Behaviour::OtherEnterprise, ALL_METHODS, Reason::EnterpriseMismatch, &["999999"]),
    FailureCase(Behaviour::NoEnterprise, ALL_METHODS, Reason::EnterpriseMismatch, &["outside any enterprise"]),
    FailureCase(Behaviour::RateLimitedOneHour, ALL_METHODS, Reason::RateLimited, &["rate-limits"]),
    FailureCase(Behaviour::RateLimitedWithoutRetryAfter, ALL_METHODS, Reason::RateLimited, &["rate-limits"]),
    FailureCase(Behaviour::RateLimitedInvalidRetryAfter, ALL_METHODS, Reason::RateLimited, &["rate-limits"]),
    FailureCase(Behaviour::InternalError, ALL_METHODS, Reason::BoxUnavailable, &["500"]),
    FailureCase(Behaviour::BadGateway, ALL_METHODS, Reason::BoxUnavailable, &["502"]),
    FailureCase(Behaviour::Unavailable, ALL_METHODS, Reason::BoxUnavailable, &["503"]),
    FailureCase(Behaviour::UnavailableWithRetryAfter, ALL_METHODS, Reason::BoxUnavailable, &["503"]),
    FailureCase(Behaviour::Accepted, ALL_METHODS, Reason::BoxUnavailable, &["202"]),
    // Without Oauth2: a lost response also loses the refresh token, see `oauth_crashes`.
    FailureCase(Behaviour::ClosesConnection, SERVER_METHODS, Reason::BoxUnavailable, &["not available"]),
    FailureCase(Behaviour::NeverResponds, ALL_METHODS, Reason::BoxUnavailable, &["60 s"]),
    FailureCase(Behaviour::Redirects, ALL_METHODS, Reason::BoxResponseInvalid, &["302"]),
    FailureCase(Behaviour::HtmlInsteadOfJson, ALL_METHODS, Reason::BoxResponseInvalid, &["not complete JSON"]),
    FailureCase(Behaviour::TruncatedJson, ALL_METHODS, Reason::BoxResponseInvalid, &["not complete JSON"]),
    FailureCase(Behaviour::EntriesMissing, ALL_METHODS, Reason::BoxResponseInvalid, &["not a page of users"]),
    FailureCase(Behaviour::IgnoresUsemarker, ALL_METHODS, Reason::BoxResponseInvalid, &["offset paging"]),
    FailureCase(Behaviour::RepeatedMarker, ALL_METHODS, Reason::BoxResponseInvalid, &["repeats an earlier marker"]),
    FailureCase(Behaviour::EndlessMarkers, ALL_METHODS, Reason::BoxResponseInvalid, &["contained no new user"]),
    FailureCase(Behaviour::EndlessEmptyPages, ALL_METHODS, Reason::BoxResponseInvalid, &["contained no new user"]),
    FailureCase(Behaviour::EmptyList, ALL_METHODS, Reason::BoxResponseInvalid, &["contains no users"]),
    FailureCase(Behaviour::BadRequest, ALL_METHODS, Reason::BoxResponseInvalid, &["bad_request"]),
    FailureCase(Behaviour::NotFound, ALL_METHODS, Reason::BoxResponseInvalid, &["not_found"]),
];

/// Conditions of a connection with a fresh list after an attempt failed with this reason.
fn expected_conditions(reason: Reason) -> String {
    match reason.failure_class() {
        FailureClass::Disconnected => {
            format!("Ready=False {reason}, Connected=False {reason}, Synced=False {reason}, Stalled=True {reason}")
        }
        FailureClass::Stalled => {
            format!(
                "Ready=True LastAttemptFailed, Connected=True Connected, Synced=False {reason}, Stalled=True {reason}"
            )
        }
        FailureClass::Transient | FailureClass::Suspect => {
            format!("Ready=True LastAttemptFailed, Connected=True Connected, Synced=False {reason}")
        }
        FailureClass::Neutral | FailureClass::RequestRejected => unreachable!("no attempt fails with {reason}"),
    }
}

/// Lets a request run into the failure; returns what differs from the expectation.
async fn check_failure_case(world: &SimEnv, enterprise: &Enterprise, case: &FailureCase) -> Vec<String> {
    let FailureCase(behaviour, _, reason, words) = case;
    world.wait_until_synced("acme").await;
    sleep_secs(30).await;
    // A fault of the token endpoint takes effect only when a new token is needed.
    enterprise.revoke_tokens();
    enterprise.enable_behaviour(*behaviour);
    world.create_request("r", "acme");
    world.wait_for_request("r", |s| s.attempts > 0).await;
    sleep_secs(1).await;
    let mut wrong = Vec::new();
    let mut check = |what: &str, found: String, wanted: &str| {
        if found != wanted {
            wrong.push(format!("{what} is {found}, not {wanted}"));
        }
    };
    let status = world.connection_status("acme");
    check("the state", crate::env::format_conditions(&status), &expected_conditions(*reason));
    check("the list", format!("{:?}", status.users.map(|u| u.total)), &format!("Some({USERS})"));
    let request = world.request_status("r");
    let failed = matches!(reason.failure_class(), FailureClass::Disconnected | FailureClass::Stalled);
    check("the request's phase", format!("{:?}", request.phase), if failed { "Failed" } else { "Pending" });
    let kind = if failed { "Failed" } else { "Reconciling" };
    check("the request", format_condition(&request.conditions, kind), &format!("True {reason}"));
    let condition_type = if reason.failure_class() == FailureClass::Disconnected { "Connected" } else { "Synced" };
    let message = world.condition_message("acme", condition_type);
    wrong.extend(words.iter().filter(|w| !message.contains(**w)).map(|w| format!("no {w:?} in {message:?}")));
    wrong
}

#[tokio::test(start_paused = true)]
async fn every_failure_has_its_reason_and_advice_keeps_the_list_and_recovers() {
    let mut wrong = Vec::new();
    for case in FAILURE_CASES {
        let FailureCase(behaviour, methods, reason, _) = case;
        for auth in *methods {
            let what = format!("{} by {auth:?}", behaviour.as_str());
            let mut world = SimEnv::with_operator();
            let enterprise = world.connect_with_auth("acme", USERS, *auth);
            wrong.extend(
                check_failure_case(&world, &enterprise, case).await.into_iter().map(|w| format!("{what}: {w}")),
            );
            // Recovery does not depend on the method.
            if *auth != methods[0] {
                world.kill_operator().await;
                continue;
            }
            enterprise.reset_behaviours();
            let recovered = world.wait_for_connection("acme", |s| s.failures.is_none()).await;
            let state = crate::env::format_conditions(&recovered);
            if state != "Ready=True Synced, Connected=True Connected, Synced=True Synced" {
                wrong.push(format!("{what}: afterwards {state}"));
            }
            let hours = (world.elapsed_secs() + 3599) / 3600;
            let max_hours = match reason.failure_class() {
                FailureClass::Stalled => 25,
                _ => 2,
            };
            if hours > max_hours {
                wrong.push(format!("{what}: recovered after {hours} h"));
            }
            world.kill_operator().await;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn every_failure_on_the_first_attempt_is_reported_and_publishes_nothing() {
    let mut wrong = Vec::new();
    for FailureCase(behaviour, methods, reason, _) in FAILURE_CASES {
        for auth in *methods {
            let what = format!("{} by {auth:?}", behaviour.as_str());
            let mut world = SimEnv::new();
            let enterprise = world.connect_with_auth("acme", USERS, *auth);
            enterprise.enable_behaviour(*behaviour);
            world.spawn_operator();
            let status = world.wait_for_connection("acme", |s| s.failures.is_some()).await;
            let ready = format_condition(&status.conditions, "Ready");
            if ready != format!("False {reason}") || status.users.is_some() {
                wrong.push(format!("{what}: Ready is {ready}, users {:?}", status.users));
            }
            let connected = format_condition(&status.conditions, "Connected");
            let disconnected = reason.failure_class() == FailureClass::Disconnected;
            if disconnected != (connected == format!("False {reason}")) {
                wrong.push(format!("{what}: Connected is {connected}"));
            }
            enterprise.reset_behaviours();
            world.create_request("r", "acme");
            if world.wait_until_finished("r").await.phase != RequestPhase::Succeeded {
                wrong.push(format!("{what}: {:?}", world.request_status("r")));
            }
            world.kill_operator().await;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Ways in which the Secret of a method can be unusable.
fn damaged_secrets(good: &Value, auth: AuthMethod) -> Vec<(&'static str, Option<Value>, Reason)> {
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
        ("another method's keys", Some(json!({ "token": encode_base64("12345678") })), Reason::CredentialsMissing),
        ("no text", with(key, "/////w==".into()), Reason::CredentialsInvalid),
    ];
    match auth {
        ClientCredentials => {}
        Jwt => {
            all.push(("not JSON", with(key, encode_base64("{ boxAppSettings }").into()), Reason::CredentialsInvalid));
            all.push(("another file", with(key, encode_base64("{}").into()), Reason::CredentialsInvalid));
        }
        Oauth2 => {
            all.push(("no refresh token", without("refreshToken"), Reason::CredentialsMissing));
            all.push((
                "a blank refresh token",
                with("refreshToken", encode_base64(" \n").into()),
                Reason::CredentialsInvalid,
            ));
        }
    }
    all
}

#[tokio::test(start_paused = true)]
async fn an_unusable_secret_is_reported_without_a_box_call_and_used_once_fixed() {
    let mut wrong = Vec::new();
    for auth in ALL_METHODS {
        let world = SimEnv::new();
        let sample = world.add_enterprise_with_auth("sample", 1, *auth);
        let good = secret_data(&sample, *auth);
        for (what, data, reason) in damaged_secrets(&good, *auth) {
            let mut world = SimEnv::with_operator();
            let acme = world.add_enterprise_with_auth("acme", 100, *auth);
            if let Some(data) = &data {
                world.apply_secret("acme", data);
            }
            world.apply_connection_with_auth("acme", acme.id(), *auth);
            let status = world.wait_for_connection("acme", |s| s.failures.is_some()).await;
            let connected = format_condition(&status.conditions, "Connected");
            if connected != format!("False {reason}") || acme.call_counts().total() > 0 {
                wrong.push(format!("{what} by {auth:?}: {connected}, {} calls", acme.call_counts().total()));
            }
            world.apply_secret("acme", &secret_data(&acme, *auth));
            world.wait_until_ready("acme").await;
            if world.elapsed_secs() > 65 {
                wrong.push(format!("{what} with {auth:?}: used after {} s", world.elapsed_secs()));
            }
            world.kill_operator().await;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
