//! Wall time that follows tokio's clock, so that `sleep` and `now` cannot disagree.

use jiff::{SignedDuration, Timestamp};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// The simulation's clock. Called for every request, never across an await.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// A wall clock for tests: `start` plus the tokio time that has passed plus a settable offset.
///
/// Under paused time it moves only when tokio's time does. Clones share the offset. Two of them with the same start
/// simulate two machines with different clocks.
#[derive(Clone)]
pub struct SimClock {
    start: Timestamp,
    origin: Instant,
    offset: Arc<Mutex<SignedDuration>>,
}

impl SimClock {
    /// A clock that shows `start` now.
    #[must_use]
    pub fn new(start: Timestamp) -> Self {
        Self { start, origin: Instant::now(), offset: Arc::default() }
    }

    #[must_use]
    pub fn now(&self) -> Timestamp {
        let passed = SignedDuration::try_from(self.origin.elapsed()).unwrap_or(SignedDuration::MAX);
        let offset = *self.offset.lock().unwrap_or_else(PoisonError::into_inner);
        self.start.saturating_add(passed.saturating_add(offset)).unwrap_or(self.start)
    }

    /// Sets the clock back, as a time server does. Timers are not affected.
    pub fn rewind(&self, by: Duration) {
        self.shift(|offset, by| offset.saturating_sub(by), by);
    }

    /// Sets the clock forward without advancing tokio's time. Timers are not affected.
    ///
    /// To advance both, sleep or use `tokio::time::advance`.
    pub fn advance(&self, by: Duration) {
        self.shift(|offset, by| offset.saturating_add(by), by);
    }

    /// The clock as the closure that [`KubeSim::new`](crate::KubeSim::new) takes.
    #[must_use]
    pub fn clock_fn(&self) -> Clock {
        let clock = self.clone();
        Arc::new(move || clock.now())
    }

    fn shift(&self, operation: fn(SignedDuration, SignedDuration) -> SignedDuration, by: Duration) {
        let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
        let mut offset = self.offset.lock().unwrap_or_else(PoisonError::into_inner);
        *offset = operation(*offset, by);
    }
}
