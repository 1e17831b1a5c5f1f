//! Trouble that lasts: writes that the API server refuses for days. Nothing is repeated without a pause, nothing is held
//! up that does not depend on it, and nothing accumulates.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use boxsync::api::{RequestPhase, UserSlice};
use kube_sim::{Call, Fault, FaultAction, Verb};

use crate::env::{NAMESPACE, SimEnv, count_listings, format_condition, request_succeeded, secs, sleep_secs};

const DAY: u64 = 86_400;

fn status_of(call: &Call, resource: &str, name: &str) -> bool {
    call.matches(Verb::Update, resource) && call.name.as_deref() == Some(name)
}

#[tokio::test(start_paused = true)]
async fn connections_whose_statuses_are_refused_hold_no_permit_and_are_synced() {
    let mut world = SimEnv::new();
    world.options.max_concurrent_syncs = 2;
    let refused = ["one", "two", "three"].map(|name| world.connect_enterprise(name, 100));
    world.kube.fail_next(
        usize::MAX,
        |c| c.matches(Verb::Update, "boxconnections/status") && c.name.as_deref() != Some("acme"),
        Fault::Before(FaultAction::Status(422)),
    );
    world.spawn_operator();
    sleep_secs(60).await;
    let acme = world.connect_enterprise("acme", 100);
    let created = world.elapsed_secs();
    world.wait_until_synced("acme").await;
    assert!(world.elapsed_secs() - created < 60, "{} s", world.elapsed_secs() - created);
    let mark = world.kube.log_position();
    sleep_secs(4 * DAY).await;
    assert_eq!(format_condition(&world.connection_status("acme").conditions, "Ready"), "True Synced");
    assert!(count_listings(&acme) >= 4, "{} listings in four days", count_listings(&acme));
    let writes = world.writes_since(mark).len();
    assert!(writes < 3 * 4 * 24 * 10, "{writes} writes in four days");
    for (enterprise, name) in refused.iter().zip(["one", "two", "three"]) {
        let listings = count_listings(enterprise);
        assert!((5..=6).contains(&listings), "{name}: one sync a day, {listings} listings");
    }
    assert!(request_succeeded(&world.run_request("meanwhile", "one").await), "answered by the list that is published");
    world.kube.clear_faults();
    sleep_secs(3700).await;
    for name in ["one", "two", "three"] {
        assert_eq!(world.connection_status(name).users.map(|u| u.total), Some(100), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_whose_answer_is_refused_does_not_stop_its_connection() {
    let (world, acme) = SimEnv::with_synced("acme", 100).await;
    sleep_secs(60).await;
    world.kube.fail_next(
        usize::MAX,
        |c| status_of(c, "usersyncrequests/status", "refused"),
        Fault::Before(FaultAction::Status(422)),
    );
    world.create_request("refused", "acme");
    sleep_secs(300).await;
    assert!(request_succeeded(&world.run_request("accepted", "acme").await));
    let (mark, listings) = (world.kube.log_position(), count_listings(&acme));
    sleep_secs(DAY).await;
    assert_eq!(format_condition(&world.connection_status("acme").conditions, "Ready"), "True Synced");
    let (writes, listings) = (world.writes_since(mark).len(), count_listings(&acme) - listings);
    assert!(writes < 24 * 40, "{writes} writes in a day");
    assert!(listings < 40, "{listings} listings in a day");
    world.kube.clear_faults();
    sleep_secs(2 * 3600).await;
    assert_ne!(world.request_status("refused").phase, RequestPhase::Pending);
}

#[tokio::test(start_paused = true)]
async fn a_conflict_that_cannot_be_read_is_written_again_with_pauses() {
    let mut world = SimEnv::new();
    world.connect_enterprise("acme", 100);
    let failing = Arc::new(AtomicBool::new(false));
    let (written, reads_fail) = (failing.clone(), failing.clone());
    world.kube.on_write(move |_, call| {
        let status = call.matches(Verb::Update, "boxconnections/status");
        written.fetch_or(status, Ordering::Relaxed);
        status.then_some(Fault::Before(FaultAction::Status(409)))
    });
    world.kube.fail_next(
        usize::MAX,
        move |c| c.matches(Verb::Get, "boxconnections") && reads_fail.load(Ordering::Relaxed),
        Fault::Before(FaultAction::Status(500)),
    );
    world.spawn_operator();
    let mark = world.kube.log_position();
    sleep_secs(70).await;
    let writes = world.writes_since(mark).len();
    assert!((3..70).contains(&writes), "{writes} writes in 70 s");
    world.kube.on_write(|_, _| None);
    world.kube.clear_faults();
    world.wait_until_ready("acme").await;
}

#[tokio::test(start_paused = true)]
async fn slices_that_cannot_be_deleted_hold_nothing_up_and_are_not_fenced_again() {
    let (world, acme) = SimEnv::with_synced("acme", 3000).await;
    for round in 0..4_usize {
        acme.update_user(acme.users()[10 * round].id, |user| user.name = format!("Renamed {round}"));
        assert!(request_succeeded(&world.run_request(&format!("r{round}"), "acme").await));
        sleep_secs(60).await;
    }
    world.kube.fail_next(
        usize::MAX,
        |c| c.matches(Verb::Delete, "userslices"),
        Fault::Before(FaultAction::Status(403)),
    );
    sleep_secs(1000).await;
    let mark = world.kube.log_position();
    sleep_secs(6 * 3600).await;
    let calls = world.kube.writes_since(mark);
    let of = |verb, resource: &str| calls.iter().filter(|c| c.call.matches(verb, resource)).count();
    assert!(of(Verb::Update, "userrosters") <= 1, "{} roster writes", of(Verb::Update, "userrosters"));
    assert!(of(Verb::Delete, "userslices") <= 20, "{} deletions tried", of(Verb::Delete, "userslices"));
    assert!(request_succeeded(&world.run_request("meanwhile", "acme").await));
    world.edit_connection("acme", |c| c["spec"]["suspend"] = true.into());
    sleep_secs(3 * DAY).await;
    assert_eq!(format_condition(&world.connection_status("acme").conditions, "Ready"), "False Stale");
    world.kube.clear_faults();
    sleep_secs(2 * 3600).await;
    assert_eq!(world.orphan_slices("acme"), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_list_is_published_where_every_thirtieth_create_is_throttled() {
    let mut world = SimEnv::new();
    let mut creates = 0;
    world.kube.on_write(move |_, call| {
        creates += usize::from(call.matches(Verb::Create, "userslices"));
        let throttled = call.matches(Verb::Create, "userslices") && creates % 30 == 0;
        throttled.then_some(Fault::Before(FaultAction::RetryAfter(429, secs(1))))
    });
    world.connect_enterprise("acme", 20_000);
    world.spawn_operator();
    world.wait_until_ready("acme").await;
    assert!(world.elapsed_secs() < 300, "{} s", world.elapsed_secs());
    assert_eq!(world.orphan_slices("acme"), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_list_that_a_quota_did_not_allow_is_published_once_the_quota_is_raised() {
    let mut world = SimEnv::new();
    let quota = Arc::new(AtomicUsize::new(10));
    let (kube, limit, most) = (world.kube.clone(), quota.clone(), Arc::new(AtomicUsize::new(0)));
    let seen = most.clone();
    world.kube.on_write(move |_, call| {
        let slices = kube.objects::<UserSlice>().len();
        seen.fetch_max(slices, Ordering::Relaxed);
        let over = call.matches(Verb::Create, "userslices") && slices >= limit.load(Ordering::Relaxed);
        over.then_some(Fault::Before(FaultAction::Status(403)))
    });
    world.connect_enterprise("acme", 8_000);
    world.spawn_operator();
    let status = world.wait_for_connection("acme", |s| s.failures.is_some()).await;
    assert_eq!(format_condition(&status.conditions, "Synced"), "False Internal");
    sleep_secs(600).await;
    assert_eq!(world.kube.objects::<UserSlice>().len(), 0, "what was not published is deleted");
    assert_eq!(most.load(Ordering::Relaxed), 10);
    quota.store(30, Ordering::Relaxed);
    let raised = world.elapsed_secs();
    world.wait_until_ready("acme").await;
    assert!(world.elapsed_secs() - raised <= 3600, "{} s", world.elapsed_secs() - raised);
    assert_eq!(world.orphan_slices("acme"), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn slices_of_a_first_list_that_was_never_published_are_deleted() {
    let mut world = SimEnv::new();
    let acme = world.connect_enterprise("acme", 3000);
    world.kube.fail_next(1, |c| c.matches(Verb::Create, "userrosters"), Fault::Before(FaultAction::Kill));
    world.spawn_operator();
    world.kube.killed().await;
    world.kill_operator().await;
    let left = world.kube.objects::<UserSlice>().len();
    assert!(left > 0);
    acme.deauthorize_app();
    world.spawn_operator();
    sleep_secs(3 * 3600).await;
    assert_eq!(world.kube.objects::<UserSlice>().len(), 0, "{left} slices were left");
    assert!(world.kube.object::<boxsync::api::UserRoster>(NAMESPACE, "acme").is_none());
}

/// A policy refuses the name of the account, so every full status, for days.
#[tokio::test(start_paused = true)]
async fn where_the_full_status_is_refused_a_minimal_one_shows_what_counts() {
    let mut world = SimEnv::new();
    let acme = world.connect_enterprise("acme", 100);
    world.kube.fail_next(
        usize::MAX,
        |c| status_of(c, "boxconnections/status", "acme") && !c.body_json()["status"]["account"].is_null(),
        Fault::Before(FaultAction::Status(422)),
    );
    world.spawn_operator();
    let status = world.wait_until_ready("acme").await;
    assert_eq!((status.observed_generation, status.users.map(|u| u.total)), (Some(1), Some(100)));
    assert!(world.condition_message("acme", "Ready").contains("refuses the full status"));
    assert!(request_succeeded(&world.run_request("r", "acme").await));
    let (mark, listings) = (world.kube.log_position(), count_listings(&acme));
    sleep_secs(3 * DAY).await;
    assert_eq!(format_condition(&world.connection_status("acme").conditions, "Ready"), "True Synced");
    assert!((3..=4).contains(&(count_listings(&acme) - listings)), "{} listings", count_listings(&acme) - listings);
    let writes = world.writes_since(mark).len();
    assert!(writes < 3 * 24 * 10, "{writes} writes in three days");
    acme.deauthorize_app();
    sleep_secs(2 * 3600).await;
    assert_eq!(format_condition(&world.connection_status("acme").conditions, "Ready"), "False AppNotAuthorized");
    acme.authorize_app();
    world.create_request("again", "acme");
    world.wait_until_ready("acme").await;
    world.edit_connection("acme", |c| c["spec"]["suspend"] = true.into());
    sleep_secs(3 * DAY).await;
    assert_eq!(format_condition(&world.connection_status("acme").conditions, "Ready"), "False Stale");
    world.edit_connection("acme", |c| c["spec"]["suspend"] = false.into());
    world.wait_until_ready("acme").await;
    world.kube.clear_faults();
    sleep_secs(3700).await;
    let status = world.connection_status("acme");
    assert!(status.account.is_some() && !status.history.is_empty(), "the full status is written: {status:?}");
    // A process that knows only the minimal status goes on by it.
    world.kube.fail_next(
        usize::MAX,
        |c| status_of(c, "boxconnections/status", "acme") && !c.body_json()["status"]["account"].is_null(),
        Fault::Before(FaultAction::Status(422)),
    );
    assert!(request_succeeded(&world.run_request("minimal", "acme").await));
    let listings = count_listings(&acme);
    world.kill_operator().await;
    world.spawn_operator();
    sleep_secs(3600).await;
    assert_eq!(count_listings(&acme), listings, "nothing is due");
}

#[tokio::test(start_paused = true)]
async fn a_roster_that_is_throttled_is_written_again_with_the_same_slices() {
    let (world, acme) = SimEnv::with_synced("acme", 100).await;
    world.kube.fail_next(
        20,
        |c| c.matches(Verb::Update, "userrosters"),
        Fault::Before(FaultAction::RetryAfter(429, secs(3))),
    );
    // The record of a removed user contains the time.
    acme.remove_user(acme.users()[3].id);
    let (mark, before) = (world.kube.log_position(), world.elapsed_secs());
    assert!(request_succeeded(&world.run_request("r", "acme").await));
    let calls = world.kube.writes_since(mark);
    let of = |verb, resource: &str| calls.iter().filter(|c| c.call.matches(verb, resource)).count();
    assert!(of(Verb::Create, "userslices") <= 4, "{} slices created", of(Verb::Create, "userslices"));
    assert!(world.elapsed_secs() - before >= 20 * 3, "Retry-After is obeyed: {} s", world.elapsed_secs() - before);
}
