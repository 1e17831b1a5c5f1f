//! The examples and schemas of docs/reading.md, run by an account that may only read lists.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use box_sim::Enterprise;
use boxsync::{
    api::SliceState,
    kube_client::KubeClient,
    roster::{self, Store},
};
use futures::future::join_all;
use harness::{CommandOutput, Helm, Kubectl, PROXY_VARIABLES, tools};
use serde_json::{Value, json};

use crate::env::{E2eEnv, PLUGIN, chart_path, repo_path, shared_plane};

const READER_ACCOUNT: &str = "auditor";
/// The command in docs/reading.md.
const PIPELINE: &str = r#"kubectl get userroster acme -o json | jq -r '.slices[] | select(.state == "Live" or .state == "Held").name' | xargs -n 1 kubectl get userslice -o 'jsonpath={.data}' | jq -r .login"#;

/// An account with the ClusterRole boxsync-roster-reader in the test namespace.
pub(crate) struct ReaderAccount {
    kubectl: Kubectl,
    kubeconfig: PathBuf,
    examples: Vec<Vec<String>>,
}

/// Exit code and output of a program.
#[derive(Debug)]
struct ProgramOutput {
    program: String,
    out: String,
    err: String,
    code: Option<i32>,
}

impl ReaderAccount {
    pub(crate) async fn set_up(env: &E2eEnv) -> Self {
        tools::require_programs(&["jq", "python3", "sha256sum"])
            .unwrap_or_else(|e| panic!("the examples cannot run: {e}"));
        let reader_role_values = json!({
            "rbac": {"create": false},
            "serviceAccount": {"create": false},
            "userRoles": {"create": false},
            "crds": {"install": false},
            "replicaCount": 0,
        });
        let helm = Helm::new().await.expect("helm");
        env.apply_manifest(
            &helm.template(&chart_path(), "readers", &env.namespace, &reader_role_values).await.expect("rendered"),
        )
        .await;
        env.run(&["create", "serviceaccount", READER_ACCOUNT]).await;
        let subject = format!("--serviceaccount={}:{READER_ACCOUNT}", env.namespace);
        env.run(&["create", "rolebinding", "auditors", "--clusterrole=boxsync-roster-reader", &subject]).await;
        let kubeconfig = shared_plane().await.kubeconfig_for(&env.namespace, READER_ACCOUNT).await.expect("token");
        let file = |name: &str| repo_path("docs/examples").join(name).display().to_string();
        let rust = rust_example().display().to_string();
        let examples =
            vec![vec!["sh".to_owned(), file("read.sh")], vec!["python3".to_owned(), file("read.py")], vec![rust]];
        Self { kubectl: shared_plane().await.kubectl_as(&kubeconfig), kubeconfig, examples }
    }

    /// `kubectl boxsync ARGS`.
    pub(crate) async fn run_plugin(&self, args: &[&str]) -> CommandOutput {
        self.kubectl.for_plugin(Path::new(PLUGIN)).run(args).await.expect("the plugin")
    }

    async fn run(&self, args: &[String]) -> ProgramOutput {
        let mut command = Command::new(&args[0]);
        let kubectl_dir = self.kubectl.program().parent().expect("a folder").to_owned();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path =
            std::env::join_paths(std::iter::once(kubectl_dir).chain(std::env::split_paths(&path))).expect("a PATH");
        command.args(&args[1..]).env("PATH", path).env("KUBECONFIG", &self.kubeconfig).env("KUBERC", "off");
        for proxy in PROXY_VARIABLES {
            command.env_remove(proxy);
        }
        let program = args.join(" ");
        let output = tokio::task::spawn_blocking(move || command.output()).await.expect("no panic").expect("it runs");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        ProgramOutput { program, out: text(output.stdout), err: text(output.stderr), code: output.status.code() }
    }

    /// Runs all examples.
    async fn run_examples(&self, connection: &str) -> Vec<ProgramOutput> {
        let commands: Vec<Vec<String>> =
            self.examples.iter().map(|words| [words.clone(), vec![connection.to_owned()]].concat()).collect();
        join_all(commands.iter().map(|words| self.run(words))).await
    }

    async fn assert_prints(&self, expected: &str) {
        for output in self.run_examples("acme").await {
            assert_eq!((output.code, output.err.as_str()), (Some(0), ""), "{}", output.program);
            assert!(output.out == expected, "{} printed the wrong logins ({} bytes)", output.program, output.out.len());
        }
    }

