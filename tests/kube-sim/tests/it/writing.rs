//! Writes: versions, generations, conflicts, the status subresource.

use crate::{
    fixture::{Fixture, NOON, api_error, widget},
    servers::{TestServer, conformance_tests},
};
use kube::{
    ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions},
};
use serde_json::{Value, json};
use std::time::Duration;

conformance_tests!(
    a_created_object_has_an_identity_and_defaults,
    creating_twice_is_rejected_as_already_exists,
    generated_names_are_valid_and_unique,
    a_replace_on_an_older_version_is_a_conflict,
    a_replace_needs_a_version_and_the_same_uid,
    a_patch_is_a_precondition_by_version_but_the_status_endpoint_ignores_a_foreign_uid,
    spec_and_status_are_written_at_their_own_endpoints_only,
    the_generation_counts_changes_of_the_spec_only,
    a_write_that_changes_nothing_leaves_the_version,
    the_first_write_stores_the_default_status,
    a_removed_status_gets_the_default,
    a_validation_rule_rejects_with_422_and_its_message,
    a_delete_checks_its_preconditions,
    an_object_with_finalizers_exists_until_the_last_one_is_removed,
    an_object_deleted_in_the_foreground_gets_a_finalizer,
    an_object_above_etcds_size_limit_is_rejected,
    error_messages_name_the_object,
);

async fn a_created_object_has_an_identity_and_defaults(server: TestServer) {
    let body = json!({
        "apiVersion": "example.dev/v1", "kind": "Widget",
        "metadata": {"name": "w", "uid": "ignored", "generation": 7, "creationTimestamp": "2000-01-01T00:00:00Z"},
        "spec": {"size": 1, "unknown": true}, "status": {"phase": "Done"},
    });
    let (code, created) = server.send("POST", &server.widgets_path(), &body.to_string()).await;
    assert_eq!(code, 201, "{created}");
    assert_eq!(created["spec"], json!({"size": 1, "color": "grey"}), "defaulted and pruned");
    assert_eq!(created["status"], json!({"phase": "Pending"}), "create cannot set status, the CRD's default can");
    let metadata = &created["metadata"];
    assert_eq!(metadata["generation"], 1);
    assert_eq!(metadata["namespace"], server.namespace.as_str());
    let timestamp = metadata["creationTimestamp"].as_str().unwrap();
    assert!(timestamp.len() == NOON.len() && timestamp.ends_with('Z') && !timestamp.starts_with("2000"), "{timestamp}");
    assert_eq!(metadata["uid"].as_str().unwrap().len(), 36);
    assert_ne!(metadata["uid"].as_str(), server.create_widget("other").await.uid().as_deref());
}

#[tokio::test(start_paused = true)]
async fn timestamps_have_whole_seconds() {
    let fixture = Fixture::new();
    fixture.clock.advance(Duration::from_millis(1700));
    let created = fixture.sim.create(widget("w"));
    assert_eq!(created["metadata"]["creationTimestamp"], "2026-11-22T12:00:01Z");
}

async fn creating_twice_is_rejected_as_already_exists(server: TestServer) {
    server.create_widget("w").await;
    let again = server.widgets().create(&PostParams::default(), &server.own_widget("w")).await;
    assert_eq!(api_error(again), (409, "AlreadyExists".into()));
}

async fn generated_names_are_valid_and_unique(server: TestServer) {
    let mut template = server.own_widget("");
    template.metadata.name = None;
    template.metadata.generate_name = Some("w-".into());
    let mut names = std::collections::BTreeSet::new();
    for _ in 0..20 {
        let created = server.widgets().create(&PostParams::default(), &template).await.unwrap();
        assert_eq!(created.name_any().len(), 7, "{}", created.name_any());
        names.insert(created.name_any());
    }
    assert_eq!(names.len(), 20);
}

async fn a_replace_on_an_older_version_is_a_conflict(server: TestServer) {
    let (api, stale) = (server.widgets(), server.create_widget("w").await);
    let mut newer = stale.clone();
    newer.spec.color = "red".into();
    api.replace("w", &PostParams::default(), &newer).await.unwrap();
    let late = api.replace("w", &PostParams::default(), &stale).await;
    assert_eq!(api_error(late), (409, "Conflict".into()));
    assert_eq!(api.get("w").await.unwrap().spec.color, "red");
}

async fn a_replace_needs_a_version_and_the_same_uid(server: TestServer) {
    let (api, given) = (server.widgets(), server.create_widget("w").await);
    let mut unversioned = given.clone();
    unversioned.metadata.resource_version = None;
    let result = api.replace("w", &PostParams::default(), &unversioned).await;
    assert_eq!(api_error(result), (422, "Invalid".into()));
    let mut foreign = given.clone();
    foreign.metadata.uid = Some("another".into());
    assert_eq!(api_error(api.replace("w", &PostParams::default(), &foreign).await), (409, "Conflict".into()));
    assert_eq!(api_error(api.replace_status("w", &PostParams::default(), &foreign).await), (409, "Conflict".into()));
    assert_eq!(api_error(api.replace("x", &PostParams::default(), &given).await), (400, "BadRequest".into()));
}

