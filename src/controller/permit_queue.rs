//! Who gets the next permit for work with Box. Decides on values only; times are spans since the start of the process.
//!
//! # Policy
//!
//! A connection asks once and waits under that time until it gets a permit or no longer needs one; asking again, or
//! becoming more urgent, keeps the time. Of `P` permits, one is for requests alone (with `P` = 1, none); the others, `S`,
//! are shared. The next free permit goes to, in this order:
//!
//! 1. **Share**: the namespace that holds the fewest shared permits.
//! 2. **Turn**: among those, the namespace that has waited longest since its next connection asked, or since it last got a
//!    shared permit if that is later.
//! 3. **First asked, first served**: in a namespace, the connection that asked first.
//!
//! Scheduled work counts as if it had asked [`AGEING`] later than it did: a request comes before scheduled work that has
//! waited for a shorter time, and no later request does.
//!
//! A free permit is reserved for its connection and cannot be taken by another one. While the connection is busy with
//! something else than asking for it, it keeps its position but no permit. The same holds for one that could not use its
//! permit, because the API server did not confirm its plan: it keeps its position, and only its namespace's turn is used.
//!
//! # Bounds
//!
//! Let `L` be the longest time for which a permit is held. When a request is made, or scheduled work has waited for
//! [`AGEING`], let `a` other connections of its namespace wait: whoever asks later in this namespace comes after it. Let
//! `N` be the most namespaces that wait at one time until it is served. Then
//!
//! * it gets a permit within `2 L (a + 1) ceil(N / S)`: each time, the namespace's own permits are released within `L`, and
//!   then each other namespace is served at most once before it, in `L ceil(N / S)`;
//! * as long as its namespace alone waits, within `L ceil((a + 1) / S)`: every shared permit that is released is its;
//! * while `N` namespaces wait, none of them is given more than `ceil(S / N)` shared permits: if all held that many, none
//!   would be free, and the one with the fewest comes first.
//!
//! So neither requests nor the connections of other namespaces can starve anybody, however many there are.

use std::{collections::HashMap, time::Duration};

use super::connection::state::ConnectionKey;

/// For how long requests come before scheduled work that asked earlier.
pub(super) const AGEING: Duration = Duration::from_secs(300);

/// How urgent the work is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Priority {
    /// The schedule, a probe or a retry.
    Scheduled,
    /// A request or an annotation waits for it.
    Requested,
}

/// The connections that wait for a permit, and those that have one.
pub(super) struct PermitQueue {
    total: usize,
    waiting: HashMap<ConnectionKey, Waiter>,
    /// In the order in which they got their permits.
    holders: Vec<PermitHolder>,
    next_number: u64,
}

#[derive(Clone, Copy, Debug)]
struct Waiter {
    priority: Priority,
    /// When it asked first.
    asked: Duration,
    /// When its namespace last got a shared permit, or when it asked.
    turn: Duration,
    /// The order of those who asked at the same time.
    number: u64,
    /// Whether it can take a permit now.
    present: bool,
}

struct PermitHolder {
    key: ConnectionKey,
    waiter: Waiter,
    /// The permit is free, and waits for this connection to ask for it.
    reserved: bool,
}

/// Which permit goes to whom.
enum Grant {
    /// The one for requests alone.
    ForRequests(ConnectionKey),
    Shared(ConnectionKey),
}

impl Waiter {
    /// Since when it has waited as a request does.
    fn due(&self) -> Duration {
        match self.priority {
            Priority::Requested => self.asked,
            Priority::Scheduled => self.asked + AGEING,
        }
    }
}

impl PermitQueue {
    pub(super) fn new(total: usize) -> Self {
        Self { total, waiting: HashMap::new(), holders: Vec::new(), next_number: 0 }
    }

    /// The number of connections that wait or have a permit.
    pub(super) fn length(&self) -> usize {
        self.waiting.len() + self.holders.len()
    }

    /// The connection asks for a permit. It keeps a permit that is reserved for it, unless that was for more urgent work.
    pub(super) fn ask(&mut self, key: &ConnectionKey, priority: Priority, now: Duration) {
        let reserved = self.holders.iter().find(|h| h.reserved && h.key == *key);
        if reserved.is_some_and(|h| h.waiter.priority == priority) {
            return;
        }
        let was_scheduled = reserved.is_some_and(|h| h.waiter.priority == Priority::Scheduled);
        let waiter = self.remove(key).unwrap_or_else(|| {
            self.next_number += 1;
            Waiter { priority, asked: now, turn: now, number: self.next_number, present: true }
        });
        let waiter = Waiter { priority, present: true, ..waiter };
        if was_scheduled {
            // It goes to the end, so that no other request leaves the requests' own permit.
            self.holders.push(PermitHolder { key: key.clone(), waiter, reserved: true });
        } else {
            self.waiting.insert(key.clone(), waiter);
        }
    }

