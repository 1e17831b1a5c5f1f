//! A simulated cluster with connections and published lists, in which plugin commands are run.

use std::{
    io::{self, BufRead, Cursor, Write},
    sync::{Arc, Mutex},
    time::Duration,
};

use boxsync::{
    api::{self, BoxConnection, UserRoster},
    cli::{self, Cli, ColorMode, Io, Output, Tty},
    kube_client::KubeClient,
    roster::{PublishRequest, PublishResult, RosterVersion, Store},
    runtime::Clock,
    user_list::{User, UserListBuilder, UserRole, UserStatus},
};
use kube::ResourceExt;
use kube_sim::{KubeSim, Resource, SimClock};
use serde_json::{Value, json};

use crate::publish_request::{ENTERPRISE, publish_confirmed, scheduled_publish};

pub(crate) const NAMESPACE: &str = "backup";

pub(crate) struct CliEnv {
    pub(crate) kube: KubeSim,
    pub(crate) clock: SimClock,
}

/// A writer whose content can be read while a command runs.
#[derive(Clone, Default)]
pub(crate) struct OutputBuffer(Arc<Mutex<Vec<u8>>>);

impl OutputBuffer {
    pub(crate) fn contents(&self) -> String {
        String::from_utf8(self.0.lock().expect("not poisoned").clone()).expect("text")
    }
}

impl Write for OutputBuffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("not poisoned").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The output and the exit code of a command.
#[derive(Debug)]
pub(crate) struct CliOutput {
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) code: u8,
}

impl CliOutput {
    pub(crate) fn stdout_lines(&self) -> Vec<&str> {
        self.out.lines().collect()
    }
}

/// The terminals, environment and input of a command.
#[derive(Clone, Copy)]
pub(crate) struct TestIo<'a> {
    pub(crate) stdout_tty: Tty,
    pub(crate) stdin_tty: Tty,
    pub(crate) no_color: Option<&'a str>,
    pub(crate) input: &'a str,
    /// The width of the terminal.
    pub(crate) width: usize,
}

pub(crate) const PIPE: TestIo<'_> =
    TestIo { stdout_tty: Tty::Piped, stdin_tty: Tty::Piped, no_color: None, input: "", width: usize::MAX };
pub(crate) const TERMINAL: TestIo<'_> =
    TestIo { stdout_tty: Tty::Interactive, stdin_tty: Tty::Interactive, no_color: None, input: "", width: usize::MAX };

impl CliEnv {
    pub(crate) fn new() -> Self {
        // libtest captures the log and prints it if the test fails.
        tracing_subscriber::fmt().with_env_filter("boxsync=debug").with_ansi(false).with_test_writer().try_init().ok();
        // For commands that call Box.
        rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
        let clock = SimClock::new("2026-11-22T12:00:00Z".parse().expect("a time"));
        let kinds: Vec<Resource> = api::crds().iter().map(Resource::from_crd).collect();
        Self { kube: KubeSim::new(clock.clock_fn(), kinds), clock }
    }

    /// A cluster with the connection `acme` and a list of the [`three_users`].
    pub(crate) async fn with_three_users() -> Self {
        let env = Self::new();
        env.create_ready_connection("acme", 3);
        env.publish_users("acme", &three_users()).await;
        env
    }

    /// A cluster with the connection `acme` and a list of `total` users, the first `missing` of whom are held.
    pub(crate) async fn with_held_users(total: usize, missing: usize) -> Self {
        let env = Self::new();
        env.create_ready_connection("acme", i64::try_from(total).expect("few"));
        let names: Vec<_> = (0..total).map(|n| ((2000 + n).to_string(), format!("user{n}@acme.com"))).collect();
        let all: Vec<User<'_>> = names.iter().map(|(id, login)| user_record(id, login, "User")).collect();
        env.publish_users("acme", &all).await;
        env.publish_users("acme", &all[missing..]).await;
        env
    }

