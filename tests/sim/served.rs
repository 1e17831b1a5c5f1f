//! Kinds that the API server does not serve (yet): named, waited for, and no reason to end.

use boxsync::controller::{Served, look_what_is_served, served};
use kube_sim::{Fault, Trouble, Verb};
use tokio::{sync::watch, task::JoinHandle};

use crate::world::{OPERATOR, World, listings, pass};

/// Looks, in `world`, for what is served.
fn looking(world: &World) -> (watch::Receiver<Served>, JoinHandle<()>) {
    let (told, seen) = watch::channel(Served::default());
    (seen, tokio::spawn(look_what_is_served(world.kube.client_as(OPERATOR), Vec::new(), told)))
}

fn problem(seen: &watch::Receiver<Served>) -> String {
    seen.borrow().problem().unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn a_missing_kind_is_named_and_work_begins_once_it_is_there() {
    let world = World::new();
    let not_served = Fault::Before(Trouble::Status(404));
    world.kube.fail_next(usize::MAX, |c| c.is(Verb::List, "userslices"), not_served);
    let (seen, look) = looking(&world);
    assert_eq!(problem(&seen), "The API server was not reached yet.");
    let work = tokio::spawn(served(seen.clone()));
    pass(3600).await;
    assert!(problem(&seen).contains("does not serve userslices.boxsync.dev:"), "{}", problem(&seen));
    assert!(!work.is_finished() && !look.is_finished(), "it waits");
    world.kube.clear_faults();
    pass(3).await;
    assert_eq!(problem(&seen), "");
    assert!(work.is_finished());
    look.abort();
}

#[tokio::test(start_paused = true)]
async fn a_missing_right_is_told_and_does_not_hold_up_the_work() {
    let world = World::new();
    world.kube.forbid(|c| c.is(Verb::List, "userslices"));
    let (seen, look) = looking(&world);
    served(seen.clone()).await;
    assert!(problem(&seen).contains("does not let the operator list userslices.boxsync.dev."), "{}", problem(&seen));
    look.abort();
}

#[tokio::test(start_paused = true)]
async fn of_several_namespaces_the_one_without_a_right_is_named() {
    let world = World::new();
    world.kube.forbid(|c| c.is(Verb::List, "userrosters") && c.namespace.as_deref() == Some("b"));
    let (told, seen) = watch::channel(Served::default());
    let namespaces = ["a", "b", "c"].map(str::to_owned).to_vec();
    let look = tokio::spawn(look_what_is_served(world.kube.client_as(OPERATOR), namespaces, told));
    served(seen.clone()).await;
    let expected = "does not let the operator list userrosters.boxsync.dev in namespace b.";
    assert!(problem(&seen).contains(expected), "{}", problem(&seen));
    look.abort();
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_goes_away_is_noticed_within_a_minute_or_two() {
    let world = World::new();
    let (seen, look) = looking(&world);
    served(seen.clone()).await;
    world.kube.down();
    pass(100).await;
    assert!(problem(&seen).contains("cannot be reached"), "{}", problem(&seen));
    world.kube.up();
    pass(30).await;
    assert_eq!(problem(&seen), "");
    look.abort();
}

#[tokio::test(start_paused = true)]
async fn watches_outlive_kinds_that_are_taken_away() {
    let world = World::running();
    pass(60).await;
    let of_ours = |resource: &str| ["boxconnections", "usersyncrequests", "userrosters"].contains(&resource);
    let asked = move |c: &kube_sim::Call| matches!(c.verb, Verb::List | Verb::Watch) && of_ours(&c.resource);
    world.kube.fail_next(usize::MAX, asked, Fault::Before(Trouble::Status(404)));
    world.kube.break_watches();
    pass(3600).await;
    world.kube.clear_faults();
    let acme = world.connect("acme", 10);
    world.until("acme", |s| s.last_sync.is_some()).await;
    assert_eq!(listings(&acme), 1);
}
