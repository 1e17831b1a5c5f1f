//! The chart's alerts: valid for promtool, each with a rule test in which it fires and one in which it does not, and each
//! documented.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use harness::{Helm, Promtool, TempDir};
use serde_json::{Value, json};

use crate::{
    env::{chart_path, repo_path},
    helm_release::copy_dir,
};

/// The runbook in the rule tests.
const RUNBOOK: &str = "https://docs.example.com/alerts.html";

/// The PrometheusRule of a release with these values.
pub(crate) async fn render_rule(values: &Value) -> Value {
    render_rule_of(&chart_path(), values).await
}

async fn render_rule_of(chart: &Path, values: &Value) -> Value {
    let helm = Helm::new().await.expect("helm");
    let values = json!({"crds": {"install": false}, "metrics": {"prometheusRule": values}});
    let manifests = helm.template(chart, "boxsync-operator", "boxsync", &values).await.expect("rendered");
    let mut documents = manifests.split("\n---\n").filter_map(|d| serde_saphyr::from_str::<Value>(d).ok());
    documents.find(|document| document["kind"] == "PrometheusRule").expect("a PrometheusRule")
}

/// Values with which every alert is rendered.
fn with_optional_alerts(values: &Value) -> Value {
    let mut all = json!({"enabled": true, "usersListed": {"withinHours": 24}});
    let given = values.as_object().expect("values").clone();
    all.as_object_mut().expect("values").extend(given);
    all
}

fn alert_rules(rule: &Value) -> Vec<&Value> {
    rule["spec"]["groups"][0]["rules"].as_array().expect("rules").iter().collect()
}

fn alert_names(rule: &Value) -> BTreeSet<String> {
    alert_rules(rule).iter().map(|alert| alert["alert"].as_str().expect("a name").to_owned()).collect()
}

/// The rule tests in `tests/e2e/alerts`, each with its file.
fn rule_tests() -> Vec<(PathBuf, Value)> {
    let folder = fs::read_dir(repo_path("tests/e2e/alerts")).expect("readable");
    let mut paths: Vec<PathBuf> = folder.map(|entry| entry.expect("readable").path()).collect();
    paths.sort();
    let read = |path: PathBuf| {
        let yaml = fs::read_to_string(&path).expect("readable");
        let rule_test = serde_saphyr::from_str(&yaml).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        (path, rule_test)
    };
    paths.into_iter().map(read).collect()
}

#[tokio::test]
async fn every_alert_fires_when_it_should_and_only_then() {
    let rule = render_rule(&with_optional_alerts(&json!({"runbookUrl": RUNBOOK}))).await;
    let promtool = Promtool::new().await.expect("promtool");
    let scratch = TempDir::new("alerts").expect("scratch");
    // JSON is YAML.
    fs::write(scratch.path().join("rules.yaml"), rule["spec"].to_string()).expect("written");
    let check = ["check", "rules", "--lint=all", "--lint-fatal", "rules.yaml"];
    promtool.run(&check, scratch.path(), "").await.expect("valid rules");

    let (mut fired, mut silent) = (BTreeSet::new(), BTreeSet::new());
    let mut files = Vec::new();
    for (path, rule_test) in rule_tests() {
        let file = path.file_name().expect("a name").to_string_lossy().into_owned();
        fs::copy(&path, scratch.path().join(&file)).expect("copied");
        files.push(file);
        let tests = rule_test["tests"].as_array().expect("tests").iter();
        for expectation in tests.flat_map(|test| test["alert_rule_test"].as_array().cloned().unwrap_or_default()) {
            let alert = expectation["alertname"].as_str().expect("a name").to_owned();
            if expectation["exp_alerts"].as_array().is_some_and(|alerts| !alerts.is_empty()) {
                fired.insert(alert);
            } else {
                silent.insert(alert);
            }
        }
    }
    let mut test = vec!["test", "rules"];
    test.extend(files.iter().map(String::as_str));
    promtool.run(&test, scratch.path(), "").await.expect("rule tests pass");
    assert_eq!(
        (&fired, &silent),
        (&alert_names(&rule), &alert_names(&rule)),
        "each alert needs a firing and a silent test"
    );
}