    /// The connection cannot take a permit now. It keeps its position until it asks again.
    pub(super) fn step_aside(&mut self, key: &ConnectionKey) {
        if let Some(waiter) = self.remove(key) {
            self.waiting.insert(key.clone(), Waiter { present: false, ..waiter });
        }
    }

    /// The connection can take a permit again.
    pub(super) fn come_back(&mut self, key: &ConnectionKey) {
        if let Some(waiter) = self.waiting.get_mut(key) {
            waiter.present = true;
        }
    }

    /// The permit of this number was not used: it is free again, and its connection keeps its position, set aside.
    pub(super) fn give_back(&mut self, number: u64) {
        let held = self.holders.iter().position(|h| !h.reserved && h.waiter.number == number);
        let Some(PermitHolder { key, waiter, .. }) = held.map(|at| self.holders.remove(at)) else { return };
        self.waiting.insert(key, Waiter { present: false, ..waiter });
    }

    /// Ends the wait of a connection and the reservation for it. Returns its place in the queue.
    fn remove(&mut self, key: &ConnectionKey) -> Option<Waiter> {
        let reserved = self.holders.iter().position(|h| h.reserved && h.key == *key);
        self.waiting.remove(key).or_else(|| reserved.map(|at| self.holders.remove(at).waiter))
    }

    /// The connection needs no permit any more.
    pub(super) fn leave(&mut self, key: &ConnectionKey) {
        self.remove(key);
    }

    /// Takes the permit that is reserved for the connection. Returns its number.
    pub(super) fn take_reserved(&mut self, key: &ConnectionKey) -> Option<u64> {
        let holder = self.holders.iter_mut().find(|h| h.reserved && h.key == *key)?;
        holder.reserved = false;
        Some(holder.waiter.number)
    }

    /// The permit of this number is free again.
    pub(super) fn release(&mut self, number: u64) {
        self.holders.retain(|h| h.reserved || h.waiter.number != number);
    }

    /// Reserves a free permit for the next waiter. Returns for whom.
    pub(super) fn reserve_next(&mut self, now: Duration) -> Option<ConnectionKey> {
        let key = match next_grant(self.total, &self.holders, &self.waiting)? {
            Grant::ForRequests(key) => key,
            Grant::Shared(key) => {
                let same_namespace = self.waiting.iter_mut().filter(|(k, _)| k.namespace == key.namespace);
                same_namespace.for_each(|(_, waiter)| waiter.turn = now);
                key
            }
        };
        let waiter = self.waiting.remove(&key)?;
        self.holders.push(PermitHolder { key: key.clone(), waiter, reserved: true });
        Some(key)
    }
}

/// The next connection to get a permit, if one is free for anybody who waits. It needs no clock: the order of those who
/// wait does not change while time passes.
fn next_grant(total: usize, holders: &[PermitHolder], waiting: &HashMap<ConnectionKey, Waiter>) -> Option<Grant> {
    if holders.len() >= total {
        return None;
    }
    let reserves_one = total > 1;
    // The oldest request with a permit is the one on the requests' own, so that a second one leaves it when that ends.
    let on_requests_permit = holders.iter().position(|h| reserves_one && h.waiter.priority == Priority::Requested);
    let shared = || holders.iter().enumerate().filter(|(at, _)| Some(*at) != on_requests_permit);
    let in_use = |key: &ConnectionKey| shared().filter(|(_, h)| h.key.namespace == key.namespace).count();
    let first = |least: Priority| {
        let present = waiting.iter().filter(|(_, w)| w.present && w.priority >= least);
        let order = |(key, w): &(&ConnectionKey, &Waiter)| (in_use(key), w.turn.max(w.due()), w.due(), w.number);
        present.min_by_key(order).map(|(key, _)| key.clone())
    };
    let for_requests = || first(Priority::Requested).filter(|_| reserves_one && on_requests_permit.is_none());
    let from_shared = || first(Priority::Scheduled).filter(|_| shared().count() < total - usize::from(reserves_one));
    for_requests().map(Grant::ForRequests).or_else(|| from_shared().map(Grant::Shared))
}

#[cfg(test)]
#[path = "permit_queue_tests.rs"]
mod tests;
