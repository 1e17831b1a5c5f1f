//! The published list: read once, or polled while the operator works.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use box_sim::Enterprise;
use boxsync::{
    api::{SliceState, UserRoster, UserSlice},
    kube_client::KubeClient,
    roster::{self, ChangeRecord, LIST_STATES, PublishedUser, ReadError, RemovedUser, RosterSnapshot, Store},
};
use kube::ResourceExt;
use serde::de::DeserializeOwned;
use tokio::task::JoinHandle;

use crate::env::{NAMESPACE, SimEnv};

/// Login, name and status by user ID.
pub(crate) type UsersById = BTreeMap<String, (String, String, String)>;

/// Polls a list until it is dropped, and stores every distinct list that it read.
pub(crate) struct PollingReader {
    observations: Arc<Mutex<Observations>>,
    task: JoinHandle<()>,
}

const FAST_READS: usize = 120;

#[derive(Default)]
struct Observations {
    reads: usize,
    /// By the digests of their slices, which identify a list.
    lists: BTreeMap<Vec<String>, UsersById>,
    revisions: Vec<i64>,
    problems: Vec<ReadError>,
}

impl Drop for PollingReader {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl PollingReader {
    /// Checks that every list read is one of these, no read failed, and the revision never decreased.
    pub(crate) fn assert_saw_only(&self, expected_lists: &[UsersById]) {
        let observations = self.observations.lock().expect("no reader panicked");
        assert!(observations.reads > 10, "only {} reads", observations.reads);
        assert!(observations.problems.is_empty(), "{:?}", observations.problems);
        assert!(observations.revisions.is_sorted(), "{:?}", observations.revisions);
        for list in observations.lists.values() {
            assert!(expected_lists.contains(list), "a list of {} users that Box never returned", list.len());
        }
    }
}

impl SimEnv {
    /// The list as this user of the API server can access it.
    pub(crate) fn store_as(&self, user: &str, connection: &str) -> Store {
        Store::new(KubeClient::new(self.kube.client_as(user)), NAMESPACE, connection)
    }

    /// Starts a reader that pauses between two reads.
    pub(crate) fn start_reader(&self, connection: &str, pause: Duration) -> PollingReader {
        let observations = Arc::new(Mutex::new(Observations::default()));
        let (store, shared) = (self.store_as("reader", connection), observations.clone());
        let task = tokio::spawn(async move {
            loop {
                let read = roster::read_snapshot(&store, LIST_STATES, None).await;
                shared.lock().expect("no reader panicked").record_read(read);
                // The first reads cover the scenario; the hours after it need fewer.
                let fast = shared.lock().expect("no reader panicked").reads < FAST_READS;
                tokio::time::sleep(if fast { pause } else { pause * 60 }).await;
            }
        });
        PollingReader { observations, task }
    }

    /// Reads the published list once.
    pub(crate) async fn published_users(&self, connection: &str) -> UsersById {
        read_users(&self.store_as("reader", connection)).await.expect("a list")
    }

    /// Everything that is published, with the lines as they are.
    pub(crate) async fn read_snapshot(&self, connection: &str) -> RosterSnapshot {
        let all = [SliceState::Live, SliceState::Held, SliceState::Removed, SliceState::Changes];
        roster::read_snapshot(&self.store_as("reader", connection), &all, None).await.expect("a list")
    }

    /// Logins of the users recorded as removed.
    pub(crate) async fn removed_logins(&self, connection: &str) -> Vec<String> {
        let removed = parse_lines::<RemovedUser>(&self.read_snapshot(connection).await, SliceState::Removed);
        removed.into_iter().map(|user| user.login).collect()
    }

    /// The recorded changes of all revisions.
    pub(crate) async fn recorded_changes(&self, connection: &str) -> Vec<ChangeRecord> {
        parse_lines(&self.read_snapshot(connection).await, SliceState::Changes)
    }

    pub(crate) fn get_roster(&self, connection: &str) -> UserRoster {
        self.kube.object::<UserRoster>(NAMESPACE, connection).expect("a roster")
    }

    /// Names of the connection's slices that neither the current nor the previous revision references.
    pub(crate) fn orphan_slices(&self, connection: &str) -> Vec<String> {
        let roster = self.get_roster(connection);
        let mut referenced: BTreeSet<String> = roster.spec.slices.iter().map(|s| s.name.clone()).collect();
        referenced.extend(roster.spec.previous.iter().flat_map(|p| p.slices.iter().cloned()));
        let slices = self.kube.objects::<UserSlice>().into_iter().map(|s| s.name_any());
        slices.filter(|name| name.starts_with(&format!("{connection}-")) && !referenced.contains(name)).collect()
    }
}

impl Observations {
    fn record_read(&mut self, read: Result<RosterSnapshot, ReadError>) {
        match read {
            Ok(snapshot) => {
                self.reads += 1;
                let listed = snapshot.roster.spec.slices.iter().filter(|s| LIST_STATES.contains(&s.state));
                let digests = listed.map(|s| s.digest.clone()).collect();
                self.lists.entry(digests).or_insert_with(|| users_in(&snapshot));
                if self.revisions.last() != Some(&snapshot.roster.spec.revision) {
                    self.revisions.push(snapshot.roster.spec.revision);
                }
            }
            Err(ReadError::NoRoster) if self.reads == 0 => {}
            Err(problem) => self.problems.push(problem),
        }
    }
}

/// Reads a published list once, with the product's reader, which compares the digests. Readers that share no code with it
/// are the programs of docs/reading.md, which `tests/e2e/reading.rs` runs.
pub(crate) async fn read_users(store: &Store) -> Result<UsersById, ReadError> {
    Ok(users_in(&roster::read_snapshot(store, LIST_STATES, None).await?))
}

fn parse_lines<T: DeserializeOwned>(snapshot: &RosterSnapshot, state: SliceState) -> Vec<T> {
    snapshot.record_lines(state).map(|line| serde_json::from_str(line).expect("a line")).collect()
}

fn users_in(snapshot: &RosterSnapshot) -> UsersById {
    let lines = LIST_STATES.iter().flat_map(|state| snapshot.record_lines(*state));
    let users = lines.map(|line| serde_json::from_str::<PublishedUser<'_>>(line).expect("a line of the list"));
    users.map(|u| (u.id.into_owned(), (u.login.into_owned(), u.name.into_owned(), u.status.into_owned()))).collect()
}

/// The complete list that Box returns now.
pub(crate) fn box_users(enterprise: &Enterprise) -> UsersById {
    let users = enterprise.users().into_iter();
    users.map(|u| (u.id.to_string(), (u.login.clone(), u.name.clone(), u.status.clone()))).collect()
}
