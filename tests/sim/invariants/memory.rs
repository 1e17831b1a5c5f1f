//! What the process holds in memory returns to what the cluster holds.

use std::collections::HashMap;

use harness::MetricsPage;
use tokio::time::Instant;

use super::{Duration, World, is_being_deleted, is_finished};

/// The operator looks for memory of deleted objects every ten minutes.
const MAX_EXCESS_TIME: Duration = Duration::from_secs(720);
/// Encoding the metrics costs the most.
const CHECK_EVERY: usize = 6;

#[derive(Default)]
pub(super) struct MemoryCheck {
    checks: usize,
    /// Since when a cache holds more than the cluster.
    excess_since: HashMap<&'static str, Instant>,
}

impl MemoryCheck {
    /// What is in memory now says nothing.
    pub(super) fn reset(&mut self) {
        self.excess_since.clear();
    }

    pub(super) fn check(&mut self, world: &World) -> Vec<String> {
        self.checks += 1;
        if !self.checks.is_multiple_of(CHECK_EVERY) {
            return Vec::new();
        }
        let text = world.metrics.encode_openmetrics();
        let page = MetricsPage::parse(&text).unwrap_or_else(|problem| panic!("{problem}\n{text}"));
        let mut breaches = Vec::new();
        for (cache, limit) in limits(world) {
            // A standby reports none.
            let entries = page.value("boxsync_cache_entries", &[("cache", cache)]);
            if entries.is_none_or(|entries| entries <= f64::from(limit)) {
                self.excess_since.remove(cache);
            } else if self.excess_since.entry(cache).or_insert_with(Instant::now).elapsed() > MAX_EXCESS_TIME {
                breaches.push(format!("{entries:?} {cache} in memory, {limit} in the cluster"));
            }
        }
        breaches
    }
}

/// How many entries of each cache the objects in the cluster account for.
fn limits(world: &World) -> [(&'static str, u32); 6] {
    let (mut connections, mut live_connections, mut requests, mut rosters) = (0, 0, 0, 0);
    world.kube.visit("BoxConnection", |connection| {
        connections += 1;
        live_connections += u32::from(!is_being_deleted(connection));
    });
    world.kube.visit("UserSyncRequest", |request| {
        requests += u32::from(!is_finished(request) || request["spec"]["ttlSecondsAfterFinished"].is_i64());
    });
    world.kube.visit("UserRoster", |_| rosters += 1);
    [
        ("boxconnections", connections),
        ("usersyncrequests", requests),
        ("userrosters", rosters),
        ("connectionstates", live_connections),
        ("reconcileerrors", live_connections + requests),
        ("permitqueue", live_connections),
    ]
}
