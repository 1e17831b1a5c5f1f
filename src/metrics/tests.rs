//! The exported page and the generated documentation, with every metric recorded at least once.

use std::{collections::BTreeSet, time::Duration};

use harness::MetricsPage;
use serde_json::json;

use super::*;
use crate::api::BoxConnection;

/// A connection with this name and status.
fn connection_with_status(name: &str, status: serde_json::Value) -> Arc<BoxConnection> {
    let connection = json!({
        "apiVersion": "boxsync.dev/v1alpha1", "kind": "BoxConnection",
        "metadata": { "name": name, "namespace": "backup" },
        "spec": { "enterpriseId": "1", "auth": { "jwt": { "secretRef": { "name": "box" } } } },
        "status": status,
    });
    Arc::new(serde_json::from_value(connection).expect("a connection"))
}

fn sample_connections() -> ConnectionList {
    let held = json!({ "removals": 25, "total": 100, "digest": "d", "time": "2026-11-22T12:00:00Z" });
    let synced_status = json!({
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
        "history": [{
            "trigger": "Scheduled", "startTime": "2026-11-22T12:00:00Z", "completionTime": "2026-11-22T12:00:05Z",
            "reason": "Synced", "attempts": 1, "calls": 3, "massChanges": [{ "kind": "Deactivated", "users": 30 }],
        }],
    });
    vec![connection_with_status("acme", synced_status), connection_with_status("globex", serde_json::Value::Null)]
}

fn sample_watches() -> WatchReport {
    let readable = vec![("backup".to_owned(), "boxconnections", true), ("gone".to_owned(), "userrosters", false)];
    WatchReport { readable, cache_sizes: vec![("connectionstates", 2)] }
}

fn record_every_metric(metrics: &Metrics) {
    let second = Duration::from_secs(1);
    metrics.leader.set(1);
    metrics.token_refreshes.set(1);
    metrics.permits.set(1);
    metrics.clock_skew.set(-600);
    metrics.unreadable_objects.set(1);
    metrics.syncs.inc(["Created", "Synced"]);
    metrics.sync_duration.observe(["Synced"], second);
    metrics.requests.inc(["Succeeded", "Synced"]);
    metrics.box_calls.inc(["token", "200"]);
    metrics.box_call_duration.observe(["token"], second);
    metrics.box_rate_limit_wait.observe(["users"], second);
    metrics.reconcile_duration.observe(["boxconnections"], second);
    metrics.reconcile_errors.inc(["boxconnections", "Conflict"]);
    metrics.watch_errors.inc(["userrosters"]);
}

fn scrape_metrics(metrics: &Metrics) -> MetricsPage {
    let page = metrics.encode_openmetrics();
    MetricsPage::parse(&page).unwrap_or_else(|problem| panic!("{problem}\n{page}"))
}

#[test]
fn the_metrics_page_is_valid_before_and_after_any_event() {
    let metrics = Metrics::new("1.2.3", PerConnectionMetrics::Enabled);
    let before = scrape_metrics(&metrics);
    assert_eq!(before.value("boxsync_build_info", &[("version", "1.2.3")]), Some(1.0));
    assert_eq!(before.value("boxsync_leader", &[]), Some(0.0));
    assert_eq!(before.value("boxsync_paused", &[]), Some(0.0));
    record_every_metric(&metrics);
    let _guard = metrics.export_leader_series(sample_connections, sample_watches);
    let after = scrape_metrics(&metrics);
    assert_eq!(after.value("boxsync_leader", &[]), Some(1.0));
    assert_eq!(after.value("boxsync_box_calls_total", &[("box_endpoint", "token"), ("code", "200")]), Some(1.0));
    assert_eq!(after.value("boxsync_box_rate_limit_wait_seconds_sum", &[("box_endpoint", "users")]), Some(1.0));
    assert!(
        metrics.encode_openmetrics().contains("# UNIT boxsync_sync_duration_seconds seconds\n"),
        "{}",
        metrics.encode_openmetrics()
    );
}

#[test]
fn connection_series_follow_the_status_until_the_guard_is_dropped() {
    let metrics = Metrics::new("1.2.3", PerConnectionMetrics::Enabled);
    let guard = metrics.export_leader_series(sample_connections, sample_watches);
    let page = scrape_metrics(&metrics);
    let value_of = |name: &str, what: &str, label: Option<(&str, &str)>| {
        let labels: Vec<_> = [("connection_namespace", "backup"), ("name", name)].into_iter().chain(label).collect();
        page.value(&format!("boxsync_connection_{what}"), &labels)
    };
    assert_eq!(value_of("acme", "ready", Some(("reason", "RemovalsHeld"))), Some(1.0));
    assert_eq!(value_of("acme", "connected", Some(("reason", "Connected"))), Some(1.0));
    assert_eq!(value_of("acme", "users", Some(("status", "restricted"))), Some(2.0));
    assert_eq!(value_of("acme", "users", None), Some(100.0));
    assert_eq!(value_of("acme", "removals_held", None), Some(25.0));
    let mass_change = value_of("acme", "mass_change_timestamp_seconds", Some(("kind", "Deactivated")));
    assert_eq!(mass_change, Some(1_795_348_805.0));
    assert_eq!(value_of("acme", "last_success_timestamp_seconds", None), Some(1_795_348_805.0));
    assert_eq!(value_of("acme", "next_sync_timestamp_seconds", None), Some(1_795_435_200.0));
    assert_eq!(value_of("acme", "stale_timestamp_seconds", None), Some(1_795_521_605.0));
    let failing = value_of("acme", "failing_since_timestamp_seconds", Some(("reason", "BoxUnavailable")));
    assert_eq!(failing, Some(1_795_370_400.0));
    assert_eq!(value_of("acme", "suspended", None), Some(0.0));
    for (namespace, readable) in [("backup", 1.0), ("gone", 0.0)] {
        assert_eq!(
            page.value("boxsync_watch_readable", &[("watched_namespace", namespace)]),
            Some(readable),
            "{namespace}"
        );
    }
    assert_eq!(page.value("boxsync_cache_entries", &[("cache", "connectionstates")]), Some(2.0));
    assert_eq!(value_of("globex", "ready", Some(("reason", "NotChecked"))), Some(0.0));
    assert_eq!(value_of("globex", "connected", Some(("reason", "NotChecked"))), Some(0.0));
    assert_eq!(value_of("globex", "users", None), None);
    for time in ["last_success", "stale", "failing_since"] {
        assert_eq!(value_of("globex", &format!("{time}_timestamp_seconds"), None), None, "{time}");
    }
    drop(guard);
    assert_eq!(scrape_metrics(&metrics).value("boxsync_connection_ready", &[]), None);
}