async fn a_patch_is_a_precondition_by_version_but_the_status_endpoint_ignores_a_foreign_uid(server: TestServer) {
    server.create_widget("w").await;
    let by_version = json!({"metadata": {"resourceVersion": "999999999"}, "status": {"runs": 1}});
    assert_eq!(api_error(server.patch_status("w", by_version.clone()).await), (409, "Conflict".into()));
    assert_eq!(api_error(server.patch("w", by_version).await), (409, "Conflict".into()));
    let by_uid = json!({"metadata": {"uid": "another"}, "status": {"runs": 1}});
    assert_eq!(api_error(server.patch("w", by_uid.clone()).await), (422, "Invalid".into()));
    // A patch of a status therefore needs the version as its precondition.
    let status = server.patch_status("w", by_uid).await.unwrap();
    assert_eq!(status.status.unwrap().runs, Some(1));
    assert_eq!(api_error(server.patch("x", json!({})).await), (404, "NotFound".into()));
}

async fn spec_and_status_are_written_at_their_own_endpoints_only(server: TestServer) {
    server.create_widget("w").await;
    let both = json!({"metadata": {"labels": {"x": "y"}}, "spec": {"color": "red"}, "status": {"runs": 7}});
    let after = server.patch_status("w", both).await.unwrap();
    assert_eq!((after.spec.color.as_str(), after.labels().len()), ("grey", 0));
    assert_eq!(after.status.clone().unwrap().runs, Some(7));
    let both = json!({"spec": {"color": "blue"}, "status": {"runs": 8}});
    let after = server.patch("w", both).await.unwrap();
    assert_eq!((after.spec.color.as_str(), after.status.clone().unwrap().runs), ("blue", Some(7)));
    let mut replaced = after;
    replaced.status.as_mut().unwrap().runs = Some(9);
    replaced.spec.color = "green".into();
    let after = server.widgets().replace("w", &PostParams::default(), &replaced).await.unwrap();
    assert_eq!((after.spec.color.as_str(), after.status.unwrap().runs), ("green", Some(7)));
}

async fn the_generation_counts_changes_of_the_spec_only(server: TestServer) {
    server.create_widget("w").await;
    let generation = async |patch: Value| server.patch("w", patch).await.unwrap().metadata.generation.unwrap();
    assert_eq!(generation(json!({"metadata": {"labels": {"a": "b"}}})).await, 1);
    assert_eq!(generation(json!({"spec": {"color": "red"}})).await, 2);
    assert_eq!(generation(json!({"spec": {"color": "red"}})).await, 2);
    let status = server.patch_status("w", json!({"status": {"runs": 1}})).await.unwrap();
    assert_eq!(status.metadata.generation, Some(2));
}

/// The server adds the default status of a new object when it reads it, so the first update is never a no-op.
async fn the_first_write_stores_the_default_status(server: TestServer) {
    let created = server.create_widget("w").await;
    let stored = server.patch("w", json!({"spec": {"color": "grey"}})).await.unwrap();
    assert_ne!(stored.resource_version(), created.resource_version());
    assert_eq!((stored.metadata.generation, stored.status), (Some(1), created.status));
}

async fn a_write_that_changes_nothing_leaves_the_version(server: TestServer) {
    server.create_widget("w").await;
    let before = server.patch("w", json!({"spec": {"color": "red"}})).await.unwrap();
    let same = server.patch("w", json!({"spec": {"color": "red"}})).await.unwrap();
    assert_eq!(same.resource_version(), before.resource_version());
    let same = server.widgets().replace("w", &PostParams::default(), &before).await.unwrap();
    assert_eq!(same.resource_version(), before.resource_version());
    let same = server.patch_status("w", json!({"status": {"phase": "Pending"}})).await.unwrap();
    assert_eq!(same.resource_version(), before.resource_version());
}

#[tokio::test(start_paused = true)]
async fn the_log_marks_writes_that_change_something() {
    let fixture = Fixture::new();
    fixture.create_widget("w");
    for color in ["red", "red", "blue"] {
        let patch = Patch::Merge(json!({"spec": {"color": color}}));
        fixture.api().patch("w", &PatchParams::default(), &patch).await.unwrap();
    }
    let changed: Vec<bool> = fixture.sim.writes().iter().map(|write| write.changed).collect();
    assert_eq!(changed, [true, false, true]);
}

async fn a_removed_status_gets_the_default(server: TestServer) {
    server.create_widget("w").await;
    let some = server.patch_status("w", json!({"status": {"phase": null, "runs": 3}})).await.unwrap();
    assert_eq!(some.status.unwrap().phase, None);
    let none = server.patch_status("w", json!({"status": null})).await.unwrap();
    assert_eq!(none.status.unwrap().phase.as_deref(), Some("Pending"));
}

