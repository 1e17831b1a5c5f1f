//! Writes: versions, generations, conflicts, the status subresource.

use crate::fixture::{Fixture, api_error, send, widget};
use kube::{
    ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions},
};
use serde_json::json;
use std::time::Duration;

fn merge() -> PatchParams {
    PatchParams::default()
}

#[tokio::test(start_paused = true)]
async fn a_created_object_has_identity_defaults_and_a_time_of_whole_seconds() {
    let fixture = Fixture::new();
    fixture.clock.advance(Duration::from_millis(1700));
    let mut given = serde_json::to_value(widget("w")).unwrap();
    given["spec"] = json!({"size": 1, "unknown": true});
    given["status"] = json!({"phase": "Made up"});
    let made = fixture.sim.create(given);
    assert_eq!(made["spec"], json!({"size": 1, "color": "grey"}), "defaulted and pruned");
    assert_eq!(made["status"], json!({"phase": "Pending"}), "create cannot set status, the CRD's default can");
    assert_eq!(made["metadata"]["creationTimestamp"], "2026-11-22T12:00:01Z");
    assert_eq!(made["metadata"]["generation"], 1);
    assert_ne!(made["metadata"]["uid"], fixture.sim.create(widget("other"))["metadata"]["uid"]);
}

#[tokio::test(start_paused = true)]
async fn creating_twice_is_refused_as_already_exists() {
    let fixture = Fixture::new();
    let api = fixture.api();
    api.create(&PostParams::default(), &widget("w")).await.unwrap();
    let again = api.create(&PostParams::default(), &widget("w")).await;
    assert_eq!(api_error(again), (409, "AlreadyExists".into()));
}

#[tokio::test(start_paused = true)]
async fn generated_names_are_valid_and_unique() {
    let fixture = Fixture::new();
    let mut template = widget("");
    template.metadata.name = None;
    template.metadata.generate_name = Some("w-".into());
    let mut names = std::collections::BTreeSet::new();
    for _ in 0..50 {
        let made = fixture.api().create(&PostParams::default(), &template).await.unwrap();
        assert_eq!(made.name_any().len(), 7, "{}", made.name_any());
        names.insert(made.name_any());
    }
    assert_eq!(names.len(), 50);
}

#[tokio::test(start_paused = true)]
async fn a_replace_on_an_older_version_is_a_conflict() {
    let fixture = Fixture::new();
    let (api, stale) = (fixture.api(), fixture.create_widget("w"));
    let mut newer = stale.clone();
    newer.spec.color = "red".into();
    api.replace("w", &PostParams::default(), &newer).await.unwrap();
    let late = api.replace("w", &PostParams::default(), &stale).await;
    assert_eq!(api_error(late), (409, "Conflict".into()));
    assert_eq!(fixture.get_widget("w").spec.color, "red");
}

#[tokio::test(start_paused = true)]
async fn a_replace_needs_a_version_and_the_same_uid() {
    let fixture = Fixture::new();
    let (api, given) = (fixture.api(), fixture.create_widget("w"));
    let mut unversioned = given.clone();
    unversioned.metadata.resource_version = None;
    let result = api.replace("w", &PostParams::default(), &unversioned).await;
    assert_eq!(api_error(result), (422, "Invalid".into()));
    let mut foreign = given.clone();
    foreign.metadata.uid = Some("another".into());
    assert_eq!(api_error(api.replace("w", &PostParams::default(), &foreign).await), (409, "Conflict".into()));
    assert_eq!(api_error(api.replace_status("w", &PostParams::default(), &foreign).await), (409, "Conflict".into()));
}

#[tokio::test(start_paused = true)]
async fn a_patch_is_a_precondition_by_version_but_the_status_endpoint_ignores_a_foreign_uid() {
    let fixture = Fixture::new();
    let api = fixture.api();
    fixture.create_widget("w");
    let by_version = json!({"metadata": {"resourceVersion": "999"}, "status": {"runs": 1}});
    let result = api.patch_status("w", &merge(), &Patch::Merge(&by_version)).await;
    assert_eq!(api_error(result), (409, "Conflict".into()));
    let by_uid = json!({"metadata": {"uid": "another"}, "status": {"runs": 1}});
    let main = api.patch("w", &merge(), &Patch::Merge(&by_uid)).await;
    assert_eq!(api_error(main), (422, "Invalid".into()));
    // Seen on kube-apiserver 1.37: who patches a status needs the version, the uid protects nothing.
    let status = api.patch_status("w", &merge(), &Patch::Merge(&by_uid)).await.unwrap();
    assert_eq!(status.status.unwrap().runs, Some(1));
}

#[tokio::test(start_paused = true)]
async fn spec_and_status_are_written_at_their_own_endpoints_only() {
    let fixture = Fixture::new();
    let api = fixture.api();
    fixture.create_widget("w");
    let both = json!({"metadata": {"labels": {"x": "y"}}, "spec": {"color": "red"}, "status": {"runs": 7}});
    let after = api.patch_status("w", &merge(), &Patch::Merge(&both)).await.unwrap();
    assert_eq!((after.spec.color.as_str(), after.labels().len()), ("grey", 0));
    assert_eq!(after.status.clone().unwrap().runs, Some(7));
    let both = json!({"spec": {"color": "blue"}, "status": {"runs": 8}});
    let after = api.patch("w", &merge(), &Patch::Merge(&both)).await.unwrap();
    assert_eq!((after.spec.color.as_str(), after.status.unwrap().runs), ("blue", Some(7)));
}

