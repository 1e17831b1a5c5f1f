//! kube's own Controller and Recorder on the simulated server.

use crate::fixture::{Fixture, Widget};
use futures::StreamExt;
use k8s_openapi::api::{coordination::v1::Lease, events::v1::Event};
use kube::{
    Api, Resource, ResourceExt,
    api::{Patch, PatchParams, PostParams},
    runtime::{
        Controller,
        controller::Action,
        events::{self, EventType, Recorder, Reporter},
        watcher,
    },
};
use kube_sim::Verb;
use serde_json::json;
use std::{sync::Arc, time::Duration};

const DAY: Duration = Duration::from_secs(86_400);

/// Counts its runs in the status and asks to be called again in a day.
async fn reconcile(widget: Arc<Widget>, api: Arc<Api<Widget>>) -> Result<Action, kube::Error> {
    // Decide on what is stored, as the watch may lag behind our own write.
    let fresh = api.get(&widget.name_any()).await?;
    let status = fresh.status.unwrap_or_default();
    let runs = status.runs.unwrap_or_default();
    let due = fresh.spec.color == "due";
    if !due && runs > 0 && status.phase.as_deref() == Some("Done") {
        return Ok(Action::requeue(DAY));
    }
    let done = json!({"status": {"runs": runs + 1, "phase": "Done"}});
    api.patch_status(&widget.name_any(), &PatchParams::default(), &Patch::Merge(done)).await?;
    Ok(Action::requeue(DAY))
}

async fn run(fixture: &Fixture) {
    let api = fixture.api_as("operator");
    let config = watcher::Config::default().timeout(60);
    let retry = |_: Arc<Widget>, _: &kube::Error, _: Arc<Api<Widget>>| Action::requeue(Duration::from_secs(30));
    let controller = Controller::new(api.clone(), config).run(reconcile, retry, Arc::new(api));
    controller.for_each(|_| async {}).await;
}

#[tokio::test(start_paused = true)]
async fn three_days_of_requeues_pass_in_well_under_a_second() {
    let wall = std::time::Instant::now();
    let fixture = Fixture::new();
    fixture.create_widget("w");
    let _ = tokio::time::timeout(3 * DAY + Duration::from_secs(600), run(&fixture)).await;
    let gets = fixture.sim.requests().iter().filter(|r| r.matches(Verb::Get, "widgets")).count();
    assert_eq!(gets, 5, "the first, the one after the status, and one a day");
    assert_eq!(fixture.sim.writes().len(), 1, "a steady state writes nothing");
    assert_eq!(fixture.get_widget("w").status.unwrap().runs, Some(1));
    assert!(wall.elapsed() < Duration::from_secs(2), "took {:?}", wall.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_controller_recovers_from_an_outage() {
    let fixture = Fixture::new();
    let sim = fixture.sim.clone();
    let script = async {
        tokio::time::sleep(Duration::from_secs(10)).await;
        sim.start_outage();
        fixture.create_widget("w");
        tokio::time::sleep(Duration::from_secs(600)).await;
        sim.end_outage();
        let done = |widget: &serde_json::Value| widget["status"]["phase"] == "Done";
        sim.wait_until(Duration::from_secs(120), "Widget", "a", "w", done).await
    };
    tokio::select! {
        () = run(&fixture) => panic!("a controller does not end"),
        widget = script => assert_eq!(widget["status"]["runs"], 1),
    }
}

#[tokio::test(start_paused = true)]
async fn the_recorder_creates_an_event_and_counts_its_repetition() {
    let fixture = Fixture::new();
    let widget = fixture.create_widget("w");
    let recorder = Recorder::new(fixture.sim.client_as("operator"), Reporter::from("operator"));
    for _ in 0..2 {
        let event = events::Event {
            type_: EventType::Normal,
            reason: "Synced".into(),
            note: Some("All is well.".into()),
            action: "Sync".into(),
            secondary: None,
        };
        recorder.publish(&event, &widget.object_ref(&())).await.unwrap();
    }
    let events: Vec<Event> = fixture.sim.objects();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].series.as_ref().map(|series| series.count), Some(2));
    let api: Api<Event> = Api::namespaced(fixture.sim.client(), "a");
    let about = kube::api::ListParams::default().fields("regarding.name=w");
    assert_eq!(api.list(&about).await.unwrap().items.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn only_one_client_wins_a_lease_update_on_the_same_version() {
    let fixture = Fixture::new();
    fixture.sim.create(json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": "l", "namespace": "a"}, "spec": {},
    }));
    let claim = |user: &'static str| {
        let api: Api<Lease> = Api::namespaced(fixture.sim.client_as(user), "a");
        async move {
            let mut lease = api.get("l").await.unwrap();
            lease.spec.get_or_insert_default().holder_identity = Some(user.into());
            api.replace("l", &PostParams::default(), &lease).await.is_ok()
        }
    };
    let (one, two) = tokio::join!(claim("one"), claim("two"));
    assert!(one ^ two, "one: {one}, two: {two}");
}
