//! The operator as a process, and helm: with a stand-in for the operator, which needs no control plane.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use harness::{Helm, OperatorCommand, Secrets, TempDir, eventually};
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(20);

/// Prints how it was started, as one line of JSON, and runs until it is told to end.
const FAKE_OPERATOR: &str = r#"#!/bin/sh
trap 'exit 0' TERM
echo "{\"args\":\"$*\",\"kubeconfig\":\"$KUBECONFIG\",\"proxy\":\"$HTTPS_PROXY\",\"level\":\"$RUST_LOG\"}"
while :; do sleep 0.05; done
"#;

fn write_fake_operator(folder: &Path) -> PathBuf {
    let (text, path) = (folder.join("stand-in.sh"), folder.join("boxsync-operator"));
    fs::write(&text, FAKE_OPERATOR).expect("written");
    // Written by another process: a child that a test beside this one has just forked would hold it open for a moment,
    // and what is open for writing cannot be executed.
    let made = Command::new("install").args(["-m", "755"]).args([&text, &path]).status().expect("install runs");
    assert!(made.success(), "{made}");
    path
}

#[tokio::test]
async fn the_operator_gets_its_flags_and_environment_and_can_be_restarted() {
    let temp_dir = TempDir::new("operator").expect("scratch");
    let secrets = Secrets::default();
    secrets.add("a client's secret");
    let mut operator = OperatorCommand::new(write_fake_operator(temp_dir.path()), "/k/config")
        .flag("--box-api-url", "http://127.0.0.1:1")
        .env("RUST_LOG", "debug")
        .secrets(&secrets)
        .start(temp_dir.path())
        .expect("started");
    let expected = json!({
        "args": "run --box-api-url=http://127.0.0.1:1", "kubeconfig": "/k/config", "proxy": "", "level": "debug",
    });
    eventually("its first line", LIMIT, async || match operator.log_lines() {
        lines if lines == [expected.clone()] => Ok(()),
        lines => Err(format!("{lines:?}")),
    })
    .await;

    let first = operator.process().pid();
    operator.kill().expect("killed");
    assert!(!operator.process().is_running());
    operator.restart().expect("started");
    assert_ne!(operator.process().pid(), first);
    eventually("both starts are in one log", LIMIT, async || match operator.log_lines().len() {
        2 => Ok(()),
        count => Err(format!("{count} lines")),
    })
    .await;
    assert!(operator.terminate(LIMIT).await.expect("ends by itself").success());
    operator.assert_no_secret_in_log();
}

#[tokio::test]
async fn helm_renders_a_chart_with_values() {
    let temp_dir = TempDir::new("chart").expect("scratch");
    let chart = temp_dir.path().join("chart");
    fs::create_dir_all(chart.join("templates")).expect("created");
    fs::write(chart.join("Chart.yaml"), "{apiVersion: v2, name: chart, version: 0.1.0}").expect("written");
    let template = "{apiVersion: v1, kind: ConfigMap, \
        metadata: {name: '{{ .Release.Name }}', namespace: '{{ .Release.Namespace }}'}, data: {key: '{{ .Values.key }}'}}";
    fs::write(chart.join("templates/map.yaml"), template).expect("written");
    let helm = Helm::new().await.expect("helm");
    let rendered = helm.template(&chart, "release", "ns", &json!({"key": "a value"})).await.expect("rendered");
    assert!(rendered.contains("name: 'release', namespace: 'ns'") && rendered.contains("'a value'"), "{rendered}");
    let error = helm.template(&temp_dir.path().join("none"), "release", "ns", &json!({})).await;
    assert!(error.expect_err("there is no chart").to_string().contains("helm template"));
}
