//! Permits for work with Box, which are limited, and the memory for lists that no longer need one.
//!
//! A permit covers one sign-in or listing, from the confirmation of its plan to the last page. It is released before the
//! list is published. [`permit_queue`](super::permit_queue) decides who gets the next one. A reconcile that gets none
//! ends, and is woken when one is reserved for it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc::UnboundedSender},
    time::Instant,
};

use super::{
    connection::state::ConnectionKey,
    permit_queue::{PermitQueue, Priority},
};

/// The memory of lists that are published without a permit, about 350,000 users: beside the lists that are being fetched,
/// it bounds how many are in memory while the API server is unavailable.
const FINISHED_LISTS_KIB: usize = 48 << 10;
/// What even a small list counts, for the slices that are rendered while it is published.
const MIN_LIST_KIB: usize = 512;

/// The permits, and the connections that wait for one.
pub(super) struct PermitPool {
    queue: Mutex<PermitQueue>,
    started: Instant,
    wake: UnboundedSender<ConnectionKey>,
}

/// A permit; dropping it releases it and wakes the next waiter.
pub(super) struct Permit {
    pool: Arc<PermitPool>,
    number: u64,
}

impl PermitPool {
    /// Keys to reconcile are sent to `wake`.
    pub(super) fn new(total: usize, wake: UnboundedSender<ConnectionKey>) -> Arc<Self> {
        Arc::new(Self { queue: Mutex::new(PermitQueue::new(total)), started: Instant::now(), wake })
    }

    /// Returns a permit, or lets the connection wait for one; if it waits already, it keeps its position.
    pub(super) fn try_acquire(self: &Arc<Self>, key: &ConnectionKey, priority: Priority) -> Option<Permit> {
        let mut queue = self.lock_queue();
        queue.ask(key, priority, self.started.elapsed());
        self.reserve_free(&mut queue, Some(key));
        queue.take_reserved(key).map(|number| Permit { pool: self.clone(), number })
    }

    /// The connection is not ready to take a permit until it asks again. It keeps its position.
    pub(super) fn step_aside(&self, key: &ConnectionKey) {
        let mut queue = self.lock_queue();
        queue.step_aside(key);
        self.reserve_free(&mut queue, None);
    }

    /// The connection needs no permit any more: one that is reserved for it goes to the next.
    pub(super) fn cancel_wait(&self, key: &ConnectionKey) {
        let mut queue = self.lock_queue();
        queue.leave(key);
        self.reserve_free(&mut queue, None);
    }

    /// Wakes those who get the free permits, except for the one that is asking.
    fn reserve_free(&self, queue: &mut PermitQueue, asking: Option<&ConnectionKey>) {
        while let Some(key) = queue.reserve_next(self.started.elapsed()) {
            if asking != Some(&key) {
                // The receiver lives as long as the controller does.
                let _ = self.wake.send(key);
            }
        }
    }

    fn lock_queue(&self) -> MutexGuard<'_, PermitQueue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut queue = self.pool.lock_queue();
        queue.release(self.number);
        self.pool.reserve_free(&mut queue, None);
    }
}

/// The memory for finished lists that are published without a permit.
pub(super) struct FinishedLists(Arc<Semaphore>);

/// What a finished list occupies until it is published.
pub(super) enum ListHold {
    /// Its part of the memory for finished lists.
    Memory { _part: OwnedSemaphorePermit },
    /// Its permit, because that memory is too small or in use.
    Permit { _permit: Permit },
}

impl Default for FinishedLists {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(FINISHED_LISTS_KIB)))
    }
}

