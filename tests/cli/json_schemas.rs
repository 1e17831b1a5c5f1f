//! The output of `-o json` matches the schemas in docs/schemas.

use boxsync::user_list::User;
use serde_json::{Value, json};

use crate::{
    changes::env_with_four_revisions,
    check::CheckEnv,
    coverage,
    env::{CliEnv, PIPE, TestIo, ready_status, user_record},
    status::env_with_mixed_connections,
};

/// Asserts that each object has all required properties of its schema, and no property that the schema does not have.
#[track_caller]
fn assert_matches(file: &str, output: &str) {
    if let Err(problem) = matches_file(file, output) {
        panic!("{file}: {problem}");
    }
}

fn matches_file(file: &str, output: &str) -> Result<(), String> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schemas").join(file);
    let root: Value = serde_json::from_str(&std::fs::read_to_string(&path).expect("a schema")).expect("JSON");
    let value: Value = serde_json::from_str(output).unwrap_or_else(|e| panic!("{e}: {output}"));
    matches(&root, &root, &value, "")
}

/// Checks the parts of JSON Schema that schemars generates for our types.
fn matches(root: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = reference.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
        matches(root, target.ok_or_else(|| format!("{at}: no {reference}"))?, value, at)?;
    }
    for variants in [&schema["oneOf"], &schema["anyOf"]].into_iter().filter_map(Value::as_array) {
        let results: Vec<_> = variants.iter().map(|variant| matches(root, variant, value, at)).collect();
        if results.iter().all(Result::is_err) {
            return Err(format!("{at}: no variant matches {value}: {results:?}"));
        }
    }
    let constant = schema.get("const").is_none_or(|expected| expected == value);
    let listed = schema["enum"].as_array().is_none_or(|values| values.contains(value));
    let types = match &schema["type"] {
        Value::Null => Vec::new(),
        Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    };
    let actual = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    if !constant || !listed || !(types.is_empty() || types.contains(&actual)) {
        return Err(format!("{at}: {value} does not match {schema}"));
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        if let Some(items) = schema.get("items") {
            matches(root, items, item, &format!("{at}[{index}]"))?;
        }
    }
    let (Some(object), Some(properties)) = (value.as_object(), schema["properties"].as_object()) else { return Ok(()) };
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    if let Some(missing) = required.into_iter().find(|key| !object.contains_key(*key)) {
        return Err(format!("{at}: no {missing}"));
    }
    object.iter().try_for_each(|(key, item)| match properties.get(key) {
        Some(property) => matches(root, property, item, &format!("{at}.{key}")),
        None => Err(format!("{at}: unknown {key}")),
    })
}

#[tokio::test(start_paused = true)]
async fn status_json_matches_its_schema() {
    let env = env_with_mixed_connections();
    assert_matches("status.json", &env.run("status -o json").await.out);
    env.apply_lease(3600);
    assert_matches("status.json", &env.run("status acme -o json").await.out);
    env.kube.delete("Lease", "boxsync", "boxsync-operator");
    assert_matches("status.json", &env.run("status acme -o json").await.out);
    env.kube.forbid(|call| call.resource == "leases");
    assert_matches("status.json", &env.run("status acme -o json").await.out);
}

#[tokio::test]
async fn check_json_matches_its_schema() {
    let env = CheckEnv::new(box_sim::AuthMethod::ClientCredentials).await;
    assert_matches("check.json", &env.run_check("acme -o json").await.out);
    let mut status = ready_status(3);
    status["failures"] = json!({ "reason": "AppNotAuthorized", "count": 3, "lastTime": "2026-11-22T11:00:00Z" });
    env.cli.set_status("acme", status);
    env.acme.deauthorize_app();
    assert_matches("check.json", &env.run_check("acme -o json").await.out);
    let from_file = env.run_check("--file /dev/null -o json --enterprise-id 1001").await;
    assert_matches("check.json", &from_file.out);
}

#[tokio::test(start_paused = true)]
async fn changes_json_matches_its_schema() {
    let env = env_with_four_revisions().await;
    assert_matches("changes.json", &env.run("changes acme -o json").await.out);
    let created_at = Some(env.clock.now().as_second());
    env.publish_users("acme", &[User { created_at, ..user_record("2007", "eve@acme.com", "Eve") }]).await;
    let latency = env.run("changes acme --latency -o json").await.out;
    assert_matches("latency.json", &latency);
    assert!(latency.contains("waitedSeconds"), "{latency}");
}

#[tokio::test(start_paused = true)]
async fn coverage_json_matches_its_schema() {
    let env = coverage::env_with_history().await;
    let export = "Login,Last\nuser0@acme.com,2026-11-22\nuser1@acme.com,\nuser2@acme.com,1/2/2026\nx,\n";
    let io = TestIo { input: export, ..PIPE };
    let flags = "--partial --grace 48h --last-backup-column Last --max-backup-age 24h";
    let output = env.run_with_io(io, &format!("coverage acme --protected - {flags} -o json")).await;
    assert_matches("coverage.json", &output.out);
    let findings = serde_json::from_str::<Value>(&output.out).expect("JSON")["findings"].clone();
    let kinds: std::collections::BTreeSet<String> =
        findings.as_array().expect("a list").iter().map(|finding| finding["finding"].to_string()).collect();
    assert_eq!(kinds.len(), 6, "{kinds:?}");
}

#[tokio::test(start_paused = true)]
async fn a_property_with_another_name_or_type_is_found() {
    let env = CliEnv::new();
    let output = env.run("status -o json").await.out;
    let renamed = output.replacen("\"needsAction\"", "\"needsPerson\"", 1);
    let retyped = output.replacen("\"ready\": 0", "\"ready\": \"none\"", 1);
    for broken in [renamed, retyped] {
        assert_ne!(broken, output);
        matches_file("status.json", &broken).expect_err("another name or type is an error");
    }
}
