//! The plugin reaches the clusters that kubectl reaches, and no others: both run with the same kubeconfig, environment and
//! flags. Either both list the same connections, or both fail, and the plugin says why.

mod certificates;
mod completion;
mod flags;
mod kubeconfigs;
pub(crate) mod network;
mod plugins;
mod proxies;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use harness::ControlPlane;
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, process::Command};

use crate::{
    env::{PLUGIN, shared_plane},
    manifests::connection_yaml,
};

/// A command that takes longer hangs.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(60);
/// Never part of any output.
const PLANTED: &str = "planted-secret";

/// What the plugin answers.
enum Expected<'a> {
    /// These connections.
    Lists(&'a str),
    /// An error with this text.
    Fails(&'a str),
}

use Expected::{Fails, Lists};

/// The names of the connections that were listed, or the error.
type Answer = Result<Vec<String>, String>;

/// A control plane with two namespaces, each with a connection of its own: `one` and `two`.
struct Comparison {
    plane: &'static ControlPlane,
    folder: PathBuf,
    namespaces: [String; 2],
    token: String,
    /// base64 of PEM.
    ca: String,
    failures: Vec<String>,
    cases: usize,
}

impl Comparison {
    async fn new(name: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let plane = shared_plane().await;
        let mut namespaces = Vec::new();
        for connection in ["one", "two"] {
            let namespace = plane.create_namespace(name).await.expect("namespace");
            let manifest = connection_yaml(connection, "1001", "jwt", "");
            namespace.kubectl().apply_yaml(&manifest).await.expect("kubectl").into_stdout().expect("applied");
            namespaces.push(namespace.name);
        }
        let folder = plane.dir().join(format!("like-kubectl-{}", COUNT.fetch_add(1, Ordering::Relaxed)));
        fs::create_dir_all(folder.join("empty-home")).expect("a folder");
        let admin = fs::read_to_string(plane.admin_kubeconfig()).expect("a kubeconfig");
        let admin: Value = serde_saphyr::from_str(&admin).expect("YAML");
        let text = |pointer: &str| admin.pointer(pointer).and_then(Value::as_str).expect(pointer).to_owned();
        Self {
            plane,
            folder,
            namespaces: namespaces.try_into().expect("two"),
            token: text("/users/0/user/token"),
            ca: text("/clusters/0/cluster/certificate-authority-data"),
            failures: Vec::new(),
            cases: 0,
        }
    }

    fn cluster(&self) -> Value {
        json!({"server": self.plane.url(), "certificate-authority-data": self.ca})
    }

    fn ca_pem(&self) -> Vec<u8> {
        STANDARD.decode(&self.ca).expect("base64")
    }

    fn user(&self) -> Value {
        json!({"token": self.token})
    }

    /// A kubeconfig with the contexts `first` and `second`, for the two namespaces.
    fn kubeconfig(&self, cluster: &Value, user: &Value) -> Value {
        let context = |namespace: &str| json!({"cluster": "c", "user": "u", "namespace": namespace});
        json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": cluster}],
            "users": [{"name": "u", "user": user}],
            "contexts": [
                {"name": "first", "context": context(&self.namespaces[0])},
                {"name": "second", "context": context(&self.namespaces[1])},
            ],
            "current-context": "first",
        })
    }

    /// Writes a file and returns its path.
    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.folder.join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(&path, content).expect("a file");
        path.to_string_lossy().into_owned()
    }

    /// Writes the kubeconfig of a cluster and a user.
    fn write_kubeconfig(&self, name: &str, cluster: &Value, user: &Value) -> String {
        self.write(name, self.kubeconfig(cluster, user).to_string())
    }

    /// Runs both, and records what is not as expected.
    async fn compare(&mut self, case: &str, env: &[(&str, &str)], flags: &[&str], expected: Expected<'_>) {
        self.cases += 1;
        let kubectl = self.ask_kubectl(env, flags).await;
        let plugin = self.ask_plugin(env, flags).await;
        let as_expected = match (&kubectl, &plugin, &expected) {
            (Ok(of_kubectl), Ok(of_plugin), Lists(name)) => of_kubectl == of_plugin && of_plugin == &[*name],
            (Err(_), Err(error), Fails(text)) => error.contains(&on_one_line(text)) && !error.contains("client error"),
            _ => false,
        };
        let leaked = plugin.as_ref().is_err_and(|error| error.contains(PLANTED));
        if !as_expected || leaked {
            let expected = match expected {
                Lists(name) => format!("the connection {name}"),
                Fails(text) => format!("an error with {text:?}"),
            };
            self.failures.push(format!(
                "{case}: expected {expected}\n  kubectl: {}\n  plugin:  {}",
                show(&kubectl),
                show(&plugin)
            ));
        }
    }

    async fn ask_kubectl(&self, env: &[(&str, &str)], flags: &[&str]) -> Answer {
        let kubectl = self.plane.kubectl();
        let output = self.run(kubectl.program(), &["get", "boxconnections", "--output=name"], env, flags).await;
        if output.code != Some(0) {
            return Err(output.stderr);
        }
        let names = output.stdout.lines().map(|line| line.rsplit('/').next().unwrap_or_default().to_owned());
        Ok(names.collect())
    }

    async fn ask_plugin(&self, env: &[(&str, &str)], flags: &[&str]) -> Answer {
        let output = self.run(Path::new(PLUGIN), &["status", "--all", "--output=json"], env, flags).await;
        // The codes above tell of failures, these of the state: another test's operator may run or not.
        if !matches!(output.code, Some(0..=3)) {
            // Its lines are wrapped.
            return Err(on_one_line(&output.stderr));
        }
        let report: Value = serde_json::from_str(&output.stdout).expect("JSON");
        let connections = report["connections"].as_array().expect("a list").iter();
        Ok(connections.map(|connection| connection["name"].as_str().expect("a name").to_owned()).collect())
    }

    /// Runs a program with nothing of this process's environment, and a secret at standard input.
    async fn run(&self, program: &Path, args: &[&str], env: &[(&str, &str)], flags: &[&str]) -> Output {
        let home = self.folder.join("empty-home");
        let mut child = Command::new(program)
            .args(args)
            .args(flags)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("KUBERC", "off")
            .env("HOME", home)
            .envs(env.iter().copied())
            .current_dir(&self.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("it starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        // Who does not read it closes the pipe.
        let _ = stdin.write_all(PLANTED.as_bytes()).await;
        drop(stdin);
        let output = tokio::time::timeout(COMMAND_TIMEOUT, child.wait_with_output()).await;
        let output = output.unwrap_or_else(|_| panic!("{} {flags:?} hangs", program.display())).expect("it ends");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Output { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// Fails with all that was not as expected.
    fn finish(self) {
        let Self { failures, cases, .. } = self;
        assert!(failures.is_empty(), "{} of {cases} cases:\n{}", failures.len(), failures.join("\n"));
    }
}

fn on_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

struct Output {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

fn show(answer: &Answer) -> String {
    match answer {
        Ok(names) => format!("{names:?}"),
        Err(error) => format!("error: {}", error.trim().replace('\n', "\n    ")),
    }
}