impl FinishedLists {
    /// Releases the permit of a list that has been fetched, if there is memory for the list.
    pub(super) fn exchange(&self, permit: Permit, list_bytes: usize) -> ListHold {
        let kib = (list_bytes >> 10).max(MIN_LIST_KIB);
        let part = u32::try_from(kib).ok().and_then(|kib| self.0.clone().try_acquire_many_owned(kib).ok());
        match part {
            Some(part) => ListHold::Memory { _part: part },
            None => ListHold::Permit { _permit: permit },
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

    use super::*;

    fn permit_pool(total: usize) -> (Arc<PermitPool>, UnboundedReceiver<ConnectionKey>) {
        let (wake, woken) = unbounded_channel();
        (PermitPool::new(total, wake), woken)
    }

    fn key(name: &str) -> ConnectionKey {
        ConnectionKey::new(name).within("backup")
    }

    #[test]
    fn a_released_permit_wakes_one_waiter_and_is_kept_for_it() {
        let (pool, mut woken) = permit_pool(1);
        let permit = pool.try_acquire(&key("a"), Priority::Scheduled);
        assert!(pool.try_acquire(&key("b"), Priority::Scheduled).is_none());
        drop(permit);
        assert_eq!(woken.try_recv(), Ok(key("b")));
        assert!(pool.try_acquire(&key("c"), Priority::Requested).is_none(), "it is reserved");
        let permit = pool.try_acquire(&key("b"), Priority::Scheduled);
        assert!(permit.is_some() && woken.try_recv().is_err());
    }

    #[test]
    fn a_woken_waiter_that_cancels_wakes_the_next() {
        let (pool, mut woken) = permit_pool(1);
        let permit = pool.try_acquire(&key("a"), Priority::Requested);
        assert!(pool.try_acquire(&key("b"), Priority::Requested).is_none());
        assert!(pool.try_acquire(&key("c"), Priority::Scheduled).is_none());
        drop(permit);
        assert_eq!(woken.try_recv(), Ok(key("b")));
        pool.cancel_wait(&key("b"));
        assert_eq!(woken.try_recv(), Ok(key("c")));
    }

    #[test]
    fn a_connection_that_asks_twice_waits_once() {
        let (pool, mut woken) = permit_pool(1);
        let permit = pool.try_acquire(&key("a"), Priority::Requested);
        assert!(pool.try_acquire(&key("b"), Priority::Requested).is_none());
        assert!(pool.try_acquire(&key("b"), Priority::Requested).is_none());
        drop(permit);
        assert_eq!(woken.try_recv(), Ok(key("b")));
        pool.cancel_wait(&key("b"));
        assert!(woken.try_recv().is_err());
    }

    #[test]
    fn a_connection_that_steps_aside_passes_its_permit_on_and_is_first_when_it_asks_again() {
        let (pool, mut woken) = permit_pool(1);
        let permit = pool.try_acquire(&key("a"), Priority::Scheduled);
        for waiter in ["b", "c", "d"] {
            assert!(pool.try_acquire(&key(waiter), Priority::Scheduled).is_none());
        }
        drop(permit);
        assert_eq!(woken.try_recv(), Ok(key("b")));
        pool.step_aside(&key("b"));
        assert_eq!(woken.try_recv(), Ok(key("c")));
        let permit = pool.try_acquire(&key("c"), Priority::Scheduled).expect("reserved");
        assert!(pool.try_acquire(&key("b"), Priority::Scheduled).is_none());
        drop(permit);
        assert_eq!(woken.try_recv(), Ok(key("b")));
    }

    #[test]
    fn finished_lists_keep_their_permits_when_their_memory_is_in_use() {
        let (pool, _woken) = permit_pool(200);
        let lists = FinishedLists::default();
        let permit = |name: usize| pool.try_acquire(&key(&name.to_string()), Priority::Requested).expect("free permit");
        let small: Vec<ListHold> =
            (0..FINISHED_LISTS_KIB / MIN_LIST_KIB).map(|n| lists.exchange(permit(n), 10)).collect();
        assert!(small.iter().all(|hold| matches!(hold, ListHold::Memory { .. })));
        assert!(matches!(lists.exchange(permit(150), 10), ListHold::Permit { .. }));
        drop(small);
        assert!(matches!(lists.exchange(permit(151), FINISHED_LISTS_KIB << 10), ListHold::Memory { .. }));
        assert!(matches!(lists.exchange(permit(152), usize::MAX), ListHold::Permit { .. }));
    }
}
