//! What somebody sees before and beside the operator: status defaults, columns, names, dry runs.

use harness::Kubectl;
use serde_json::{Value, json};

use crate::stage::{connection, plane, request, without_warning};
use crate::table::Table;

async fn bare(test: &str) -> Kubectl {
    plane().await.namespace(test).await.expect("namespace").kubectl()
}

async fn run(kubectl: &Kubectl, args: &[&str]) -> String {
    let output = kubectl.run(args).await.expect("kubectl");
    without_warning(&output);
    output.succeeded().expect("done")
}

async fn apply(kubectl: &Kubectl, yaml: &str) {
    let output = kubectl.apply_yaml(yaml).await.expect("kubectl");
    without_warning(&output);
    output.succeeded().expect("applied");
}

#[tokio::test]
async fn a_new_object_says_that_no_operator_has_looked_at_it_yet() {
    let kubectl = bare("new objects").await;
    apply(&kubectl, &connection("acme", "1001", "clientCredentials", "")).await;
    let acme = kubectl.get_json(["boxconnection", "acme"]).await.expect("read");
    assert_eq!(acme["status"]["observedGeneration"], -1);
    let ready = &acme["status"]["conditions"][0];
    assert_eq!(
        (&ready["type"], &ready["status"], &ready["reason"]),
        (&json!("Ready"), &json!("Unknown"), &json!("WaitingForOperator"))
    );
    let message = ready["message"].as_str().unwrap_or_default();
    assert!(message.contains("No operator has looked at this connection yet"), "{message}");
    // No interval is filled in: it would stand beside a schedule that is written later.
    assert_eq!((&acme["spec"]["syncInterval"], &acme["spec"]["suspend"]), (&Value::Null, &json!(false)));

    let output = kubectl.create_yaml(&request("acme", "")).await.expect("kubectl");
    output.succeeded().expect("created");
    let requests = kubectl.get_json(["usersyncrequests"]).await.expect("read");
    let status = &requests["items"][0]["status"];
    assert_eq!((&status["observedGeneration"], &status["phase"]), (&json!(-1), &json!("Pending")));
    assert_eq!(requests["items"][0]["spec"]["activeDeadlineSeconds"], 3600);
    // A wait for the end times out, instead of ending at once.
    let waited = kubectl.run(["wait", "--for=condition=Ready", "boxconn/acme", "--timeout=1s"]).await.expect("kubectl");
    assert!(!waited.status.success());
}

#[tokio::test]
async fn kubectl_get_has_the_columns_and_names_that_are_documented() {
    let kubectl = bare("columns").await;
    apply(&kubectl, &connection("acme", "1001", "clientCredentials", "")).await;
    kubectl.create_yaml(&request("acme", "")).await.expect("kubectl").succeeded().expect("created");
    let table = Table::read(&run(&kubectl, &["get", "boxconnections"]).await);
    let columns = ["NAME", "ENTERPRISE", "CONNECTED", "READY", "STATUS", "USERS", "ACTIVE", "LIST-AGE", "AGE"];
    assert_eq!(table.header, columns);
    assert_eq!(table.row("acme")[..8], ["acme", "1001", "", "Unknown", "WaitingForOperator", "", "", ""]);
    let wide = Table::read(&run(&kubectl, &["get", "boxconn", "-o", "wide"]).await);
    assert_eq!(wide.header[9..], ["SUSPENDED", "NEXT-SYNC", "REMOVED", "MESSAGE"]);
    assert_eq!(wide.row("acme")[9], "false");
    assert!(wide.row("acme")[12].starts_with("No operator has looked"), "{wide:?}");

    let table = Table::read(&run(&kubectl, &["get", "usersyncrequests"]).await);
    let columns = ["NAME", "CONNECTION", "PHASE", "USERS", "ADDED", "UPDATED", "REMOVED", "REASON", "AGE"];
    assert_eq!(table.header, columns);
    assert_eq!(table.rows[0][1..8], ["acme", "Pending", "", "", "", "", ""]);
    let wide = Table::read(&run(&kubectl, &["get", "usersync", "-o", "wide"]).await);
    assert_eq!(wide.header[9..], ["MESSAGE"]);

    let all = run(&kubectl, &["get", "boxsync", "-o", "name"]).await;
    let kinds: Vec<_> = all.lines().filter_map(|line| line.split('/').next()).collect();
    assert_eq!(kinds, ["boxconnection.boxsync.dev", "usersyncrequest.boxsync.dev"]);
    let field = "--field-selector=spec.connectionRef.name=acme,status.phase=Pending";
    assert_eq!(run(&kubectl, &["get", "usersync", "-o", "name", field]).await.lines().count(), 1);
}

/// Who keeps the CRDs in Git sees no difference for ever.
#[tokio::test]
async fn the_server_keeps_the_crds_as_they_are_written() {
    fn missing(path: &str, written: &Value, kept: &Value) -> Option<String> {
        match (written, kept) {
            (Value::Object(written), Value::Object(kept)) => written.iter().find_map(|(key, value)| {
                missing(&format!("{path}.{key}"), value, kept.get(key).unwrap_or(&Value::Null))
            }),
            (Value::Array(written), Value::Array(kept)) if written.len() == kept.len() => {
                written.iter().zip(kept).find_map(|(written, kept)| missing(&format!("{path}[]"), written, kept))
            }
            (Value::Number(written), Value::Number(kept)) if written.as_f64() == kept.as_f64() => None,
            (written, kept) => (written != kept).then(|| format!("{path}: written {written}, kept {kept}")),
        }
    }
    let kubectl = bare("crds").await;
    for crd in boxsync::api::crds() {
        let name = crd.metadata.name.clone().unwrap_or_default();
        let kept = kubectl.get_json(["crd", &name]).await.expect("read");
        assert_eq!(missing(&name, &json!(crd), &kept), None);
    }
}

#[tokio::test]
async fn a_dry_run_checks_and_keeps_nothing() {
    let kubectl = bare("dry run").await;
    let dry = ["apply", "--dry-run=server", "-f", "-"];
    let output = kubectl.run_with(dry, &connection("acme", "1001", "jwt", "")).await.expect("kubectl");
    without_warning(&output);
    assert!(output.succeeded().expect("accepted").contains("created (server dry run)"));
    assert_eq!(run(&kubectl, &["get", "boxsync", "-o", "name"]).await, "");
}
