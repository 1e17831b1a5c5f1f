//! Permits for work with Box: nobody is starved by requests, by other namespaces or by lists that cannot be published.

use box_sim::Enterprise;
use kube_sim::{Call, Fault, FaultAction, Verb};

use crate::env::{NAMESPACE, SimEnv, count_listings, request_succeeded, secs, sleep_secs};

/// An environment with so many permits whose operator does not run yet.
fn with_permits(total: usize) -> SimEnv {
    let mut world = SimEnv::new();
    world.options.max_concurrent_syncs = total;
    world
}

/// A connection whose first sync, three calls, takes this long.
fn connect_slow(world: &SimEnv, namespace: &str, name: &str, seconds: u64) -> Enterprise {
    let enterprise = world.connect_in(namespace, name, 100, &serde_json::json!({}));
    enterprise.set_latency(secs(seconds / 3));
    enterprise
}

/// Calls for this resource of the connections whose names begin with `stuck`.
fn is_stuck(verb: Verb, resource: &'static str) -> impl Fn(&Call) -> bool {
    move |call| call.matches(verb, resource) && call.name.as_ref().is_some_and(|name| name.starts_with("stuck"))
}

/// Lets time pass until the enterprise was listed, at most two hours. Returns the seconds.
async fn seconds_until_listed(enterprise: &Enterprise) -> u64 {
    for second in 0..7200 {
        if count_listings(enterprise) > 0 {
            return second;
        }
        sleep_secs(1).await;
    }
    7200
}

#[tokio::test(start_paused = true)]
async fn requests_of_busy_connections_do_not_starve_a_new_connection() {
    let mut world = with_permits(2);
    let busy: Vec<Enterprise> = ["b0", "b1", "b2"].map(|name| connect_slow(&world, NAMESPACE, name, 120)).into();
    world.spawn_operator();
    let request_steadily = async {
        for round in 0.. {
            for n in 0..busy.len() {
                world.create_request(&format!("r{round}-{n}"), &format!("b{n}"));
            }
            sleep_secs(30).await;
        }
    };
    let listed = async {
        sleep_secs(1200).await;
        let new = connect_slow(&world, NAMESPACE, "new", 3);
        let before: usize = busy.iter().map(count_listings).sum();
        let waited = seconds_until_listed(&new).await;
        (waited, busy.iter().map(count_listings).sum::<usize>() - before)
    };
    let (waited, listed_before) = tokio::select! {
        listed = listed => listed,
        () = request_steadily => (7200, 0),
    };
    assert!(waited <= 300 + 120, "five minutes and one run: {waited} s");
    assert!(waited > 200 && listed_before > 3, "requests come first until then: {waited} s, {listed_before} listings");
}

