//! story — what every step works with: commands that are shown and run, requests, and looking things up.

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

/// Of a kind of thing that has no bound of its own to show; for a busy machine.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(60);

pub(crate) struct DemoRun<'a> {
    pub(crate) screen: &'a Screen,
    pub(crate) cluster: &'a mut DemoCluster,
    pub(crate) demo_box: DemoBox,
    pub(crate) kubectl: Kubectl,
    pub(crate) dir: PathBuf,
    pub(crate) secrets: Secrets,
    /// The operator's; empty before it has one.
    pub(crate) kubeconfig: PathBuf,
}

/// A request that was created.
pub(crate) struct SyncRequest {
    pub(crate) name: String,
    pub(crate) created: Instant,
}

/// What of a long output is shown.
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
             it connects, syncs, and says honestly what does not work.",
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
                 Beside them runs a simulated Box, $BOX = {}.",
                crate::format_duration(begun.elapsed()),
                boxes.url()
            )),
            Some(context) => screen.explain(&format!(
                "The cluster is yours: every kubectl below runs with --context {context} --namespace {}. The demo \
                 removes this namespace at the end, and the CRDs if it had to create them. The operator runs on this \
                 machine, as a ServiceAccount that may look into this namespace only. Beside it runs a simulated Box, \
                 $BOX = {}.",
                cluster.namespace,
                boxes.url()
            )),
        }
        let secrets = boxes.secrets();
        Ok(Self { screen, cluster, demo_box: boxes, kubectl, dir: folder, secrets, kubeconfig: PathBuf::new() })
    }

    /// Shows and runs a command of kubectl's. Words are separated by spaces, as there are no others here.
    pub(crate) async fn run(&self, line: &str) -> Result<CommandOutput> {
        self.screen.command(&format!("$ kubectl {line}"));
        let output = self.run_silently(line).await?;
        self.screen.output(&output.stdout);
        let stderr = output.stderr.lines().filter(|line| !is_kubectl_log_line(line)).collect::<Vec<_>>().join("\n");
        self.screen.output(&stderr);
        Ok(output)
    }

    /// Shows and runs a command of `kubectl boxsync`, by the plugin that was built beside this program.
    pub(crate) async fn run_plugin(&self, line: &str) -> Result<CommandOutput> {
        self.screen.command(&format!("$ kubectl boxsync {line}"));
        let output = self.plugin_command()?.run(line.split(' ')).await?;
        self.screen.output(&output.stdout);
        self.screen.output(&output.stderr);
        Ok(output)
    }

    /// The same where all that it prints would be too long: some of it is shown, all of it is handed back.
    pub(crate) async fn run_plugin_filtered(&self, line: &str, filter: OutputFilter) -> Result<String> {
        self.screen.command(&format!("$ kubectl boxsync {line} | {filter}"));
        let text = self.plugin_command()?.run(line.split(' ')).await?.into_stdout()?;
        self.screen.output(&filter.apply(&text));
        Ok(text)
    }

    /// The plugin, as kubectl would start it.
    pub(crate) fn plugin_command(&self) -> Result<Kubectl> {
        Ok(self.kubectl.for_plugin(&sibling_program("kubectl-boxsync")?))
    }

    /// The same without showing it.
    pub(crate) async fn run_silently(&self, line: &str) -> Result<CommandOutput> {
        self.kubectl.run(line.split(' ')).await
    }

    /// Shows and does what an admin of Box does.
    pub(crate) async fn call_admin(&self, method: &str, path: &str, body: &str) -> Result<()> {
        let json = if body.is_empty() { String::new() } else { format!(" \\\n    --json '{body}'") };
        self.screen.command(&format!("$ curl -X {method} $BOX/admin/enterprises/{path}{json}"));
        self.demo_box.call_admin(method, path, body).await
    }

    /// Puts a file into the folder that the commands run in.
    pub(crate) fn write_file(&self, name: &str, text: &str) -> Result<()> {
        let path = self.dir.join(name);
        std::fs::write(&path, text).map_err(|e| Error::new(format!("cannot write {}: {e}", path.display())))
    }

    /// `kubectl create -f` of a request for this connection.
    pub(crate) async fn create_request(&self, connection: &str) -> Result<SyncRequest> {
        let file = format!("request-{connection}.yaml");
        self.write_file(&file, &include_str!("yaml/request.yaml").replace("CONNECTION", connection))?;
        let stdout = self.run(&format!("create -f {file}")).await?.into_stdout()?;
        let created = Instant::now();
        let name = stdout.split([' ', '/']).nth(1).unwrap_or_default().to_owned();
        if name.is_empty() {
            Err(Error::new("kubectl create named no request"))
        } else {
            Ok(SyncRequest { name, created })
        }
    }

    /// `kubectl wait` for one of the two ends of a request: how long after its creation, or that it did not come.
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

    /// Looks until it is so, or the time is over; hands back what it saw last.
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

    /// Compares the counts of a connection with Box's own.
    pub(crate) async fn check_user_counts(&self, connection: &str, enterprise: &box_sim::Enterprise) -> Result<()> {
        let seen = self.get_connection(connection).await?;
        let users = &seen["status"]["users"];
        let (total, active) = user_counts(enterprise);
        let is_correct = users["total"] == total && users["active"] == active;
        self.screen.check(
            is_correct,
            format!(
                "{connection} holds {} users, {} of them active: as Box has it",
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
            // By this name, one that is started again takes its Lease at once.
            .flag("--identity", "demo")
            .flag("--log-format", "text")
            // Its log is a file here.
            .env("NO_COLOR", "1"))
    }

    pub(crate) fn operator(&mut self) -> Result<&mut harness::Operator> {
        self.cluster.operator.as_mut().ok_or_else(|| Error::new("the operator was not started"))
    }

    pub(crate) async fn stop_operator(&mut self) -> Result<()> {
        let status = self.operator()?.terminate(Duration::from_secs(10)).await?;
        if status.success() { Ok(()) } else { Err(Error::new(format!("the operator did not end well: {status}"))) }
    }

    /// Checks what holds all the time, and says how it all went.
    pub(crate) async fn finish(&mut self, once: bool) -> Result<()> {
        self.screen.step("What is there in the end");
        self.run("get boxconnections").await?;
        self.run("get usersyncrequests").await?;
        let status = self.run_plugin("status").await?;
        self.screen.blank_line();
        self.screen.check(
            status.status.success(),
            "an operator is at work, and nobody is needed: exit code 0",
            format!("kubectl boxsync status ended with {}", status.status),
        );
        let everything =
            self.run_silently("get boxconnections,usersyncrequests,events -o json").await?.into_stdout()?;
        let log = self.operator()?.log();
        let places = [("the operator's log", &log), ("a status or an event", &everything)];
        let leak = places.iter().find_map(|(place, text)| self.secrets.find_in(place, text));
        self.screen.check(
            leak.is_none(),
            "no secret stands in the operator's log, in a status or in an event",
            leak.unwrap_or_default(),
        );
        self.screen.print_summary();
        if once {
            self.screen.heading("What to try next");
            self.screen.blank_line();
            self.screen.print("  make demo                           the same, and it stays for you to play with");
            self.screen.print("  make demo ARGS=\"--context NAME\"     on a cluster that you have already");
            self.screen.print("  README.md, config/samples           a first connection to a real enterprise");
            self.screen.blank_line();
        }
        Ok(())
    }
}

/// A program that `make demo` built together with this one.
pub(crate) fn sibling_program(name: &str) -> Result<PathBuf> {
    let program = std::env::current_exe().map_err(|e| Error::new(format!("this program cannot be found: {e}")))?;
    let program = program.with_file_name(name);
    if program.is_file() {
        return Ok(program);
    }
    Err(Error::new(format!("{} is missing: run `make demo`, which builds it", program.display())))
}

/// `I1122 20:31:38.491147 …`: a line of kubectl's own log, about how a watch of its ended for instance.
fn is_kubectl_log_line(line: &str) -> bool {
    let mut chars = line.chars();
    chars.next().is_some_and(|c| "IWE".contains(c)) && chars.by_ref().take(4).filter(char::is_ascii_digit).count() == 4
}

/// A condition's status, reason and message; empty where there is none.
pub(crate) fn find_condition<'v>(object: &'v Value, kind: &str) -> [&'v str; 3] {
    let conditions = object["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let found = conditions.iter().find(|c| c["type"] == kind);
    ["status", "reason", "message"].map(|field| found.and_then(|c| c[field].as_str()).unwrap_or_default())
}
