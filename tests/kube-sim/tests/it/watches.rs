//! Watches under paused time: lagging, frozen, broken, resumed.

use crate::{
    fixture::{Fixture, Widget},
    servers::{TestServer, conformance_tests},
};
use futures::{StreamExt, TryStreamExt};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, WatchEvent, WatchParams},
    runtime::{WatchStreamExt, reflector, watcher},
};
use serde_json::json;
use std::{pin::Pin, time::Duration};
use tokio::time::Instant;

conformance_tests!(
    a_watch_sends_past_and_new_events_from_its_version,
    a_watch_without_a_version_starts_with_existing_objects,
    a_write_that_changes_nothing_sends_no_event,
    a_change_of_the_status_is_sent_as_modified,
    an_object_that_no_longer_matches_is_sent_as_deleted,
    an_object_is_sent_as_deleted_when_its_last_finalizer_is_removed,
    a_deleted_object_comes_with_the_version_of_its_deletion,
    a_watch_from_an_expired_version_gets_410,
    a_watch_ends_after_its_timeout,
);

type Events = Pin<Box<dyn futures::Stream<Item = kube::Result<WatchEvent<Widget>>> + Send>>;

async fn open_watch(api: &Api<Widget>, params: WatchParams, since: &str) -> Events {
    api.watch(&params, since).await.unwrap().boxed()
}

/// `ADDED w`, `BOOKMARK 7`, `ERROR 410`, `end`.
async fn next_event(events: &mut Events) -> String {
    match events.next().await {
        Some(Ok(WatchEvent::Added(w))) => format!("ADDED {}", w.name_any()),
        Some(Ok(WatchEvent::Modified(w))) => format!("MODIFIED {}", w.name_any()),
        Some(Ok(WatchEvent::Deleted(w))) => format!("DELETED {}", w.name_any()),
        Some(Ok(WatchEvent::Bookmark(mark))) => format!("BOOKMARK {}", mark.metadata.resource_version),
        Some(Ok(WatchEvent::Error(status))) => format!("ERROR {}", status.code),
        Some(Err(error)) => format!("broken: {error}"),
        None => "end".into(),
    }
}

fn set_color(fixture: &Fixture, name: &str, color: &str) {
    fixture.sim.edit("Widget", "a", name, |widget| widget["spec"]["color"] = color.into());
}

/// The servers send bookmarks at different times.
fn no_bookmarks() -> WatchParams {
    WatchParams::default().disable_bookmarks()
}

async fn a_watch_sends_past_and_new_events_from_its_version(server: TestServer) {
    let start = server.create_widget("w").await.resource_version().unwrap();
    server.set_color("w", "red").await;
    let mut events = open_watch(&server.widgets(), no_bookmarks(), &start).await;
    assert_eq!(next_event(&mut events).await, "MODIFIED w");
    server.create_widget("v").await;
    assert_eq!(next_event(&mut events).await, "ADDED v");
    server.widgets().delete("w", &DeleteParams::default()).await.unwrap();
    assert_eq!(next_event(&mut events).await, "DELETED w");
}

async fn a_watch_without_a_version_starts_with_existing_objects(server: TestServer) {
    server.create_widget("w").await;
    let mut events = open_watch(&server.widgets(), no_bookmarks(), "0").await;
    assert_eq!(next_event(&mut events).await, "ADDED w");
    server.create_widget("v").await;
    assert_eq!(next_event(&mut events).await, "ADDED v");
}

async fn a_write_that_changes_nothing_sends_no_event(server: TestServer) {
    server.create_widget("w").await;
    server.set_color("w", "red").await;
    let start = server.widgets().get("w").await.unwrap().resource_version().unwrap();
    let mut events = open_watch(&server.widgets(), no_bookmarks(), &start).await;
    server.set_color("w", "red").await;
    server.create_widget("v").await;
    assert_eq!(next_event(&mut events).await, "ADDED v");
}

async fn a_change_of_the_status_is_sent_as_modified(server: TestServer) {
    let start = server.create_widget("w").await.resource_version().unwrap();
    let mut events = open_watch(&server.widgets(), no_bookmarks(), &start).await;
    let patched = server.patch_status("w", json!({"status": {"runs": 1}})).await.unwrap();
    let Some(Ok(WatchEvent::Modified(sent))) = events.next().await else { panic!("no event") };
    assert_eq!((sent.resource_version(), sent.status), (patched.resource_version(), patched.status));
}

async fn an_object_that_no_longer_matches_is_sent_as_deleted(server: TestServer) {
    let start = server.create_widget("w").await.resource_version().unwrap();
    let mut events = open_watch(&server.widgets(), no_bookmarks().fields("spec.color=red"), &start).await;
    for (color, expected) in [("red", "ADDED w"), ("blue", "DELETED w"), ("green", ""), ("red", "ADDED w")] {
        server.set_color("w", color).await;
        if !expected.is_empty() {
            assert_eq!(next_event(&mut events).await, expected, "color {color}");
        }
    }
}

