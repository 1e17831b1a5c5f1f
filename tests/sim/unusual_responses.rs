//! Unusual but valid responses of Box; invalid ones are in `failure_reasons`.

use box_sim::Behaviour;

use crate::env::SimEnv;

/// Responses of Box that still give the whole list.
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
    Behaviour::TrackingCodesNull,
    Behaviour::TrackingCodesMissing,
    Behaviour::TrackingCodesObject,
    Behaviour::OddTrackingCodes,
    Behaviour::ShuffledOrder,
    Behaviour::ClockAhead,
    Behaviour::ClockBehind,
    Behaviour::TokenExpiresMidListing,
];

#[tokio::test(start_paused = true)]
async fn unusual_but_valid_responses_give_the_whole_list() {
    let world = SimEnv::with_operator();
    for (n, behaviour) in HARMLESS.iter().enumerate() {
        let name = format!("odd{n:02}");
        let enterprise = world.add_enterprise(&name, 2500);
        enterprise.enable_behaviour(*behaviour);
        world.apply_credentials(&enterprise, &name);
        world.apply_connection(&name, enterprise.id(), &serde_json::json!({}));
        let status = world.wait_for_connection(&name, |s| s.last_sync.is_some() || s.failures.is_some()).await;
        assert_eq!(status.users.map(|u| u.total), Some(2500), "{}: {status:?}", behaviour.as_str());
    }
}

#[tokio::test(start_paused = true)]
async fn only_allowed_box_calls_are_made() {
    let (_world, acme) = SimEnv::with_synced("acme", 2500).await;
    for call in acme.recent_calls() {
        let allowed: &[&str] = match call.path.as_str() {
            "/oauth2/token" => &[],
            "/2.0/users/me" => &["fields"],
            "/2.0/users" => &["usemarker", "limit", "user_type", "fields", "marker"],
            other => panic!("{other} was called"),
        };
        assert!(call.params.iter().all(|p| allowed.contains(&p.as_str())), "{call:?}");
    }
}
