//! Those who apply from Git and the operator share an object without a quarrel.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::stage::{Stage, acme, connection, without_warning};

/// Which managers own fields, and which.
async fn owners(stage: &Stage, what: &[&str]) -> BTreeMap<String, Vec<(String, String)>> {
    let mut args = what.to_vec();
    args.push("--show-managed-fields");
    let object = stage.get(&args).await;
    let mut owners: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for entry in object["metadata"]["managedFields"].as_array().expect("managed fields") {
        let text = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
        let fields = entry["fieldsV1"].as_object().into_iter().flatten().map(|(field, _)| field.clone());
        owners.entry(text("manager")).or_default().extend(fields.map(|field| (text("subresource"), field)));
    }
    owners
}

async fn diff(stage: &Stage, args: &[&str], yaml: &str) -> String {
    let mut all = vec!["diff", "-f", "-"];
    all.extend(args);
    let output = stage.kubectl.run_with(all, yaml).await.expect("kubectl");
    without_warning(&output);
    match output.status.code() {
        Some(0) => String::new(),
        Some(1) => output.stdout,
        _ => panic!("{}", output.stderr),
    }
}

#[tokio::test]
async fn those_who_apply_from_git_and_the_operator_do_not_quarrel() {
    let stage = Stage::begin("field owners").await;
    let enterprise = acme(&stage.sim);
    let operator = stage.operator();
    for (name, manager) in [("flux", "kustomize-controller"), ("argo", "argocd-controller")] {
        stage.put_credentials(name, &enterprise).await;
        let git = connection(name, "1001", "clientCredentials", "  syncInterval: 24h\n");
        let apply = async |yaml: &str| {
            let output = stage.kubectl.apply_server_side(yaml, manager).await.expect("kubectl");
            without_warning(&output);
            output.succeeded().expect("applied")
        };
        apply(&git).await;
        let ready = stage.ready(name).await;

        assert_eq!(diff(&stage, &["--server-side", &format!("--field-manager={manager}")], &git).await, "");
        apply(&git).await;
        let again = stage.connections().get(name).await.expect("read");
        assert_eq!(again.metadata.resource_version, ready.metadata.resource_version, "nothing was to be applied");

        // A change from Git while the operator has written status.
        let changed = git.replace("24h", "12h");
        apply(&changed).await;
        assert_eq!(diff(&stage, &["--server-side", &format!("--field-manager={manager}")], &changed).await, "");
        stage.finished(&stage.ask(name).await).await;
        assert_eq!(diff(&stage, &["--server-side", &format!("--field-manager={manager}")], &changed).await, "");

        for (owner, fields) in owners(&stage, &["boxconn", name]).await {
            let own = owner == manager;
            for (subresource, field) in fields {
                let status = field == "f:status" && subresource == "status";
                assert!(own != status, "{owner} owns {field} ({subresource})");
                assert!(own || owner == "boxsync-operator", "{owner}");
            }
        }
    }
    stage.end(operator).await;
}

#[tokio::test]
async fn kubectl_sees_no_difference_after_the_operator_has_written_its_status() {
    let stage = Stage::begin("diff").await;
    let enterprise = acme(&stage.sim);
    let operator = stage.operator();
    stage.connect("acme", &enterprise).await;
    stage.ready("acme").await;
    let yaml = connection("acme", "1001", "clientCredentials", "");
    assert_eq!(diff(&stage, &[], &yaml).await, "");
    let again = stage.kubectl.apply_yaml(&yaml).await.expect("kubectl").succeeded().expect("applied");
    assert!(again.contains("unchanged"), "{again}");
    let request = crate::stage::request("acme", "").replace("generateName: acme-", "name: once");
    stage.apply(&request).await;
    stage.finished("once").await;
    assert_eq!(diff(&stage, &[], &request).await, "");
    let again = stage.kubectl.apply_yaml(&request).await.expect("kubectl").succeeded().expect("applied");
    assert!(again.contains("unchanged"), "{again}");
    for (owner, fields) in owners(&stage, &["usersync", "once"]).await {
        let operators = fields.iter().all(|(subresource, field)| subresource == "status" && field == "f:status");
        assert!(operators == (owner == "boxsync-operator"), "{owner}: {fields:?}");
    }
    // Changing something and writing it back, as `kubectl edit` does.
    let mut object: Value = stage.get(&["boxconn", "acme"]).await;
    object["spec"]["staleAfter"] = "72h".into();
    stage
        .kubectl
        .run_with(["replace", "-f", "-"], &object.to_string())
        .await
        .expect("kubectl")
        .succeeded()
        .expect("replaced");
    stage.end(operator).await;
}