async fn an_object_is_sent_as_deleted_when_its_last_finalizer_is_removed(server: TestServer) {
    let mut given = server.own_widget("w");
    given.metadata.finalizers = Some(vec!["a.b/c".into()]);
    let start = server.create(given).await.resource_version().unwrap();
    let mut events = open_watch(&server.widgets(), no_bookmarks(), &start).await;
    server.widgets().delete("w", &DeleteParams::default()).await.unwrap();
    assert_eq!(next_event(&mut events).await, "MODIFIED w");
    server.patch("w", json!({"metadata": {"finalizers": null}})).await.unwrap();
    assert_eq!(next_event(&mut events).await, "DELETED w");
}

async fn a_deleted_object_comes_with_the_version_of_its_deletion(server: TestServer) {
    let given = server.create_widget("w").await;
    let mut events = open_watch(&server.widgets(), no_bookmarks(), &given.resource_version().unwrap()).await;
    server.widgets().delete("w", &DeleteParams::default()).await.unwrap();
    let Some(Ok(WatchEvent::Deleted(deleted))) = events.next().await else { panic!("no deletion") };
    assert_ne!(deleted.resource_version(), given.resource_version());
}

async fn a_watch_from_an_expired_version_gets_410(server: TestServer) {
    let expired = server.expired_version().await;
    let mut events = open_watch(&server.widgets(), no_bookmarks(), &expired).await;
    assert_eq!(next_event(&mut events).await, "ERROR 410");
    assert_eq!(next_event(&mut events).await, "end");
}

async fn a_watch_ends_after_its_timeout(server: TestServer) {
    let start = server.create_widget("w").await.resource_version().unwrap();
    let params = no_bookmarks().timeout(1);
    let mut events = open_watch(&server.widgets(), params, &start).await;
    assert_eq!(next_event(&mut events).await, "end");
}

#[tokio::test(start_paused = true)]
async fn a_watch_times_out_after_a_bookmark_that_a_new_watch_can_resume_from() {
    let fixture = Fixture::new();
    let start = fixture.create_widget("w").resource_version().unwrap();
    fixture.sim.create(json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}));
    let opened = Instant::now();
    let mut events = open_watch(&fixture.api(), WatchParams::default().timeout(90), &start).await;
    assert_eq!(next_event(&mut events).await, "BOOKMARK 2", "after a minute, past the secret");
    assert_eq!(next_event(&mut events).await, "BOOKMARK 2");
    assert_eq!(next_event(&mut events).await, "end");
    assert_eq!(opened.elapsed().as_secs(), 90);
    set_color(&fixture, "w", "red");
    let mut events = open_watch(&fixture.api(), WatchParams::default(), "2").await;
    assert_eq!(next_event(&mut events).await, "MODIFIED w");
}

#[tokio::test(start_paused = true)]
async fn bookmarks_can_be_disabled() {
    let fixture = Fixture::new();
    let params = WatchParams::default().timeout(90).disable_bookmarks();
    let mut events = open_watch(&fixture.api(), params, "0").await;
    assert_eq!(next_event(&mut events).await, "end");
}

#[tokio::test(start_paused = true)]
async fn a_lagging_watch_is_late_but_in_order_while_lists_are_up_to_date() {
    let fixture = Fixture::new();
    let mut events = open_watch(&fixture.api(), WatchParams::default(), "0").await;
    fixture.sim.lag_watches(Duration::from_secs(5));
    let start = Instant::now();
    fixture.create_widget("one");
    tokio::time::sleep(Duration::from_secs(2)).await;
    fixture.create_widget("two");
    assert_eq!(fixture.api().list(&Default::default()).await.unwrap().items.len(), 2);
    assert_eq!((next_event(&mut events).await, start.elapsed().as_secs()), ("ADDED one".into(), 5));
    assert_eq!((next_event(&mut events).await, start.elapsed().as_secs()), ("ADDED two".into(), 7));
    fixture.create_widget("three");
    fixture.sim.lag_watches(Duration::ZERO);
    assert_eq!((next_event(&mut events).await, start.elapsed().as_secs()), ("ADDED three".into(), 7));
}

#[tokio::test(start_paused = true)]
async fn a_bookmark_is_never_newer_than_a_delayed_event() {
    let fixture = Fixture::new();
    let start = fixture.create_widget("w").resource_version().unwrap();
    fixture.sim.lag_watches(Duration::from_secs(600));
    set_color(&fixture, "w", "red");
    let mut events = open_watch(&fixture.api(), WatchParams::default().timeout(70), &start).await;
    assert_eq!(next_event(&mut events).await, format!("BOOKMARK {start}"));
    assert_eq!(next_event(&mut events).await, format!("BOOKMARK {start}"));
    assert_eq!(next_event(&mut events).await, "end");
}

