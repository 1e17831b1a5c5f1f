//! The page and the documentation, of metrics of which each has happened.

use std::{collections::BTreeSet, time::Duration};

use harness::Scrape;
use serde_json::json;

use super::*;
use crate::api::BoxConnection;

/// A connection with this name and status.
fn connection(name: &str, status: serde_json::Value) -> Arc<BoxConnection> {
    let connection = json!({
        "apiVersion": "boxsync.dev/v1alpha1", "kind": "BoxConnection",
        "metadata": { "name": name, "namespace": "backup" },
        "spec": { "enterpriseId": "1", "auth": { "jwt": { "secretRef": { "name": "box" } } } },
        "status": status,
    });
    Arc::new(serde_json::from_value(connection).expect("a connection"))
}

fn connections() -> All {
    let held = json!({ "removals": 25, "total": 100, "digest": "d", "time": "2026-11-22T12:00:00Z" });
    let working = json!({
        "conditions": [
            { "type": "Ready", "status": "True", "reason": "RemovalsHeld", "message": "", "lastTransitionTime": "2026-11-22T12:00:00Z" },
            { "type": "Connected", "status": "True", "reason": "Connected", "message": "", "lastTransitionTime": "2026-11-22T12:00:00Z" },
            { "type": "Synced", "status": "False", "reason": "BoxUnavailable", "message": "", "lastTransitionTime": "2026-11-22T18:00:00Z" },
        ],
        "users": { "total": 100, "active": 90, "inactive": 7, "restricted": 2, "other": 1, "app": 3 },
        "held": held,
        "lastSync": { "trigger": "Scheduled", "startTime": "2026-11-22T12:00:00Z", "completionTime": "2026-11-22T12:00:05Z" },
        "nextSyncTime": "2026-11-23T12:00:00Z",
        "staleTime": "2026-11-24T12:00:05Z",
    });
    vec![connection("acme", working), connection("globex", serde_json::Value::Null)]
}

/// Everything that can happen has happened once.
fn eventful(metrics: &Metrics) {
    let second = Duration::from_secs(1);
    metrics.leader.set(1);
    metrics.syncs.add(["Created", "Synced"]);
    metrics.sync_duration.observe(["Synced"], second);
    metrics.requests.add(["Succeeded", "Synced"]);
    metrics.box_calls.add(["token", "200"]);
    metrics.box_call_duration.observe(["token"], second);
    metrics.box_told_wait.observe(["users"], second);
    metrics.reconcile_duration.observe(["boxconnections"], second);
    metrics.reconcile_errors.add(["boxconnections", "Conflict"]);
    metrics.watch_errors.add(["userrosters"]);
}

fn read(metrics: &Metrics) -> Scrape {
    let page = metrics.page();
    Scrape::read(&page).unwrap_or_else(|problem| panic!("{problem}\n{page}"))
}

#[test]
fn a_page_keeps_the_rules_before_and_after_anything_happened() {
    let metrics = Metrics::new("1.2.3", PerConnection::Shown);
    let quiet = read(&metrics);
    assert_eq!(quiet.value("boxsync_build_info", &[("version", "1.2.3")]), Some(1.0));
    assert_eq!(quiet.value("boxsync_leader", &[]), Some(0.0));
    assert_eq!(quiet.value("boxsync_paused", &[]), Some(0.0));
    eventful(&metrics);
    let _following = metrics.follow(connections);
    let busy = read(&metrics);
    assert_eq!(busy.value("boxsync_leader", &[]), Some(1.0));
    assert_eq!(busy.value("boxsync_box_calls_total", &[("endpoint", "token"), ("code", "200")]), Some(1.0));
    assert_eq!(busy.value("boxsync_box_rate_limit_wait_seconds_sum", &[("endpoint", "users")]), Some(1.0));
    assert!(metrics.page().contains("# UNIT boxsync_sync_duration_seconds seconds\n"), "{}", metrics.page());
}

