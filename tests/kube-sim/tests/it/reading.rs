//! Lists, gets and watches of one time: what is selected, and what an answer looks like.

use crate::fixture::{Fixture, api_error, widget, widget_names};
use kube::{Api, ResourceExt, api::ListParams};

fn create_colored_widget(fixture: &Fixture, name: &str, color: &str) {
    let mut widget = widget(name);
    widget.spec.color = color.into();
    widget.labels_mut().insert("tone".into(), color.to_uppercase());
    fixture.sim.create(widget);
}

#[tokio::test(start_paused = true)]
async fn lists_filter_by_namespace_fields_and_labels() {
    let fixture = Fixture::new();
    create_colored_widget(&fixture, "one", "red");
    create_colored_widget(&fixture, "two", "blue");
    let mut elsewhere = widget("three");
    elsewhere.metadata.namespace = Some("b".into());
    fixture.sim.create(elsewhere);
    let (api, all) = (fixture.api(), Api::all(fixture.sim.client()));
    let rows = [
        (&api, ListParams::default(), vec!["one", "two"]),
        (&all, ListParams::default(), vec!["one", "two", "three"]),
        (&all, ListParams::default().fields("metadata.namespace=b"), vec!["three"]),
        (&all, ListParams::default().fields("metadata.name=two"), vec!["two"]),
        (&all, ListParams::default().fields("spec.color==red"), vec!["one"]),
        (&api, ListParams::default().fields("spec.color!=red,metadata.name!=x"), vec!["two"]),
        (&all, ListParams::default().labels("tone=BLUE"), vec!["two"]),
        (&all, ListParams::default().labels("tone!=BLUE"), vec!["one", "three"]),
    ];
    for (api, params, expected) in rows {
        assert_eq!(widget_names(api.list(&params).await.unwrap()), expected, "{params:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_selector_on_another_field_is_refused() {
    let fixture = Fixture::new();
    let result = fixture.api().list(&ListParams::default().fields("spec.size=1")).await;
    assert_eq!(api_error(result), (400, "BadRequest".into()));
}

#[tokio::test(start_paused = true)]
async fn partial_object_metadata_is_returned_when_requested() {
    let fixture = Fixture::new();
    fixture.create_widget("w");
    let list = fixture.api().list_metadata(&ListParams::default()).await.unwrap();
    assert_eq!(list.items[0].name_any(), "w");
    assert_eq!(list.items[0].types.as_ref().unwrap().kind, "PartialObjectMetadata");
    let one = fixture.api().get_metadata("w").await.unwrap();
    assert_eq!(one.uid(), fixture.get_widget("w").uid());
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
