//! `kubectl get` without an operator: status defaults, columns, short names, dry runs.

use harness::Kubectl;
use serde_json::{Value, json};

use crate::{
    env::{assert_no_warning, connection_yaml, expect_no_warning, repo_path, request_yaml, shared_plane},
    table::KubectlTable,
};

async fn kubectl_in_new_namespace(test: &str) -> Kubectl {
    shared_plane().await.create_namespace(test).await.expect("namespace").kubectl()
}

async fn run(kubectl: &Kubectl, args: &[&str]) -> String {
    expect_no_warning(kubectl.run(args).await.expect("kubectl"))
}

async fn apply_manifest(kubectl: &Kubectl, yaml: &str) {
    expect_no_warning(kubectl.apply_yaml(yaml).await.expect("kubectl"));
}

#[tokio::test]
async fn a_new_object_says_that_no_operator_has_observed_it_yet() {
    let kubectl = kubectl_in_new_namespace("new objects").await;
    apply_manifest(&kubectl, &connection_yaml("acme", "1001", "clientCredentials", "")).await;
    let acme = kubectl.get_json(["boxconnection", "acme"]).await.expect("read");
    assert_eq!(acme["status"]["observedGeneration"], -1);
    let ready = &acme["status"]["conditions"][0];
    assert_eq!(
        (&ready["type"], &ready["status"], &ready["reason"]),
        (&json!("Ready"), &json!("Unknown"), &json!("WaitingForOperator"))
    );
    let message = ready["message"].as_str().unwrap_or_default();
    assert!(message.contains("No operator has processed this connection yet"), "{message}");
    // No default interval: it would conflict with a schedule that is set later.
    assert_eq!((&acme["spec"]["syncInterval"], &acme["spec"]["suspend"]), (&Value::Null, &json!(false)));

    let output = kubectl.create_yaml(&request_yaml("acme", "")).await.expect("kubectl");
    output.into_stdout().expect("created");
    let requests = kubectl.get_json(["usersyncrequests"]).await.expect("read");
    let status = &requests["items"][0]["status"];
    assert_eq!((&status["observedGeneration"], &status["phase"]), (&json!(-1), &json!("Pending")));
    assert_eq!(requests["items"][0]["spec"]["activeDeadlineSeconds"], 3600);
    // A wait for completion times out instead of succeeding at once.
    let waited = kubectl.run(["wait", "--for=condition=Ready", "boxconn/acme", "--timeout=1s"]).await.expect("kubectl");
    assert!(!waited.status.success());
}

#[tokio::test]
async fn kubectl_get_has_the_columns_and_names_that_are_documented() {
    let kubectl = kubectl_in_new_namespace("columns").await;
    apply_manifest(&kubectl, &connection_yaml("acme", "1001", "clientCredentials", "")).await;
    kubectl.create_yaml(&request_yaml("acme", "")).await.expect("kubectl").into_stdout().expect("created");
    let table = KubectlTable::parse(&run(&kubectl, &["get", "boxconnections"]).await);
    let columns = ["NAME", "READY", "STATUS", "USERS", "LIST-AGE", "AGE"];
    assert_eq!(table.header, columns);
    assert_eq!(table.row("acme")[..5], ["acme", "Unknown", "WaitingForOperator", "", ""]);
    let wide = KubectlTable::parse(&run(&kubectl, &["get", "boxconn", "-o", "wide"]).await);
    let more = ["CONNECTED", "SYNCED", "SUSPENDED", "ENTERPRISE", "ACTIVE", "REMOVED", "NEXT-SYNC"];
    assert_eq!(wide.header[6..], more);
    assert_eq!(wide.row("acme")[8..10], ["false", "1001"]);

    let table = KubectlTable::parse(&run(&kubectl, &["get", "usersyncrequests"]).await);
    let columns = ["NAME", "CONNECTION", "PHASE", "REASON", "USERS", "AGE"];
    assert_eq!(table.header, columns);
    assert_eq!(table.rows[0][1..5], ["acme", "Pending", "", ""]);
    let wide = KubectlTable::parse(&run(&kubectl, &["get", "usersync", "-o", "wide"]).await);
    assert_eq!(wide.header[6..], ["ADDED", "UPDATED", "REMOVED", "REVISION", "COMPLETED"]);

    let all = run(&kubectl, &["get", "boxsync", "-o", "name"]).await;
    let kinds: Vec<_> = all.lines().filter_map(|line| line.split('/').next()).collect();
    assert_eq!(kinds, ["boxconnection.boxsync.dev", "usersyncrequest.boxsync.dev"]);
    let field = "--field-selector=spec.connectionRef.name=acme,status.phase=Pending";
    assert_eq!(run(&kubectl, &["get", "usersync", "-o", "name", field]).await.lines().count(), 1);
}