#[test]
fn a_connection_has_what_its_status_says_as_long_as_it_is_there() {
    let metrics = Metrics::new("1.2.3", PerConnection::Shown);
    let following = metrics.follow(connections);
    let page = read(&metrics);
    let of = |name: &str, what: &str, label: Option<(&str, &str)>| {
        let labels: Vec<_> = [("namespace", "backup"), ("name", name)].into_iter().chain(label).collect();
        page.value(&format!("boxsync_connection_{what}"), &labels)
    };
    assert_eq!(of("acme", "ready", Some(("reason", "RemovalsHeld"))), Some(1.0));
    assert_eq!(of("acme", "connected", Some(("reason", "Connected"))), Some(1.0));
    assert_eq!(of("acme", "users", Some(("status", "restricted"))), Some(2.0));
    assert_eq!(of("acme", "users", None), Some(100.0));
    assert_eq!(of("acme", "removals_held", None), Some(25.0));
    assert_eq!(of("acme", "last_success_timestamp_seconds", None), Some(1_795_348_805.0));
    assert_eq!(of("acme", "next_sync_timestamp_seconds", None), Some(1_795_435_200.0));
    assert_eq!(of("acme", "stale_timestamp_seconds", None), Some(1_795_521_605.0));
    let failing = of("acme", "failing_since_timestamp_seconds", Some(("reason", "BoxUnavailable")));
    assert_eq!(failing, Some(1_795_370_400.0));
    assert_eq!(of("acme", "suspended", None), Some(0.0));
    assert_eq!(of("globex", "ready", Some(("reason", "NotChecked"))), Some(0.0));
    assert_eq!(of("globex", "connected", Some(("reason", "NotChecked"))), Some(0.0));
    assert_eq!(of("globex", "users", None), None);
    for time in ["last_success", "stale", "failing_since"] {
        assert_eq!(of("globex", &format!("{time}_timestamp_seconds"), None), None, "{time}");
    }
    drop(following);
    assert_eq!(read(&metrics).value("boxsync_connection_ready", &[]), None);
}

#[test]
fn the_series_of_connections_can_be_dropped() {
    let metrics = Metrics::new("1.2.3", PerConnection::Dropped);
    let before = read(&metrics).len();
    let _following = metrics.follow(connections);
    assert_eq!(read(&metrics).len(), before);
}

#[test]
fn a_thousand_connections_have_twelve_series_each() {
    let metrics = Metrics::new("1.2.3", PerConnection::Shown);
    let none = read(&metrics).len();
    let many: All = (0..1000)
        .map(|n| {
            let mut one = connections()[0].as_ref().clone();
            one.metadata.name = Some(format!("c-{n}"));
            Arc::new(one)
        })
        .collect();
    let _following = metrics.follow(move || many.clone());
    assert_eq!(read(&metrics).len() - none, 12_000);
}

#[test]
#[should_panic(expected = "is none of the words of endpoint")]
fn a_word_that_no_label_knows_is_a_mistake() {
    Metrics::new("1.2.3", PerConnection::Shown).box_calls.add(["folders", "200"]);
}

/// The documentation names exactly what is on the page.
#[test]
fn the_page_of_all_metrics_is_up_to_date() {
    let metrics = Metrics::new("1.2.3", PerConnection::Shown);
    eventful(&metrics);
    let _following = metrics.follow(connections);
    let scrape = read(&metrics);
    let told: BTreeSet<&str> = metrics.rows().iter().map(|row| row.name.as_str()).collect();
    let seen: BTreeSet<&str> = scrape
        .names()
        .into_keys()
        .map(|name| ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name))
        .collect();
    assert_eq!(told, seen);
    for row in metrics.rows() {
        let sample = if row.kind == "histogram" { format!("{}_sum", row.name) } else { row.name.clone() };
        let labels: Vec<&str> = row.labels.iter().map(|(name, _)| *name).collect();
        assert_eq!(scrape.names()[sample.as_str()], labels, "{}", row.name);
    }
    crate::testing::assert_generated("docs/metrics.md", &documentation(metrics.rows()));
}

fn documentation(rows: &[Row]) -> String {
    let mut page = String::from(HEAD);
    let (mut labels, mut known) = (String::new(), BTreeSet::new());
    for Row { name, kind, labels: own, series, help } in rows {
        let names: Vec<String> = own.iter().map(|(label, _)| format!("`{label}`")).collect();
        page.push_str(&format!("| `{name}` | {kind} | {} | {series} | {help} |\n", names.join(" ")));
        for (label, meaning) in own {
            if known.insert((label, meaning)) {
                labels.push_str(&format!("| `{label}` | {meaning} |\n"));
            }
        }
    }
    format!("{page}{LABELS}{labels}")
}

const HEAD: &str = "# Metrics

`/metrics`, on the port of `--listen`, in the text format of OpenMetrics. This page is made from the definitions in `src/metrics`; a test compares it with what is served.

A label holds a word of a list in the code, or the namespace and name of a BoxConnection. So the number of series is bounded: a metric has as many as its labels have combinations, and only those exist that have happened. No user, login, token, secret or text of an error is in any of them.
The series of connections are read from the operator's memory when the page is asked for: they follow the status and disappear with the object, twelve each at most. Only the replica that leads has them. `--connection-metrics=false` drops them.
Counters begin at 0 when the process does, and are there from their first event on.

| metric | type | labels | series at most | meaning |
| --- | --- | --- | --- | --- |
";

const LABELS: &str = "
## Labels

| label | values |
| --- | --- |
";
