//! The chart's dashboard, and every query in it and in the alerts: valid for promtool, and only on exported series.

use std::collections::BTreeSet;
use std::fs;

use harness::{Helm, Promtool, TempDir};
use serde_json::{Value, json};

use crate::{
    alerts,
    env::{chart_path, repo_path},
    metric_names,
    promql::PromqlQuery,
};

fn read_dashboard() -> Value {
    let text = fs::read_to_string(repo_path("charts/boxsync-operator/files/dashboard.json")).expect("readable");
    serde_json::from_str(&text).expect("JSON")
}

fn elements<'a>(value: &'a Value, list: &str) -> impl Iterator<Item = &'a Value> {
    value[list].as_array().into_iter().flatten()
}

fn str_field<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("no {field} in {value}"))
}

/// Every query with its location; variables are not replaced.
async fn all_queries() -> Vec<(String, String)> {
    let mut queries = Vec::new();
    let dashboard = read_dashboard();
    for panel in elements(&dashboard, "panels") {
        for target in elements(panel, "targets") {
            let location = format!("panel {}, {}", str_field(panel, "title"), str_field(target, "refId"));
            queries.push((location, str_field(target, "expr").to_owned()));
        }
    }
    for variable in elements(&dashboard["templating"], "list").filter(|v| v["type"] == "query") {
        let values =
            str_field(&variable["query"], "query").strip_prefix("label_values(").and_then(|q| q.strip_suffix(')'));
        let (series, label) = values.and_then(|q| q.rsplit_once(", ")).expect("label_values(SERIES, LABEL)");
        queries.push((format!("variable {}", str_field(variable, "name")), format!("count by ({label}) ({series})")));
    }
    let rule = alerts::render_rule(&json!({"enabled": true})).await;
    for alert in elements(&rule["spec"]["groups"][0], "rules") {
        queries.push((format!("alert {}", str_field(alert, "alert")), str_field(alert, "expr").to_owned()));
    }
    queries
}

#[tokio::test]
async fn every_query_is_valid_and_uses_existing_metrics() {
    let mut wrong = Vec::new();
    let mut groups = Vec::new();
    for (n, (location, query)) in all_queries().await.into_iter().enumerate() {
        let query = query.replace("$__rate_interval", "5m");
        if PromqlQuery::parse(&query).groups.contains("namespace") {
            wrong.push(format!("{location}: groups by the operator's namespace in {query}"));
        }
        wrong.extend(
            metric_names::unknown_names(&query)
                .into_iter()
                .map(|what| format!("{location}: {what} is unknown in {query}")),
        );
        let rule = json!({"record": "boxsync:query", "expr": query});
        groups.push(json!({"name": format!("{n}: {location}"), "rules": [rule]}));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(groups.len() > 30, "{}", groups.len());
    let scratch = TempDir::new("queries").expect("scratch");
    fs::write(scratch.path().join("queries.yaml"), json!({"groups": groups}).to_string()).expect("written");
    let promtool = Promtool::new().await.expect("promtool");
    promtool.run(&["check", "rules", "--lint=none", "queries.yaml"], scratch.path(), "").await.expect("PromQL");
}

#[tokio::test]
async fn every_variable_is_defined() {
    let dashboard = read_dashboard();
    let variables: BTreeSet<&str> = elements(&dashboard["templating"], "list").map(|v| str_field(v, "name")).collect();
    assert_eq!(variables, ["connection", "datasource", "job", "namespace"].into());
    for (location, query) in all_queries().await {
        for rest in query.split('$').skip(1) {
            let name = rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default();
            assert!(variables.contains(name) || name == "__rate_interval", "{location}: ${name}");
        }
    }
}

#[test]
fn every_panel_has_a_description_and_does_not_overlap() {
    let dashboard = read_dashboard();
    let (mut ids, mut taken) = (BTreeSet::new(), BTreeSet::new());
    for panel in elements(&dashboard, "panels") {
        assert!(ids.insert(panel["id"].as_i64().expect("an id")), "duplicate panel ID: {panel}");
        let size = |dimension: &str| panel["gridPos"][dimension].as_i64().expect("a number");
        assert!(size("x") + size("w") <= 24, "{panel}");
        for (x, y) in
            (size("x")..size("x") + size("w")).flat_map(|x| (size("y")..size("y") + size("h")).map(move |y| (x, y)))
        {
            assert!(taken.insert((x, y)), "panel overlaps another: {}", str_field(panel, "title"));
        }
        if panel["type"] != "row" {
            assert!(!str_field(panel, "description").is_empty());
            for element in elements(panel, "targets").chain([panel]) {
                assert_eq!(element["datasource"], json!({"type": "prometheus", "uid": "${datasource}"}));
            }
        }
    }
}

#[tokio::test]
async fn grafanas_sidecar_finds_the_dashboard() {
    let helm = Helm::new().await.expect("helm");
    let render = async |values: Value| {
        let values = json!({"crds": {"install": false}, "metrics": {"dashboard": values}});
        let manifests = helm.template(&chart_path(), "boxsync-operator", "boxsync", &values).await.expect("rendered");
        let documents = manifests.split("\n---\n").filter_map(|d| serde_saphyr::from_str::<Value>(d).ok());
        documents.filter(|document| document["kind"] == "ConfigMap").collect::<Vec<_>>()
    };
    assert_eq!(render(json!({})).await, Vec::<Value>::new());
    let found = render(json!({"enabled": true})).await;
    let [map] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(
        (&map["metadata"]["name"], &map["metadata"]["namespace"]),
        (&json!("boxsync-operator-dashboard"), &json!("boxsync"))
    );
    assert_eq!(map["metadata"]["labels"]["grafana_dashboard"], "1");
    assert_eq!(serde_json::from_str::<Value>(str_field(&map["data"], "boxsync.json")).expect("JSON"), read_dashboard());

    let elsewhere = json!({
        "enabled": true, "namespace": "monitoring",
        "labels": {"grafana_dashboard": null, "dashboards": "box"}, "annotations": {"grafana_folder": "Box"},
    });
    let found = render(elsewhere).await;
    let metadata = &found[0]["metadata"];
    assert_eq!(
        (&metadata["namespace"], &metadata["annotations"]),
        (&json!("monitoring"), &json!({"grafana_folder": "Box"}))
    );
    assert_eq!(
        (&metadata["labels"]["dashboards"], &metadata["labels"]["grafana_dashboard"]),
        (&json!("box"), &Value::Null)
    );
}
