//! Get and list: selectors and projections; the request log.

use crate::{
    fixture::{Fixture, Widget, api_error, widget, widget_names},
    servers::{TestServer, conformance_tests},
};
use kube::{Api, ResourceExt, api::ListParams};
use serde_json::Value;

conformance_tests!(
    lists_filter_by_namespace_fields_and_labels,
    a_selector_on_another_field_is_rejected,
    partial_object_metadata_is_returned_when_requested,
    a_list_has_a_version_and_items_sorted_by_name,
    a_list_with_a_limit_comes_in_pages_of_one_version,
);

async fn create_colored_widget(server: &TestServer, name: &str, color: &str) {
    let mut widget = widget(name);
    widget.spec.color = color.into();
    widget.labels_mut().insert("tone".into(), color.to_uppercase());
    server.create(widget).await;
}

async fn lists_filter_by_namespace_fields_and_labels(server: TestServer) {
    create_colored_widget(&server, "one", "vermilion").await;
    create_colored_widget(&server, "two", "teal").await;
    server.create_widget("three").await;
    let (api, all): (_, Api<Widget>) = (server.widgets(), Api::all(server.client.clone()));
    let rows = [
        (&api, ListParams::default(), vec!["one", "three", "two"]),
        (
            &all,
            ListParams::default().fields(&format!("metadata.namespace={}", server.namespace)),
            vec!["one", "three", "two"],
        ),
        (&all, ListParams::default().fields("metadata.namespace=unknown"), vec![]),
        (&api, ListParams::default().fields("metadata.name=two"), vec!["two"]),
        (&all, ListParams::default().fields("spec.color==vermilion"), vec!["one"]),
        (&api, ListParams::default().fields("spec.color!=vermilion,metadata.name!=three"), vec!["two"]),
        (&all, ListParams::default().labels("tone=TEAL"), vec!["two"]),
        (&api, ListParams::default().labels("tone!=TEAL"), vec!["one", "three"]),
        (&api, ListParams::default().labels("tone"), vec!["one", "two"]),
        (&api, ListParams::default().labels("!tone"), vec!["three"]),
    ];
    for (api, params, expected) in rows {
        assert_eq!(widget_names(api.list(&params).await.unwrap()), expected, "{params:?}");
    }
}

async fn a_selector_on_another_field_is_rejected(server: TestServer) {
    let result = server.widgets().list(&ListParams::default().fields("spec.size=1")).await;
    assert_eq!(api_error(result), (400, "BadRequest".into()));
}

async fn partial_object_metadata_is_returned_when_requested(server: TestServer) {
    let created = server.create_widget("w").await;
    let api = server.widgets();
    let list = api.list_metadata(&ListParams::default()).await.unwrap();
    assert_eq!(list.items[0].name_any(), "w");
    let one = api.get_metadata("w").await.unwrap();
    assert_eq!(one.types.as_ref().unwrap().kind, "PartialObjectMetadata");
    assert_eq!(one.uid(), created.uid());
}

async fn a_list_has_a_version_and_items_sorted_by_name(server: TestServer) {
    for name in ["b", "c", "a"] {
        server.create_widget(name).await;
    }
    let (code, list) = server.send("GET", &server.widgets_path(), "").await;
    assert_eq!((code, &list["kind"], &list["apiVersion"]), (200, &"WidgetList".into(), &"example.dev/v1".into()));
    let version = |object: &Value| object["metadata"]["resourceVersion"].as_str().unwrap().parse::<u64>().unwrap();
    let items = list["items"].as_array().unwrap();
    assert!(items.iter().all(|item| version(item) <= version(&list)), "{list}");
    assert!(version(&items[0]) > version(&items[2]) && version(&items[2]) > version(&items[1]), "in order of creation");
    assert_eq!(
        items.iter().map(|item| item["metadata"]["name"].as_str().unwrap()).collect::<Vec<_>>(),
        ["a", "b", "c"]
    );
}

#[tokio::test(start_paused = true)]
async fn the_log_records_user_request_and_response_code() {
    let fixture = Fixture::new();
    let api = fixture.api_as("operator");
    let _ = api.get("w").await;
    let mark = fixture.sim.log_position();
    api.create(&Default::default(), &widget("w")).await.unwrap();
    let log = fixture.sim.requests();
    let logged: Vec<_> = log
        .iter()
        .map(|r| (r.user.as_str(), r.verb.as_str(), r.resource.as_str(), r.name.as_deref(), r.code))
        .collect();
    let expected =
        [("operator", "get", "widgets", Some("w"), Some(404)), ("operator", "create", "widgets", Some("w"), Some(201))];
    assert_eq!(logged, expected);
    assert_eq!(log[1].body_json()["spec"]["color"], "grey");
    assert!(log[0].time < log[1].time);
    assert_eq!(fixture.sim.requests_since(mark).len(), 1);
    fixture.sim.clear_log();
    assert!(fixture.sim.requests_since(mark).is_empty() && fixture.sim.writes().is_empty());
}

async fn a_list_with_a_limit_comes_in_pages_of_one_version(server: TestServer) {
    for name in ["one", "two", "three"] {
        server.create_widget(name).await;
    }
    let api = server.widgets();
    let first = api.list(&ListParams::default().limit(2)).await.unwrap();
    let token = first.metadata.continue_.clone().unwrap();
    server.create_widget("four").await;
    let second = api.list(&ListParams::default().limit(2).continue_token(&token)).await.unwrap();
    assert_eq!(second.metadata.resource_version, first.metadata.resource_version);
    assert!(second.metadata.continue_.clone().is_none_or(|token| token.is_empty()));
    assert_eq!((widget_names(first), widget_names(second)), (vec!["one".into(), "three".into()], vec!["two".into()]));
}
