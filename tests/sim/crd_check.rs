//! Kinds that the API server does not serve yet: the operator reports them and waits.

use boxsync::controller::{CrdAvailability, wait_until_available, watch_crd_availability};
use kube_sim::{Fault, FaultAction, Verb};
use tokio::{sync::watch, task::JoinHandle};

use crate::env::{OPERATOR, SimEnv, count_listings, sleep_secs};

/// Starts the check of which kinds are served.
fn start_crd_check(world: &SimEnv) -> (watch::Receiver<CrdAvailability>, JoinHandle<()>) {
    let (sender, availability) = watch::channel(CrdAvailability::default());
    (availability, tokio::spawn(watch_crd_availability(world.kube.client_as(OPERATOR), Vec::new(), sender)))
}

fn crd_problem(availability: &watch::Receiver<CrdAvailability>) -> String {
    availability.borrow().problem().unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn a_missing_crd_is_reported_and_work_starts_once_it_is_installed() {
    let world = SimEnv::new();
    let not_served = Fault::Before(FaultAction::Status(404));
    world.kube.fail_next(usize::MAX, |c| c.matches(Verb::List, "userslices"), not_served);
    let (availability, crd_check) = start_crd_check(&world);
    assert_eq!(crd_problem(&availability), "The operator has not reached the API server yet.");
    let work = tokio::spawn(wait_until_available(availability.clone()));
    sleep_secs(3600).await;
    assert!(
        crd_problem(&availability).contains("does not serve userslices.boxsync.dev:"),
        "{}",
        crd_problem(&availability)
    );
    assert!(!work.is_finished() && !crd_check.is_finished(), "it waits");
    world.kube.clear_faults();
    sleep_secs(3).await;
    assert_eq!(crd_problem(&availability), "");
    assert!(work.is_finished());
    crd_check.abort();
}

#[tokio::test(start_paused = true)]
async fn a_missing_permission_is_reported_and_does_not_delay_the_work() {
    let world = SimEnv::new();
    world.kube.forbid(|c| c.matches(Verb::List, "userslices"));
    let (availability, crd_check) = start_crd_check(&world);
    wait_until_available(availability.clone()).await;
    assert!(
        crd_problem(&availability).contains("is not allowed to list userslices.boxsync.dev."),
        "{}",
        crd_problem(&availability)
    );
    crd_check.abort();
}

#[tokio::test(start_paused = true)]
async fn of_several_namespaces_the_one_without_permission_is_named() {
    let world = SimEnv::new();
    world.kube.forbid(|c| c.matches(Verb::List, "userrosters") && c.namespace.as_deref() == Some("b"));
    let (sender, availability) = watch::channel(CrdAvailability::default());
    let namespaces = ["a", "b", "c"].map(str::to_owned).to_vec();
    let crd_check = tokio::spawn(watch_crd_availability(world.kube.client_as(OPERATOR), namespaces, sender));
    wait_until_available(availability.clone()).await;
    let expected = "is not allowed to list userrosters.boxsync.dev in namespace b.";
    assert!(crd_problem(&availability).contains(expected), "{}", crd_problem(&availability));
    crd_check.abort();
}

#[tokio::test(start_paused = true)]
async fn an_api_server_outage_is_detected_within_two_minutes() {
    let world = SimEnv::new();
    let (availability, crd_check) = start_crd_check(&world);
    wait_until_available(availability.clone()).await;
    world.kube.start_outage();
    sleep_secs(100).await;
    assert!(crd_problem(&availability).contains("cannot be reached"), "{}", crd_problem(&availability));
    world.kube.end_outage();
    sleep_secs(30).await;
    assert_eq!(crd_problem(&availability), "");
    crd_check.abort();
}

#[tokio::test(start_paused = true)]
async fn watches_survive_crds_that_are_temporarily_missing() {
    let world = SimEnv::with_operator();
    sleep_secs(60).await;
    let is_our_resource = |resource: &str| ["boxconnections", "usersyncrequests", "userrosters"].contains(&resource);
    let list_or_watch =
        move |c: &kube_sim::Call| matches!(c.verb, Verb::List | Verb::Watch) && is_our_resource(&c.resource);
    world.kube.fail_next(usize::MAX, list_or_watch, Fault::Before(FaultAction::Status(404)));
    world.kube.break_watches();
    sleep_secs(3600).await;
    world.kube.clear_faults();
    let acme = world.connect_enterprise("acme", 10);
    world.wait_until_synced("acme").await;
    assert_eq!(count_listings(&acme), 1);
}
