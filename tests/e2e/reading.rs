//! What docs/reading.md says: its examples, run by an account that may read lists and nothing else, and its schemas.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use box_sim::Enterprise;
use boxsync::api::SliceState;
use boxsync::cluster::Cluster;
use boxsync::roster::{self, Store};
use futures::future::join_all;
use harness::{Helm, Kubectl, tools};
use serde_json::{Value, json};

use crate::stage::{Stage, chart, plane, repository};

const ACCOUNT: &str = "auditor";
/// The same line stands in the README and on the page.
const LOOK: &str = r#"kubectl get userroster acme -o json | jq -r '.slices[] | select(.state == "Live" or .state == "Held").name' | xargs -n 1 kubectl get userslice -o 'jsonpath={.data}' | jq -r .login"#;

/// Somebody with the ClusterRole boxsync-roster-reader in the stage's namespace.
struct Reader {
    kubectl: Kubectl,
    kubeconfig: PathBuf,
    examples: Vec<Vec<String>>,
}

/// How a program ended.
#[derive(Debug)]
struct Said {
    program: String,
    out: String,
    err: String,
    code: Option<i32>,
}

impl Reader {
    async fn of(stage: &Stage) -> Self {
        tools::on_the_path(&["jq", "python3", "sha256sum"]).unwrap_or_else(|e| panic!("the examples cannot run: {e}"));
        let only_the_role = json!({
            "rbac": {"create": false},
            "serviceAccount": {"create": false},
            "userRoles": {"create": false},
            "crds": {"install": false},
            "replicaCount": 0,
        });
        let helm = Helm::new().await.expect("helm");
        stage
            .apply(&helm.template(&chart(), "readers", &stage.namespace, &only_the_role).await.expect("rendered"))
            .await;
        stage.run(&["create", "serviceaccount", ACCOUNT]).await;
        let subject = format!("--serviceaccount={}:{ACCOUNT}", stage.namespace);
        stage.run(&["create", "rolebinding", "auditors", "--clusterrole=boxsync-roster-reader", &subject]).await;
        let kubeconfig = plane().await.kubeconfig_for(&stage.namespace, ACCOUNT).await.expect("token");
        let file = |name: &str| repository("docs/examples").join(name).display().to_string();
        let rust = rust_example().display().to_string();
        let examples =
            vec![vec!["sh".to_owned(), file("read.sh")], vec!["python3".to_owned(), file("read.py")], vec![rust]];
        Self { kubectl: plane().await.kubectl_as(&kubeconfig), kubeconfig, examples }
    }

    async fn run(&self, words: &[String]) -> Said {
        let mut command = Command::new(&words[0]);
        let pinned = self.kubectl.program().parent().expect("a folder").to_owned();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths(std::iter::once(pinned).chain(std::env::split_paths(&path))).expect("a PATH");
        command.args(&words[1..]).env("PATH", path).env("KUBECONFIG", &self.kubeconfig).env("KUBERC", "off");
        for proxy in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
            command.env_remove(proxy);
        }
        let program = words.join(" ");
        let ended = tokio::task::spawn_blocking(move || command.output()).await.expect("no panic").expect("it runs");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        Said { program, out: text(ended.stdout), err: text(ended.stderr), code: ended.status.code() }
    }

    /// All examples at once.
    async fn read(&self, connection: &str) -> Vec<Said> {
        let commands: Vec<Vec<String>> =
            self.examples.iter().map(|words| [words.clone(), vec![connection.to_owned()]].concat()).collect();
        join_all(commands.iter().map(|words| self.run(words))).await
    }

    async fn sees(&self, expected: &str) {
        for said in self.read("acme").await {
            assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{}", said.program);
            assert!(said.out == expected, "{} prints other logins: {} bytes", said.program, said.out.len());
        }
    }

    async fn is_told(&self, connection: &str, code: i32, words: &str) {
        for said in self.read(connection).await {
            assert_eq!((said.code, said.out.as_str()), (Some(code), ""), "{said:?}");
            assert!(said.err.contains(words), "{said:?}");
        }
    }

    async fn is_forbidden(&self, args: &[&str]) {
        let said = self.kubectl.run(args).await.expect("kubectl");
        assert!(!said.status.success() && said.stderr.contains("forbidden"), "{said:?}");
    }
}