/// The rows of the connections that the operator has been recorded with; their names are short, as the widths of others are
/// their owners' choice.
#[tokio::test]
async fn tables_fit_a_terminal_in_every_state() {
    let kubectl = kubectl_in_new_namespace("table widths").await;
    let states = repo_path("config/argocd/boxsync.dev/BoxConnection/testdata");
    let mut count = 0;
    for entry in std::fs::read_dir(states).expect("readable") {
        let yaml = std::fs::read_to_string(entry.expect("readable").path()).expect("readable");
        let mut connection: Value = serde_saphyr::from_str(&yaml).expect("YAML");
        count += 1;
        connection["metadata"] = json!({ "name": format!("acme-{count:02}") });
        apply_manifest(&kubectl, &connection.to_string()).await;
        let status = json!({ "status": connection["status"] }).to_string();
        let name = format!("acme-{count:02}");
        run(&kubectl, &["patch", "boxconn", &name, "--subresource=status", "--type=merge", "-p", &status]).await;
    }
    assert!(count > 20, "{count} states");
    for (flags, limit) in [(&[][..], 80), (&["-o", "wide"], 200)] {
        let table = run(&kubectl, &[&["get", "boxconnections"], flags].concat()).await;
        assert_eq!(table.lines().count(), count + 1);
        for line in table.lines() {
            assert!(line.trim_end().chars().count() <= limit, "wider than {limit}: {line}");
        }
    }
}

/// A GitOps tool that applies the CRDs sees no permanent difference.
#[tokio::test]
async fn the_api_server_stores_the_crds_unchanged() {
    fn find_difference(path: &str, written: &Value, stored: &Value) -> Option<String> {
        match (written, stored) {
            (Value::Object(written), Value::Object(stored)) => written.iter().find_map(|(key, value)| {
                find_difference(&format!("{path}.{key}"), value, stored.get(key).unwrap_or(&Value::Null))
            }),
            (Value::Array(written), Value::Array(stored)) if written.len() == stored.len() => written
                .iter()
                .zip(stored)
                .find_map(|(written, stored)| find_difference(&format!("{path}[]"), written, stored)),
            (Value::Number(written), Value::Number(stored)) if written.as_f64() == stored.as_f64() => None,
            (written, stored) => (written != stored).then(|| format!("{path}: wrote {written}, stored {stored}")),
        }
    }
    let kubectl = kubectl_in_new_namespace("crds").await;
    for crd in boxsync::api::crds() {
        let name = crd.metadata.name.clone().unwrap_or_default();
        let stored = kubectl.get_json(["crd", &name]).await.expect("read");
        assert_eq!(find_difference(&name, &json!(crd), &stored), None);
    }
}

#[tokio::test]
async fn a_dry_run_validates_and_stores_nothing() {
    let kubectl = kubectl_in_new_namespace("dry run").await;
    let dry_run = ["apply", "--dry-run=server", "-f", "-"];
    let output = kubectl.run_with_stdin(dry_run, &connection_yaml("acme", "1001", "jwt", "")).await.expect("kubectl");
    assert_no_warning(&output);
    assert!(output.into_stdout().expect("accepted").contains("created (server dry run)"));
    assert_eq!(run(&kubectl, &["get", "boxsync", "-o", "name"]).await, "");
}
