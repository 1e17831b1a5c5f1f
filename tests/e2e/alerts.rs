//! The alerts as the chart ships them: right by promtool, each told in a story in which it fires and in one in which it
//! does not, and each explained in the docs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use harness::{Helm, Promtool, Scratch};
use serde_json::{Value, json};

use crate::stage::{chart, repository};

/// The PrometheusRule of a release with these values.
pub(crate) async fn rendered(values: &Value) -> Value {
    let helm = Helm::new().await.expect("helm");
    let values = json!({"crds": {"install": false}, "metrics": {"prometheusRule": values}});
    let manifests = helm.template(&chart(), "boxsync-operator", "boxsync", &values).await.expect("rendered");
    let mut documents = manifests.split("\n---\n").filter_map(|d| serde_saphyr::from_str::<Value>(d).ok());
    documents.find(|document| document["kind"] == "PrometheusRule").expect("a PrometheusRule")
}

fn alerts(rule: &Value) -> Vec<&Value> {
    rule["spec"]["groups"][0]["rules"].as_array().expect("rules").iter().collect()
}

fn names(rule: &Value) -> BTreeSet<String> {
    alerts(rule).iter().map(|alert| alert["alert"].as_str().expect("a name").to_owned()).collect()
}

/// The stories of `tests/e2e/alerts`, each with its file.
fn stories() -> Vec<(PathBuf, Value)> {
    let folder = fs::read_dir(repository("tests/e2e/alerts")).expect("readable");
    let mut paths: Vec<PathBuf> = folder.map(|entry| entry.expect("readable").path()).collect();
    paths.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("readable");
        let story = serde_saphyr::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        (path, story)
    };
    paths.into_iter().map(read).collect()
}

#[tokio::test]
async fn every_alert_fires_when_it_should_and_only_then() {
    let rule = rendered(&json!({"enabled": true})).await;
    let promtool = Promtool::new().await.expect("promtool");
    let scratch = Scratch::new("alerts").expect("scratch");
    // JSON is YAML.
    fs::write(scratch.path().join("rules.yaml"), rule["spec"].to_string()).expect("written");
    let check = ["check", "rules", "--lint=all", "--lint-fatal", "rules.yaml"];
    promtool.run(&check, scratch.path(), "").await.expect("right");

    let (mut fired, mut silent) = (BTreeSet::new(), BTreeSet::new());
    let mut files = Vec::new();
    for (path, story) in stories() {
        let file = path.file_name().expect("a name").to_string_lossy().into_owned();
        fs::copy(&path, scratch.path().join(&file)).expect("copied");
        files.push(file);
        let tests = story["tests"].as_array().expect("tests").iter();
        for told in tests.flat_map(|test| test["alert_rule_test"].as_array().cloned().unwrap_or_default()) {
            let alert = told["alertname"].as_str().expect("a name").to_owned();
            if told["exp_alerts"].as_array().is_some_and(|alerts| !alerts.is_empty()) {
                fired.insert(alert);
            } else {
                silent.insert(alert);
            }
        }
    }
    let mut test = vec!["test", "rules"];
    test.extend(files.iter().map(String::as_str));
    promtool.run(&test, scratch.path(), "").await.expect("as the stories have it");
    assert_eq!((&fired, &silent), (&names(&rule), &names(&rule)), "each alert has a story for both");
}

#[tokio::test]
async fn every_alert_says_what_happened_and_where_its_runbook_is() {
    let rule = rendered(&json!({"enabled": true})).await;
    let page = fs::read_to_string(repository("docs/alerts.md")).expect("readable");
    let sections: Vec<&str> = page.split("\n## ").skip(1).collect();
    let explained: BTreeSet<String> = sections
        .iter()
        .map(|s| s.lines().next().unwrap_or_default().to_owned())
        .filter(|s| s.starts_with("Boxsync"))
        .collect();
    assert_eq!(explained, names(&rule), "docs/alerts.md has a section on each alert, and on no other");
    for section in sections.iter().filter(|s| s.starts_with("Boxsync")) {
        for part in ["**Means**", "**Look**", "**Do**", "**No alarm**"] {
            assert!(section.contains(part), "no {part} in: {section}");
        }
    }
    for alert in alerts(&rule) {
        let name = alert["alert"].as_str().expect("a name");
        let said = |what: &str| alert["annotations"][what].as_str().unwrap_or_default().to_owned();
        assert_eq!(said("runbook_url"), format!("docs/alerts.md#{}", name.to_lowercase()));
        assert!(!said("summary").is_empty() && !said("summary").ends_with('.'), "{alert}");
        assert!(said("description").contains("stay") || said("description").contains("stays"), "what stays? {alert}");
        let severity = alert["labels"]["severity"].as_str().expect("a severity");
        let section = sections.iter().find(|s| s.starts_with(&format!("{name}\n"))).expect("found before");
        assert!(section.contains(&format!("Severity `{severity}`")), "{name} is a {severity}: {section}");
    }
}

#[tokio::test]
async fn what_an_installation_chooses_stands_in_the_alerts() {
    let rule = rendered(&json!({
        "enabled": true,
        "labels": {"release": "prometheus"},
        "runbookUrl": "https://docs.example.com/boxsync/alerts",
        "severities": {"page": "critical"},
        "alertLabels": {"team": "identity"},
        "disabled": ["BoxsyncPaused"],
        "job": r"kubernetes-pods|other\d",
    }))
    .await;
    assert_eq!(rule["metadata"]["labels"]["release"], "prometheus");
    let severities: BTreeMap<&str, &str> = alerts(&rule)
        .iter()
        .map(|alert| (alert["alert"].as_str().expect("a name"), alert["labels"]["severity"].as_str().expect("one")))
        .collect();
    let expected = [
        ("BoxsyncAuthorizationLost", "ticket"),
        ("BoxsyncDown", "critical"),
        ("BoxsyncListStale", "critical"),
        ("BoxsyncNobodyLeads", "critical"),
        ("BoxsyncRemovalsHeld", "ticket"),
        ("BoxsyncSyncFailing", "ticket"),
    ];
    assert_eq!(severities, expected.into());
    for alert in alerts(&rule) {
        assert_eq!(alert["labels"]["team"], "identity");
        let url = alert["annotations"]["runbook_url"].as_str().expect("a URL");
        assert!(url.starts_with("https://docs.example.com/boxsync/alerts#boxsync"), "{url}");
        let expr = alert["expr"].as_str().expect("an expression");
        assert!(expr.contains(r#"job=~"kubernetes-pods|other\\d""#) && !expr.contains("boxsync-operator"), "{expr}");
    }
}
