//! After a downgrade: what a newer version wrote is kept, known as far as possible, and hides nothing else.

use boxsync::api::{RequestPhase, UserSlice};
use kube_sim::{Fault, FaultAction, Verb};
use serde_json::{Value, json};

use crate::env::{NAMESPACE, SimEnv, format_condition, request_succeeded, sleep_secs};

const DAY: u64 = 86_400;

fn ready_of(world: &SimEnv, name: &str) -> Value {
    let connection = world.kube.get("BoxConnection", NAMESPACE, name).expect("exists");
    let conditions = connection["status"]["conditions"].as_array().cloned().unwrap_or_default();
    conditions.into_iter().find(|c| c["type"] == "Ready").unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn a_roster_of_a_newer_format_is_a_conflict_and_stays() {
    for restart in [false, true] {
        let (mut world, _) = SimEnv::with_synced("acme", 3000).await;
        let slices = world.kube.objects::<UserSlice>().len();
        if restart {
            world.stop_operator().await;
        }
        let newer = world.kube.edit("UserRoster", NAMESPACE, "acme", |roster| {
            roster["format"] = json!(2);
            roster["slices"] = json!("elsewhere");
            roster["change"] = json!(7);
        });
        if restart {
            world.spawn_operator();
        }
        world.create_request("r", "acme");
        world.wait_for_condition("acme", "Synced", "False RosterConflict").await;
        assert!(world.condition_message("acme", "Synced").contains("format 2"));
        sleep_secs(3 * DAY).await;
        let status = world.connection_status("acme");
        assert_eq!(format_condition(&status.conditions, "Ready"), "False Stale");
        assert_eq!(world.kube.get("UserRoster", NAMESPACE, "acme"), Some(newer), "it is not written");
        assert_eq!(world.kube.objects::<UserSlice>().len(), slices, "its slices are not deleted");
        world.kube.delete("UserRoster", NAMESPACE, "acme");
        world.wait_until_ready("acme").await;
        world.kill_operator().await;
    }
}

#[tokio::test(start_paused = true)]
async fn requests_with_an_unknown_phase_or_of_another_schema_hold_up_nothing() {
    let (world, _) = SimEnv::with_synced("acme", 100).await;
    sleep_secs(60).await;
    for name in ["queued", "skipped", "unreadable"] {
        world.create_request(name, "acme");
    }
    world.kube.edit("UserSyncRequest", NAMESPACE, "queued", |r| r["status"]["phase"] = "Queued".into());
    let skipped = world.kube.edit("UserSyncRequest", NAMESPACE, "skipped", |r| {
        r["status"]["phase"] = "Skipped".into();
        r["status"]["completionTime"] = "2026-11-22T12:00:30Z".into();
    });
    world.kube.edit("UserSyncRequest", NAMESPACE, "unreadable", |r| {
        r["spec"]["activeDeadlineSeconds"] = "soon".into();
    });
    assert!(request_succeeded(&world.run_request("plain", "acme").await));
    assert!(request_succeeded(&world.wait_until_finished("queued").await), "it had not ended");
    assert_eq!(world.kube.get("UserSyncRequest", NAMESPACE, "skipped"), Some(skipped), "it had ended");
    assert_eq!(world.scrape_metrics().value("boxsync_unreadable_objects", &[]), Some(1.0));
    world.kube.delete("UserSyncRequest", NAMESPACE, "unreadable");
    sleep_secs(60).await;
    assert_eq!(world.scrape_metrics().value("boxsync_unreadable_objects", &[]), Some(0.0));
    assert_eq!(world.request_status("plain").phase, RequestPhase::Succeeded);
}

#[tokio::test(start_paused = true)]
async fn unknown_words_in_a_status_are_kept_and_time_passes_over_them() {
    let (mut world, _) = SimEnv::with_synced("acme", 100).await;
    world.stop_operator().await;
    world.edit_connection("acme", |c| {
        c["spec"]["suspend"] = true.into();
        c["status"]["lastSync"]["trigger"] = "Pushed".into();
        c["status"]["history"][0]["trigger"] = "Pushed".into();
        c["status"]["app"]["authType"] = "mtls".into();
        let conditions = c["status"]["conditions"].as_array_mut().expect("conditions");
        conditions.iter_mut().filter(|c| c["type"] == "Synced").for_each(|c| c["reason"] = "SyncedFast".into());
    });
    world.kube.edit("UserRoster", NAMESPACE, "acme", |roster| roster["change"]["trigger"] = "Pushed".into());
    world.spawn_operator();
    sleep_secs(3 * DAY).await;
    let status = world.connection_status("acme");
    assert_eq!(format_condition(&status.conditions, "Ready"), "False Stale");
    assert_eq!(format_condition(&status.conditions, "Synced"), "True SyncedFast");
    assert_eq!(status.last_sync.expect("synced").trigger.as_str(), "Pushed");
    assert_eq!(status.history[0].trigger.as_str(), "Pushed");
    assert_eq!(status.app.expect("known").auth_type, "mtls");
    world.edit_connection("acme", |c| c["spec"]["suspend"] = false.into());
    world.wait_until_ready("acme").await;
    assert!(request_succeeded(&world.run_request("r", "acme").await));
}

#[tokio::test(start_paused = true)]
async fn a_slice_of_an_unknown_kind_is_named_by_the_next_revision() {
    let (world, acme) = SimEnv::with_synced("acme", 3000).await;
    sleep_secs(60).await;
    let mut groups =
        world.kube.get("UserSlice", NAMESPACE, &world.get_roster("acme").spec.slices[0].name).expect("exists");
    groups["state"] = "Groups".into();
    groups["metadata"] = json!({
        "name": "acme-groups", "namespace": NAMESPACE, "labels": groups["metadata"]["labels"],
        "ownerReferences": groups["metadata"]["ownerReferences"],
    });
    world.kube.create(groups.clone());
    let named = json!({ "name": "acme-groups", "count": 1, "digest": groups["digest"], "state": "Groups" });
    world.kube.edit("UserRoster", NAMESPACE, "acme", |roster| {
        roster["slices"].as_array_mut().expect("slices").push(named.clone());
    });
    acme.add_user("John Doe", "john@acme.com");
    assert!(request_succeeded(&world.run_request("r", "acme").await));
    let roster = world.kube.get("UserRoster", NAMESPACE, "acme").expect("exists");
    assert!(roster["revision"] == 2 && roster["slices"].as_array().expect("slices").contains(&named), "{roster}");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_cannot_be_read_says_so_and_no_other_is_affected() {
    let (mut world, _) = SimEnv::with_synced("acme", 100).await;
    world.connect_enterprise("globex", 100);
    world.wait_until_ready("globex").await;
    let unreadable = |world: &SimEnv| world.scrape_metrics().value("boxsync_unreadable_objects", &[]);
    for (restart, refused) in [(false, false), (true, false), (true, true)] {
        if refused {
            world.kube.fail_next(
                usize::MAX,
                |c| c.matches(Verb::Update, "boxconnections/status") && c.name.as_deref() == Some("acme"),
                Fault::Before(FaultAction::Status(422)),
            );
        }
        if restart {
            world.stop_operator().await;
        }
        world.edit_connection("acme", |c| c["status"]["users"] = "many".into());
        if restart {
            world.spawn_operator();
        }
        let mark = world.kube.log_position();
        sleep_secs(DAY).await;
        assert_eq!(unreadable(&world), Some(1.0));
        let ready = ready_of(&world, "acme");
        assert_eq!(ready["reason"], if refused { "Synced" } else { "VersionSkew" }, "{ready}");
        let message = ready["message"].as_str().unwrap_or_default();
        assert!(refused || (ready["status"] == "False" && message.contains("many")), "{ready}");
        let writes = world.writes_since(mark).into_iter().filter(|w| w.contains("boxconnections/status acme")).count();
        assert!(writes <= if refused { 2 * 1440 } else { 300 }, "{writes} writes in a day");
        assert_eq!(format_condition(&world.connection_status("globex").conditions, "Ready"), "True Synced");
        world.kube.clear_faults();
        world.edit_connection("acme", |c| drop(c["status"].as_object_mut().expect("a status").remove("users")));
        sleep_secs(60).await;
        assert_eq!(unreadable(&world), Some(0.0));
        world.create_request(&format!("r-{restart}-{refused}"), "acme");
        world.wait_until_ready("acme").await;
    }
}
