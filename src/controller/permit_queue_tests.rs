//! Tests of the policy: each rule by example, its bounds on random histories.

use std::collections::HashSet;

use proptest::{
    prelude::{ProptestConfig, any},
    prop_assert, proptest,
    test_runner::TestCaseError,
};

use super::*;

fn key(namespace: &str, name: &str) -> ConnectionKey {
    ConnectionKey::new(name).within(namespace)
}

/// A queue of `namespace/name` strings.
struct Case {
    queue: PermitQueue,
    now: Duration,
}

fn with_permits(total: usize) -> Case {
    Case { queue: PermitQueue::new(total), now: Duration::from_secs(1000) }
}

fn parse(name: &str) -> ConnectionKey {
    let (namespace, name) = name.split_once('/').unwrap_or(("backup", name));
    key(namespace, name)
}

impl Case {
    /// Asks a second later. Returns the number of the permit, if one is free.
    fn ask(&mut self, name: &str, priority: Priority) -> Option<u64> {
        self.now += Duration::from_secs(1);
        self.queue.ask(&parse(name), priority, self.now);
        while self.queue.reserve_next(self.now).is_some() {}
        self.queue.take_reserved(&parse(name))
    }

    fn request(&mut self, name: &str) -> Option<u64> {
        self.ask(name, Priority::Requested)
    }

    fn schedule(&mut self, name: &str) -> Option<u64> {
        self.ask(name, Priority::Scheduled)
    }

    /// Releases a permit a second later. Returns who is woken.
    fn release(&mut self, permit: Option<u64>) -> Vec<String> {
        self.now += Duration::from_secs(1);
        self.queue.release(permit.expect("a permit"));
        let woken = std::iter::from_fn(|| self.queue.reserve_next(self.now));
        woken.map(|k| format!("{}/{}", k.namespace.as_deref().unwrap_or_default(), k.name)).collect()
    }

    /// Releases the permit, and those of all who are woken. Returns them in their order.
    fn drain(&mut self, permit: Option<u64>) -> Vec<String> {
        let mut served = self.release(permit);
        let mut at = 0;
        while let Some(next) = served.get(at).cloned() {
            let permit = self.queue.take_reserved(&parse(&next));
            served.extend(self.release(permit));
            at += 1;
        }
        served
    }

    fn is_empty(&self) -> bool {
        self.queue.waiting.is_empty() && self.queue.holders.is_empty()
    }
}

#[test]
fn scheduled_work_leaves_one_permit_for_requests() {
    let mut case = with_permits(2);
    assert!(case.schedule("a").is_some());
    assert!(case.schedule("b").is_none());
    assert!(case.request("c").is_some());
}

#[test]
fn scheduled_work_of_any_age_leaves_one_permit_for_requests() {
    let mut case = with_permits(2);
    assert!(case.schedule("a").is_some());
    assert!(case.schedule("b").is_none());
    case.now += 2 * AGEING;
    assert!(case.request("c").is_some());
}

#[test]
fn a_single_permit_serves_both_priorities() {
    let mut case = with_permits(1);
    let permit = case.schedule("a");
    assert_eq!(case.release(permit), [""; 0]);
    assert!(case.request("b").is_some());
}

#[test]
fn requests_come_before_scheduled_work_until_it_has_waited_for_five_minutes() {
    let mut case = with_permits(1);
    let permit = case.request("a");
    case.schedule("late");
    case.request("b");
    case.now += AGEING;
    case.request("c");
    case.schedule("later");
    assert_eq!(case.drain(permit), ["backup/b", "backup/late", "backup/c", "backup/later"]);
    assert!(case.is_empty());
}

#[test]
fn asking_again_keeps_the_position() {
    let mut case = with_permits(1);
    let permit = case.request("a");
    for name in ["b", "c", "b", "d", "c", "b"] {
        assert!(case.request(name).is_none());
    }
    assert_eq!(case.drain(permit), ["backup/b", "backup/c", "backup/d"]);
}

#[test]
fn scheduled_work_that_becomes_requested_keeps_its_time() {
    let mut case = with_permits(1);
    let permit = case.request("a");
    case.schedule("b");
    case.request("c");
    case.request("b");
    assert_eq!(case.drain(permit), ["backup/b", "backup/c"]);
}

