//! The state shared by all clients of one simulated server.
//! Invariant: the state's lock is never held across an await, and never while a test's closure runs that may write.

use crate::{
    Clock,
    fault::{Faults, WriteHook},
    log::CallLog,
    resource::Resource,
    store::{Store, WriteTime},
};
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

pub(crate) struct Server {
    state: Mutex<ServerState>,
    /// Outside the state, so that the hook can read objects.
    hook: Mutex<Option<WriteHook>>,
    /// Notified after every change that a watch may wait for.
    change_notifier: watch::Sender<()>,
    pub(crate) killed: Notify,
    clock: Clock,
}

pub(crate) struct ServerState {
    pub(crate) store: Store,
    pub(crate) faults: Faults,
    pub(crate) log: CallLog,
    pub(crate) watches: WatchSettings,
    pub(crate) latency: Duration,
}

/// The state of watches.
#[derive(Default)]
pub(crate) struct WatchSettings {
    pub(crate) lag: Duration,
    pub(crate) frozen: bool,
    /// Watches opened before the last break are broken.
    pub(crate) break_count: u64,
}

impl Server {
    pub(crate) fn new(clock: Clock, resources: impl IntoIterator<Item = Resource>) -> Self {
        Self {
            state: Mutex::new(ServerState {
                store: Store::new(resources),
                faults: Faults::default(),
                log: CallLog::default(),
                watches: WatchSettings::default(),
                latency: Duration::from_millis(1),
            }),
            hook: Mutex::default(),
            change_notifier: watch::Sender::new(()),
            killed: Notify::new(),
            clock,
        }
    }

    /// A panic in a test's closure is that test's failure; the state is still consistent.
    pub(crate) fn lock_state(&self) -> MutexGuard<'_, ServerState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn lock_write_hook(&self) -> MutexGuard<'_, Option<WriteHook>> {
        self.hook.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write_time(&self) -> WriteTime {
        WriteTime { wall: (self.clock)(), monotonic: Instant::now() }
    }

    pub(crate) fn notify_watchers(&self) {
        self.change_notifier.send_replace(());
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<()> {
        self.change_notifier.subscribe()
    }

    pub(crate) fn kill(&self, user: &str) {
        self.lock_state().faults.kill(user);
        self.killed.notify_one();
        self.notify_watchers();
    }
}