#[tokio::test(start_paused = true)]
async fn a_frozen_watch_sends_nothing_until_it_thaws() {
    let fixture = Fixture::new();
    let mut events = open_watch(&fixture.api(), WatchParams::default().timeout(60), "0").await;
    fixture.sim.freeze_watches();
    fixture.create_widget("w");
    let silence = tokio::time::timeout(Duration::from_secs(3600), next_event(&mut events)).await;
    assert!(silence.is_err(), "{silence:?}");
    fixture.sim.thaw_watches();
    assert_eq!(next_event(&mut events).await, "ADDED w");
}

#[tokio::test(start_paused = true)]
async fn a_watch_from_a_compacted_version_gets_410() {
    let fixture = Fixture::new();
    let start = fixture.create_widget("w").resource_version().unwrap();
    set_color(&fixture, "w", "red");
    fixture.sim.compact();
    let mut events = open_watch(&fixture.api(), WatchParams::default(), &start).await;
    assert_eq!(next_event(&mut events).await, "ERROR 410");
    assert_eq!(next_event(&mut events).await, "end");
    let mut events = open_watch(&fixture.api(), WatchParams::default(), "2").await;
    set_color(&fixture, "w", "blue");
    assert_eq!(next_event(&mut events).await, "MODIFIED w", "the newest version is no loss");
}

#[tokio::test(start_paused = true)]
async fn a_version_that_is_more_than_an_hour_old_is_compacted_by_the_next_write() {
    let fixture = Fixture::new();
    let start = fixture.create_widget("w").resource_version().unwrap();
    set_color(&fixture, "w", "red");
    tokio::time::sleep(Duration::from_secs(3601)).await;
    set_color(&fixture, "w", "blue");
    let mut events = open_watch(&fixture.api(), WatchParams::default(), &start).await;
    assert_eq!(next_event(&mut events).await, "ERROR 410");
}

/// Follows all widgets with kube's reflector until the stream of changes is dropped.
fn start_reflector(
    fixture: &Fixture,
    config: watcher::Config,
) -> (reflector::Store<Widget>, tokio::task::JoinHandle<()>) {
    let (store, writer) = reflector::store();
    let changes = watcher(Api::all(fixture.sim.client_as("follower")), config);
    let changes = changes.default_backoff().reflect(writer).map_ok(drop);
    (store, tokio::spawn(changes.for_each(|_| async {})))
}

fn colors(store: &reflector::Store<Widget>) -> Vec<String> {
    let mut colors: Vec<String> = store.state().iter().map(|widget| widget.spec.color.clone()).collect();
    colors.sort();
    colors
}

#[tokio::test(start_paused = true)]
async fn a_reflector_survives_timeouts_breaks_outages_and_compaction_without_loss() {
    let fixture = Fixture::new();
    fixture.create_widget("one");
    let (store, task) = start_reflector(&fixture, watcher::Config::default().timeout(60));
    store.wait_until_ready().await.unwrap();
    let pause = Duration::from_secs(300);

    tokio::time::sleep(pause).await;
    set_color(&fixture, "one", "after timeouts");
    tokio::time::sleep(pause).await;
    assert_eq!(colors(&store), ["after timeouts"]);
    let lists = || fixture.sim.requests().iter().filter(|r| r.matches(kube_sim::Verb::List, "widgets")).count();
    assert_eq!(lists(), 1, "a watch that timed out is resumed without a new list");

    fixture.sim.break_watches();
    set_color(&fixture, "one", "after a break");
    tokio::time::sleep(pause).await;
    assert_eq!(colors(&store), ["after a break"]);

    fixture.sim.start_outage();
    set_color(&fixture, "one", "written while it was down");
    fixture.create_widget("two");
    tokio::time::sleep(pause).await;
    assert_eq!(colors(&store), ["after a break"]);
    fixture.sim.end_outage();
    tokio::time::sleep(pause).await;
    assert_eq!(colors(&store), ["grey", "written while it was down"]);

    fixture.sim.start_outage();
    fixture.sim.delete("Widget", "a", "two");
    fixture.sim.compact();
    fixture.sim.end_outage();
    tokio::time::sleep(pause).await;
    assert_eq!(colors(&store), ["written while it was down"]);
    assert_eq!(lists(), 2, "a compacted version needs a new list");
    task.abort();
}

#[tokio::test(start_paused = true)]
async fn a_client_reopens_a_frozen_watch() {
    let fixture = Fixture::new();
    fixture.create_widget("one");
    let (store, task) = start_reflector(&fixture, watcher::Config::default().timeout(60));
    store.wait_until_ready().await.unwrap();
    fixture.sim.freeze_watches();
    set_color(&fixture, "one", "red");
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert_eq!(colors(&store), ["grey"]);
    let opened = fixture.sim.requests().iter().filter(|r| r.matches(kube_sim::Verb::Watch, "widgets")).count();
    assert!(opened > 3, "opened {opened} times");
    fixture.sim.thaw_watches();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(colors(&store), ["red"]);
    task.abort();
}