    /// Creates a connection in the default namespace.
    pub(crate) fn create_connection(&self, name: &str) {
        self.create_connection_in(NAMESPACE, name);
    }

    pub(crate) fn create_connection_in(&self, namespace: &str, name: &str) {
        self.kube.create(json!({
            "apiVersion": "boxsync.dev/v1alpha1", "kind": "BoxConnection",
            "metadata": { "name": name, "namespace": namespace, "labels": { "team": name } },
            "spec": { "enterpriseId": ENTERPRISE, "auth": { "clientCredentials": { "secretRef": { "name": "box" } } } },
        }));
    }

    pub(crate) fn set_status(&self, name: &str, status: Value) {
        self.kube.edit("BoxConnection", NAMESPACE, name, |c| c["status"] = status);
    }

    /// Creates a connection that is ready, with a list that is three hours old.
    pub(crate) fn create_ready_connection(&self, name: &str, users: i64) {
        self.create_connection(name);
        self.set_status(name, ready_status(users));
    }

    /// Applies a Lease that was renewed `seconds` ago.
    pub(crate) fn apply_lease(&self, seconds: u64) {
        let renewed = self.clock.now() - Duration::from_secs(seconds);
        self.kube.apply(json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": { "name": "boxsync-operator", "namespace": "boxsync",
                "labels": { "app.kubernetes.io/name": "boxsync-operator" } },
            "spec": { "holderIdentity": "pod-a", "leaseDurationSeconds": 15, "renewTime": format!("{renewed:.6}") },
        }));
    }

    /// Publishes a list with these users.
    pub(crate) async fn publish_users(&self, name: &str, users: &[User<'_>]) -> PublishResult {
        self.publish_users_approved(name, users, None).await
    }

    pub(crate) async fn publish_users_approved(
        &self,
        name: &str,
        users: &[User<'_>],
        approve: Option<&str>,
    ) -> PublishResult {
        let connection: BoxConnection = self.kube.object(NAMESPACE, name).expect("a connection");
        let owner = connection.uid().expect("a UID");
        let roster = self.kube.object::<UserRoster>(NAMESPACE, name);
        let request = PublishRequest {
            approved_digest: approve,
            last_published: roster.as_ref().map(|r| (r.spec.revision, r.spec.users.total)),
            base: roster.as_ref().map(RosterVersion::of),
            ..scheduled_publish(&owner, self.product_clock().now())
        };
        let mut builder = UserListBuilder::default();
        builder.push_users(users.iter().copied());
        let result =
            publish_confirmed(&self.list_store(name), &request, &builder.build(), || self.product_clock().now())
                .await
                .expect("it can be published");
        // As the operator reports it.
        let held = self.kube.object::<UserRoster>(NAMESPACE, name).and_then(|roster| roster.spec.held);
        self.kube.edit("BoxConnection", NAMESPACE, name, |connection| {
            if let Some(status) = connection["status"].as_object_mut() {
                status.insert("held".to_owned(), json!(held));
                if held.is_none() {
                    status.remove("held");
                }
            }
        });
        result
    }

    /// Deletes the slices of these states.
    pub(crate) fn delete_slices(&self, states: &[&str]) {
        for slice in self.kube.list("UserSlice") {
            if states.iter().any(|state| slice["state"] == *state) {
                self.kube.delete("UserSlice", NAMESPACE, slice["metadata"]["name"].as_str().expect("a name"));
            }
        }
    }

    pub(crate) fn list_store(&self, name: &str) -> Store {
        Store::new(KubeClient::new(self.kube.client_as("operator")), NAMESPACE, name)
    }

    /// The time as the product rounds it.
    fn product_clock(&self) -> Clock {
        let clock = self.clock.clone();
        Clock::from_fn(move || clock.now())
    }

    /// Runs a command as a script does.
    pub(crate) async fn run(&self, line: &str) -> CliOutput {
        self.run_with_io(PIPE, line).await
    }

    pub(crate) async fn run_with_io(&self, io: TestIo<'_>, line: &str) -> CliOutput {
        let out = OutputBuffer::default();
        let (code, err) = self.run_into_buffer(&out, io, line).await;
        CliOutput { out: out.contents(), err, code }
    }

    /// Runs a command; its stdout can be read meanwhile.
    pub(crate) async fn run_into_buffer(&self, stdout: &OutputBuffer, io: TestIo<'_>, line: &str) -> (u8, String) {
        self.run_with_stdin(stdout, io, &mut Cursor::new(io.input.as_bytes()), line).await
    }

    /// Runs a command with this standard input.
    pub(crate) async fn run_with_stdin(
        &self,
        stdout: &OutputBuffer,
        io: TestIo<'_>,
        input: &mut dyn BufRead,
        line: &str,
    ) -> (u8, String) {
        let args = ["kubectl-boxsync"].into_iter().chain(line.split_whitespace());
        let command = Cli::parse_args(args).unwrap_or_else(|e| panic!("{line}: {e}"));
        let (mut out, mut err) = (stdout.clone(), Vec::new());
        let mut io = Io {
            out: Output::new(&mut out, ColorMode::for_stdout(io.stdout_tty, io.no_color)).wrapping_at(io.width),
            err: Output::new(&mut err, ColorMode::Plain).wrapping_at(io.width),
            input,
            stdout_tty: io.stdout_tty,
            stdin_tty: io.stdin_tty,
            clock: self.product_clock(),
        };
        let exit = cli::run(command, self.kube.client_as("alice"), NAMESPACE, &mut io).await;
        (exit.code(), String::from_utf8(err).expect("text"))
    }
}

pub(crate) fn ready_status(users: i64) -> Value {
    json!({
        "observedGeneration": 1,
        "conditions": [
            condition_json("Ready", "True", "Synced", "The list holds users."),
            condition_json("Connected", "True", "Connected", "Box accepts the credentials."),
            condition_json("Synced", "True", "Synced", "The list holds users."),
        ],
        "users": user_counts(users),
        "lastSync": { "trigger": "Scheduled", "startTime": "2026-11-22T08:59:00Z", "completionTime": "2026-11-22T09:00:00Z",
            "added": 2, "updated": 1, "removed": 0, "revision": 42 },
        "staleTime": "2026-11-24T09:00:00Z",
        "nextSyncTime": "2026-11-23T08:59:00Z",
        "operator": { "leaseRef": { "namespace": "boxsync", "name": "boxsync-operator" } },
    })
}

pub(crate) fn user_counts(users: i64) -> Value {
    json!({ "total": users, "active": users, "inactive": 0, "restricted": 0, "other": 0, "app": 0, "held": 0, "removed": 0 })
}

pub(crate) fn condition_json(kind: &str, status: &str, reason: &str, message: &str) -> Value {
    json!({ "type": kind, "status": status, "reason": reason, "message": message,
        "lastTransitionTime": "2026-11-22T10:00:00Z" })
}

/// A user with default values.
pub(crate) fn user_record<'a>(id: &'a str, login: &'a str, name: &'a str) -> User<'a> {
    User {
        id,
        login,
        name,
        job_title: "Clerk",
        language: "en",
        timezone: "Europe/Berlin",
        status: UserStatus::Active,
        role: UserRole::User,
        app: false,
        created_at: Some(1_700_000_000),
        space_amount: -1,
        ..User::default()
    }
}

/// The three users of most tests.
pub(crate) fn three_users() -> [User<'static>; 3] {
    [
        User { role: UserRole::Admin, ..user_record("2001", "ann@acme.com", "Ann Archer") },
        User { status: UserStatus::Inactive, ..user_record("2002", "bob@acme.com", "Bob Baker") },
        User { app: true, ..user_record("2003", "robot@boxdevedition.com", "Robot") },
    ]
}
