//! The dashboard as the chart ships it, and every query in it and in the alerts: promtool reads it, and it names series
//! that there are.

use std::collections::BTreeSet;
use std::fs;

use harness::{Helm, Promtool, Scratch};
use serde_json::{Value, json};

use crate::stage::{chart, repository};
use crate::{alerts, series};

fn dashboard() -> Value {
    let text = fs::read_to_string(repository("charts/boxsync-operator/files/dashboard.json")).expect("readable");
    serde_json::from_str(&text).expect("JSON")
}

fn each<'a>(value: &'a Value, list: &str) -> impl Iterator<Item = &'a Value> {
    value[list].as_array().into_iter().flatten()
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("no {field} in {value}"))
}

/// Every query, with where it stands; variables are still in it.
async fn queries() -> Vec<(String, String)> {
    let mut queries = Vec::new();
    let dashboard = dashboard();
    for panel in each(&dashboard, "panels") {
        for target in each(panel, "targets") {
            let place = format!("panel {}, {}", text(panel, "title"), text(target, "refId"));
            queries.push((place, text(target, "expr").to_owned()));
        }
    }
    for variable in each(&dashboard["templating"], "list").filter(|v| v["type"] == "query") {
        let values = text(&variable["query"], "query").strip_prefix("label_values(").and_then(|q| q.strip_suffix(')'));
        let (series, label) = values.and_then(|q| q.rsplit_once(", ")).expect("label_values(SERIES, LABEL)");
        queries.push((format!("variable {}", text(variable, "name")), format!("count by ({label}) ({series})")));
    }
    let rule = alerts::rendered(&json!({"enabled": true})).await;
    for alert in each(&rule["spec"]["groups"][0], "rules") {
        queries.push((format!("alert {}", text(alert, "alert")), text(alert, "expr").to_owned()));
    }
    queries
}

#[tokio::test]
async fn every_query_is_right_and_names_series_that_there_are() {
    let mut wrong = Vec::new();
    let mut groups = Vec::new();
    for (n, (place, query)) in queries().await.into_iter().enumerate() {
        let query = query.replace("$__rate_interval", "5m");
        wrong.extend(series::unknown(&query).into_iter().map(|what| format!("{place}: {what} is unknown in {query}")));
        let rule = json!({"record": "boxsync:query", "expr": query});
        groups.push(json!({"name": format!("{n}: {place}"), "rules": [rule]}));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(groups.len() > 30, "{}", groups.len());
    let scratch = Scratch::new("queries").expect("scratch");
    fs::write(scratch.path().join("queries.yaml"), json!({"groups": groups}).to_string()).expect("written");
    let promtool = Promtool::new().await.expect("promtool");
    promtool.run(&["check", "rules", "--lint=none", "queries.yaml"], scratch.path(), "").await.expect("PromQL");
}

#[tokio::test]
async fn every_variable_is_there() {
    let dashboard = dashboard();
    let variables: BTreeSet<&str> = each(&dashboard["templating"], "list").map(|v| text(v, "name")).collect();
    assert_eq!(variables, ["connection", "datasource", "job", "namespace"].into());
    for (place, query) in queries().await {
        for rest in query.split('$').skip(1) {
            let name = rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default();
            assert!(variables.contains(name) || name == "__rate_interval", "{place}: ${name}");
        }
    }
}

#[test]
fn every_panel_says_what_it_shows_and_has_a_place_of_its_own() {
    let dashboard = dashboard();
    let (mut ids, mut taken) = (BTreeSet::new(), BTreeSet::new());
    for panel in each(&dashboard, "panels") {
        assert!(ids.insert(panel["id"].as_i64().expect("an id")), "twice: {panel}");
        let size = |of: &str| panel["gridPos"][of].as_i64().expect("a number");
        assert!(size("x") + size("w") <= 24, "{panel}");
        for (x, y) in
            (size("x")..size("x") + size("w")).flat_map(|x| (size("y")..size("y") + size("h")).map(move |y| (x, y)))
        {
            assert!(taken.insert((x, y)), "over another one: {}", text(panel, "title"));
        }
        if panel["type"] != "row" {
            assert!(!text(panel, "description").is_empty());
            for place in each(panel, "targets").chain([panel]) {
                assert_eq!(place["datasource"], json!({"type": "prometheus", "uid": "${datasource}"}));
            }
        }
    }
}

#[tokio::test]
async fn grafanas_sidecar_finds_the_dashboard() {
    let helm = Helm::new().await.expect("helm");
    let render = async |values: Value| {
        let values = json!({"crds": {"install": false}, "metrics": {"dashboard": values}});
        let manifests = helm.template(&chart(), "boxsync-operator", "boxsync", &values).await.expect("rendered");
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
    assert_eq!(serde_json::from_str::<Value>(text(&map["data"], "boxsync.json")).expect("JSON"), dashboard());

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
