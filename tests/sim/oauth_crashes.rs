//! Crashes of the operator at every step of a token refresh.

use box_sim::{AuthMethod, Behaviour, Endpoint, Enterprise};
use kube_sim::{Fault, FaultAction};

use crate::{
    env::{SimEnv, format_condition, request_succeeded, sleep_secs},
    network::NetworkFault,
    oauth::stored_token,
};

/// Longer than an abandoned refresh lock stays valid.
const REFRESH_LOCK_EXPIRY_SECS: i64 = 90;
const DAY: u64 = 86_400;

/// A step, and how to crash at it.
type CrashPoint = (&'static str, fn(&SimEnv));

/// Crashes a refresh at this step, then starts a new process.
async fn crash_during_refresh(world: &mut SimEnv, acme: &Enterprise, when: impl FnOnce(&SimEnv)) {
    world.wait_until_ready("acme").await;
    sleep_secs(60).await;
    acme.revoke_tokens();
    when(world);
    world.create_request("r", "acme");
    tokio::select! {
        () = world.kube.killed() => {}
        () = world.network.fault_reached.notified() => {}
    }
    world.kill_operator().await;
    sleep_secs(5).await;
    world.spawn_operator();
}

fn fault_at_secret_write(world: &SimEnv, nth: usize, fault: Fault) {
    let mut writes = 0;
    world.kube.on_write(move |_, call| {
        writes += usize::from(call.resource == "secrets");
        (call.resource == "secrets" && writes == nth).then(|| fault.clone())
    });
}

/// Checks that the connection works on, at most a little later.
async fn assert_recovers(world: &SimEnv, acme: &Enterprise, what: &str) {
    let begun = world.elapsed_secs();
    assert!(request_succeeded(&world.wait_until_finished("r").await), "{what}: {:?}", world.request_status("r"));
    assert!(
        world.elapsed_secs() - begun <= REFRESH_LOCK_EXPIRY_SECS + 10,
        "{what}: {} s",
        world.elapsed_secs() - begun
    );
    assert_eq!(stored_token(world, "acme", "refreshToken"), acme.refresh_token().expect("authorized"), "{what}");
    sleep_secs(3 * DAY).await;
    assert_eq!(format_condition(&world.connection_status("acme").conditions, "Connected"), "True Connected", "{what}");
}

#[tokio::test(start_paused = true)]
async fn a_crash_before_the_refresh_or_after_the_token_is_stored_loses_nothing() {
    let crash_points: [CrashPoint; 5] = [
        ("before the lock is taken", |w| fault_at_secret_write(w, 1, Fault::Before(FaultAction::Kill))),
        ("after the lock is taken", |w| fault_at_secret_write(w, 1, Fault::After(FaultAction::Kill))),
        ("before Box receives the request", |w| w.network.inject_fault(NetworkFault::BeforeRequest)),
        ("after the token is stored", |w| fault_at_secret_write(w, 2, Fault::After(FaultAction::Kill))),
        ("the response to the write is lost", |w| fault_at_secret_write(w, 2, Fault::After(FaultAction::Disconnect))),
    ];
    for (what, when) in crash_points {
        let mut world = SimEnv::with_operator();
        let acme = world.connect_with_auth("acme", 100, AuthMethod::Oauth2);
        if what.contains("lost") {
            world.wait_until_ready("acme").await;
            sleep_secs(60).await;
            acme.revoke_tokens();
            when(&world);
            world.create_request("r", "acme");
        } else {
            crash_during_refresh(&mut world, &acme, when).await;
        }
        assert_recovers(&world, &acme, what).await;
        world.kill_operator().await;
    }
}

const UNSAFE_CRASH_POINTS: [CrashPoint; 2] = [
    ("Box's response is lost", |w| w.network.inject_fault(NetworkFault::AfterResponse)),
    ("before the token is stored", |w| fault_at_secret_write(w, 2, Fault::Before(FaultAction::Kill))),
];

/// The only step at which a crash loses the token: Box has revoked the old one, and the new one exists only in the
/// process. With Box's documented behavior the user must authorize again.
#[tokio::test(start_paused = true)]
async fn a_crash_between_the_refresh_and_storing_the_token_reports_how_to_reconnect() {
    for (what, when) in UNSAFE_CRASH_POINTS {
        let mut world = SimEnv::with_operator();
        let acme = world.connect_with_auth("acme", 100, AuthMethod::Oauth2);
        crash_during_refresh(&mut world, &acme, when).await;
        let failed = world.wait_until_finished("r").await;
        assert_eq!(format_condition(&failed.conditions, "Failed"), "True AuthorizationExpired", "{what}");
        assert!(world.condition_message("acme", "Connected").contains("kubectl boxsync connect acme"), "{what}");
        assert_eq!(world.connection_status("acme").users.expect("the list stays").total, 100, "{what}");
        world.authorize_connection(&acme, "acme");
        world.wait_until_ready("acme").await;
        world.kill_operator().await;
    }
}

/// Box once documented that the old token stays valid until the new access token is first used: then nothing is lost.
#[tokio::test(start_paused = true)]
async fn with_lenient_refresh_no_crash_loses_the_authorization() {
    for (what, when) in UNSAFE_CRASH_POINTS {
        let mut world = SimEnv::with_operator();
        let acme = world.connect_with_auth("acme", 100, AuthMethod::Oauth2);
        acme.enable_behaviour(Behaviour::LenientRefresh);
        crash_during_refresh(&mut world, &acme, when).await;
        assert_recovers(&world, &acme, what).await;
        world.kill_operator().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_graceful_stop_during_a_refresh_waits_until_the_token_is_stored() {
    let mut world = SimEnv::with_operator();
    let acme = world.connect_with_auth("acme", 100, AuthMethod::Oauth2);
    world.wait_until_ready("acme").await;
    sleep_secs(60).await;
    acme.revoke_tokens();
    world.network.inject_fault(NetworkFault::DelayedResponse);
    world.create_request("r", "acme");
    sleep_secs(3).await;
    world.stop_operator().await;
    assert_eq!(stored_token(&world, "acme", "refreshToken"), acme.refresh_token().expect("authorized"));
    world.spawn_operator();
    assert!(request_succeeded(&world.wait_until_finished("r").await));
    assert_eq!(acme.call_counts().with_status(Endpoint::Token, 400), 0);
}

/// The leader loses the API server, and with it the leadership, while Box answers its refresh.
#[tokio::test(start_paused = true)]
async fn tokens_renewed_when_leadership_is_lost_are_stored_hours_later_and_reconnect_the_connection() {
    const OLD_LEADER: &str = "system:serviceaccount:boxsync:old";
    let mut world = SimEnv::new();
    let acme = world.connect_with_auth("acme", 100, AuthMethod::Oauth2);
    let old = world.operator_factory().start_as(OLD_LEADER);
    world.wait_until_ready("acme").await;
    sleep_secs(60).await;
    acme.revoke_tokens();
    world.network.inject_fault(NetworkFault::DelayedResponse);
    world.create_request("r", "acme");
    sleep_secs(3).await;
    world.kube.fail_next(usize::MAX, |c| c.user == OLD_LEADER, Fault::Before(FaultAction::Disconnect));
    let old = old.lose_leadership().await;
    sleep_secs(10).await;
    let (mark, calls) = (world.kube.log_position(), acme.call_counts().total());
    sleep_secs(60).await;
    assert!(!old.is_finished(), "the process stays");
    assert_eq!(acme.call_counts().total(), calls, "it makes no call to Box");
    // The next leader waits for the mark on the Secret to expire, and finds that Box has replaced the token.
    world.spawn_operator();
    world.wait_for_condition("acme", "Connected", "False AuthorizationExpired").await;
    sleep_secs(3 * 3600).await;
    let tried = world.kube.requests_since(mark).into_iter().filter(|call| call.user == OLD_LEADER);
    assert_eq!(tried.filter(|call| call.resource != "secrets").count(), 0, "it only tries to store the tokens");
    assert!(!old.is_finished(), "the process stays");
    world.kube.clear_faults();
    let begun = world.elapsed_secs();
    old.await.expect("the process exits once the tokens are stored");
    assert!(world.elapsed_secs() - begun <= 10, "{} s", world.elapsed_secs() - begun);
    assert_eq!(stored_token(&world, "acme", "refreshToken"), acme.refresh_token().expect("authorized"));
    world.wait_until_ready("acme").await;
    assert!(world.elapsed_secs() - begun <= 900, "nobody authorized again: {} s", world.elapsed_secs() - begun);
    world.stop_operator().await;
}

#[tokio::test(start_paused = true)]
async fn tokens_that_cannot_be_stored_for_hours_fail_the_sync_and_are_kept_until_they_are() {
    let mut world = SimEnv::new();
    let acme = world.connect_with_auth("acme", 100, AuthMethod::Oauth2);
    world.spawn_operator();
    world.wait_until_ready("acme").await;
    sleep_secs(60).await;
    acme.revoke_tokens();
    let mut writes = 0;
    world.kube.on_write(move |_, call| {
        writes += usize::from(call.resource == "secrets");
        // As from an admission webhook that does not respond.
        (call.resource == "secrets" && writes > 1).then_some(Fault::Before(FaultAction::Status(500)))
    });
    world.create_request("r", "acme");
    let begun = world.elapsed_secs();
    let status = world.wait_for_connection("acme", |s| s.failures.is_some()).await;
    assert!(world.elapsed_secs() - begun <= 260, "the sync waits no longer: {} s", world.elapsed_secs() - begun);
    assert_eq!(format_condition(&status.conditions, "Synced"), "False Internal");
    assert!(world.condition_message("acme", "Synced").contains("not stored in Secret acme-oauth2 yet"));
    sleep_secs(7200).await;
    world.kube.on_write(|_, _| None);
    sleep_secs(60).await;
    assert_eq!(stored_token(&world, "acme", "refreshToken"), acme.refresh_token().expect("authorized"));
    world.wait_until_ready("acme").await;
    assert_eq!(acme.call_counts().with_status(Endpoint::Token, 400), 0, "no refresh token was used twice");
}
