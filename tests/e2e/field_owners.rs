//! Server-side apply: GitOps tools and the operator own different fields of an object, without conflicts.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::env::{E2eEnv, assert_no_warning, connection_yaml, create_acme, expect_no_warning};

/// The field managers and the fields that each owns.
async fn field_owners(env: &E2eEnv, resource: &[&str]) -> BTreeMap<String, Vec<(String, String)>> {
    let mut args = resource.to_vec();
    args.push("--show-managed-fields");
    let object = env.get_json(&args).await;
    let mut owners: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for entry in object["metadata"]["managedFields"].as_array().expect("managed fields") {
        let text = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
        let fields = entry["fieldsV1"].as_object().into_iter().flatten().map(|(field, _)| field.clone());
        owners.entry(text("manager")).or_default().extend(fields.map(|field| (text("subresource"), field)));
    }
    owners
}

async fn kubectl_diff(env: &E2eEnv, args: &[&str], yaml: &str) -> String {
    let mut all = vec!["diff", "-f", "-"];
    all.extend(args);
    let output = env.kubectl.run_with_stdin(all, yaml).await.expect("kubectl");
    assert_no_warning(&output);
    match output.status.code() {
        Some(0) => String::new(),
        Some(1) => output.stdout,
        _ => panic!("{}", output.stderr),
    }
}

#[tokio::test]
async fn gitops_and_the_operator_own_separate_fields() {
    let env = E2eEnv::new("field owners").await;
    let enterprise = create_acme(&env.sim);
    let operator = env.start_operator();
    for (name, manager) in [("flux", "kustomize-controller"), ("argo", "argocd-controller")] {
        env.apply_client_secret(name, &enterprise).await;
        let git = connection_yaml(name, "1001", "clientCredentials", "  syncInterval: 24h\n");
        let server_side_apply =
            async |yaml: &str| expect_no_warning(env.kubectl.apply_server_side(yaml, manager).await.expect("kubectl"));
        server_side_apply(&git).await;
        let ready = env.wait_until_ready(name).await;

        assert_eq!(kubectl_diff(&env, &["--server-side", &format!("--field-manager={manager}")], &git).await, "");
        server_side_apply(&git).await;
        let reapplied = env.connections_api().get(name).await.expect("read");
        assert_eq!(
            reapplied.metadata.resource_version, ready.metadata.resource_version,
            "an unchanged apply changed the object"
        );

        // A change from Git while the operator has written status.
        let changed = git.replace("24h", "12h");
        server_side_apply(&changed).await;
        assert_eq!(kubectl_diff(&env, &["--server-side", &format!("--field-manager={manager}")], &changed).await, "");
        env.run_request(name).await;
        assert_eq!(kubectl_diff(&env, &["--server-side", &format!("--field-manager={manager}")], &changed).await, "");

        for (owner, fields) in field_owners(&env, &["boxconn", name]).await {
            let own = owner == manager;
            for (subresource, field) in fields {
                let status = field == "f:status" && subresource == "status";
                assert!(own != status, "{owner} owns {field} ({subresource})");
                assert!(own || owner == "boxsync-operator", "{owner}");
            }
        }
    }
    env.stop_and_verify(operator).await;
}

#[tokio::test]
async fn kubectl_diff_is_empty_after_the_operator_wrote_status() {
    let env = E2eEnv::new("diff").await;
    let enterprise = create_acme(&env.sim);
    let operator = env.start_operator();
    env.connect_by_client_credentials("acme", &enterprise).await;
    env.wait_until_ready("acme").await;
    let yaml = connection_yaml("acme", "1001", "clientCredentials", "");
    assert_eq!(kubectl_diff(&env, &[], &yaml).await, "");
    let reapplied = env.kubectl.apply_yaml(&yaml).await.expect("kubectl").into_stdout().expect("applied");
    assert!(reapplied.contains("unchanged"), "{reapplied}");
    let request = crate::env::request_yaml("acme", "").replace("generateName: acme-", "name: once");
    env.apply_manifest(&request).await;
    env.wait_until_finished("once").await;
    assert_eq!(kubectl_diff(&env, &[], &request).await, "");
    let reapplied = env.kubectl.apply_yaml(&request).await.expect("kubectl").into_stdout().expect("applied");
    assert!(reapplied.contains("unchanged"), "{reapplied}");
    for (owner, fields) in field_owners(&env, &["usersync", "once"]).await {
        let operators = fields.iter().all(|(subresource, field)| subresource == "status" && field == "f:status");
        assert!(operators == (owner == "boxsync-operator"), "{owner}: {fields:?}");
    }
    // Changing something and writing it back, as `kubectl edit` does.
    let mut object: Value = env.get_json(&["boxconn", "acme"]).await;
    object["spec"]["staleAfter"] = "72h".into();
    env.kubectl
        .run_with_stdin(["replace", "-f", "-"], &object.to_string())
        .await
        .expect("kubectl")
        .into_stdout()
        .expect("replaced");
    env.stop_and_verify(operator).await;
}
