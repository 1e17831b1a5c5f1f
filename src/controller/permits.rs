//! Permits for work with Box, which are limited, and the memory for lists that no longer need one.
//!
//! A permit covers one sign-in or listing, to the last page. It is released before the list is published.
//! [`permit_queue`](super::permit_queue) decides who gets the next one. A reconcile that gets none ends, and is woken when
//! one is reserved for it.
//!
//! A permit waits for Box. What else it waits for is bounded: for the API server [`UNCONFIRMED_LIMIT`] before Box is called,
//! and [`LAST_PERMIT_TIMEOUT`] after it if the memory for finished lists is in use.

use std::{
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc::UnboundedSender},
    time::{Instant, timeout, timeout_at},
};

use super::{
    connection::state::ConnectionKey,
    permit_queue::{PermitQueue, Priority},
};
use crate::metrics::Metrics;

/// The memory of lists that are published without a permit, about 350,000 users: beside the lists that are being fetched,
/// it bounds how many are in memory while the API server is unavailable.
const FINISHED_LISTS_KIB: usize = 48 << 10;
/// What even a small list counts, for the slices that are rendered while it is published.
const MIN_LIST_KIB: usize = 512;

/// How long a permit waits until the API server has confirmed what it is for. Then others get it.
pub(super) const UNCONFIRMED_LIMIT: Duration = Duration::from_secs(2);
/// How long a finished list waits for an unavailable API server since it last accepted a slice.
const UNAVAILABLE_TIMEOUT: Duration = Duration::from_secs(300);
/// The same for a list that keeps its permit: then it is fetched again.
const LAST_PERMIT_TIMEOUT: Duration = Duration::from_secs(20);

/// The permits, and the connections that wait for one.
pub(super) struct PermitPool {
    queue: Mutex<PermitQueue>,
    started: Instant,
    wake: UnboundedSender<ConnectionKey>,
    /// Notifies those that wait without ending their reconcile.
    reserved: Notify,
    metrics: Arc<Metrics>,
}

/// A permit; dropping it releases it and wakes the next waiter.
pub(super) struct Permit {
    pool: Arc<PermitPool>,
    number: u64,
}

