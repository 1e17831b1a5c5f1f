//! Permits for work with Box, which are limited. A reconcile that gets none ends; a released permit wakes the next
//! waiting connection, requested work first.

use std::{
    collections::{HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::mpsc::UnboundedSender;

/// How urgent the work is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Priority {
    /// A request or an annotation waits for it.
    Requested,
    /// The schedule, a probe or a retry: takes all permits but one.
    Scheduled,
}

/// The permits, and the connections that wait for one.
pub(super) struct PermitPool<K> {
    state: Mutex<PermitState<K>>,
    wake: UnboundedSender<K>,
}

struct PermitState<K> {
    total: usize,
    requested: usize,
    scheduled: usize,
    waiting: VecDeque<(K, Priority)>,
    waiting_keys: HashSet<K>,
}

/// A permit; dropping it releases it and wakes the next waiter.
pub(super) struct Permit<K: Clone + Eq + std::hash::Hash> {
    pool: Arc<PermitPool<K>>,
    priority: Priority,
}

impl<K: Clone + Eq + std::hash::Hash> PermitPool<K> {
    /// Keys to reconcile are sent to `wake`.
    pub(super) fn new(total: usize, wake: UnboundedSender<K>) -> Arc<Self> {
        let state =
            PermitState { total, requested: 0, scheduled: 0, waiting: VecDeque::new(), waiting_keys: HashSet::new() };
        Arc::new(Self { state: Mutex::new(state), wake })
    }

    /// Returns a permit, or adds the key to the waiting ones.
    pub(super) fn try_acquire(self: &Arc<Self>, key: &K, priority: Priority) -> Option<Permit<K>> {
        let mut state = self.lock_state();
        state.remove_waiting(key);
        if state.has_capacity(priority) {
            *state.in_use_mut(priority) += 1;
            return Some(Permit { pool: self.clone(), priority });
        }
        state.waiting_keys.insert(key.clone());
        state.waiting.push_back((key.clone(), priority));
        None
    }

    /// The key needs no permit any more: a permit that it may have been woken for goes to the next.
    pub(super) fn cancel_wait(&self, key: &K) {
        let mut state = self.lock_state();
        state.remove_waiting(key);
        self.wake_next(&mut state);
    }

    fn wake_next(&self, state: &mut PermitState<K>) {
        let next = [Priority::Requested, Priority::Scheduled]
            .into_iter()
            .filter(|priority| state.has_capacity(*priority))
            .find_map(|priority| state.waiting.iter().position(|(_, p)| *p == priority));
        if let Some((key, _)) = next.and_then(|at| state.waiting.remove(at)) {
            state.waiting_keys.remove(&key);
            // The receiver lives as long as the controller does.
            let _ = self.wake.send(key);
        }
    }

    fn lock_state(&self) -> MutexGuard<'_, PermitState<K>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + std::hash::Hash> PermitState<K> {
    fn has_capacity(&self, priority: Priority) -> bool {
        let free = self.requested + self.scheduled < self.total;
        match priority {
            Priority::Requested => free,
            Priority::Scheduled => free && (self.total == 1 || self.scheduled < self.total - 1),
        }
    }

    fn in_use_mut(&mut self, priority: Priority) -> &mut usize {
        match priority {
            Priority::Requested => &mut self.requested,
            Priority::Scheduled => &mut self.scheduled,
        }
    }

    fn remove_waiting(&mut self, key: &K) {
        if self.waiting_keys.remove(key) {
            self.waiting.retain(|(k, _)| k != key);
        }
    }
}

impl<K: Clone + Eq + std::hash::Hash> Drop for Permit<K> {
    fn drop(&mut self) {
        let mut state = self.pool.lock_state();
        *state.in_use_mut(self.priority) -= 1;
        self.pool.wake_next(&mut state);
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

    use super::*;

    fn permit_pool(total: usize) -> (Arc<PermitPool<&'static str>>, UnboundedReceiver<&'static str>) {
        let (wake, woken) = unbounded_channel();
        (PermitPool::new(total, wake), woken)
    }

    #[test]
    fn scheduled_work_leaves_one_permit_for_requests() {
        let (pool, _woken) = permit_pool(2);
        let _first = pool.try_acquire(&"a", Priority::Scheduled).expect("free permit");
        assert!(pool.try_acquire(&"b", Priority::Scheduled).is_none());
        assert!(pool.try_acquire(&"c", Priority::Requested).is_some());
    }

    #[test]
    fn a_single_permit_serves_both_priorities() {
        let (pool, _woken) = permit_pool(1);
        assert!(pool.try_acquire(&"a", Priority::Scheduled).is_some());
        assert!(pool.try_acquire(&"b", Priority::Requested).is_some());
    }

    #[test]
    fn a_released_permit_wakes_one_waiter_requests_first() {
        let (pool, mut woken) = permit_pool(1);
        let permit = pool.try_acquire(&"a", Priority::Scheduled);
        assert!(pool.try_acquire(&"b", Priority::Scheduled).is_none());
        assert!(pool.try_acquire(&"c", Priority::Requested).is_none());
        drop(permit);
        assert_eq!(woken.try_recv(), Ok("c"));
        assert!(woken.try_recv().is_err());
    }

    #[test]
    fn a_woken_waiter_that_cancels_wakes_the_next() {
        let (pool, mut woken) = permit_pool(1);
        let permit = pool.try_acquire(&"a", Priority::Requested);
        assert!(pool.try_acquire(&"b", Priority::Requested).is_none());
        assert!(pool.try_acquire(&"c", Priority::Scheduled).is_none());
        drop(permit);
        assert_eq!(woken.try_recv(), Ok("b"));
        pool.cancel_wait(&"b");
        assert_eq!(woken.try_recv(), Ok("c"));
    }

    #[test]
    fn a_waiter_refused_twice_is_queued_once() {
        let (pool, mut woken) = permit_pool(1);
        let permit = pool.try_acquire(&"a", Priority::Requested);
        assert!(pool.try_acquire(&"b", Priority::Requested).is_none());
        assert!(pool.try_acquire(&"b", Priority::Requested).is_none());
        drop(permit);
        assert_eq!(woken.try_recv(), Ok("b"));
        pool.cancel_wait(&"b");
        assert!(woken.try_recv().is_err());
    }
}