#[test]
fn connection_series_can_be_disabled() {
    let metrics = Metrics::new("1.2.3", PerConnectionMetrics::Disabled);
    let before = scrape_metrics(&metrics).len();
    let _guard = metrics.export_leader_series(sample_connections, sample_watches);
    assert_eq!(scrape_metrics(&metrics).len() - before, 3, "those of the watches and caches");
}

#[test]
fn a_thousand_connections_have_thirteen_series_each() {
    let metrics = Metrics::new("1.2.3", PerConnectionMetrics::Enabled);
    let none = scrape_metrics(&metrics).len();
    let many: ConnectionList = (0..1000)
        .map(|n| {
            let mut one = sample_connections()[0].as_ref().clone();
            one.metadata.name = Some(format!("c-{n}"));
            Arc::new(one)
        })
        .collect();
    let _guard = metrics
        .export_leader_series(move || many.clone(), || WatchReport { readable: Vec::new(), cache_sizes: Vec::new() });
    assert_eq!(scrape_metrics(&metrics).len() - none, 13_000);
}

#[test]
#[should_panic(expected = "is not a value of label box_endpoint")]
fn an_unknown_label_value_panics() {
    Metrics::new("1.2.3", PerConnectionMetrics::Enabled).box_calls.inc(["folders", "200"]);
}

/// What the Prometheus operator sets from the target. A series that has such a label itself loses it to `exported_…`, or
/// replaces the target's; which of the two is not ours to say.
const TARGET_LABELS: [&str; 8] = ["job", "instance", "namespace", "pod", "container", "service", "endpoint", "node"];

#[test]
fn no_label_is_one_that_prometheus_sets_from_the_target() {
    for row in Metrics::new("1.2.3", PerConnectionMetrics::Enabled).metric_docs() {
        for (label, _) in &row.labels {
            assert!(!TARGET_LABELS.contains(label) && !label.starts_with("exported_"), "{label} of {}", row.name);
        }
    }
}

/// The documentation names exactly what is on the page.
#[test]
fn the_metrics_documentation_is_up_to_date() {
    let metrics = Metrics::new("1.2.3", PerConnectionMetrics::Enabled);
    record_every_metric(&metrics);
    let _guard = metrics.export_leader_series(sample_connections, sample_watches);
    let scrape = scrape_metrics(&metrics);
    let documented: BTreeSet<&str> = metrics.metric_docs().iter().map(|row| row.name.as_str()).collect();
    let exported: BTreeSet<&str> = scrape
        .label_names_by_sample()
        .into_keys()
        .map(|name| ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name))
        .collect();
    assert_eq!(documented, exported);
    for row in metrics.metric_docs() {
        let sample = if row.kind == "histogram" { format!("{}_sum", row.name) } else { row.name.clone() };
        let labels: Vec<&str> = row.labels.iter().map(|(name, _)| *name).collect();
        assert_eq!(scrape.label_names_by_sample()[sample.as_str()], labels, "{}", row.name);
    }
    crate::test_support::assert_generated("docs/metrics.md", &render_documentation(metrics.metric_docs()));
}

fn render_documentation(rows: &[MetricDoc]) -> String {
    let mut page = String::from(HEAD);
    let (mut labels, mut written) = (String::new(), BTreeSet::new());
    for MetricDoc { name, kind, labels: own, series, help } in rows {
        let names: Vec<String> = own.iter().map(|(label, _)| format!("`{label}`")).collect();
        page.push_str(&format!("| `{name}` | {kind} | {} | {series} | {help} |\n", names.join(" ")));
        for (label, meaning) in own {
            if written.insert((label, meaning)) {
                labels.push_str(&format!("| `{label}` | {meaning} |\n"));
            }
        }
    }
    format!("{page}{LABELS}{labels}")
}

const HEAD: &str = "# Metrics

`/metrics`, on the port of `--listen`, in the text format of OpenMetrics. This page is generated from the definitions in `src/metrics`; a test compares it with the exported metrics.

A label value comes from a fixed list, or is the namespace or name of a BoxConnection or a namespace of `--watch-namespace`. So the number of series is bounded by the combinations of label values, and a series exists only after its first event. No user, login, token, secret or error text is exported.
No label is one that Prometheus sets from its target (`namespace`, `endpoint`, …): the namespace of a connection is `connection_namespace`, so `honorLabels` is not needed, and an enforced label `namespace`, as in OpenShift's user workload monitoring, rewrites nothing.
The series of connections are computed from the status on each scrape and disappear with the object, twelve each at most. `--connection-metrics=false` disables them. Only the leader exports them and the series of watches and caches.
Counters start at 0 with the process, and exist after their first event.

| metric | type | labels | series at most | meaning |
| --- | --- | --- | --- | --- |
";

const LABELS: &str = "
## Labels

| label | values |
| --- | --- |
";