#[tokio::test]
async fn every_alert_has_a_summary_a_description_and_a_runbook() {
    // As the release workflow makes it: with the repository as its home.
    let scratch = TempDir::new("released chart").expect("scratch");
    copy_dir(&chart_path(), scratch.path());
    let chart = fs::read_to_string(chart_path().join("Chart.yaml")).expect("readable");
    fs::write(scratch.path().join("Chart.yaml"), chart + "home: https://git.example.com/boxsync\n").expect("written");
    let rule = render_rule_of(scratch.path(), &with_optional_alerts(&json!({}))).await;
    let page = fs::read_to_string(repo_path("docs/alerts.md")).expect("readable");
    let sections: Vec<&str> = page.split("\n## ").skip(1).collect();
    let explained: BTreeSet<String> = sections
        .iter()
        .map(|s| s.lines().next().unwrap_or_default().to_owned())
        .filter(|s| s.starts_with("Boxsync"))
        .collect();
    assert_eq!(explained, alert_names(&rule), "docs/alerts.md has a section on each alert, and on no other");
    for section in sections.iter().filter(|s| s.starts_with("Boxsync")) {
        for part in ["**Meaning**", "**Check**", "**Fix**", "**False alarm**"] {
            assert!(section.contains(part), "no {part} in: {section}");
        }
    }
    for alert in alert_rules(&rule) {
        let name = alert["alert"].as_str().expect("a name");
        let annotation = |what: &str| alert["annotations"][what].as_str().unwrap_or_default().to_owned();
        let page = concat!("https://git.example.com/boxsync/blob/v", env!("CARGO_PKG_VERSION"), "/docs/alerts.md");
        assert_eq!(annotation("runbook_url"), format!("{page}#{}", name.to_lowercase()));
        assert!(!annotation("summary").is_empty() && !annotation("summary").ends_with('.'), "{alert}");
        assert!(
            annotation("description").contains("stay") || annotation("description").contains("stays"),
            "no word on what stays: {alert}"
        );
        let severity = alert["labels"]["severity"].as_str().expect("a severity");
        let section = sections.iter().find(|s| s.starts_with(&format!("{name}\n"))).expect("found before");
        assert!(section.contains(&format!("Severity `{severity}`")), "{name} is a {severity}: {section}");
    }
}

#[tokio::test]
async fn chart_values_appear_in_the_alerts() {
    let rule = render_rule(&json!({
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
    let severities: BTreeMap<&str, &str> = alert_rules(&rule)
        .iter()
        .map(|alert| (alert["alert"].as_str().expect("a name"), alert["labels"]["severity"].as_str().expect("one")))
        .collect();
    let expected = [
        ("BoxsyncAuthorizationLost", "ticket"),
        ("BoxsyncDown", "critical"),
        ("BoxsyncListStale", "critical"),
        ("BoxsyncNamespaceUnreadable", "ticket"),
        ("BoxsyncNobodyLeads", "critical"),
        ("BoxsyncRemovalsHeld", "ticket"),
        ("BoxsyncMassChange", "ticket"),
        ("BoxsyncSyncFailing", "ticket"),
    ];
    assert_eq!(severities, expected.into());
    for alert in alert_rules(&rule) {
        assert_eq!(alert["labels"]["team"], "identity");
        let url = alert["annotations"]["runbook_url"].as_str().expect("a URL");
        assert!(url.starts_with("https://docs.example.com/boxsync/alerts#boxsync"), "{url}");
        let expr = alert["expr"].as_str().expect("an expression");
        assert!(expr.contains(r#"job=~"kubernetes-pods|other\\d""#) && !expr.contains("boxsync-operator"), "{expr}");
    }
}
