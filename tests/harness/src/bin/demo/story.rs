//! story — what every step works with: commands that are shown and run, requests, and looking things up.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use harness::{Error, Kubectl, Output, Result, Secrets, Settings};
use serde_json::Value;

use crate::boxes::{Boxes, truth};
use crate::cluster::Cluster;
use crate::number;
use crate::screen::Screen;

/// Of a kind of thing that has no bound of its own to show; for a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Story<'a> {
    pub(crate) screen: &'a Screen,
    pub(crate) cluster: &'a mut Cluster,
    pub(crate) boxes: Boxes,
    pub(crate) kubectl: Kubectl,
    pub(crate) folder: PathBuf,
    pub(crate) secrets: Secrets,
    /// The operator's; empty before it has one.
    pub(crate) kubeconfig: PathBuf,
}

/// A request that was created.
pub(crate) struct Request {
    pub(crate) name: String,
    pub(crate) created: Instant,
}

/// What of a long output is shown.
#[derive(Clone, Copy)]
pub(crate) enum Cut {
    Head(usize),
    Grep(&'static str),
}

impl Cut {
    fn of(self, text: &str) -> String {
        let lines = text.lines();
        let shown: Vec<&str> = match self {
            Self::Head(count) => lines.take(count).collect(),
            Self::Grep(word) => lines.filter(|line| line.contains(word)).collect(),
        };
        shown.join("\n")
    }
}

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Head(count) => write!(f, "head -n {count}"),
            Self::Grep(word) => write!(f, "grep {word}"),
        }
    }
}

impl<'a> Story<'a> {
    pub(crate) async fn begin(screen: &'a Screen, cluster: &'a mut Cluster) -> Result<Self> {
        screen.title(
            "boxsync demo",
            "Box holds the users of three companies. The operator keeps their lists in a Kubernetes cluster: \
             it connects, syncs, and says honestly what does not work.",
        );
        screen.step("A cluster and a Box");
        let begun = Instant::now();
        cluster.open().await?;
        let boxes = Boxes::open().await?;
        let folder = cluster.folder()?.join("files");
        std::fs::create_dir_all(&folder).map_err(|e| Error::new(format!("cannot create {}: {e}", folder.display())))?;
        let kubectl = cluster.kubectl()?.folder(&folder);
        match cluster.context() {
            None => screen.why(&format!(
                "etcd, kube-apiserver and kube-controller-manager run on this machine, ready after {}. \
                 Beside them runs a simulated Box, $BOX = {}.",
                crate::time(begun.elapsed()),
                boxes.url()
            )),
            Some(context) => screen.why(&format!(
                "The cluster is yours: every kubectl below runs with --context {context} --namespace {}. The demo \
                 removes this namespace at the end, and the CRDs if it had to create them. The operator runs on this \
                 machine, as a ServiceAccount that may look into this namespace only. Beside it runs a simulated Box, \
                 $BOX = {}.",
                cluster.namespace,
                boxes.url()
            )),
        }
        let secrets = boxes.secrets();
        Ok(Self { screen, cluster, boxes, kubectl, folder, secrets, kubeconfig: PathBuf::new() })
    }

    /// Shows and runs a command of kubectl's. Words are separated by spaces, as there are no others here.
    pub(crate) async fn run(&self, line: &str) -> Result<Output> {
        self.screen.command(&format!("$ kubectl {line}"));
        let output = self.quiet(line).await?;
        self.screen.output(&output.stdout);
        let said = output.stderr.lines().filter(|line| !is_log(line)).collect::<Vec<_>>().join("\n");
        self.screen.output(&said);
        Ok(output)
    }

    /// Shows and runs a command of `kubectl boxsync`, by the plugin that was built beside this program.
    pub(crate) async fn plugin(&self, line: &str) -> Result<Output> {
        self.screen.command(&format!("$ kubectl boxsync {line}"));
        let output = self.boxsync()?.run(line.split(' ')).await?;
        self.screen.output(&output.stdout);
        self.screen.output(&output.stderr);
        Ok(output)
    }

    /// The same where all that it prints would be too long: some of it is shown, all of it is handed back.
    pub(crate) async fn plugin_cut(&self, line: &str, cut: Cut) -> Result<String> {
        self.screen.command(&format!("$ kubectl boxsync {line} | {cut}"));
        let text = self.boxsync()?.run(line.split(' ')).await?.succeeded()?;
        self.screen.output(&cut.of(&text));
        Ok(text)
    }

    /// The plugin, as kubectl would start it.
    pub(crate) fn boxsync(&self) -> Result<Kubectl> {
        Ok(self.kubectl.plugin(&beside("kubectl-boxsync")?))
    }

    /// The same without showing it.
    pub(crate) async fn quiet(&self, line: &str) -> Result<Output> {
        self.kubectl.run(line.split(' ')).await
    }

    /// Shows and does what an admin of Box does.
    pub(crate) async fn admin(&self, method: &str, path: &str, body: &str) -> Result<()> {
        let json = if body.is_empty() { String::new() } else { format!(" \\\n    --json '{body}'") };
        self.screen.command(&format!("$ curl -X {method} $BOX/admin/enterprises/{path}{json}"));
        self.boxes.admin(method, path, body).await
    }

