//! The simulated Box: enterprises, clock, and unmatched calls.

use crate::{
    call_log::{Call, CallLog},
    clock::Clock,
    config::EnterpriseConfig,
    enterprise::Enterprise,
    state::EnterpriseCell,
};
use jiff::Timestamp;
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// A simulated Box; clones are the same Box.
#[derive(Clone)]
pub struct BoxSim {
    inner: Arc<Inner>,
}

struct Inner {
    clock: Clock,
    enterprises: Mutex<BTreeMap<String, Arc<EnterpriseCell>>>,
    unmatched: Mutex<CallLog>,
    next_request_id: AtomicU64,
}

impl BoxSim {
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self {
            inner: Arc::new(Inner {
                clock,
                enterprises: Mutex::default(),
                unmatched: Mutex::default(),
                next_request_id: AtomicU64::new(1),
            }),
        }
    }

    /// Adds an enterprise, or replaces the one with the same id.
    pub fn add_enterprise(&self, spec: EnterpriseConfig) -> Enterprise {
        let cell = Arc::new(EnterpriseCell::new(&spec, self.now()));
        self.lock_enterprises().insert(spec.id, Arc::clone(&cell));
        self.handle_for(cell)
    }

    /// The enterprise with this id.
    #[must_use]
    pub fn find_enterprise(&self, id: &str) -> Option<Enterprise> {
        let cell = self.lock_enterprises().get(id).cloned()?;
        Some(self.handle_for(cell))
    }

    #[must_use]
    pub fn enterprises(&self) -> Vec<Enterprise> {
        self.all_cells().into_iter().map(|cell| self.handle_for(cell)).collect()
    }

    /// Calls with an unknown client or token.
    #[must_use]
    pub fn unmatched_calls(&self) -> Vec<Call> {
        self.unmatched_log().recent_calls()
    }

    /// All calls of all enterprises and unmatched calls, in order of the responses.
    #[must_use]
    pub fn recent_calls(&self) -> Vec<Call> {
        let mut calls = self.unmatched_calls();
        for cell in self.all_cells() {
            calls.extend(cell.lock().call_log.recent_calls());
        }
        calls.sort_by_key(|call| call.at);
        calls
    }

    pub fn clear_calls(&self) {
        self.unmatched_log().clear();
        for cell in self.all_cells() {
            cell.lock().call_log.clear();
        }
    }

    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.inner.clock)()
    }

    fn handle_for(&self, cell: Arc<EnterpriseCell>) -> Enterprise {
        Enterprise { cell, clock: Arc::clone(&self.inner.clock) }
    }

    fn lock_enterprises(&self) -> MutexGuard<'_, BTreeMap<String, Arc<EnterpriseCell>>> {
        self.inner.enterprises.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn all_cells(&self) -> Vec<Arc<EnterpriseCell>> {
        self.lock_enterprises().values().cloned().collect()
    }

    pub(crate) fn unmatched_log(&self) -> MutexGuard<'_, CallLog> {
        self.inner.unmatched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Unique for each response.
    pub(crate) fn new_request_id(&self) -> String {
        format!("{:016x}", crate::rng::splitmix64(self.inner.next_request_id.fetch_add(1, Ordering::Relaxed)))
    }
}
