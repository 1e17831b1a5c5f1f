//! The built-in resources: secrets, leases, events.

use crate::{
    fixture::api_error,
    servers::{TestServer, conformance_tests},
};
use k8s_openapi::api::{coordination::v1::Lease, core::v1::Secret, events::v1::Event};
use kube::{
    Resource, ResourceExt,
    api::{ListParams, PostParams},
    runtime::events::{self, EventType, Recorder, Reporter},
};
use serde_json::json;

conformance_tests!(
    string_data_of_a_secret_is_stored_in_data,
    secrets_have_no_generation_and_can_be_replaced_without_a_version,
    secrets_can_be_listed_by_type,
    only_one_client_wins_a_lease_update_on_the_same_version,
    the_recorder_creates_an_event_and_counts_its_repetition,
);

fn secret(name: &str, kind: &str) -> Secret {
    serde_json::from_value(json!({"metadata": {"name": name}, "type": kind, "stringData": {"k": "hello"}})).unwrap()
}

async fn string_data_of_a_secret_is_stored_in_data(server: TestServer) {
    let path = format!("/api/v1/namespaces/{}/secrets", server.namespace);
    let body = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"k": "hello"}});
    let (code, created) = server.send("POST", &path, &body.to_string()).await;
    assert_eq!(code, 201, "{created}");
    assert_eq!((&created["data"], &created["type"]), (&json!({"k": "aGVsbG8="}), &json!("Opaque")));
    assert!(created.get("stringData").is_none(), "{created}");
}

async fn secrets_have_no_generation_and_can_be_replaced_without_a_version(server: TestServer) {
    let api = server.api::<Secret>();
    let mut created = api.create(&PostParams::default(), &secret("s", "Opaque")).await.unwrap();
    assert_eq!(created.metadata.generation, None);
    created.metadata.resource_version = None;
    created.metadata.managed_fields = None;
    api.replace("s", &PostParams::default(), &created).await.unwrap();
    created.metadata.resource_version = Some("999999999".into());
    let stale = api.replace("s", &PostParams::default(), &created).await;
    assert_eq!(api_error(stale), (409, "Conflict".into()));
}

async fn secrets_can_be_listed_by_type(server: TestServer) {
    let api = server.api::<Secret>();
    for (name, kind) in [("a", "Opaque"), ("b", "example.dev/token")] {
        api.create(&PostParams::default(), &secret(name, kind)).await.unwrap();
    }
    let found = api.list(&ListParams::default().fields("type=example.dev/token")).await.unwrap();
    assert_eq!(found.iter().map(ResourceExt::name_any).collect::<Vec<_>>(), ["b"]);
}

async fn only_one_client_wins_a_lease_update_on_the_same_version(server: TestServer) {
    let api = server.api::<Lease>();
    let lease: Lease = serde_json::from_value(json!({"metadata": {"name": "l"}, "spec": {}})).unwrap();
    let created = api.create(&PostParams::default(), &lease).await.unwrap();
    let claim = async |holder: &str| {
        let mut lease = created.clone();
        lease.spec.get_or_insert_default().holder_identity = Some(holder.into());
        api.replace("l", &PostParams::default(), &lease).await
    };
    let (one, two) = tokio::join!(claim("one"), claim("two"));
    assert!(one.is_ok() ^ two.is_ok(), "one: {one:?}, two: {two:?}");
    let lost = if one.is_ok() { two } else { one };
    assert_eq!(api_error(lost), (409, "Conflict".into()));
    let mut unversioned = created.clone();
    unversioned.metadata.resource_version = None;
    assert_eq!(api_error(api.replace("l", &PostParams::default(), &unversioned).await), (422, "Invalid".into()));
}

async fn the_recorder_creates_an_event_and_counts_its_repetition(server: TestServer) {
    let widget = server.create_widget("w").await;
    let recorder = Recorder::new(server.client.clone(), Reporter::from("operator"));
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
    let found = server.api::<Event>().list(&ListParams::default().fields("regarding.name=w")).await.unwrap();
    let counts: Vec<_> = found.iter().map(|event| event.series.as_ref().map(|series| series.count)).collect();
    assert_eq!(counts, [Some(2)]);
}