    /// Puts a file into the folder that the commands run in.
    pub(crate) fn file(&self, name: &str, text: &str) -> Result<()> {
        let path = self.folder.join(name);
        std::fs::write(&path, text).map_err(|e| Error::new(format!("cannot write {}: {e}", path.display())))
    }

    /// `kubectl create -f` of a request for this connection.
    pub(crate) async fn request(&self, connection: &str) -> Result<Request> {
        let file = format!("request-{connection}.yaml");
        self.file(&file, &include_str!("yaml/request.yaml").replace("CONNECTION", connection))?;
        let said = self.run(&format!("create -f {file}")).await?.succeeded()?;
        let created = Instant::now();
        let name = said.split([' ', '/']).nth(1).unwrap_or_default().to_owned();
        if name.is_empty() { Err(Error::new("kubectl create named no request")) } else { Ok(Request { name, created }) }
    }

    /// `kubectl wait` for one of the two ends of a request: how long after its creation, or that it did not come.
    pub(crate) async fn ends(&self, request: &Request, condition: &str, limit: Duration) -> Result<Option<Duration>> {
        let Request { name, created } = request;
        let waited = self
            .run(&format!("wait --for=condition={condition} usersync/{name} --timeout={}s", limit.as_secs()))
            .await?;
        Ok(waited.status.success().then(|| created.elapsed()))
    }

    pub(crate) async fn connection(&self, name: &str) -> Result<Value> {
        self.kubectl.get_json(["boxconnection", name]).await
    }

    pub(crate) async fn request_status(&self, request: &Request) -> Result<Value> {
        Ok(self.kubectl.get_json(["usersync", &request.name]).await?["status"].take())
    }

    /// Looks until it is so, or the time is over; hands back what it saw last.
    pub(crate) async fn until(
        &self,
        connection: &str,
        limit: Duration,
        so: impl Fn(&Value) -> bool,
    ) -> Result<(bool, Value)> {
        let deadline = Instant::now() + limit;
        loop {
            let seen = self.connection(connection).await?;
            let well = so(&seen);
            if well || Instant::now() >= deadline {
                return Ok((well, seen));
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Compares the counts of a connection with Box's own.
    pub(crate) async fn check_counts(&self, connection: &str, enterprise: &box_sim::Enterprise) -> Result<()> {
        let seen = self.connection(connection).await?;
        let users = &seen["status"]["users"];
        let (total, active) = truth(enterprise);
        let right = users["total"] == total && users["active"] == active;
        self.screen.check(
            right,
            format!("{connection} holds {} users, {} of them active: as Box has it", number(total), number(active)),
            format!("{connection}: Box has {total} users, {active} of them active; status.users is {users}"),
        );
        Ok(())
    }

    pub(crate) fn settings(&self) -> Result<Settings> {
        Ok(Settings::new(beside("boxsync-operator")?, &self.kubeconfig)
            .flag("--box-api-url", self.boxes.url())
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
    pub(crate) async fn conclude(&mut self, once: bool) -> Result<()> {
        self.screen.step("What is there in the end");
        self.run("get boxconnections").await?;
        self.run("get usersyncrequests").await?;
        let status = self.plugin("status").await?;
        self.screen.gap();
        self.screen.check(
            status.status.success(),
            "an operator is at work, and nobody is needed: exit code 0",
            format!("kubectl boxsync status ended with {}", status.status),
        );
        let everything = self.quiet("get boxconnections,usersyncrequests,events -o json").await?.succeeded()?;
        let log = self.operator()?.log();
        let places = [("the operator's log", &log), ("a status or an event", &everything)];
        let leak = places.iter().find_map(|(place, text)| self.secrets.found_in(place, text));
        self.screen.check(
            leak.is_none(),
            "no secret stands in the operator's log, in a status or in an event",
            leak.unwrap_or_default(),
        );
        self.screen.conclude();
        if once {
            self.screen.heading("What to try next");
            self.screen.gap();
            self.screen.say("  make demo                           the same, and it stays for you to play with");
            self.screen.say("  make demo ARGS=\"--context NAME\"     on a cluster that you have already");
            self.screen.say("  README.md, config/samples           a first connection to a real enterprise");
            self.screen.gap();
        }
        Ok(())
    }
}

/// A program that `make demo` built together with this one.
pub(crate) fn beside(name: &str) -> Result<PathBuf> {
    let program = std::env::current_exe().map_err(|e| Error::new(format!("this program cannot be found: {e}")))?;
    let program = program.with_file_name(name);
    if program.is_file() {
        return Ok(program);
    }
    Err(Error::new(format!("{} is missing: run `make demo`, which builds it", program.display())))
}

/// `I1122 20:31:38.491147 …`: a line of kubectl's own log, about how a watch of its ended for instance.
fn is_log(line: &str) -> bool {
    let mut chars = line.chars();
    chars.next().is_some_and(|c| "IWE".contains(c)) && chars.by_ref().take(4).filter(char::is_ascii_digit).count() == 4
}

/// A condition's status, reason and message; empty where there is none.
pub(crate) fn condition<'v>(object: &'v Value, kind: &str) -> [&'v str; 3] {
    let conditions = object["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let found = conditions.iter().find(|c| c["type"] == kind);
    ["status", "reason", "message"].map(|field| found.and_then(|c| c[field].as_str()).unwrap_or_default())
}
