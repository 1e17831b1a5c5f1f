//! The context of the steps: commands that are shown and run, requests, lookups.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use harness::{CommandOutput, Error, Kubectl, OperatorCommand, Result, Secrets};
use serde_json::Value;

use crate::{
    boxes::{DemoBox, user_counts},
    cluster::DemoCluster,
    format_count,
    screen::Screen,
};

/// The limit of waits without a limit of their own; generous for a busy machine.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(60);

pub(crate) struct DemoRun<'a> {
    pub(crate) screen: &'a Screen,
    pub(crate) cluster: &'a mut DemoCluster,
    pub(crate) demo_box: DemoBox,
    pub(crate) kubectl: Kubectl,
    pub(crate) dir: PathBuf,
    pub(crate) secrets: Secrets,
    /// The operator's kubeconfig; empty until it is created.
    pub(crate) kubeconfig: PathBuf,
}

/// A created request.
pub(crate) struct SyncRequest {
    pub(crate) name: String,
    pub(crate) created: Instant,
}

/// The shown part of a long output.
#[derive(Clone, Copy)]
pub(crate) enum OutputFilter {
    Head(usize),
    Grep(&'static str),
}

impl OutputFilter {
    fn apply(self, text: &str) -> String {
        let lines = text.lines();
        let shown: Vec<&str> = match self {
            Self::Head(count) => lines.take(count).collect(),
            Self::Grep(word) => lines.filter(|line| line.contains(word)).collect(),
        };
        shown.join("\n")
    }
}

impl std::fmt::Display for OutputFilter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Head(count) => write!(f, "head -n {count}"),
            Self::Grep(word) => write!(f, "grep {word}"),
        }
    }
}

impl<'a> DemoRun<'a> {
    pub(crate) async fn new(screen: &'a Screen, cluster: &'a mut DemoCluster) -> Result<Self> {
        screen.title(
            "boxsync demo",
            "Box holds the users of three companies. The operator keeps their lists in a Kubernetes cluster: \
             it connects, syncs and reports what fails.",
        );
        screen.step("A cluster and a Box");
        let begun = Instant::now();
        cluster.prepare().await?;
        let boxes = DemoBox::serve().await?;
        let folder = cluster.dir()?.join("files");
        std::fs::create_dir_all(&folder).map_err(|e| Error::new(format!("cannot create {}: {e}", folder.display())))?;
        let kubectl = cluster.kubectl()?.current_dir(&folder);
        match cluster.context() {
            None => screen.explain(&format!(
                "etcd, kube-apiserver and kube-controller-manager run on this machine, ready after {}. \
                 A simulated Box runs too: $BOX = {}.",
                crate::format_duration(begun.elapsed()),
                boxes.url()
            )),
            Some(context) => screen.explain(&format!(
                "The cluster is yours: every kubectl below runs with --context {context} --namespace {}. The demo \
                 removes this namespace at the end, and the CRDs if it had to create them. The operator runs on this \
                 machine, as a ServiceAccount with access to this namespace only. A simulated Box runs too: \
                 $BOX = {}.",
                cluster.namespace,
                boxes.url()
            )),
        }
        let secrets = boxes.secrets();
        Ok(Self { screen, cluster, demo_box: boxes, kubectl, dir: folder, secrets, kubeconfig: PathBuf::new() })
    }

    /// Shows and runs a kubectl command. The arguments are separated by spaces.
    pub(crate) async fn run(&self, line: &str) -> Result<CommandOutput> {
        self.screen.command(&format!("$ kubectl {line}"));
        let output = self.run_silently(line).await?;
        self.screen.output(&output.stdout);
        let stderr = output.stderr.lines().filter(|line| !is_kubectl_log_line(line)).collect::<Vec<_>>().join("\n");
        self.screen.output(&stderr);
        Ok(output)
    }

