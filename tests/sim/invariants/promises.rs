//! A stale list is not shown as fresh, and every request ends by its deadline: both within a minute, unless the API server
//! prevents it.

use std::collections::{HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};
use kube_sim::{LoggedCall, Verb};
use serde_json::Value;
use tokio::time::Instant;

use super::{AFTER_CLOCK_STEP, Duration, Exemption, ObjectName, RECOVERY, World, is_finished, name_of};

const GRACE: SignedDuration = SignedDuration::from_secs(60);
/// Clocks do not tick at the same instant.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_secs(1);

pub(super) struct PromiseCheck {
    pub(super) exemptions: HashSet<Exemption>,
    /// By how much the operator's clock differed from the time that had passed.
    clock_offset: SignedDuration,
    started: Instant,
    first_time: Timestamp,
    /// Until when the operator may be late.
    disturbed_until: Instant,
    /// When the API server last refused such a call, or did not answer it.
    refusals: HashMap<RefusedCall, Instant>,
}

/// Resource, namespace and name.
type RefusedCall = (String, ObjectName);

impl PromiseCheck {
    pub(super) fn new(world: &World) -> Self {
        let now = Instant::now();
        Self {
            exemptions: HashSet::new(),
            clock_offset: SignedDuration::ZERO,
            started: now,
            first_time: world.operator_time(),
            disturbed_until: now + RECOVERY,
            refusals: HashMap::new(),
        }
    }

    /// The operator may be late for so long.
    pub(super) fn disturbed(&mut self, duration: Duration) {
        self.disturbed_until = self.disturbed_until.max(Instant::now() + duration);
    }

    /// Whether the operator could do everything in time.
    pub(super) fn is_steady(&self) -> bool {
        !self.is_exempt(Exemption::SilentWatches) && Instant::now() >= self.disturbed_until
    }

    pub(super) fn is_exempt(&self, exemption: Exemption) -> bool {
        self.exemptions.contains(&exemption)
    }

    /// Records what keeps the operator from its promises.
    pub(super) fn observe(&mut self, world: &World, calls: &[LoggedCall]) {
        let now = Instant::now();
        if world.kube.is_down() || !world.processes.any_runs() {
            self.disturbed(RECOVERY);
        }
        let passed = SignedDuration::try_from(self.started.elapsed()).unwrap_or(SignedDuration::MAX);
        let offset = self.first_time.duration_until(world.operator_time()) - passed;
        if (offset - self.clock_offset).abs() > CLOCK_TOLERANCE {
            self.clock_offset = offset;
            self.disturbed(AFTER_CLOCK_STEP);
        }
        for call in calls {
            if call.verb == Verb::Watch || !world.processes.include(&call.user) {
                continue;
            }
            let name = (call.namespace.clone().unwrap_or_default(), call.name.clone().unwrap_or_default());
            let refused = call.code.is_none_or(|code| code >= 400);
            let key = (call.full_resource(), name);
            if refused {
                self.refusals.insert(key, now);
            } else if call.verb.is_write() {
                self.refusals.remove(&key);
            }
        }
        self.refusals.retain(|_, since| now.duration_since(*since) < RECOVERY);
    }

    fn was_refused(&self, resource: &str, name: &ObjectName) -> bool {
        self.refusals.contains_key(&(resource.to_owned(), name.clone()))
    }

    pub(super) fn check(&self, world: &World) -> Vec<String> {
        let mut breaches = Vec::new();
        if self.is_steady() {
            let now = world.operator_time();
            world.kube.visit("BoxConnection", |connection| breaches.extend(self.check_staleness(connection, now)));
            if !self.is_exempt(Exemption::PausedOperator) {
                world.kube.visit("UserSyncRequest", |request| breaches.extend(self.check_deadline(request, now)));
            }
        }
        breaches
    }

    fn check_staleness(&self, connection: &Value, now: Timestamp) -> Option<String> {
        let stale = time_in(&connection["status"]["staleTime"]).filter(|stale| now > *stale + GRACE)?;
        let mut conditions = connection["status"]["conditions"].as_array()?.iter();
        let is_ready = conditions.any(|c| c["type"] == "Ready" && c["status"] == "True");
        let name = name_of(connection);
        let is_breach = is_ready && !self.was_refused("boxconnections/status", &name);
        is_breach.then(|| format!("{name:?} is Ready although it is stale since {stale}"))
    }

    fn check_deadline(&self, request: &Value, now: Timestamp) -> Option<String> {
        let status = &request["status"];
        // The deadline counts from startTime, which is set when the request is first seen.
        let start = time_in(&status["startTime"]).or_else(|| time_in(&request["metadata"]["creationTimestamp"]))?;
        let limit = SignedDuration::from_secs(request["spec"]["activeDeadlineSeconds"].as_i64().unwrap_or(3600));
        if is_finished(request) || now <= start + limit + GRACE {
            return None;
        }
        let name = name_of(request);
        let any_name = (name.0.clone(), String::new());
        let refused = self.was_refused("usersyncrequests/status", &name)
            || self.was_refused("usersyncrequests", &name)
            || self.was_refused("usersyncrequests", &any_name);
        (!refused).then(|| format!("{name:?} has not ended: {status}"))
    }
}

fn time_in(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}
