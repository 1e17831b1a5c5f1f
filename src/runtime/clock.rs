//! The wall clock, injected so that tests can control it.

use std::sync::Arc;

use jiff::{Timestamp, Unit};

/// A clock in whole seconds, the precision of Kubernetes timestamps: a decision made now and the same value read back
/// from a status later are equal.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    pub fn system() -> Self {
        Self::from_fn(Timestamp::now)
    }

    pub fn from_fn(time: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(time))
    }

    /// The clock as a function.
    pub fn to_fn(&self) -> Arc<dyn Fn() -> Timestamp + Send + Sync> {
        let clock = self.clone();
        Arc::new(move || clock.now())
    }

    pub fn now(&self) -> Timestamp {
        let now = (self.0)();
        now.round(jiff::TimestampRound::new().smallest(Unit::Second).mode(jiff::RoundMode::Floor)).unwrap_or(now)
    }
}
