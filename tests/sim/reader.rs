//! A program that reads the published list all the time, as the documentation says.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use box_sim::Enterprise;
use boxsync::{
    api::{SliceState, UserRoster, UserSlice},
    cluster::Cluster,
    roster::{self, Gone, LIST, ReadError, Snapshot, Store, User},
};
use kube::ResourceExt;
use tokio::task::JoinHandle;

use crate::world::{NAMESPACE, World};

/// What a list says of each user: login, name and status by id.
pub(crate) type People = BTreeMap<String, (String, String, String)>;

/// Reads a list all the time until it is dropped, and keeps every list that it saw.
pub(crate) struct Reader {
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

const BUSY: usize = 80;

#[derive(Default)]
struct Seen {
    reads: usize,
    /// By the digests of their slices: equal ones are equal lists.
    lists: BTreeMap<Vec<String>, People>,
    revisions: Vec<i64>,
    problems: Vec<ReadError>,
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Reader {
    /// Every list that was seen is one of these, no read went wrong, and the revision never went back.
    pub(crate) fn saw_only(&self, answers: &[People]) {
        let seen = self.seen.lock().expect("no reader panicked");
        assert!(seen.reads > 10, "it read only {} times", seen.reads);
        assert!(seen.problems.is_empty(), "{:?}", seen.problems);
        assert!(seen.revisions.is_sorted(), "{:?}", seen.revisions);
        for list in seen.lists.values() {
            assert!(answers.contains(list), "a list of {} users that Box never answered", list.len());
        }
    }
}

impl World {
    pub(crate) fn store(&self, connection: &str) -> Store {
        Store::new(Cluster::new(self.kube.client_as("reader")), NAMESPACE, connection)
    }

    /// A reader that pauses so long between two reads.
    pub(crate) fn reader(&self, connection: &str, pause: Duration) -> Reader {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (store, told) = (self.store(connection), seen.clone());
        let task = tokio::spawn(async move {
            loop {
                let read = roster::read(&store, LIST, None).await;
                told.lock().expect("no reader panicked").note(read);
                // While the story goes on it hardly pauses; the hours after it are long.
                let busy = told.lock().expect("no reader panicked").reads < BUSY;
                tokio::time::sleep(if busy { pause } else { pause * 60 }).await;
            }
        });
        Reader { seen, task }
    }

    /// The published list, read once.
    pub(crate) async fn people(&self, connection: &str) -> People {
        people(&self.snapshot(connection).await)
    }

    pub(crate) async fn snapshot(&self, connection: &str) -> Snapshot {
        let all = [SliceState::Live, SliceState::Held, SliceState::Removed, SliceState::Changes];
        roster::read(&self.store(connection), &all, None).await.expect("a list")
    }

    /// Logins of the users who are known as removed.
    pub(crate) async fn removed(&self, connection: &str) -> Vec<String> {
        let snapshot = self.snapshot(connection).await;
        let gone = snapshot.lines(SliceState::Removed).map(|l| serde_json::from_str::<Gone>(l).expect("a line"));
        gone.map(|gone| gone.login).collect()
    }

    pub(crate) fn roster(&self, connection: &str) -> UserRoster {
        self.kube.object::<UserRoster>(NAMESPACE, connection).expect("a roster")
    }

    /// Names of the slices of this connection that neither its roster nor the revision before it names.
    pub(crate) fn orphans(&self, connection: &str) -> Vec<String> {
        let roster = self.roster(connection);
        let mut named: BTreeSet<String> = roster.spec.slices.iter().map(|s| s.name.clone()).collect();
        named.extend(roster.spec.previous.iter().flat_map(|p| p.slices.iter().cloned()));
        let slices = self.kube.objects::<UserSlice>().into_iter().map(|s| s.name_any());
        slices.filter(|name| name.starts_with(&format!("{connection}-")) && !named.contains(name)).collect()
    }
}

impl Seen {
    fn note(&mut self, read: Result<Snapshot, ReadError>) {
        match read {
            Ok(snapshot) => {
                self.reads += 1;
                let listed = snapshot.roster.spec.slices.iter().filter(|s| LIST.contains(&s.state));
                let digests = listed.map(|s| s.digest.clone()).collect();
                self.lists.entry(digests).or_insert_with(|| people(&snapshot));
                if self.revisions.last() != Some(&snapshot.roster.spec.revision) {
                    self.revisions.push(snapshot.roster.spec.revision);
                }
            }
            Err(ReadError::NoRoster) if self.reads == 0 => {}
            Err(problem) => self.problems.push(problem),
        }
    }
}

fn people(snapshot: &Snapshot) -> People {
    let lines = LIST.iter().flat_map(|state| snapshot.lines(*state));
    let users = lines.map(|line| serde_json::from_str::<User<'_>>(line).expect("a line of the list"));
    users.map(|u| (u.id.into_owned(), (u.login.into_owned(), u.name.into_owned(), u.status.into_owned()))).collect()
}

/// Box's complete answer now.
pub(crate) fn answer(enterprise: &Enterprise) -> People {
    let users = enterprise.users().into_iter();
    users.map(|u| (u.id.to_string(), (u.login.clone(), u.name.clone(), u.status.clone()))).collect()
}
