//! kube's own Controller on the simulated server.

use crate::fixture::{Fixture, Widget};
use futures::StreamExt;
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams},
    runtime::{Controller, controller::Action, watcher},
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
async fn a_steady_state_writes_nothing_for_three_days() {
    let fixture = Fixture::new();
    fixture.create_widget("w");
    let _ = tokio::time::timeout(3 * DAY + Duration::from_secs(600), run(&fixture)).await;
    let gets = fixture.sim.requests().iter().filter(|r| r.matches(Verb::Get, "widgets")).count();
    assert_eq!(gets, 5, "the first, the one after the status, and one a day");
    assert_eq!(fixture.sim.writes().len(), 1, "a steady state writes nothing");
    assert_eq!(fixture.get_widget("w").status.unwrap().runs, Some(1));
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
