//! Injected faults before and after a write, outages, forbidden calls.

use crate::fixture::{Fixture, api_error, widget};
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams, PostParams},
};
use kube_sim::{Fault, FaultAction, Gate, Verb};
use serde_json::json;
use std::time::Duration;
use tokio::time::Instant;

fn runs_patch(runs: i64) -> Patch<serde_json::Value> {
    Patch::Merge(json!({"status": {"runs": runs}}))
}

#[tokio::test(start_paused = true)]
async fn a_fault_applies_only_to_the_next_matching_requests() {
    let fixture = Fixture::new();
    fixture.create_widget("w");
    let api = fixture.api();
    let status_writes = |call: &kube_sim::Call| call.matches(Verb::Patch, "widgets/status");
    fixture.sim.fail_next(1, status_writes, Fault::Before(FaultAction::Status(409)));
    fixture.sim.fail_next(1, status_writes, Fault::Before(FaultAction::Status(500)));
    api.get("w").await.unwrap();
    let params = PatchParams::default();
    assert_eq!(api_error(api.patch_status("w", &params, &runs_patch(1)).await), (409, "Conflict".into()));
    assert_eq!(api_error(api.patch_status("w", &params, &runs_patch(1)).await), (500, "InternalError".into()));
    assert_eq!(fixture.get_widget("w").status.unwrap().runs, None);
    api.patch_status("w", &params, &runs_patch(1)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn injected_codes_have_the_api_servers_reason() {
    let fixture = Fixture::new();
    fixture.create_widget("w");
    let reasons = [
        (403, "Forbidden"),
        (404, "NotFound"),
        (409, "Conflict"),
        (410, "Expired"),
        (429, "TooManyRequests"),
        (500, "InternalError"),
        (503, "ServiceUnavailable"),
        (504, "Timeout"),
    ];
    for (code, reason) in reasons {
        fixture.sim.fail_next(1, |_| true, Fault::Before(FaultAction::Status(code)));
        assert_eq!(api_error(fixture.api().get("w").await), (code, reason.into()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_can_be_applied_while_its_response_is_lost() {
    let fixture = Fixture::new();
    let api = fixture.api();
    for (name, trouble) in [("a", FaultAction::Status(504)), ("b", FaultAction::Disconnect), ("c", FaultAction::Hang)] {
        fixture.sim.fail_next(1, |call| call.verb == Verb::Create, Fault::After(trouble.clone()));
        let (params, object) = (PostParams::default(), widget(name));
        let create = tokio::time::timeout(Duration::from_secs(30), api.create(&params, &object));
        let failed = create.await.map_or(true, |answer| answer.is_err());
        assert!(failed, "{trouble:?}");
        fixture.get_widget(name);
    }
    let codes: Vec<_> = fixture.sim.writes().iter().map(|write| (write.code, write.changed)).collect();
    assert_eq!(codes, [(Some(504), true), (None, true), (None, true)]);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_hangs_or_is_dropped_is_not_applied() {
    let fixture = Fixture::new();
    let api = fixture.api();
    for trouble in [FaultAction::Disconnect, FaultAction::Hang] {
        fixture.sim.fail_next(1, |_| true, Fault::Before(trouble));
        let (params, object) = (PostParams::default(), widget("w"));
        let create = tokio::time::timeout(Duration::from_secs(30), api.create(&params, &object));
        assert!(create.await.map_or(true, |answer| answer.is_err()));
    }
    assert_eq!(fixture.sim.get("Widget", "a", "w"), None);
}

#[tokio::test(start_paused = true)]
async fn a_held_write_continues_when_its_gate_opens() {
    let fixture = Fixture::new();
    let gate = Gate::new();
    fixture.sim.fail_next(1, |call| call.verb == Verb::Create, Fault::Before(FaultAction::Hold(gate.clone())));
    let api = fixture.api();
    let create = tokio::spawn(async move { api.create(&PostParams::default(), &widget("w")).await });
    gate.reached().await;
    assert_eq!(fixture.sim.get("Widget", "a", "w"), None);
    gate.open();
    assert_eq!(create.await.unwrap().unwrap().name_any(), "w");
}

#[tokio::test(start_paused = true)]
async fn a_late_write_is_applied_when_its_gate_opens_although_the_client_lost_the_connection() {
    let fixture = Fixture::new();
    let gate = Gate::new();
    fixture.sim.fail_next(1, |call| call.verb == Verb::Create, Fault::Late(gate.clone()));
    fixture.api().create(&PostParams::default(), &widget("w")).await.unwrap_err();
    assert_eq!(fixture.sim.get("Widget", "a", "w"), None);
    gate.open();
    fixture.sim.wait_until(Duration::from_secs(1), "Widget", "a", "w", |_| true).await;
}

#[tokio::test(start_paused = true)]
async fn forbidden_requests_get_the_rbac_message() {
    let fixture = Fixture::new();
    fixture.create_widget("w");
    fixture.sim.forbid(|call| call.user == "operator" && call.resource == "secrets");
    fixture.sim.forbid(|call| call.matches(Verb::Patch, "widgets/status") || call.verb == Verb::List);
    let secrets: Api<k8s_openapi::api::core::v1::Secret> = Api::namespaced(fixture.sim.client_as("operator"), "y");
    let api_message = |error: kube::Error| match error {
        kube::Error::Api(status) => status.message,
        other => panic!("{other}"),
    };
    assert_eq!(
        api_message(secrets.get("x").await.unwrap_err()),
        "secrets \"x\" is forbidden: User \"operator\" cannot get resource \"secrets\" in API group \"\" in the namespace \"y\"",
    );
    assert_eq!(
        api_message(fixture.api().patch_status("w", &PatchParams::default(), &runs_patch(1)).await.unwrap_err()),
        "widgets.example.dev \"w\" is forbidden: User \"test\" cannot patch resource \"widgets/status\" in API group \"example.dev\" in the namespace \"a\"",
    );
    let all: Api<crate::fixture::Widget> = Api::all(fixture.sim.client());
    assert_eq!(
        api_message(all.list(&Default::default()).await.unwrap_err()),
        "widgets.example.dev is forbidden: User \"test\" cannot list resource \"widgets\" in API group \"example.dev\" at the cluster scope",
    );
    fixture.sim.clear_faults();
    assert_eq!(api_error(secrets.get("x").await), (404, "NotFound".into()));
}

#[tokio::test(start_paused = true)]
async fn an_outage_fails_all_requests_and_keeps_the_objects() {
    let fixture = Fixture::new();
    fixture.create_widget("w");
    fixture.sim.start_outage();
    let error = fixture.api().get("w").await.unwrap_err();
    assert!(matches!(error, kube::Error::Service(_)), "{error}");
    fixture.sim.end_outage();
    fixture.api().get("w").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_retrying_client_honours_retry_after() {
    let fixture = Fixture::new();
    fixture.create_widget("w");
    let busy = FaultAction::RetryAfter(429, Duration::from_secs(30));
    fixture.sim.fail_next(1, |_| true, Fault::Before(busy));
    let start = Instant::now();
    let api: Api<crate::fixture::Widget> = Api::namespaced(fixture.sim.retrying_client_as("operator"), "a");
    api.get("w").await.unwrap();
    assert_eq!(start.elapsed().as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn a_retried_create_gets_already_exists() {
    let fixture = Fixture::new();
    fixture.sim.fail_next(1, |_| true, Fault::After(FaultAction::Status(504)));
    let api: Api<crate::fixture::Widget> = Api::namespaced(fixture.sim.retrying_client_as("operator"), "a");
    let result = api.create(&PostParams::default(), &widget("w")).await;
    assert_eq!(api_error(result), (409, "AlreadyExists".into()));
}

#[tokio::test(start_paused = true)]
async fn latency_uses_tokio_time() {
    let fixture = Fixture::new();
    fixture.create_widget("w");
    fixture.sim.set_latency(Duration::from_secs(3));
    let start = Instant::now();
    fixture.api().get("w").await.unwrap();
    assert_eq!(start.elapsed(), Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn the_clock_follows_tokio_and_can_be_offset() {
    let clock = Fixture::new().clock;
    let start = clock.now();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(start.duration_until(clock.now()).as_secs(), 3600);
    clock.rewind(Duration::from_secs(4000));
    assert_eq!(start.duration_until(clock.now()).as_secs(), -400);
    clock.advance(Duration::from_secs(500));
    assert_eq!(start.duration_until(clock.now()).as_secs(), 100);
}
