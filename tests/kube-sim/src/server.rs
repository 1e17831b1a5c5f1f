//! What all clients of one simulated server share.
//! Invariant: the state's lock is never held across an await, and never while a test's closure runs that may write.

use crate::{
    Clock,
    fault::{Faults, WriteHook},
    log::Log,
    resource::Resource,
    store::{Moment, Store},
};
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

pub(crate) struct Shared {
    state: Mutex<State>,
    /// Apart from the state, so that the hook may look at the objects.
    hook: Mutex<Option<WriteHook>>,
    /// Rung after every change that a watch may wait for.
    bell: watch::Sender<()>,
    pub(crate) killed: Notify,
    clock: Clock,
}

pub(crate) struct State {
    pub(crate) store: Store,
    pub(crate) faults: Faults,
    pub(crate) log: Log,
    pub(crate) watches: Watches,
    pub(crate) latency: Duration,
}

/// How watches behave.
#[derive(Default)]
pub(crate) struct Watches {
    pub(crate) lag: Duration,
    pub(crate) frozen: bool,
    /// Watches opened before the last break are broken.
    pub(crate) breaks: u64,
}

impl Shared {
    pub(crate) fn new(clock: Clock, resources: impl IntoIterator<Item = Resource>) -> Self {
        Self {
            state: Mutex::new(State {
                store: Store::new(resources),
                faults: Faults::default(),
                log: Log::default(),
                watches: Watches::default(),
                latency: Duration::from_millis(1),
            }),
            hook: Mutex::default(),
            bell: watch::Sender::new(()),
            killed: Notify::new(),
            clock,
        }
    }

    /// A panic in a test's closure is that test's failure; the state is still whole.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn hook(&self) -> MutexGuard<'_, Option<WriteHook>> {
        self.hook.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now(&self) -> Moment {
        Moment { wall: (self.clock)(), tick: Instant::now() }
    }

    pub(crate) fn ring(&self) {
        self.bell.send_replace(());
    }

    pub(crate) fn listen(&self) -> watch::Receiver<()> {
        self.bell.subscribe()
    }

    pub(crate) fn kill(&self, user: &str) {
        self.state().faults.kill(user);
        self.killed.notify_one();
        self.ring();
    }
}
