//! A cluster with connections and published lists, and somebody at a desk who asks kubectl boxsync.

use std::{
    io::{self, BufRead, Cursor, Write},
    sync::{Arc, Mutex},
    time::Duration,
};

use boxsync::{
    api::{self, BoxConnection, Change, Trigger, UserRoster},
    cli::{self, Command, Desk, Ink, Seat},
    cluster::Cluster,
    roster::{Builder, Entry, Order, Published, Role, Status, Store, publish},
    runtime::Clock,
};
use clap::Parser;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use kube_sim::{KubeSim, Resource, SimClock};
use serde_json::{Value, json};

pub(crate) const NAMESPACE: &str = "backup";

pub(crate) struct Town {
    pub(crate) kube: KubeSim,
    pub(crate) clock: SimClock,
}

/// Shares what is written with whoever waits for it.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("not poisoned").clone()).expect("text")
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("not poisoned").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What was printed, and the exit code.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) code: u8,
}

impl Said {
    pub(crate) fn lines(&self) -> Vec<&str> {
        self.out.lines().collect()
    }
}

/// Where somebody sits, and what they type.
#[derive(Clone, Copy)]
pub(crate) struct At<'a> {
    pub(crate) reader: Seat,
    pub(crate) answerer: Seat,
    pub(crate) no_color: Option<&'a str>,
    pub(crate) types: &'a str,
}

pub(crate) const PIPE: At<'_> = At { reader: Seat::Program, answerer: Seat::Program, no_color: None, types: "" };
pub(crate) const TERMINAL: At<'_> = At { reader: Seat::Person, answerer: Seat::Person, no_color: None, types: "" };

impl Town {
    pub(crate) fn new() -> Self {
        let clock = SimClock::new("2026-11-22T12:00:00Z".parse().expect("a time"));
        let kinds: Vec<Resource> = api::crds().iter().map(Resource::of_crd).collect();
        Self { kube: KubeSim::new(clock.reader(), kinds), clock }
    }

    /// A connection of the usual namespace, as the API server creates it.
    pub(crate) fn connection(&self, name: &str) {
        self.connection_of(NAMESPACE, name);
    }

    pub(crate) fn connection_of(&self, namespace: &str, name: &str) {
        self.kube.create(json!({
            "apiVersion": "boxsync.dev/v1alpha1", "kind": "BoxConnection",
            "metadata": { "name": name, "namespace": namespace, "labels": { "team": name } },
            "spec": { "enterpriseId": "1001", "auth": { "clientCredentials": { "secretRef": { "name": "box" } } } },
        }));
    }

    pub(crate) fn tell(&self, name: &str, status: Value) {
        self.kube.edit("BoxConnection", NAMESPACE, name, |c| c["status"] = status);
    }

    /// A connection that works, whose list is three hours old.
    pub(crate) fn ready(&self, name: &str, users: i64) {
        self.connection(name);
        self.tell(name, ready(users));
    }

