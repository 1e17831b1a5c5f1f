//! What Box should never answer. Nothing of it is believed, nothing of it lasts.

use box_sim::Behaviour;

use crate::world::{World, condition};

/// Behaviours of Box, and how a first sync that meets them ends.
const TABLE: &[(Behaviour, &str, &str)] = &[
    (Behaviour::HtmlInsteadOfJson, "BoxResponseInvalid", "True Connected"),
    (Behaviour::TruncatedJson, "BoxResponseInvalid", "True Connected"),
    (Behaviour::EndlessMarkers, "BoxResponseInvalid", "True Connected"),
    (Behaviour::RepeatedMarker, "BoxResponseInvalid", "True Connected"),
    (Behaviour::EndlessEmptyPages, "BoxResponseInvalid", "True Connected"),
    (Behaviour::IgnoresUsemarker, "BoxResponseInvalid", "True Connected"),
    (Behaviour::EntriesMissing, "BoxResponseInvalid", "True Connected"),
    (Behaviour::EmptyList, "BoxResponseInvalid", "True Connected"),
    (Behaviour::Redirects, "BoxResponseInvalid", "Unknown NotChecked"),
    (Behaviour::InsufficientScope, "PermissionDenied", "True Connected"),
    (Behaviour::AccessDeniedInsufficientPermissions, "PermissionDenied", "True Connected"),
    (Behaviour::LocationBlocked, "AccessBlocked", "False AccessBlocked"),
    (Behaviour::ForbiddenByPolicy, "AccessBlocked", "False AccessBlocked"),
    (Behaviour::Unauthorized, "AuthorizationExpired", "False AuthorizationExpired"),
    (Behaviour::InternalError, "BoxUnavailable", "Unknown NotChecked"),
    (Behaviour::RateLimitedForLong, "RateLimited", "Unknown NotChecked"),
    (Behaviour::Accepted, "BoxUnavailable", "Unknown NotChecked"),
];

#[tokio::test(start_paused = true)]
async fn every_bad_answer_ends_in_its_reason_and_is_recovered_from() {
    let world = World::running();
    let mut wrong = Vec::new();
    for (n, (behaviour, reason, connected)) in TABLE.iter().enumerate() {
        let name = format!("bad{n:02}");
        let enterprise = world.enterprise(&name, 2500);
        enterprise.behave(*behaviour);
        world.secret(&enterprise, &name);
        world.connection(&name, enterprise.id(), &serde_json::json!({}));
        let status = world.until(&name, |s| s.failures.is_some()).await;
        let got = status.failures.as_ref().map(|f| f.reason.clone()).unwrap_or_default();
        let got_connected = condition(&status.conditions, "Connected");
        if (got.as_str(), got_connected.as_str()) != (*reason, *connected) {
            wrong.push(format!("{}: {got}, Connected={got_connected}", behaviour.as_str()));
        }
        if status.users.is_some() {
            wrong.push(format!("{}: published {:?}", behaviour.as_str(), status.users));
        }
        enterprise.normal();
        let mended = world.until(&name, |s| s.last_sync.is_some()).await;
        if condition(&mended.conditions, "Ready") != "True Synced" || mended.users.map(|u| u.total) != Some(2500) {
            wrong.push(format!("{}: did not recover: {mended:?}", behaviour.as_str()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What Box may answer, and the list is whole all the same.
const HARMLESS: &[Behaviour] = &[
    Behaviour::NextMarkerEmptyString,
    Behaviour::NextMarkerMissing,
    Behaviour::ShortPages,
    Behaviour::EmptyPageInTheMiddle,
    Behaviour::DuplicateAcrossPages,
    Behaviour::NotificationEmailArray,
    Behaviour::NumericIds,
    Behaviour::NumericPhones,
    Behaviour::UnknownStatus,
    Behaviour::UnknownRole,
    Behaviour::UnknownFields,
    Behaviour::ShuffledOrder,
    Behaviour::ClockAhead,
    Behaviour::ClockBehind,
    Behaviour::TokenExpiresMidWalk,
];

#[tokio::test(start_paused = true)]
async fn odd_but_true_answers_give_the_whole_list() {
    let world = World::running();
    for (n, behaviour) in HARMLESS.iter().enumerate() {
        let name = format!("odd{n:02}");
        let enterprise = world.enterprise(&name, 2500);
        enterprise.behave(*behaviour);
        world.secret(&enterprise, &name);
        world.connection(&name, enterprise.id(), &serde_json::json!({}));
        let status = world.until(&name, |s| s.last_sync.is_some() || s.failures.is_some()).await;
        assert_eq!(status.users.map(|u| u.total), Some(2500), "{}: {status:?}", behaviour.as_str());
    }
}

#[tokio::test(start_paused = true)]
async fn box_saw_only_what_the_operator_may_ask() {
    let world = World::running();
    let acme = world.connect("acme", 2500);
    world.until("acme", |s| s.last_sync.is_some()).await;
    for call in acme.seen() {
        let allowed: &[&str] = match call.path.as_str() {
            "/oauth2/token" => &[],
            "/2.0/users/me" => &["fields"],
            "/2.0/users" => &["usemarker", "limit", "user_type", "fields", "marker"],
            other => panic!("{other} was called"),
        };
        assert!(call.params.iter().all(|p| allowed.contains(&p.as_str())), "{call:?}");
    }
}
