//! Box rejects tokens that it has just issued.

use box_sim::Behaviour;

use crate::env::{SimEnv, format_condition, sleep_secs};

#[tokio::test(start_paused = true)]
async fn new_tokens_that_are_rejected_for_minutes_disconnect_nothing() {
    let (world, acme) = SimEnv::with_synced("acme", 100).await;
    acme.revoke_tokens();
    acme.enable_behaviour(Behaviour::Unauthorized);
    world.create_request("hired", "acme");
    world.wait_for_request("hired", |s| s.attempts > 0).await;
    sleep_secs(480).await;
    let status = world.connection_status("acme");
    assert_eq!(format_condition(&status.conditions, "Connected"), "True Connected");
    assert_eq!(format_condition(&status.conditions, "Synced"), "False BoxUnavailable");
    acme.disable_behaviour(Behaviour::Unauthorized);
    let done = world.wait_until_finished("hired").await;
    assert_eq!(format_condition(&done.conditions, "Complete"), "True Synced");
}

#[tokio::test(start_paused = true)]
async fn new_tokens_that_are_rejected_for_longer_disconnect_and_fail_requests_at_once() {
    let (world, acme) = SimEnv::with_synced("acme", 100).await;
    acme.revoke_tokens();
    acme.enable_behaviour(Behaviour::Unauthorized);
    world.create_request("hired", "acme");
    let begun = world.elapsed_secs();
    let failed = world.wait_until_finished("hired").await;
    let waited = world.elapsed_secs() - begun;
    assert!((600..=1500).contains(&waited), "after {waited} s");
    assert_eq!(format_condition(&failed.conditions, "Failed"), "True AuthorizationExpired");
    assert_eq!(
        format_condition(&world.connection_status("acme").conditions, "Connected"),
        "False AuthorizationExpired"
    );
    world.create_request("again", "acme");
    let begun = world.elapsed_secs();
    world.wait_until_finished("again").await;
    assert!(world.elapsed_secs() - begun <= 5, "the authorization is known to have expired");
    acme.disable_behaviour(Behaviour::Unauthorized);
    world.wait_until_ready("acme").await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_never_worked_is_told_to_reconnect_too() {
    let world = SimEnv::with_operator();
    let acme = world.connect_enterprise("acme", 100);
    acme.enable_behaviour(Behaviour::Unauthorized);
    let begun = world.elapsed_secs();
    world.wait_for_condition("acme", "Connected", "False AuthorizationExpired").await;
    let waited = world.elapsed_secs() - begun;
    assert!((600..=1500).contains(&waited), "after {waited} s");
}
