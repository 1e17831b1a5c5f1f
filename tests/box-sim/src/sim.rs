//! The whole of Box: its enterprises, its clock, and what strangers asked.

use crate::{
    calls::{Call, CallLog},
    clock::Clock,
    enterprise::Enterprise,
    spec::EnterpriseSpec,
    state::Cell,
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
    enterprises: Mutex<BTreeMap<String, Arc<Cell>>>,
    strangers: Mutex<CallLog>,
    requests: AtomicU64,
}

impl BoxSim {
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self {
            inner: Arc::new(Inner {
                clock,
                enterprises: Mutex::default(),
                strangers: Mutex::default(),
                requests: AtomicU64::new(1),
            }),
        }
    }

    /// A new enterprise. One with the same id is gone then.
    pub fn enterprise(&self, spec: EnterpriseSpec) -> Enterprise {
        let cell = Arc::new(Cell::new(&spec, self.now()));
        self.cells().insert(spec.id, Arc::clone(&cell));
        self.handle(cell)
    }

    /// The enterprise with this id.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<Enterprise> {
        let cell = self.cells().get(id).cloned()?;
        Some(self.handle(cell))
    }

    #[must_use]
    pub fn enterprises(&self) -> Vec<Enterprise> {
        self.all().into_iter().map(|cell| self.handle(cell)).collect()
    }

    /// Calls that belong to no enterprise: an unknown client or token.
    #[must_use]
    pub fn seen_of_strangers(&self) -> Vec<Call> {
        self.strangers().seen()
    }

    /// Everything that was asked of Box, of all enterprises and of strangers, in the order of the answers.
    #[must_use]
    pub fn seen(&self) -> Vec<Call> {
        let mut seen = self.seen_of_strangers();
        for cell in self.all() {
            seen.extend(cell.state().log.seen());
        }
        seen.sort_by_key(|call| call.at);
        seen
    }

    pub fn forget_calls(&self) {
        self.strangers().forget();
        for cell in self.all() {
            cell.state().log.forget();
        }
    }

    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.inner.clock)()
    }

    fn handle(&self, cell: Arc<Cell>) -> Enterprise {
        Enterprise { cell, clock: Arc::clone(&self.inner.clock) }
    }

    fn cells(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Cell>>> {
        self.inner.enterprises.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn all(&self) -> Vec<Arc<Cell>> {
        self.cells().values().cloned().collect()
    }

    pub(crate) fn strangers(&self) -> MutexGuard<'_, CallLog> {
        self.inner.strangers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Unique for each answer.
    pub(crate) fn request_id(&self) -> String {
        format!("{:016x}", crate::dice::mix(self.inner.requests.fetch_add(1, Ordering::Relaxed)))
    }
}