async fn a_validation_rule_rejects_with_422_and_its_message(server: TestServer) {
    server.create_widget("w").await;
    let result = server.patch("w", json!({"spec": {"size": 2}})).await;
    let Err(kube::Error::Api(status)) = result else { panic!("{result:?}") };
    assert_eq!((status.code, status.reason.as_str()), (422, "Invalid"));
    assert_eq!(status.message, "Widget.example.dev \"w\" is invalid: spec.size: Invalid value: 2: is immutable");
}

async fn a_delete_checks_its_preconditions(server: TestServer) {
    let (api, given) = (server.widgets(), server.create_widget("w").await);
    let only = |uid: Option<String>, resource_version: Option<String>| DeleteParams {
        preconditions: Some(Preconditions { uid, resource_version }),
        ..DeleteParams::default()
    };
    let wrong_uid = api.delete("w", &only(Some("another".into()), None)).await;
    assert_eq!(api_error(wrong_uid), (409, "Conflict".into()));
    let wrong_version = api.delete("w", &only(None, Some("999999999".into()))).await;
    assert_eq!(api_error(wrong_version), (409, "Conflict".into()));
    let deleted = api.delete("w", &only(given.uid(), given.resource_version())).await.unwrap();
    assert!(deleted.is_right(), "the response is a Status");
    assert_eq!(api_error(api.get("w").await), (404, "NotFound".into()));
    assert_eq!(api_error(api.delete("w", &DeleteParams::default()).await), (404, "NotFound".into()));
}

async fn an_object_with_finalizers_exists_until_the_last_one_is_removed(server: TestServer) {
    let api = server.widgets();
    let mut given = widget("w");
    given.metadata.finalizers = Some(vec!["a.b/c".into()]);
    server.create(given).await;
    let marked = api.delete("w", &DeleteParams::default()).await.unwrap().left().unwrap();
    assert!(marked.metadata.deletion_timestamp.is_some());
    assert_eq!(marked.metadata.generation, Some(2));
    let more = server.patch("w", json!({"metadata": {"finalizers": ["a.b/c", "d.e/f"]}})).await;
    assert_eq!(api_error(more), (422, "Invalid".into()));
    let again = api.delete("w", &DeleteParams::default()).await.unwrap().left().unwrap();
    assert_eq!(again.resource_version(), marked.resource_version());
    server.patch("w", json!({"metadata": {"finalizers": null}})).await.unwrap();
    assert_eq!(api_error(api.get("w").await), (404, "NotFound".into()));
}

async fn an_object_deleted_in_the_foreground_gets_a_finalizer(server: TestServer) {
    server.create_widget("w").await;
    let marked = server.widgets().delete("w", &DeleteParams::foreground()).await.unwrap().left().unwrap();
    assert!(marked.metadata.deletion_timestamp.is_some());
    assert_eq!(marked.metadata.finalizers, Some(vec!["foregroundDeletion".into()]));
}

async fn an_object_above_etcds_size_limit_is_rejected(server: TestServer) {
    let mut big = server.own_widget("big");
    big.spec.color = "x".repeat(1_600_000);
    let error = server.widgets().create(&PostParams::default(), &big).await.unwrap_err();
    assert!(error.to_string().contains("etcdserver: request is too large"), "{error}");
    assert_eq!(api_error::<()>(Err(error)).0, 500);
}

/// The operator and the plugin show these messages to users.
async fn error_messages_name_the_object(server: TestServer) {
    let (api, stale) = (server.widgets(), server.create_widget("w").await);
    server.set_color("w", "red").await;
    let results = [
        (api.get("x").await, "widgets.example.dev \"x\" not found"),
        (api.create(&PostParams::default(), &server.own_widget("w")).await, "widgets.example.dev \"w\" already exists"),
        (
            api.replace("w", &PostParams::default(), &stale).await,
            "Operation cannot be fulfilled on widgets.example.dev \"w\": the object has been modified; please apply your changes to the latest version and try again",
        ),
    ];
    for (result, expected) in results {
        let Err(kube::Error::Api(status)) = result else { panic!("{result:?}") };
        assert_eq!(status.message, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn objects_whose_owners_are_all_deleted_are_garbage_collected() {
    let fixture = Fixture::new();
    let owner = fixture.create_widget("owner");
    let owned = |name: &str, uid: &str| {
        let mut owned = serde_json::to_value(widget(name)).unwrap();
        owned["metadata"]["ownerReferences"] =
            json!([{"apiVersion": "example.dev/v1", "kind": "Widget", "name": "owner", "uid": uid}]);
        fixture.sim.create(owned)["metadata"]["uid"].as_str().unwrap().to_owned()
    };
    let child = owned("child", &owner.uid().unwrap());
    owned("grandchild", &child);
    assert_eq!(fixture.sim.collect_garbage(), 0);
    fixture.sim.delete("Widget", "a", "owner");
    assert_eq!(fixture.sim.collect_garbage(), 2);
    assert_eq!(fixture.sim.list("Widget").len(), 0);
}
