//! A process that is killed at its n-th write, as in a crash matrix.

use crate::fixture::{Fixture, widget};
use kube::{
    Api,
    api::{Patch, PatchParams, PostParams},
};
use kube_sim::{Fault, FaultAction, Verb};
use serde_json::json;
use std::time::Duration;

/// Three idempotent writes.
async fn reconcile_widgets(api: Api<crate::fixture::Widget>) {
    for name in ["one", "two"] {
        if api.get_opt(name).await.unwrap().is_none() {
            api.create(&PostParams::default(), &widget(name)).await.unwrap();
        }
    }
    let done = Patch::Merge(json!({"status": {"phase": "Done"}}));
    api.patch_status("two", &PatchParams::default(), &done).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_process_killed_at_any_write_keeps_its_writes_and_can_be_restarted() {
    for n in 1..=3 {
        for (when, there) in [("before", n - 1), ("after", n)] {
            let fixture = Fixture::new();
            fixture.sim.on_write(move |number, _| match when {
                "before" => (number == n).then_some(Fault::Before(FaultAction::Kill)),
                _ => (number == n).then_some(Fault::After(FaultAction::Kill)),
            });
            tokio::select! {
                () = reconcile_widgets(fixture.api_as("operator")) => panic!("{when} write {n}: the process was not killed"),
                () = fixture.sim.killed() => {}
            }
            let applied = fixture.sim.writes().iter().filter(|write| write.changed).count();
            assert_eq!(applied, there, "{when} write {n}");
            fixture.sim.on_write(|_, _| None);
            reconcile_widgets(fixture.api_as("operator")).await;
            assert_eq!(fixture.get_widget("two").status.unwrap().phase.as_deref(), Some("Done"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn killing_a_user_stops_only_its_existing_clients() {
    let fixture = Fixture::new();
    fixture.create_widget("w");
    let (other, dead) = (fixture.api_as("somebody"), fixture.api_as("operator"));
    fixture.sim.kill("operator");
    fixture.sim.killed().await;
    let (params, object) = (PostParams::default(), widget("late"));
    let late = tokio::time::timeout(Duration::from_secs(3600), dead.create(&params, &object));
    assert!(late.await.is_err(), "no answer, not even an error");
    assert_eq!(fixture.sim.get("Widget", "a", "late"), None);
    other.get("w").await.unwrap();
    fixture.api_as("operator").get("w").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_write_hook_can_read_the_objects_and_the_call() {
    let fixture = Fixture::new();
    let sim = fixture.sim.clone();
    fixture.sim.on_write(move |_, call| {
        let second = call.matches(Verb::Create, "widgets") && sim.list("Widget").len() == 1;
        second.then_some(Fault::Before(FaultAction::Status(503)))
    });
    let api = fixture.api();
    api.create(&PostParams::default(), &widget("one")).await.unwrap();
    api.create(&PostParams::default(), &widget("two")).await.unwrap_err();
}