    async fn assert_fails(&self, connection: &str, code: i32, words: &str) {
        for output in self.run_examples(connection).await {
            assert_eq!((output.code, output.out.as_str()), (Some(code), ""), "{output:?}");
            assert!(output.err.contains(words), "{output:?}");
        }
    }

    async fn assert_forbidden(&self, args: &[&str]) {
        let output = self.kubectl.run(args).await.expect("kubectl");
        assert!(!output.status.success() && output.stderr.contains("forbidden"), "{output:?}");
    }
}

/// `cargo test` builds the example; if only this test target is built, it is built here.
fn rust_example() -> PathBuf {
    let built = Path::new(env!("CARGO_BIN_EXE_boxsync-operator")).with_file_name("examples").join("read");
    let modified_time = |path: &Path| path.metadata().and_then(|file| file.modified()).ok();
    if modified_time(&built) < modified_time(&repo_path("docs/examples/read.rs")) {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(repo_path("")).args(["build", "--locked", "--quiet", "--example", "read"]);
        assert!(cargo.status().expect("cargo runs").success(), "the example cannot be built");
    }
    assert!(built.is_file(), "cargo did not build {}", built.display());
    built
}

fn sorted_logins(enterprise: &Enterprise) -> String {
    let logins: BTreeSet<String> = enterprise.users().into_iter().map(|user| user.login).collect();
    logins.into_iter().map(|login| login + "\n").collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_examples_print_the_list_or_an_error() {
    let env = E2eEnv::new("reading").await;
    let acme = crate::env::create_acme(&env.sim);
    let reader = ReaderAccount::set_up(&env).await;
    reader.assert_fails("acme", 3, "no list has been published for acme; that is not an empty list").await;

    let operator = env.start_operator();
    env.connect_by_client_credentials("acme", &acme).await;
    env.wait_until_ready("acme").await;
    let expected = sorted_logins(&acme);
    assert_eq!(expected.lines().count(), 1_200);
    reader.assert_prints(&expected).await;

    let page = std::fs::read_to_string(repo_path("docs/reading.md")).expect("readable");
    assert!(page.contains(PIPELINE), "docs/reading.md does not show: {PIPELINE}");
    let piped = reader.run(&["sh".to_owned(), "-c".to_owned(), format!("{PIPELINE} | LC_ALL=C sort")]).await;
    assert_eq!(piped.out, expected, "{}", piped.err);

    let printed = reader.run_plugin(&["users", "acme", "-o", "name"]).await.into_stdout().expect("listed");
    assert_eq!(printed.lines().collect::<BTreeSet<_>>(), expected.lines().collect());

    for args in [
        &["get", "secret", "acme"][..],
        &["get", "secrets"],
        &["get", "boxconnections"],
        &["delete", "userslices", "--all"],
        &["delete", "userroster", "acme"],
        &["annotate", "userroster", "acme", "a=b"],
        &["get", "userrosters", "--namespace=default"],
    ] {
        reader.assert_forbidden(args).await;
    }
    let slice = "{apiVersion: boxsync.dev/v1alpha1, kind: UserSlice, metadata: {name: mine}, format: 1, state: Live, data: '', count: 0, firstId: '', lastId: '', digest: ''}";
    let created =
        reader.kubectl.run_with_stdin(["create", "--validate=false", "-f", "-"], slice).await.expect("kubectl");
    assert!(created.stderr.contains("forbidden"), "{created:?}");
    let role = env.get_json(&["clusterrole", "boxsync-roster-reader"]).await;
    let labels = role["metadata"]["labels"].as_object().expect("labels");
    assert!(labels.keys().all(|label| !label.contains("aggregate")), "{labels:?}");

    let roster = env.get_json(&["userroster", "acme"]).await;
    let last = roster["slices"].as_array().and_then(|slices| slices.last()?["name"].as_str()).expect("slices");
    env.run(&["delete", "userslice", last]).await;
    reader.assert_fails("acme", 1, "is missing or damaged; nothing was printed").await;

    acme.add_user("Jane Roe", "jane@acme.example");
    env.run_request("acme").await;
    reader.assert_prints(&sorted_logins(&acme)).await;
    env.stop_and_verify(operator).await;
}

#[tokio::test]
async fn every_published_record_matches_its_schema() {
    let (env, acme, operator) = E2eEnv::with_ready_acme("schemas").await;
    let sync = async || env.run_request("acme").await;
    let users = acme.users();

    acme.add_users(2);
    acme.update_user(users[0].id, |user| user.job_title = "Head of \"lines\"\n".to_owned());
    users[1..4].iter().for_each(|user| drop(acme.remove_user(user.id)));
    sync().await;
    users[4..304].iter().for_each(|user| drop(acme.remove_user(user.id)));
    acme.put_user(users[1].clone());
    sync().await;
    acme.put_user(users[4].clone());
    sync().await;

    let store = Store::new(KubeClient::new(env.client.clone()), &env.namespace, "acme");
    let every = [SliceState::Live, SliceState::Held, SliceState::Removed, SliceState::Changes];
    let list = roster::read_snapshot(&store, &every, None).await.expect("the list");
    for (state, file, lines) in [
        (SliceState::Live, "user.json", 901),
        (SliceState::Held, "user.json", 299),
        (SliceState::Removed, "removed.json", 2),
        (SliceState::Changes, "change.json", 6 + 301 + 1),
    ] {
        let schema = std::fs::read_to_string(repo_path("docs/schemas").join(file)).expect("readable");
        let schema: Value = serde_json::from_str(&schema).expect("JSON");
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        for line in list.record_lines(state) {
            let value: Value = serde_json::from_str(line).expect("JSON");
            validate_schema(&schema, &schema, &value).unwrap_or_else(|why| panic!("{file}: {why}: {line}"));
            let known: BTreeSet<_> =
                schema["properties"].as_object().into_iter().flatten().map(|(key, _)| key).collect();
            let keys: BTreeSet<_> = value.as_object().into_iter().flatten().map(|(key, _)| key).collect();
            assert!(keys.is_subset(&known), "fields of {line} missing in {file}");
        }
        assert_eq!(list.record_lines(state).count(), lines, "{state:?}");
    }
    let ops: BTreeSet<String> = list.record_lines(SliceState::Changes).map(|line| line[..14].to_owned()).collect();
    assert_eq!(ops.len(), 5, "{ops:?}");
    let user: Value =
        serde_json::from_str(&std::fs::read_to_string(repo_path("docs/schemas/user.json")).expect("readable"))
            .expect("JSON");
    assert!(validate_schema(&user, &user, &json!({"id": "1"})).is_err());
    env.stop_and_verify(operator).await;
}

/// Validates a value against a schema, with the keywords that our schemas use. Other keywords are an error.
fn validate_schema(root: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let Some(keywords) = schema.as_object() else { return Ok(()) };
    for (keyword, constraint) in keywords {
        let all = constraint.as_array().map(Vec::as_slice).unwrap_or_default();
        let array = value.as_array().map(Vec::as_slice).unwrap_or_default();
        let object = || value.as_object().into_iter().flatten();
        let valid = match keyword.as_str() {
            "$schema" | "$defs" | "title" | "description" | "default" => true,
            "type" if constraint.is_string() => has_json_type(value, constraint),
            "type" => all.iter().any(|kind| has_json_type(value, kind)),
            "format" if constraint == "date-time" => {
                value.as_str().is_none_or(|time| time.parse::<jiff::Timestamp>().is_ok())
            }
            "format" => constraint == "int64",
            "const" => value == constraint,
            "enum" => all.contains(value),
            "minItems" => constraint.as_u64() <= Some(array.len() as u64),
            "maxItems" => constraint.as_u64() >= Some(array.len() as u64),
            "required" => all.iter().all(|key| key.as_str().is_some_and(|key| value.get(key).is_some())),
            "oneOf" => all.iter().filter(|one| validate_schema(root, one, value).is_ok()).count() == 1,
            "$ref" => {
                let definition = constraint.as_str().and_then(|name| root.pointer(name.strip_prefix('#')?));
                validate_schema(root, definition.ok_or_else(|| format!("unresolved $ref {constraint}"))?, value)?;
                true
            }
            "items" => {
                array.iter().try_for_each(|item| validate_schema(root, constraint, item))?;
                true
            }
            "properties" => {
                object().try_for_each(|(key, value)| {
                    validate_schema(root, constraint.get(key).unwrap_or(&Value::Null), value)
                })?;
                true
            }
            "additionalProperties" => {
                object().try_for_each(|(_, value)| validate_schema(root, constraint, value))?;
                true
            }
            other => return Err(format!("unsupported keyword {other}")),
        };
        if !valid {
            return Err(format!("{value} violates {keyword} {constraint}"));
        }
    }
    Ok(())
}

fn has_json_type(value: &Value, kind: &Value) -> bool {
    match kind.as_str() {
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64(),
        Some("boolean") => value.is_boolean(),
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("null") => value.is_null(),
        _ => false,
    }
}