/// `cargo test` builds the example beside the tests; where a single test is run, it is built now.
fn rust_example() -> PathBuf {
    let built = Path::new(env!("CARGO_BIN_EXE_boxsync-operator")).with_file_name("examples").join("read");
    let time = |path: &Path| path.metadata().and_then(|file| file.modified()).ok();
    if time(&built) < time(&repository("docs/examples/read.rs")) {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(repository("")).args(["build", "--locked", "--quiet", "--example", "read"]);
        assert!(cargo.status().expect("cargo runs").success(), "the example cannot be built");
    }
    assert!(built.is_file(), "cargo built the example, and not as {}", built.display());
    built
}

fn logins(enterprise: &Enterprise) -> String {
    let logins: BTreeSet<String> = enterprise.users().into_iter().map(|user| user.login).collect();
    logins.into_iter().map(|login| login + "\n").collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_examples_print_the_list_of_box_or_say_why_not() {
    let stage = Stage::begin("reading").await;
    let acme = crate::stage::acme(&stage.sim);
    let reader = Reader::of(&stage).await;
    reader.is_told("acme", 3, "no list has been published for acme; that is not an empty list").await;

    let operator = stage.operator();
    stage.connect("acme", &acme).await;
    stage.ready("acme").await;
    let expected = logins(&acme);
    assert_eq!(expected.lines().count(), 1_200);
    reader.sees(&expected).await;

    for page in ["README.md", "docs/reading.md"] {
        let text = std::fs::read_to_string(repository(page)).expect("readable");
        assert!(text.contains(LOOK), "{page} does not show: {LOOK}");
    }
    let look = reader.run(&["sh".to_owned(), "-c".to_owned(), format!("{LOOK} | LC_ALL=C sort")]).await;
    assert_eq!(look.out, expected, "{}", look.err);

    let plugin = [env!("CARGO_BIN_EXE_kubectl-boxsync"), "users", "acme", "-o", "name"].map(str::to_owned);
    let said = reader.run(&plugin).await;
    let listed: BTreeSet<&str> = said.out.lines().collect();
    assert_eq!(listed, expected.lines().collect(), "{}", said.err);

    for args in [
        &["get", "secret", "acme"][..],
        &["get", "secrets"],
        &["get", "boxconnections"],
        &["delete", "userslices", "--all"],
        &["delete", "userroster", "acme"],
        &["annotate", "userroster", "acme", "a=b"],
        &["get", "userrosters", "--namespace=default"],
    ] {
        reader.is_forbidden(args).await;
    }
    let slice = "{apiVersion: boxsync.dev/v1alpha1, kind: UserSlice, metadata: {name: mine}, format: 1, state: Live, data: '', count: 0, firstId: '', lastId: '', digest: ''}";
    let created = reader.kubectl.run_with(["create", "--validate=false", "-f", "-"], slice).await.expect("kubectl");
    assert!(created.stderr.contains("forbidden"), "{created:?}");
    let role = stage.get(&["clusterrole", "boxsync-roster-reader"]).await;
    let labels = role["metadata"]["labels"].as_object().expect("labels");
    assert!(labels.keys().all(|label| !label.contains("aggregate")), "{labels:?}");

    let roster = stage.get(&["userroster", "acme"]).await;
    let last = roster["slices"].as_array().and_then(|slices| slices.last()?["name"].as_str()).expect("slices");
    stage.run(&["delete", "userslice", last]).await;
    reader.is_told("acme", 1, "is missing or damaged; nothing was printed").await;

    acme.add_user("Jane Roe", "jane@acme.example");
    stage.finished(&stage.ask("acme").await).await;
    reader.sees(&logins(&acme)).await;
    stage.end(operator).await;
}

#[tokio::test]
async fn every_published_line_is_what_its_schema_says() {
    let stage = Stage::begin("schemas").await;
    let acme = crate::stage::acme(&stage.sim);
    let operator = stage.operator();
    stage.connect("acme", &acme).await;
    stage.ready("acme").await;
    let sync = async || stage.finished(&stage.ask("acme").await).await;
    let users = acme.users();

    acme.add_users(2);
    acme.edit(users[0].id, |user| user.job_title = "Head of \"lines\"\n".to_owned());
    users[1..4].iter().for_each(|user| drop(acme.remove_user(user.id)));
    sync().await;
    users[4..304].iter().for_each(|user| drop(acme.remove_user(user.id)));
    acme.put(users[1].clone());
    sync().await;
    acme.put(users[4].clone());
    sync().await;

    let store = Store::new(Cluster::new(stage.client.clone()), &stage.namespace, "acme");
    let every = [SliceState::Live, SliceState::Held, SliceState::Removed, SliceState::Changes];
    let list = roster::read(&store, &every, None).await.expect("the list");
    for (state, file, lines) in [
        (SliceState::Live, "user.json", 901),
        (SliceState::Held, "user.json", 299),
        (SliceState::Removed, "removed.json", 2),
        (SliceState::Changes, "change.json", 6 + 301 + 1),
    ] {
        let schema = std::fs::read_to_string(repository("docs/schemas").join(file)).expect("readable");
        let schema: Value = serde_json::from_str(&schema).expect("JSON");
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        for line in list.lines(state) {
            let value: Value = serde_json::from_str(line).expect("JSON");
            fits(&schema, &schema, &value).unwrap_or_else(|why| panic!("{file}: {why}: {line}"));
            let known: BTreeSet<_> =
                schema["properties"].as_object().into_iter().flatten().map(|(key, _)| key).collect();
            let keys: BTreeSet<_> = value.as_object().into_iter().flatten().map(|(key, _)| key).collect();
            assert!(keys.is_subset(&known), "{file} does not describe all of {line}");
        }
        assert_eq!(list.lines(state).count(), lines, "{state:?}");
    }
    let ops: BTreeSet<String> = list.lines(SliceState::Changes).map(|line| line[..14].to_owned()).collect();
    assert_eq!(ops.len(), 5, "{ops:?}");
    let user: Value =
        serde_json::from_str(&std::fs::read_to_string(repository("docs/schemas/user.json")).expect("readable"))
            .expect("JSON");
    assert!(fits(&user, &user, &json!({"id": "1"})).is_err());
    stage.end(operator).await;
}

/// Whether a value is what a schema says, as far as our schemas say anything. A keyword that is not known here is an
/// error.
fn fits(root: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let Some(keywords) = schema.as_object() else { return Ok(()) };
    for (keyword, says) in keywords {
        let all = says.as_array().map(Vec::as_slice).unwrap_or_default();
        let array = value.as_array().map(Vec::as_slice).unwrap_or_default();
        let object = || value.as_object().into_iter().flatten();
        let fine = match keyword.as_str() {
            "$schema" | "$defs" | "title" | "description" | "default" => true,
            "type" if says.is_string() => is_a(value, says),
            "type" => all.iter().any(|kind| is_a(value, kind)),
            "format" if says == "date-time" => {
                value.as_str().is_none_or(|time| time.parse::<jiff::Timestamp>().is_ok())
            }
            "format" => says == "int64",
            "const" => value == says,
            "enum" => all.contains(value),
            "minItems" => says.as_u64() <= Some(array.len() as u64),
            "maxItems" => says.as_u64() >= Some(array.len() as u64),
            "required" => all.iter().all(|key| key.as_str().is_some_and(|key| value.get(key).is_some())),
            "oneOf" => all.iter().filter(|one| fits(root, one, value).is_ok()).count() == 1,
            "$ref" => {
                let place = says.as_str().and_then(|name| root.pointer(name.strip_prefix('#')?));
                fits(root, place.ok_or_else(|| format!("{says} leads nowhere"))?, value)?;
                true
            }
            "items" => {
                array.iter().try_for_each(|item| fits(root, says, item))?;
                true
            }
            "properties" => {
                object().try_for_each(|(key, value)| fits(root, says.get(key).unwrap_or(&Value::Null), value))?;
                true
            }
            "additionalProperties" => {
                object().try_for_each(|(_, value)| fits(root, says, value))?;
                true
            }
            other => return Err(format!("{other} is not known here")),
        };
        if !fine {
            return Err(format!("{keyword} {says}, and it is {value}"));
        }
    }
    Ok(())
}

fn is_a(value: &Value, kind: &Value) -> bool {
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
