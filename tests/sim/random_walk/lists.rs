//! What must hold after each minute of a walk.

use std::collections::HashMap;

use boxsync::{
    api::{BoxConnection, UserSlice, UserSyncRequest},
    roster::ReadError,
};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use kube_sim::Verb;
use tokio::time::Instant;

use super::walk::{CONNECTIONS, Walk};
use crate::{
    env::{NAMESPACE, format_condition, secs},
    reader::read_users,
};

/// Writes to one object, or creates of one kind for one connection, in a minute. `Retry-After` is obeyed, so this bounds two writers.
const MAX_WRITES_PER_MINUTE: usize = 40;
/// Reads of one operator, most of them by watches that start again.
const MAX_READS_PER_MINUTE: usize = 2_000;
/// Far more than the slices of two lists and of the revisions of an hour.
const MAX_SLICES: usize = 120;

impl Walk {
    pub(super) async fn check_invariants(&mut self) {
        self.check_writes();
        let slices = self.world.kube.objects::<UserSlice>().len();
        assert!(slices <= MAX_SLICES, "{slices} slices");
        if self.outage {
            return;
        }
        self.checks += 1;
        for at in 0..CONNECTIONS.len() {
            // Reading costs the most.
            if self.checks.is_multiple_of(10) {
                self.check_list(at).await;
            }
            self.check_staleness(at);
        }
        self.check_deadlines();
    }

    /// No object is written, and nothing read, without a pause.
    fn check_writes(&mut self) {
        let mut counts = HashMap::<String, usize>::new();
        let mut reads = 0;
        for call in self.world.kube.requests_since(self.log) {
            if !call.verb.is_write() {
                reads += usize::from(call.user != "reader");
            } else if call.resource != "events" {
                let name = call.name.as_deref().unwrap_or_default();
                // New slices have new names, which begin with that of the connection.
                let name = if call.verb == Verb::Create { name.split('-').next().unwrap_or_default() } else { name };
                *counts
                    .entry(format!("{} {} {} {name}", call.user, call.verb.as_str(), call.full_resource()))
                    .or_default() += 1;
            }
        }
        self.log = self.world.kube.log_position();
        // Steps that wait for a write take more than a minute.
        let minutes = self.checked_at.elapsed().as_secs().div_ceil(60).max(1);
        self.checked_at = Instant::now();
        let minutes = usize::try_from(minutes).expect("few minutes");
        assert!(reads <= MAX_READS_PER_MINUTE * minutes, "{reads} reads in {minutes} minutes");
        for (what, count) in counts {
            let count = count.div_ceil(minutes);
            self.most_writes = self.most_writes.max(count);
            assert!(count <= MAX_WRITES_PER_MINUTE, "{count} times in a minute: {what}");
        }
    }

    /// Readers see only lists that Box had, and never an older one after a newer one.
    async fn check_list(&mut self, at: usize) {
        let name = CONNECTIONS[at];
        match read_users(&self.world.store_as("reader", name)).await {
            Ok(users) => {
                let (lists, last) = &mut self.lists[at];
                let found = lists.iter().skip(*last).position(|list| *list == users);
                let known = lists.iter().position(|list| *list == users);
                assert!(
                    found.is_some(),
                    "{name}: a list of {} users, {known:?} of {}, after {last}",
                    users.len(),
                    lists.len()
                );
                *last += found.unwrap_or_default();
            }
            Err(ReadError::NoRoster) => {}
            Err(error) => assert!(self.deleted[at], "{name}: {error}"),
        }
    }

    fn is_steady(&self, resources: &[&str]) -> bool {
        let refused = self.refused.iter().any(|(_, resource, _)| resources.iter().any(|r| resource.starts_with(r)));
        self.leader.is_some()
            && !self.outage
            && !self.frozen
            && !refused
            && self.steady_since.elapsed() > secs(self.steady_after)
    }

    /// A stale list is not shown as fresh.
    fn check_staleness(&self, at: usize) {
        let Some(connection) = self.world.kube.object::<BoxConnection>(NAMESPACE, CONNECTIONS[at]) else { return };
        let Some(status) = connection.status.filter(|_| self.is_steady(&["boxconnections"])) else { return };
        let told = status.stale_time.as_ref().map(|stale| stale.0 + SignedDuration::from_secs(60));
        let ready = format_condition(&status.conditions, "Ready");
        if told.is_some_and(|told| self.world.clock.now() > told) {
            assert!(!ready.starts_with("True"), "{}: {ready}, stale since {:?}", CONNECTIONS[at], status.stale_time);
        }
    }

    /// Every request ends by its deadline.
    fn check_deadlines(&self) {
        if !self.is_steady(&["boxconnections", "usersyncrequests"]) {
            return;
        }
        for request in self.world.kube.objects::<UserSyncRequest>() {
            let finished = request.status.as_ref().is_some_and(|status| status.phase.is_finished());
            // The deadline counts from startTime, which is set when the request is first seen.
            let started = request.status.as_ref().and_then(|status| status.start_time.clone());
            let since = started.or_else(|| request.creation_timestamp()).map_or(Timestamp::MIN, |time| time.0);
            let late = since + SignedDuration::from_secs(3600 + 60);
            assert!(
                finished || self.world.clock.now() <= late,
                "{} has not ended: {:?}",
                request.name_any(),
                request.status
            );
        }
    }
}