#[test]
fn a_permit_reserved_for_a_request_is_not_used_for_scheduled_work() {
    let mut case = with_permits(2);
    let (_shared, request) = (case.schedule("a"), case.request("b"));
    assert!(case.request("c").is_none());
    assert_eq!(case.release(request), ["backup/c"]);
    assert!(case.schedule("c").is_none(), "the request was deleted");
    assert!(case.request("d").is_some());
}

#[test]
fn a_reserved_permit_is_kept_for_work_that_became_requested() {
    let mut case = with_permits(2);
    let (shared, _request) = (case.schedule("a"), case.request("b"));
    assert!(case.schedule("c").is_none());
    assert_eq!(case.release(shared), ["backup/c"]);
    assert!(case.request("d").is_none());
    assert!(case.request("c").is_some());
}

#[test]
fn when_a_request_ends_another_one_frees_its_shared_permit() {
    let mut case = with_permits(2);
    let (first, second) = (case.request("a"), case.request("b"));
    assert!(second.is_some() && case.schedule("c").is_none());
    assert_eq!(case.release(first), ["backup/c"]);
}

#[test]
fn a_namespace_takes_more_than_its_share_only_while_nobody_else_waits() {
    let mut case = with_permits(5);
    let of_a: Vec<_> = ["a/1", "a/2", "a/3", "a/4", "a/5", "a/6"].iter().map(|name| case.schedule(name)).collect();
    assert_eq!(of_a.iter().flatten().count(), 4, "nobody else waits");
    for name in ["b/1", "b/2", "b/3"] {
        assert!(case.schedule(name).is_none());
    }
    assert_eq!(case.release(of_a[0]), ["b/1"]);
    assert_eq!(case.release(of_a[1]), ["b/2"]);
    assert_eq!(case.release(of_a[2]), ["a/5"], "each has its share again");
}

#[test]
fn namespaces_that_share_one_permit_take_turns() {
    let mut case = with_permits(1);
    let permit = case.request("a/0");
    for name in ["a/1", "a/2", "a/3", "b/1", "c/1", "b/2"] {
        assert!(case.request(name).is_none());
    }
    assert_eq!(case.drain(permit), ["a/1", "b/1", "c/1", "a/2", "b/2", "a/3"]);
}

#[test]
fn a_connection_that_leaves_is_forgotten_whether_it_waits_or_has_a_reserved_permit() {
    let mut case = with_permits(1);
    let permit = case.request("a");
    for name in ["b", "c"] {
        assert!(case.request(name).is_none());
    }
    assert_eq!(case.release(permit), ["backup/b"]);
    for name in ["b", "c"] {
        case.queue.leave(&parse(name));
    }
    assert!(case.is_empty());
}

/// The longest time for which a permit is held in the random histories, in seconds.
const LONGEST_RUN: u64 = 60;