impl PermitPool {
    /// Keys to reconcile are sent to `wake`.
    pub(super) fn new(total: usize, wake: UnboundedSender<ConnectionKey>, metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self {
            queue: Mutex::new(PermitQueue::new(total)),
            started: Instant::now(),
            wake,
            reserved: Notify::new(),
            metrics,
        })
    }

    /// Returns a permit, or lets the connection wait for one; if it waits already, it keeps its position.
    pub(super) fn try_acquire(self: &Arc<Self>, key: &ConnectionKey, priority: Priority) -> Option<Permit> {
        let mut queue = self.lock_queue();
        queue.ask(key, priority, self.started.elapsed());
        self.reserve_free(&mut queue, Some(key));
        let number = queue.take_reserved(key)?;
        self.metrics.permits.inc();
        Some(Permit { pool: self.clone(), number })
    }

    /// Waits for a permit at most for `limit`. After that the connection waits as after [`Self::try_acquire`].
    pub(super) async fn acquire_within(
        self: &Arc<Self>,
        key: &ConnectionKey,
        priority: Priority,
        limit: Duration,
    ) -> Option<Permit> {
        let deadline = Instant::now() + limit;
        loop {
            let mut reserved = pin!(self.reserved.notified());
            // From here on no reservation is missed.
            reserved.as_mut().enable();
            if let Some(permit) = self.try_acquire(key, priority) {
                return Some(permit);
            }
            timeout_at(deadline, reserved).await.ok()?;
        }
    }

    /// The connection waits for a permit that it cannot take before it asks again: a reconcile has work that comes first.
    pub(super) fn join(&self, key: &ConnectionKey, priority: Priority) {
        let mut queue = self.lock_queue();
        queue.ask(key, priority, self.started.elapsed());
        queue.step_aside(key);
        self.reserve_free(&mut queue, None);
    }

    /// The connection that had stepped aside can take a permit, and is woken when it is its turn.
    pub(super) fn come_back(&self, key: &ConnectionKey) {
        let mut queue = self.lock_queue();
        queue.come_back(key);
        self.reserve_free(&mut queue, None);
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

    /// The number of connections that wait for a permit or have one.
    pub(super) fn queue_length(&self) -> usize {
        self.lock_queue().length()
    }

    /// Wakes those who get the free permits, except for the one that is asking.
    fn reserve_free(&self, queue: &mut PermitQueue, asking: Option<&ConnectionKey>) {
        while let Some(key) = queue.reserve_next(self.started.elapsed()) {
            if asking != Some(&key) {
                // The receiver lives as long as the controller does.
                let _ = self.wake.send(key);
            }
            self.reserved.notify_waiters();
        }
    }

    fn lock_queue(&self) -> MutexGuard<'_, PermitQueue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit {
    /// Keeps the permit while the API server confirms what it is for, but no longer than [`UNCONFIRMED_LIMIT`]: then others
    /// can take it, and its connection keeps its position.
    pub(super) async fn keep_during<T>(self, confirmation: impl Future<Output = T>) -> (T, Option<Permit>) {
        let mut confirmation = pin!(confirmation);
        match timeout(UNCONFIRMED_LIMIT, &mut confirmation).await {
            Ok(confirmed) => (confirmed, Some(self)),
            Err(_) => {
                self.give_back();
                (confirmation.await, None)
            }
        }
    }

    /// Releases a permit that was not used. Its connection keeps its position, and cannot take a permit before it asks.
    pub(super) fn give_back(self) {
        self.pool.lock_queue().give_back(self.number);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.pool.metrics.permits.dec();
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

impl ListHold {
    /// How long the list waits for an unavailable API server since it last accepted a slice.
    pub(super) fn unavailable_timeout(&self) -> Duration {
        match self {
            ListHold::Memory { .. } => UNAVAILABLE_TIMEOUT,
            ListHold::Permit { .. } => LAST_PERMIT_TIMEOUT,
        }
    }
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
    use crate::metrics::PerConnectionMetrics;

    fn permit_pool(total: usize) -> (Arc<PermitPool>, UnboundedReceiver<ConnectionKey>) {
        let (wake, woken) = unbounded_channel();
        let metrics = Arc::new(Metrics::new("0.0.0", PerConnectionMetrics::Enabled));
        (PermitPool::new(total, wake, metrics), woken)
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

    #[tokio::test(start_paused = true)]
    async fn a_permit_whose_plan_is_not_confirmed_goes_to_others_and_its_connection_gets_the_next() {
        let (pool, mut woken) = permit_pool(1);
        let permit = pool.try_acquire(&key("a"), Priority::Scheduled).expect("free");
        for waiter in ["b", "c"] {
            assert!(pool.try_acquire(&key(waiter), Priority::Scheduled).is_none());
        }
        let begun = Instant::now();
        let confirming = async {
            tokio::time::sleep(10 * UNCONFIRMED_LIMIT).await;
            pool.acquire_within(&key("a"), Priority::Scheduled, UNCONFIRMED_LIMIT).await.is_some()
        };
        let others = async {
            assert_eq!(woken.recv().await, Some(key("b")));
            assert_eq!(begun.elapsed(), UNCONFIRMED_LIMIT);
            let permit = pool.try_acquire(&key("b"), Priority::Scheduled).expect("reserved");
            tokio::time::sleep(9 * UNCONFIRMED_LIMIT + UNCONFIRMED_LIMIT / 2).await;
            drop(permit);
        };
        let ((confirmed, kept), ()) = tokio::join!(permit.keep_during(confirming), others);
        assert!(confirmed && kept.is_none());
        assert_eq!(woken.try_recv(), Ok(key("a")), "before c, which asked later");
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_waits_in_vain_is_woken_later() {
        let (pool, mut woken) = permit_pool(1);
        let permit = pool.try_acquire(&key("a"), Priority::Scheduled);
        assert!(pool.acquire_within(&key("b"), Priority::Scheduled, UNCONFIRMED_LIMIT).await.is_none());
        drop(permit);
        assert_eq!(woken.try_recv(), Ok(key("b")));
    }

    #[test]
    fn a_permit_that_is_given_back_keeps_its_position_for_when_its_connection_asks_again() {
        let (pool, mut woken) = permit_pool(1);
        let permit = pool.try_acquire(&key("a"), Priority::Scheduled).expect("free");
        assert!(pool.try_acquire(&key("b"), Priority::Scheduled).is_none());
        assert!(pool.try_acquire(&key("c"), Priority::Scheduled).is_none());
        permit.give_back();
        assert_eq!(woken.try_recv(), Ok(key("b")));
        let permit = pool.try_acquire(&key("b"), Priority::Scheduled);
        pool.join(&key("a"), Priority::Scheduled);
        drop(permit);
        assert_eq!(woken.try_recv(), Ok(key("c")), "a confirms its plan first");
        let permit = pool.try_acquire(&key("c"), Priority::Scheduled);
        assert!(pool.try_acquire(&key("d"), Priority::Scheduled).is_none());
        pool.come_back(&key("a"));
        drop(permit);
        assert_eq!(woken.try_recv(), Ok(key("a")), "it asked before d");
    }

    #[test]
    fn finished_lists_take_a_bounded_memory_and_beyond_it_keep_their_permits_for_a_short_time() {
        let (pool, mut woken) = permit_pool(2);
        let lists = FinishedLists::default();
        let permit = |name: &str| pool.try_acquire(&key(name), Priority::Scheduled);
        let mut holds = Vec::new();
        for n in 0..FINISHED_LISTS_KIB / MIN_LIST_KIB {
            let listed = permit(&n.to_string()).expect("the permit of the previous list is free");
            holds.push(lists.exchange(listed, 10));
        }
        assert!(holds.iter().all(|hold| hold.unavailable_timeout() == UNAVAILABLE_TIMEOUT));
        assert_eq!(lists.0.available_permits(), 0);
        let beyond = lists.exchange(permit("beyond").expect("free"), 10);
        assert_eq!(beyond.unavailable_timeout(), LAST_PERMIT_TIMEOUT);
        assert!(permit("next").is_none());
        drop(beyond);
        assert_eq!(woken.try_recv(), Ok(key("next")), "others are served while the memory is in use");
        let next = permit("next").expect("reserved");
        drop(holds);
        let largest = lists.exchange(next, FINISHED_LISTS_KIB << 10);
        assert!(matches!(largest, ListHold::Memory { .. }));
        drop(largest);
        let too_large = lists.exchange(permit("large").expect("free"), usize::MAX);
        assert!(matches!(too_large, ListHold::Permit { .. }));
        assert_eq!(lists.0.available_permits(), FINISHED_LISTS_KIB);
    }
}
