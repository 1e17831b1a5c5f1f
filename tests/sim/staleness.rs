//! Staleness is shown within a minute, whatever else fails, and freshness never follows from what is not true.

use boxsync::api::BoxConnectionStatus;
use kube_sim::{Call, Fault, FaultAction, Verb};
use serde_json::json;

use crate::{
    env::{NAMESPACE, SimEnv, count_listings, format_condition, secs, sleep_secs},
    reader::box_users,
};

const DAY: u64 = 86_400;

/// Its name, the calls that it concerns, and what happens to them.
type Trouble = (&'static str, fn(&Call) -> bool, Fault);

/// Lets time pass until a minute after the stored stale time.
async fn pass_stale_time(world: &SimEnv, name: &str) -> BoxConnectionStatus {
    let stale = world.connection_status(name).stale_time.expect("has a list").0;
    let left = u64::try_from(world.clock.now().duration_until(stale).as_secs()).expect("fresh");
    sleep_secs(left + 60).await;
    world.connection_status(name)
}

fn is_stale(status: &BoxConnectionStatus) -> bool {
    format_condition(&status.conditions, "Ready") == "False Stale"
}

#[tokio::test(start_paused = true)]
async fn a_stale_list_is_shown_as_stale_while_calls_are_refused_or_hang() {
    let forbidden = || Fault::Before(FaultAction::Status(403));
    let troubles: [Trouble; 7] = [
        ("the roster cannot be read", |c| c.matches(Verb::Get, "userrosters"), forbidden()),
        (
            "the roster cannot be parsed",
            |c| c.matches(Verb::Get, "userrosters"),
            Fault::Before(FaultAction::Status(200)),
        ),
        ("requests cannot be listed", |c| c.matches(Verb::List, "usersyncrequests"), forbidden()),
        ("the connection cannot be read", |c| c.matches(Verb::Get, "boxconnections"), forbidden()),
        ("reading the Secret hangs", |c| c.matches(Verb::Get, "secrets"), Fault::Before(FaultAction::Hang)),
        ("slices cannot be listed", |c| c.matches(Verb::List, "userslices"), forbidden()),
        ("all reads hang", |c| c.verb == Verb::Get, Fault::Before(FaultAction::Hang)),
    ];
    for (trouble, matches, fault) in troubles {
        let (mut world, _) = SimEnv::with_synced("acme", 100).await;
        world.kube.fail_next(usize::MAX, matches, fault);
        let status = pass_stale_time(&world, "acme").await;
        assert!(is_stale(&status), "{trouble}: {status:?}");
        let mark = world.kube.log_position();
        sleep_secs(DAY / 4).await;
        let statuses = world.writes_since(mark).iter().filter(|w| w.contains("boxconnections/status")).count();
        assert!(statuses < 30, "{trouble}: {statuses} status writes in six hours");
        world.kube.clear_faults();
        world.wait_until_ready("acme").await;
        world.kill_operator().await;
    }
}

/// A sync whose sign-in takes long has nothing to report, and the list becomes stale meanwhile.
#[tokio::test(start_paused = true)]
async fn a_list_that_becomes_stale_during_a_sign_in_is_shown_as_stale() {
    let (world, acme) = SimEnv::with_synced("acme", 100).await;
    world.edit_connection("acme", |c| c["spec"]["suspend"] = true.into());
    let stale = world.connection_status("acme").stale_time.expect("has a list").0;
    sleep_secs(u64::try_from(world.clock.now().duration_until(stale).as_secs()).expect("fresh") - 20).await;
    acme.set_latency(secs(58));
    world.edit_connection("acme", |c| c["spec"]["suspend"] = false.into());
    sleep_secs(50).await;
    let status = world.connection_status("acme");
    assert!(is_stale(&status), "{status:?}");
    world.wait_until_ready("acme").await;
}

/// The first status that shows a changed spec is written even if the spec cannot be applied.
#[tokio::test(start_paused = true)]
async fn a_shorter_stale_after_counts_while_the_roster_cannot_be_read() {
    let (world, _) = SimEnv::with_synced("acme", 100).await;
    world.kube.forbid(|c| c.matches(Verb::Get, "userrosters"));
    sleep_secs(DAY + 3600 * 6).await;
    world.edit_connection("acme", |c| c["spec"]["staleAfter"] = json!("25h"));
    sleep_secs(60).await;
    let status = world.connection_status("acme");
    assert!(is_stale(&status), "{status:?}");
}

#[tokio::test(start_paused = true)]
async fn a_deleted_slice_is_noticed_within_the_hour_and_published_again() {
    let (world, acme) = SimEnv::with_synced("acme", 3000).await;
    sleep_secs(60).await;
    for round in 0..2 {
        let named: Vec<String> = world.get_roster("acme").spec.slices.iter().map(|s| s.name.clone()).collect();
        // One of them, and then all of them.
        let deleted = if round == 0 { &named[..1] } else { &named[..] };
        deleted.iter().for_each(|name| world.kube.delete("UserSlice", NAMESPACE, name));
        let listings = count_listings(&acme);
        sleep_secs(3700).await;
        assert_eq!(count_listings(&acme), listings + 1, "one sync repairs it");
        assert_eq!(format_condition(&world.connection_status("acme").conditions, "Ready"), "True Synced");
        assert_eq!(world.published_users("acme").await, box_users(&acme));
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_with_a_deleted_slice_that_cannot_be_repaired_is_not_ready() {
    let (mut world, _) = SimEnv::with_synced("acme", 3000).await;
    world.edit_connection("acme", |c| c["spec"]["suspend"] = true.into());
    sleep_secs(60).await;
    let slice = world.kube.get("UserSlice", NAMESPACE, &world.get_roster("acme").spec.slices[0].name).expect("exists");
    world.kube.delete("UserSlice", NAMESPACE, slice["metadata"]["name"].as_str().expect("a name"));
    sleep_secs(3700).await;
    assert_eq!(format_condition(&world.connection_status("acme").conditions, "Ready"), "False Syncing");
    let message = world.condition_message("acme", "Ready");
    assert!(message.starts_with("The list cannot be read") && message.contains("suspended"), "{message}");
    world.kill_operator().await;
    world.spawn_operator();
    sleep_secs(60).await;
    assert_eq!(format_condition(&world.connection_status("acme").conditions, "Ready"), "False Syncing", "found again");
    world.kube.create(json!({
        "apiVersion": "boxsync.dev/v1alpha1", "kind": "UserSlice",
        "metadata": {
            "name": slice["metadata"]["name"], "namespace": NAMESPACE, "labels": slice["metadata"]["labels"],
            "ownerReferences": slice["metadata"]["ownerReferences"],
        },
        "format": slice["format"], "state": slice["state"], "data": slice["data"], "count": slice["count"],
        "firstId": slice["firstId"], "lastId": slice["lastId"], "digest": slice["digest"],
    }));
    sleep_secs(3700).await;
    assert_eq!(format_condition(&world.connection_status("acme").conditions, "Ready"), "True Suspended", "restored");
}