    /// Shows and runs a `kubectl boxsync` command with the plugin built with this program.
    pub(crate) async fn run_plugin(&self, line: &str) -> Result<CommandOutput> {
        self.screen.command(&format!("$ kubectl boxsync {line}"));
        let output = self.plugin_command()?.run(line.split(' ')).await?;
        self.screen.output(&output.stdout);
        self.screen.output(&output.stderr);
        Ok(output)
    }

    /// The same with filtered output; returns the complete output.
    pub(crate) async fn run_plugin_filtered(&self, line: &str, filter: OutputFilter) -> Result<String> {
        self.screen.command(&format!("$ kubectl boxsync {line} | {filter}"));
        let text = self.plugin_command()?.run(line.split(' ')).await?.into_stdout()?;
        self.screen.output(&filter.apply(&text));
        Ok(text)
    }

    /// The plugin with the environment of kubectl.
    pub(crate) fn plugin_command(&self) -> Result<Kubectl> {
        Ok(self.kubectl.for_plugin(&sibling_program("kubectl-boxsync")?))
    }

    /// Runs a kubectl command without showing it.
    pub(crate) async fn run_silently(&self, line: &str) -> Result<CommandOutput> {
        self.kubectl.run(line.split(' ')).await
    }

    /// Shows and sends a request to the admin API of the simulated Box.
    pub(crate) async fn call_admin(&self, method: &str, path: &str, body: &str) -> Result<()> {
        let json = if body.is_empty() { String::new() } else { format!(" \\\n    --json '{body}'") };
        self.screen.command(&format!("$ curl -X {method} $BOX/admin/enterprises/{path}{json}"));
        self.demo_box.call_admin(method, path, body).await
    }

    /// Writes a file to the working directory of the commands.
    pub(crate) fn write_file(&self, name: &str, text: &str) -> Result<()> {
        let path = self.dir.join(name);
        std::fs::write(&path, text).map_err(|e| Error::new(format!("cannot write {}: {e}", path.display())))
    }

    /// Creates a request for this connection with `kubectl create -f`.
    pub(crate) async fn create_request(&self, connection: &str) -> Result<SyncRequest> {
        let file = format!("request-{connection}.yaml");
        self.write_file(&file, &include_str!("yaml/request.yaml").replace("CONNECTION", connection))?;
        let stdout = self.run(&format!("create -f {file}")).await?.into_stdout()?;
        let created = Instant::now();
        let name = stdout.split([' ', '/']).nth(1).unwrap_or_default().to_owned();
        if name.is_empty() {
            Err(Error::new("kubectl create printed no name"))
        } else {
            Ok(SyncRequest { name, created })
        }
    }

    /// Waits for a condition of a request with `kubectl wait`. Returns the time since its creation, or `None` on timeout.
    pub(crate) async fn wait_for_condition(
        &self,
        request: &SyncRequest,
        condition: &str,
        limit: Duration,
    ) -> Result<Option<Duration>> {
        let SyncRequest { name, created } = request;
        let waited = self
            .run(&format!("wait --for=condition={condition} usersync/{name} --timeout={}s", limit.as_secs()))
            .await?;
        Ok(waited.status.success().then(|| created.elapsed()))
    }

    pub(crate) async fn get_connection(&self, name: &str) -> Result<Value> {
        self.kubectl.get_json(["boxconnection", name]).await
    }

    pub(crate) async fn get_request_status(&self, request: &SyncRequest) -> Result<Value> {
        Ok(self.kubectl.get_json(["usersync", &request.name]).await?["status"].take())
    }