#[tokio::test(start_paused = true)]
async fn lists_that_wait_for_the_api_server_do_not_delay_a_new_connection() {
    let world = SimEnv::with_operator();
    world.kube.fail_next(usize::MAX, is_stuck(Verb::Create, "userslices"), Fault::Before(FaultAction::Status(503)));
    let stuck: Vec<_> = (0..30).map(|n| world.connect_enterprise(&format!("stuck{n:02}"), 100)).collect();
    sleep_secs(60).await;
    assert_eq!(stuck.iter().map(count_listings).sum::<usize>(), 30);
    world.connect_enterprise("new", 100);
    let begun = world.elapsed_secs();
    world.wait_for_connection("new", |s| s.last_sync.is_some()).await;
    let waited = world.elapsed_secs() - begun;
    assert!(waited < 5, "{waited} s");
    let status = world.wait_for_connection("stuck00", |s| s.failures.is_some()).await;
    assert_eq!(status.failures.expect("set").reason, "Internal");
    world.kube.clear_faults();
    for n in 0..stuck.len() {
        world.wait_for_connection(&format!("stuck{n:02}"), |s| s.last_sync.is_some()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn finished_lists_beyond_their_memory_delay_a_new_connection_by_a_bounded_time() {
    let world = SimEnv::with_operator();
    world.kube.fail_next(usize::MAX, is_stuck(Verb::Create, "userslices"), Fault::Before(FaultAction::Status(503)));
    // 96 of them fit.
    let stuck: Vec<_> = (0..110).map(|n| world.connect_enterprise(&format!("stuck{n:03}"), 100)).collect();
    sleep_secs(10).await;
    assert_eq!(stuck.iter().map(count_listings).sum::<usize>(), 96 + 3);
    let new = world.connect_enterprise("new", 100);
    let waited = seconds_until_listed(&new).await;
    assert!((20..=20 * 5).contains(&waited), "11 lists before it, 3 at a time, 20 s each: {waited} s");
    world.wait_for_connection("new", |s| s.last_sync.is_some()).await;
    world.kube.clear_faults();
    for n in 0..stuck.len() {
        world.wait_for_connection(&format!("stuck{n:03}"), |s| s.last_sync.is_some()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn plans_that_the_api_server_does_not_confirm_delay_a_new_connection_by_seconds() {
    for resource in ["boxconnections", "userrosters", "secrets"] {
        let world = SimEnv::with_operator();
        world.kube.fail_next(usize::MAX, is_stuck(Verb::Get, resource), Fault::Before(FaultAction::Hang));
        // No more than the client of the API server calls at a time.
        let stuck: Vec<_> = (0..6).map(|n| world.connect_enterprise(&format!("stuck{n}"), 100)).collect();
        sleep_secs(1).await;
        let new = world.connect_enterprise("new", 100);
        let waited = seconds_until_listed(&new).await;
        assert!((2..=4).contains(&waited), "{resource}: 6 plans, 3 at a time, 2 s each: {waited} s");
        assert_eq!(stuck.iter().map(count_listings).sum::<usize>(), 0);
        sleep_secs(1000).await;
        for n in 0..60 {
            let later = world.connect_enterprise(&format!("later{n}"), 100);
            let waited = seconds_until_listed(&later).await;
            assert!(waited <= 1, "{resource}: after a failure, a plan is confirmed without a permit: {waited} s");
            sleep_secs(5).await;
        }
        world.kube.clear_faults();
        for n in 0..stuck.len() {
            world.wait_for_connection(&format!("stuck{n}"), |s| s.last_sync.is_some()).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_whose_plan_is_not_confirmed_at_first_keeps_its_position() {
    let mut world = with_permits(1);
    connect_slow(&world, NAMESPACE, "busy", 60);
    world.spawn_operator();
    sleep_secs(5).await;
    world.kube.fail_next(4, is_stuck(Verb::Get, "userrosters"), Fault::Before(FaultAction::Status(500)));
    connect_slow(&world, NAMESPACE, "stuck", 30);
    for name in ["second", "third"] {
        sleep_secs(1).await;
        connect_slow(&world, NAMESPACE, name, 90);
    }
    let stuck = world.wait_for_connection("stuck", |s| s.last_sync.is_some()).await;
    assert!(stuck.failures.is_none());
    let listed = |name: &str| world.connection_status(name).last_sync.is_some();
    assert!(listed("second") && !listed("third"), "it comes after the one that was served meanwhile");
}

#[tokio::test(start_paused = true)]
async fn no_permit_waits_for_the_statuses_of_its_requests_and_connections() {
    let mut world = with_permits(1);
    world.connect_enterprise("acme", 100);
    world.spawn_operator();
    world.wait_until_synced("acme").await;
    sleep_secs(60).await;
    let hang =
        |call: &Call| call.matches(Verb::Update, "usersyncrequests/status") && call.name.as_deref() == Some("no");
    world.kube.fail_next(usize::MAX, hang, Fault::Before(FaultAction::Hang));
    world.kube.apply(serde_json::json!({
        "apiVersion": "boxsync.dev/v1alpha1", "kind": "UserSyncRequest",
        "metadata": { "name": "no", "namespace": NAMESPACE },
        "spec": { "connectionRef": { "name": "acme" }, "approveRemovals": "0".repeat(64) },
    }));
    world.create_request("yes", "acme");
    let new = world.connect_enterprise("new", 100);
    assert!(seconds_until_listed(&new).await <= 1, "a refusal that hangs");
    assert!(request_succeeded(&world.wait_until_finished("yes").await));

    world.kube.fail_next(usize::MAX, is_stuck(Verb::Update, "boxconnections/status"), Fault::Before(FaultAction::Hang));
    connect_slow(&world, NAMESPACE, "busy", 30);
    sleep_secs(15).await;
    connect_slow(&world, NAMESPACE, "stuck", 30);
    sleep_secs(1).await;
    let next = connect_slow(&world, NAMESPACE, "next", 3);
    world.wait_for_connection("busy", |s| s.last_sync.is_some()).await;
    assert!(seconds_until_listed(&next).await <= 3, "the status of a waiting connection that hangs");
}

#[tokio::test(start_paused = true)]
async fn a_namespace_with_many_connections_leaves_others_their_share() {
    let mut world = with_permits(3);
    let many: Vec<Enterprise> = (0..40).map(|n| connect_slow(&world, "many", &format!("m{n:02}"), 45)).collect();
    world.spawn_operator();
    sleep_secs(10).await;
    let few: Vec<Enterprise> = (0..3).map(|n| connect_slow(&world, "few", &format!("f{n}"), 45)).collect();
    for run in 1..=few.len() {
        while few.iter().filter(|e| count_listings(e) > 0).count() < run {
            sleep_secs(1).await;
        }
        let runs = i64::try_from(run).expect("few") + 1;
        assert!(world.elapsed_secs() < 45 * runs + 5, "one of its runs always runs: {} s", world.elapsed_secs());
    }
    let listed = many.iter().filter(|e| count_listings(e) > 0).count();
    assert!((3..=6).contains(&listed), "the other namespace continues with its share: {listed}");
}

#[tokio::test(start_paused = true)]
async fn a_waiting_connection_that_is_reconciled_again_keeps_its_position() {
    let mut world = with_permits(1);
    connect_slow(&world, NAMESPACE, "busy", 150);
    world.spawn_operator();
    sleep_secs(5).await;
    connect_slow(&world, NAMESPACE, "first", 30);
    sleep_secs(1).await;
    let second = connect_slow(&world, NAMESPACE, "second", 30);
    // Up to 10 s before the permit is free, since the other one asks again every minute as well.
    for maximum in 21..28 {
        sleep_secs(20).await;
        world.edit_connection("first", |c| c["spec"]["maxRemovalPercent"] = maximum.into());
    }
    world.wait_for_connection("first", |s| s.last_sync.is_some()).await;
    assert_eq!(count_listings(&second), 0);
    world.wait_for_connection("second", |s| s.last_sync.is_some()).await;
}

#[tokio::test(start_paused = true)]
async fn a_waiting_connection_that_is_deleted_gives_way_to_the_next() {
    let mut world = with_permits(1);
    connect_slow(&world, NAMESPACE, "busy", 150);
    world.spawn_operator();
    sleep_secs(5).await;
    for name in ["first", "second", "third"] {
        connect_slow(&world, NAMESPACE, name, 3);
        sleep_secs(1).await;
    }
    world.edit_connection("first", |c| c["metadata"]["finalizers"] = serde_json::json!(["example.com/keep"]));
    for name in ["first", "second"] {
        world.kube.delete("BoxConnection", NAMESPACE, name);
    }
    world.wait_for_connection("busy", |s| s.last_sync.is_some()).await;
    let free = world.elapsed_secs();
    world.wait_for_connection("third", |s| s.last_sync.is_some()).await;
    assert!(world.elapsed_secs() - free < 5, "{} s", world.elapsed_secs() - free);
}

#[tokio::test(start_paused = true)]
async fn a_request_does_not_wait_for_scheduled_work_however_old_it_is() {
    let mut world = with_permits(2);
    let acme = world.connect_enterprise("acme", 100);
    world.spawn_operator();
    world.wait_for_connection("acme", |s| s.last_sync.is_some()).await;
    let due: Vec<Enterprise> = (0..40).map(|n| connect_slow(&world, NAMESPACE, &format!("s{n:02}"), 60)).collect();
    sleep_secs(920).await;
    assert!(due.iter().any(|e| count_listings(e) == 0), "some have waited for longer than five minutes");
    acme.clear_calls();
    world.create_request("r", "acme");
    let begun = world.elapsed_secs();
    assert!(request_succeeded(&world.wait_until_finished("r").await));
    assert!(world.elapsed_secs() - begun < 5, "{} s", world.elapsed_secs() - begun);
}