    /// A Lease that was renewed so many seconds ago.
    pub(crate) fn lease(&self, seconds: u64) {
        let renewed = self.clock.now() - Duration::from_secs(seconds);
        self.kube.apply(json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": { "name": "boxsync-operator", "namespace": "boxsync",
                "labels": { "app.kubernetes.io/name": "boxsync-operator" } },
            "spec": { "holderIdentity": "pod-a", "leaseDurationSeconds": 15, "renewTime": format!("{renewed:.6}") },
        }));
    }

    /// Publishes that Box now lists these users: id, login, and whatever else there is to say.
    pub(crate) async fn publish(&self, name: &str, users: &[Entry<'_>]) -> Published {
        self.publish_approved(name, users, None).await
    }

    pub(crate) async fn publish_approved(&self, name: &str, users: &[Entry<'_>], approve: Option<&str>) -> Published {
        let connection: BoxConnection = self.kube.object(NAMESPACE, name).expect("a connection");
        let change = Change {
            trigger: Trigger::Scheduled,
            start_time: Time(self.now()),
            added: 0,
            updated: 0,
            removed: 0,
            calls: 1,
            requests: Vec::new(),
            requested_at: None,
            requested_by: Vec::new(),
            approved: None,
        };
        let owner = connection.uid().expect("a UID");
        let known = self.kube.object::<UserRoster>(NAMESPACE, name).map(|r| (r.spec.revision, r.spec.users.total));
        let order = Order {
            owner: &owner,
            enterprise_id: "1001",
            retention: Duration::from_secs(720 * 3600),
            max_removal_percent: 20,
            approve,
            known,
            change,
        };
        let mut builder = Builder::default();
        builder.push_page(users.iter().copied());
        publish(&self.store(name), &order, &builder.finish(), || self.now()).await.expect("it can be published")
    }

    pub(crate) fn store(&self, name: &str) -> Store {
        Store::new(Cluster::new(self.kube.client_as("operator")), NAMESPACE, name)
    }

    fn now(&self) -> Timestamp {
        Clock::telling({
            let clock = self.clock.clone();
            move || clock.now()
        })
        .now()
    }

    /// Asks as a script does.
    pub(crate) async fn ask(&self, line: &str) -> Said {
        self.ask_at(PIPE, line).await
    }

    pub(crate) async fn ask_at(&self, at: At<'_>, line: &str) -> Said {
        let out = Log::default();
        let (code, err) = self.ask_into(&out, at, line).await;
        Said { out: out.text(), err, code }
    }

    /// Asks, and hands what is printed to the log at once.
    pub(crate) async fn ask_into(&self, log: &Log, at: At<'_>, line: &str) -> (u8, String) {
        self.ask_reading(log, at, &mut Cursor::new(at.types.as_bytes()), line).await
    }

    /// Asks, and types what this hands over.
    pub(crate) async fn ask_reading(&self, log: &Log, at: At<'_>, input: &mut dyn BufRead, line: &str) -> (u8, String) {
        let words = ["kubectl-boxsync"].into_iter().chain(line.split_whitespace());
        let command = Command::try_parse_from(words).unwrap_or_else(|e| panic!("{line}: {e}"));
        let (mut out, mut err) = (log.clone(), Vec::new());
        let clock = self.clock.clone();
        let mut desk = Desk {
            out: &mut out,
            err: &mut err,
            input,
            reader: at.reader,
            answerer: at.answerer,
            ink: Ink::of(at.reader, at.no_color),
            clock: Clock::telling(move || clock.now()),
        };
        let exit = cli::run(command, self.kube.client_as("somebody"), NAMESPACE, &mut desk).await;
        (exit.code(), String::from_utf8(err).expect("text"))
    }
}

pub(crate) fn ready(users: i64) -> Value {
    json!({
        "observedGeneration": 1,
        "conditions": [
            condition("Ready", "True", "Synced", "The list holds users."),
            condition("Connected", "True", "Connected", "Box accepts the credentials."),
            condition("Synced", "True", "Synced", "The list holds users."),
        ],
        "users": counts(users),
        "lastSync": { "trigger": "Scheduled", "startTime": "2026-11-22T08:59:00Z", "completionTime": "2026-11-22T09:00:00Z",
            "added": 2, "updated": 1, "removed": 0, "revision": 42 },
        "staleTime": "2026-11-24T09:00:00Z",
        "nextSyncTime": "2026-11-23T08:59:00Z",
        "rosterRef": { "name": "acme", "revision": 42 },
    })
}

pub(crate) fn counts(users: i64) -> Value {
    json!({ "total": users, "active": users, "inactive": 0, "restricted": 0, "other": 0, "app": 0, "held": 0, "removed": 0 })
}

pub(crate) fn condition(kind: &str, status: &str, reason: &str, message: &str) -> Value {
    json!({ "type": kind, "status": status, "reason": reason, "message": message,
        "lastTransitionTime": "2026-11-22T10:00:00Z" })
}

/// A user; the rest is as with most.
pub(crate) fn user<'a>(id: &'a str, login: &'a str, name: &'a str) -> Entry<'a> {
    Entry {
        id,
        login,
        name,
        job_title: "Clerk",
        language: "en",
        timezone: "Europe/Berlin",
        status: Status::Active,
        role: Role::User,
        app: false,
        created_at: Some(1_700_000_000),
        space_amount: -1,
    }
}

/// Three of whom most tests speak.
pub(crate) fn three() -> [Entry<'static>; 3] {
    [
        Entry { role: Role::Admin, ..user("2001", "ann@acme.com", "Ann Archer") },
        Entry { status: Status::Inactive, ..user("2002", "bob@acme.com", "Bob Baker") },
        Entry { app: true, ..user("2003", "robot@boxdevedition.com", "Robot") },
    ]
}