    /// Polls the connection until the condition is met or the time is over. Returns the last state.
    pub(crate) async fn wait_for_connection(
        &self,
        connection: &str,
        limit: Duration,
        condition: impl Fn(&Value) -> bool,
    ) -> Result<(bool, Value)> {
        let deadline = Instant::now() + limit;
        loop {
            let seen = self.get_connection(connection).await?;
            let met = condition(&seen);
            if met || Instant::now() >= deadline {
                return Ok((met, seen));
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Compares the user counts of a connection with Box.
    pub(crate) async fn check_user_counts(&self, connection: &str, enterprise: &box_sim::Enterprise) -> Result<()> {
        let seen = self.get_connection(connection).await?;
        let users = &seen["status"]["users"];
        let (total, active) = user_counts(enterprise);
        let is_correct = users["total"] == total && users["active"] == active;
        self.screen.check(
            is_correct,
            format!(
                "{connection} holds {} users, {} of them active, as in Box",
                format_count(total),
                format_count(active)
            ),
            format!("{connection}: Box has {total} users, {active} of them active; status.users is {users}"),
        );
        Ok(())
    }

    pub(crate) fn operator_command(&self) -> Result<OperatorCommand> {
        Ok(OperatorCommand::new(sibling_program("boxsync-operator")?, &self.kubeconfig)
            .flag("--box-api-url", self.demo_box.url())
            .flag("--watch-namespace", &self.cluster.namespace)
            .flag("--min-sync-gap", "1s")
            // With a fixed identity, a restarted operator acquires its Lease immediately.
            .flag("--identity", "demo")
            .flag("--log-format", "text")
            // The log goes to a file.
            .env("NO_COLOR", "1"))
    }

    pub(crate) fn operator(&mut self) -> Result<&mut harness::Operator> {
        self.cluster.operator.as_mut().ok_or_else(|| Error::new("the operator was not started"))
    }

    pub(crate) async fn stop_operator(&mut self) -> Result<()> {
        let status = self.operator()?.terminate(Duration::from_secs(10)).await?;
        if status.success() { Ok(()) } else { Err(Error::new(format!("the operator exited with {status}"))) }
    }

    /// Checks the invariants and prints the summary.
    pub(crate) async fn finish(&mut self, once: bool) -> Result<()> {
        self.screen.step("Final state");
        self.run("get boxconnections").await?;
        self.run("get usersyncrequests").await?;
        let status = self.run_plugin("status").await?;
        self.screen.blank_line();
        self.screen.check(
            status.status.success(),
            "an operator is running and no action is needed: exit code 0",
            format!("kubectl boxsync status ended with {}", status.status),
        );
        let everything =
            self.run_silently("get boxconnections,usersyncrequests,events -o json").await?.into_stdout()?;
        let log = self.operator()?.log();
        let places = [("the operator's log", &log), ("a status or an event", &everything)];
        let leak = places.iter().find_map(|(place, text)| self.secrets.find_in(place, text));
        self.screen.check(
            leak.is_none(),
            "no secret appears in the operator's log, a status or an event",
            leak.unwrap_or_default(),
        );
        self.screen.print_summary();
        if once {
            self.screen.heading("What to try next");
            self.screen.blank_line();
            self.screen.print("  make demo                           the same, and keeps running");
            self.screen.print("  make demo ARGS=\"--context NAME\"     on your own cluster");
            self.screen.print("  README.md, config/samples           a first connection to a real enterprise");
            self.screen.blank_line();
        }
        Ok(())
    }
}

/// A program in the directory of this one, built by `make demo`.
pub(crate) fn sibling_program(name: &str) -> Result<PathBuf> {
    let program =
        std::env::current_exe().map_err(|e| Error::new(format!("cannot locate the current executable: {e}")))?;
    let program = program.with_file_name(name);
    if program.is_file() {
        return Ok(program);
    }
    Err(Error::new(format!("{} is missing: run `make demo`, which builds it", program.display())))
}

/// `I1122 20:31:38.491147 …`: a line of kubectl's log, such as the end of a watch.
fn is_kubectl_log_line(line: &str) -> bool {
    let mut chars = line.chars();
    chars.next().is_some_and(|c| "IWE".contains(c)) && chars.by_ref().take(4).filter(char::is_ascii_digit).count() == 4
}

/// A condition's status, reason and message; empty if there is none.
pub(crate) fn find_condition<'v>(object: &'v Value, kind: &str) -> [&'v str; 3] {
    let conditions = object["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let found = conditions.iter().find(|c| c["type"] == kind);
    ["status", "reason", "message"].map(|field| found.and_then(|c| c[field].as_str()).unwrap_or_default())
}