#[tokio::test(start_paused = true)]
async fn the_generation_counts_changes_of_the_spec_only() {
    let fixture = Fixture::new();
    let api = fixture.api();
    fixture.create_widget("w");
    let generation = |patch: serde_json::Value| {
        let api = api.clone();
        async move { api.patch("w", &merge(), &Patch::Merge(patch)).await.unwrap().metadata.generation.unwrap() }
    };
    assert_eq!(generation(json!({"metadata": {"labels": {"a": "b"}}})).await, 1);
    assert_eq!(generation(json!({"spec": {"color": "red"}})).await, 2);
    assert_eq!(generation(json!({"spec": {"color": "red"}})).await, 2);
    let status = api.patch_status("w", &merge(), &Patch::Merge(json!({"status": {"runs": 1}}))).await.unwrap();
    assert_eq!(status.metadata.generation, Some(2));
}

#[tokio::test(start_paused = true)]
async fn a_write_that_changes_nothing_leaves_the_version_and_is_logged_as_such() {
    let fixture = Fixture::new();
    let api = fixture.api();
    let before = fixture.create_widget("w").resource_version();
    let same = api.patch("w", &merge(), &Patch::Merge(json!({"spec": {"color": "grey"}}))).await.unwrap();
    assert_eq!(same.resource_version(), before);
    api.patch("w", &merge(), &Patch::Merge(json!({"spec": {"color": "red"}}))).await.unwrap();
    let changed: Vec<bool> = fixture.sim.writes().iter().map(|write| write.changed).collect();
    assert_eq!(changed, [false, true]);
}

#[tokio::test(start_paused = true)]
async fn a_removed_status_gets_the_default() {
    let fixture = Fixture::new();
    fixture.create_widget("w");
    let patch = Patch::Merge(json!({"status": {"phase": null, "runs": 3}}));
    let some = fixture.api().patch_status("w", &merge(), &patch).await.unwrap();
    assert_eq!(some.status.unwrap().phase, None);
    let none = Patch::Merge(json!({"status": null}));
    let none = fixture.api().patch_status("w", &merge(), &none).await.unwrap();
    assert_eq!(none.status.unwrap().phase.as_deref(), Some("Pending"));
}

#[tokio::test(start_paused = true)]
async fn a_validation_rule_rejects_with_422_and_its_message() {
    let fixture = Fixture::new();
    fixture.create_widget("w");
    let grow = Patch::Merge(json!({"spec": {"size": 2}}));
    let error = fixture.api().patch("w", &merge(), &grow).await.unwrap_err().to_string();
    assert!(error.contains("Widget.example.dev \"w\" is invalid: spec.size: is immutable"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_delete_checks_its_preconditions() {
    let fixture = Fixture::new();
    let (api, given) = (fixture.api(), fixture.create_widget("w"));
    let only = |uid: Option<String>, resource_version: Option<String>| DeleteParams {
        preconditions: Some(Preconditions { uid, resource_version }),
        ..DeleteParams::default()
    };
    let wrong_uid = api.delete("w", &only(Some("another".into()), None)).await;
    assert_eq!(api_error(wrong_uid), (409, "Conflict".into()));
    let wrong_version = api.delete("w", &only(None, Some("999".into()))).await;
    assert_eq!(api_error(wrong_version), (409, "Conflict".into()));
    let gone = api.delete("w", &only(given.uid(), given.resource_version())).await.unwrap();
    assert!(gone.is_right(), "a Status says that it is gone");
    assert_eq!(api_error(api.get("w").await), (404, "NotFound".into()));
}

#[tokio::test(start_paused = true)]
async fn an_object_with_finalizers_exists_until_the_last_one_is_removed() {
    let fixture = Fixture::new();
    let api = fixture.api();
    let mut given = widget("w");
    given.metadata.finalizers = Some(vec!["a.b/c".into()]);
    fixture.sim.create(given);
    let marked = api.delete("w", &DeleteParams::default()).await.unwrap().left().unwrap();
    assert!(marked.metadata.deletion_timestamp.is_some());
    assert_eq!(marked.metadata.generation, Some(2));
    let more = Patch::Merge(json!({"metadata": {"finalizers": ["a.b/c", "d.e/f"]}}));
    assert_eq!(api_error(api.patch("w", &merge(), &more).await), (422, "Invalid".into()));
    let none = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    api.patch("w", &merge(), &none).await.unwrap();
    assert_eq!(fixture.sim.get("Widget", "a", "w"), None);
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

#[tokio::test(start_paused = true)]
async fn an_object_above_etcds_size_limit_is_rejected() {
    let fixture = Fixture::new();
    let mut big = widget("big");
    big.annotations_mut().insert("x".into(), "x".repeat(1_600_000));
    let error = fixture.api().create(&PostParams::default(), &big).await.unwrap_err();
    assert!(error.to_string().contains("etcdserver: request is too large"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_secrets_string_data_ends_up_in_its_data() {
    let fixture = Fixture::new();
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"k": "hello"}});
    let (code, body) =
        send(&fixture.sim.client(), "POST", "/api/v1/namespaces/a/secrets", &secret.to_string(), "application/json")
            .await;
    assert_eq!(code, 201);
    assert_eq!(body["data"], json!({"k": "aGVsbG8="}));
    assert!(body.get("stringData").is_none() && body["metadata"].get("generation").is_none(), "{body}");
}
