//! The wall clock, passed in so that a test can hold it.

use std::sync::Arc;

use jiff::{Timestamp, Unit};

/// Tells the time in whole seconds, the grain of Kubernetes' timestamps: what is decided now and what is read back
/// from a status later are then the same value.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    pub fn system() -> Self {
        Self::from_fn(Timestamp::now)
    }

    pub fn from_fn(time: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(time))
    }

    pub fn now(&self) -> Timestamp {
        let now = (self.0)();
        now.round(jiff::TimestampRound::new().smallest(Unit::Second).mode(jiff::RoundMode::Floor)).unwrap_or(now)
    }
}