/// A linear congruential generator: the histories are reproduced by their seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// A connection of a random history.
#[derive(Clone, Copy)]
enum Activity {
    Idle { until: u64 },
    Waiting { priority: Priority, since: u64, wait: Option<Wait> },
    Running { permit: u64, until: u64 },
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// What the bound of a wait depends on.
#[derive(Clone, Copy)]
struct Wait {
    /// When the connection began to wait as a request does.
    since: u64,
    /// The waiting connections of its namespace then, itself included.
    own: usize,
    /// The most namespaces that have waited at one time since.
    namespaces: usize,
}

impl Wait {
    /// The last second of the wait, by the module's documentation.
    fn deadline(self, total: usize, one_namespace: bool) -> u64 {
        let shared = total.saturating_sub(1).max(1);
        let Self { since, own, namespaces } = self;
        let runs = if one_namespace { own.div_ceil(shared) } else { 2 * own * namespaces.div_ceil(shared) };
        since + LONGEST_RUN * u64::try_from(runs).expect("few")
    }
}

fn waiting_namespaces(queue: &PermitQueue) -> usize {
    queue.waiting.keys().map(|k| &k.namespace).collect::<HashSet<_>>().len()
}

/// How many shared permits each namespace holds.
fn shared_permits(queue: &PermitQueue) -> HashMap<Option<String>, usize> {
    let on_requests_permit = queue.holders.iter().position(|h| h.waiter.priority == Priority::Requested);
    let mut counts = HashMap::new();
    for (at, holder) in queue.holders.iter().enumerate() {
        if queue.total == 1 || Some(at) != on_requests_permit {
            *counts.entry(holder.key.namespace.clone()).or_default() += 1;
        }
    }
    counts
}

/// Reserves the free permits, and checks the share of each namespace.
fn reserve_and_check(queue: &mut PermitQueue, now: u64) -> Result<Vec<ConnectionKey>, TestCaseError> {
    let mut reserved = Vec::new();
    loop {
        let waiting = waiting_namespaces(queue);
        let before = shared_permits(queue);
        let Some(key) = queue.reserve_next(seconds(now)) else { return Ok(reserved) };
        let after = shared_permits(queue);
        let shared = queue.total.saturating_sub(1).max(1);
        let (had, has) = (before.get(&key.namespace), after.get(&key.namespace));
        prop_assert!(after.values().sum::<usize>() <= shared && queue.holders.len() <= queue.total);
        prop_assert!(
            has <= had || waiting == 1 || has <= Some(&shared.div_ceil(waiting)),
            "{key} gets a permit while {waiting} namespaces wait: {before:?}"
        );
        reserved.push(key);
    }
}

/// Plays a random history of connections that ask, ask again, become urgent, leave, and use their permits.
fn play(total: usize, namespaces: u64, connections: u64, seed: u64) -> Result<usize, TestCaseError> {
    let random = &mut Random(seed);
    let mut queue = PermitQueue::new(total);
    let mut served = 0;
    let mut all: Vec<(ConnectionKey, Activity)> = (0..namespaces * connections)
        .map(|n| (key(&format!("ns{}", n % namespaces), &n.to_string()), Activity::Idle { until: n % 7 }))
        .collect();
    for now in 0..3000 {
        for (key, activity) in &mut all {
            let leaves = Activity::Idle { until: now + random.below(40) };
            match *activity {
                Activity::Running { permit, until } if until <= now => {
                    queue.release(permit);
                    *activity = leaves;
                }
                Activity::Idle { until } if until <= now => {
                    let priority = if random.below(3) > 0 { Priority::Requested } else { Priority::Scheduled };
                    queue.ask(key, priority, seconds(now));
                    *activity = Activity::Waiting { priority, since: now, wait: None };
                }
                Activity::Waiting { priority, since, wait } => match random.below(2000) {
                    0..3 => {
                        queue.leave(key);
                        *activity = leaves;
                    }
                    3 => {
                        queue.ask(key, Priority::Requested, seconds(now));
                        *activity = Activity::Waiting { priority: Priority::Requested, since, wait };
                    }
                    4..400 => queue.ask(key, priority, seconds(now)),
                    _ => {}
                },
                Activity::Running { .. } | Activity::Idle { .. } => {}
            }
        }
        let waiting = waiting_namespaces(&queue);
        for reserved in reserve_and_check(&mut queue, now)? {
            let (key, activity) = all.iter_mut().find(|(key, _)| *key == reserved).expect("one of them");
            let permit = queue.take_reserved(key).expect("reserved");
            *activity = Activity::Running { permit, until: now + 1 + random.below(LONGEST_RUN) };
            served += 1;
        }
        for (key, activity) in &mut all {
            let Activity::Waiting { priority, since, wait } = activity else { continue };
            if *priority == Priority::Requested || now >= *since + AGEING.as_secs() {
                let own = || queue.waiting.keys().filter(|k| k.namespace == key.namespace).count();
                let wait = wait.get_or_insert_with(|| Wait { since: now, own: own(), namespaces: waiting });
                wait.namespaces = wait.namespaces.max(waiting);
                prop_assert!(now <= wait.deadline(total, namespaces == 1), "second {now}: {key} waits since {since}");
            }
        }
    }
    Ok(served)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn nobody_waits_longer_than_the_documented_bound(
        total in 1..6_usize, namespaces in 1..8_u64, connections in 1..8_u64, seed in any::<u64>(),
    ) {
        prop_assert!(play(total, namespaces, connections, seed)? > 50);
    }
}
