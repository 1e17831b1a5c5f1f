//! Names and labels of the exported series, and whether they follow the Prometheus naming conventions.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use boxsync::{
    api::Reason,
    metrics::{Metrics, PerConnectionMetrics},
};
use harness::{MetricsPage, Promtool};

use crate::promql::PromqlQuery;

/// Each metric with its labels, including those that a ServiceMonitor adds.
pub(crate) fn known_metrics() -> BTreeMap<String, BTreeSet<String>> {
    let metrics = Metrics::new("0.0.0", PerConnectionMetrics::Enabled);
    let mut known = BTreeMap::from([("up".to_owned(), with_target_labels(&[]))]);
    for row in metrics.metric_docs() {
        let own: Vec<&str> = row.labels.iter().map(|(name, _)| *name).collect();
        if row.kind == "histogram" {
            known.insert(format!("{}_bucket", row.name), with_target_labels(&[own.as_slice(), &["le"]].concat()));
            known.insert(format!("{}_sum", row.name), with_target_labels(&own));
            known.insert(format!("{}_count", row.name), with_target_labels(&own));
        } else {
            known.insert(row.name.clone(), with_target_labels(&own));
        }
    }
    known
}

fn with_target_labels(own: &[&str]) -> BTreeSet<String> {
    ["job", "instance", "namespace"].iter().chain(own).map(|name| (*name).to_owned()).collect()
}

/// Unknown metrics, labels and reasons in a query.
pub(crate) fn unknown_names(query: &str) -> Vec<String> {
    let known = known_metrics();
    let PromqlQuery { selectors, groups } = PromqlQuery::parse(query);
    let mut unknown = Vec::new();
    let mut known_labels = BTreeSet::new();
    for selector in &selectors {
        let Some(labels) = known.get(&selector.metric) else {
            unknown.push(format!("the metric {}", selector.metric));
            continue;
        };
        known_labels.extend(labels);
        for (label, text) in &selector.labels {
            if !labels.contains(label) {
                unknown.push(format!("the label {label} of {}", selector.metric));
            } else if label == "reason" {
                unknown
                    .extend(text.split('|').filter(|w| Reason::parse(w).is_none()).map(|w| format!("the reason {w}")));
            }
        }
    }
    unknown
        .extend(groups.iter().filter(|label| !known_labels.contains(label)).map(|label| format!("the label {label}")));
    unknown
}

#[test]
fn unknown_names_in_a_query_are_found() {
    for (query, expected) in [
        (r#"sum by (reason) (rate(boxsync_syncs_total{job=~"$job", reason!="Synced"}[5m]))"#, None),
        ("boxsync_sync_total", Some("the metric boxsync_sync_total")),
        ("rate(boxsync_sync_duration_seconds[5m])", Some("the metric boxsync_sync_duration_seconds")),
        (r#"boxsync_leader{name="acme"}"#, Some("the label name of boxsync_leader")),
        (r#"boxsync_connection_ready{reason=~"Stale|Old"}"#, Some("the reason Old")),
        ("sum by (code) (boxsync_syncs_total)", Some("the label code")),
    ] {
        assert_eq!(unknown_names(query).first().map(String::as_str), expected, "{query}");
    }
}

/// Checks names, types and help texts of the page with promtool.
pub(crate) async fn lint_metrics(page: &str) {
    let promtool = Promtool::new().await.expect("promtool");
    let text = to_prometheus_text(page);
    let checked = promtool.run(&["check", "metrics"], Path::new("."), &text).await;
    checked.unwrap_or_else(|problem| panic!("{problem}\n{text}"));
}

/// Converts the page to the older text format, which has no units, no info metrics, and counters with their suffix.
fn to_prometheus_text(page: &str) -> String {
    let scrape = MetricsPage::parse(page).expect("a page");
    let mut text = String::new();
    for line in page.lines() {
        let described = ["# HELP ", "# TYPE "].iter().find_map(|what| Some((*what, line.strip_prefix(what)?)));
        let line = match described {
            Some((what, rest)) => {
                let (name, rest) = rest.split_once(' ').expect("a description");
                match scrape.family(name).map(|(kind, _)| kind) {
                    Some("counter") => format!("{what}{name}_total {rest}"),
                    Some("info") => format!("{what}{name}_info {}", if rest == "info" { "gauge" } else { rest }),
                    _ => line.to_owned(),
                }
            }
            None if line.starts_with('#') => continue,
            None => line.to_owned(),
        };
        text.push_str(&line);
        text.push('\n');
    }
    text
}

#[tokio::test]
async fn metric_names_pass_the_promtool_lint() {
    let metrics = Metrics::new("0.0.0", PerConnectionMetrics::Enabled);
    let second = std::time::Duration::from_secs(1);
    metrics.syncs.inc(["Created", "Synced"]);
    metrics.sync_duration.observe(["Synced"], second);
    metrics.requests.inc(["Succeeded", "Synced"]);
    metrics.box_calls.inc(["token", "200"]);
    metrics.box_call_duration.observe(["token"], second);
    metrics.box_rate_limit_wait.observe(["users"], second);
    metrics.reconcile_duration.observe(["boxconnections"], second);
    metrics.reconcile_errors.inc(["boxconnections", "Conflict"]);
    metrics.watch_errors.inc(["userrosters"]);
    lint_metrics(&metrics.encode_openmetrics()).await;
}
