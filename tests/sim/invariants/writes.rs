//! No object is written, and nothing is read, without a pause, and no slices pile up.

use std::collections::{HashMap, HashSet};

use kube_sim::{KubeSim, LogPosition, LoggedCall, Verb};
use serde_json::Value;
use tokio::time::Instant;

use super::{Duration, ObjectName, World, name_of};

/// Writes to one object, or creates of one kind for one connection, in a minute. `Retry-After` is obeyed, so this bounds
/// two writers.
const MAX_WRITES: usize = 40;
/// Reads in a minute, most of them by watches that start again, and for each connection.
const MAX_READS: usize = 2_000;
const MAX_READS_PER_CONNECTION: usize = 50;
/// Unreferenced slices beside those of two lists: what two publishers and the revisions of an hour leave.
const MAX_OTHER_SLICES: usize = 40;
/// Fewer users than a slice holds.
const USERS_PER_SLICE: usize = 150;

pub(super) struct WriteCheck {
    log: LogPosition,
    checked_at: Instant,
    pub(super) most: usize,
    /// The most slices that the roster of a connection has named.
    referenced: HashMap<ObjectName, usize>,
}

impl WriteCheck {
    pub(super) fn new(kube: &KubeSim) -> Self {
        Self { log: kube.log_position(), checked_at: Instant::now(), most: 0, referenced: HashMap::new() }
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.checked_at.elapsed()
    }

    /// The requests since the last call.
    pub(super) fn take_calls(&mut self, kube: &KubeSim) -> Vec<LoggedCall> {
        let calls = kube.requests_since(self.log);
        self.log = kube.log_position();
        calls
    }

    pub(super) fn check(&mut self, world: &World, calls: &[LoggedCall]) -> Vec<String> {
        let mut breaches = Vec::new();
        let minutes = usize::try_from(self.elapsed().as_secs().div_ceil(60).max(1)).expect("few minutes");
        self.checked_at = Instant::now();
        let calls: Vec<&LoggedCall> = calls.iter().filter(|call| world.processes.include(&call.user)).collect();
        let reads = calls.iter().filter(|call| !call.verb.is_write()).count();
        let mut connections = 0;
        world.kube.visit("BoxConnection", |_| connections += 1);
        if reads > (MAX_READS + MAX_READS_PER_CONNECTION * connections) * minutes {
            breaches.push(format!("{reads} reads in {minutes} minutes"));
        }
        let mut counts = HashMap::<String, usize>::new();
        for call in calls.iter().filter(|call| call.verb.is_write()) {
            *counts.entry(written_object(call)).or_default() += 1;
        }
        for (what, count) in counts {
            let count = count.div_ceil(minutes);
            self.most = self.most.max(count);
            if count > MAX_WRITES {
                breaches.push(format!("{count} times in a minute: {what}"));
            }
        }
        if calls.iter().any(|call| call.resource == "userslices" && call.verb.is_write()) {
            breaches.extend(self.check_slices(world));
        }
        breaches
    }

    /// At most the slices of two lists are unreferenced.
    fn check_slices(&mut self, world: &World) -> Vec<String> {
        let mut named = HashMap::<ObjectName, HashSet<String>>::new();
        world.kube.visit("UserRoster", |roster| {
            let spec = &roster["spec"];
            let slices = spec["slices"].as_array().into_iter().flatten().map(|slice| &slice["name"]);
            let previous = spec["previous"].as_array().into_iter().flatten();
            let previous = previous.flat_map(|p| p["slices"].as_array().into_iter().flatten());
            let names = slices.chain(previous).filter_map(Value::as_str).map(str::to_owned).collect();
            named.insert(name_of(roster), names);
        });
        let mut unreferenced = HashMap::<ObjectName, usize>::new();
        world.kube.visit("UserSlice", |slice| {
            let (namespace, name) = name_of(slice);
            let connection = slice["metadata"]["labels"]["boxsync.dev/connection"].as_str().unwrap_or_default();
            let key = (namespace, connection.to_owned());
            if !named.get(&key).is_some_and(|names| names.contains(&name)) {
                *unreferenced.entry(key).or_default() += 1;
            }
        });
        for (key, names) in named {
            let most = self.referenced.entry(key).or_default();
            *most = names.len().max(*most);
        }
        let mut breaches = Vec::new();
        world.kube.visit("BoxConnection", |connection| {
            let key = name_of(connection);
            let Some(count) = unreferenced.get(&key) else { return };
            let enterprise =
                connection["spec"]["enterpriseId"].as_str().and_then(|id| world.box_sim.find_enterprise(id));
            let users = enterprise.map_or(0, |enterprise| enterprise.user_count());
            let list = self.referenced.get(&key).copied().unwrap_or_default().max(users / USERS_PER_SLICE);
            if *count > 2 * list + MAX_OTHER_SLICES {
                breaches.push(format!("{count} unreferenced slices of {key:?}, whose list needs {list}"));
            }
        });
        breaches
    }
}

/// What a write concerns. New slices have new names: each is an object of its own, and no name is tried again and again.
/// Events count by the object that they regard.
fn written_object(call: &LoggedCall) -> String {
    let name = match (call.resource.as_str(), call.verb) {
        ("events", Verb::Create) => {
            let event: Value = serde_json::from_slice(&call.body).unwrap_or_default();
            event["regarding"]["name"].as_str().unwrap_or_default().to_owned()
        }
        _ => call.name.clone().unwrap_or_default(),
    };
    let namespace = call.namespace.as_deref().unwrap_or_default();
    format!("{} {} {} {namespace}/{name}", call.user, call.verb.as_str(), call.full_resource())
}
