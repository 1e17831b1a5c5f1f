//! What was asked of the server, in order of arrival.

use crate::Call;
use jiff::Timestamp;
use std::{ops::Deref, sync::Arc};

/// A request and what became of it. Dereferences to its [`Call`].
#[derive(Debug, Clone)]
pub struct Logged {
    /// Counts from 0 over the life of the server.
    pub seq: u64,
    /// The server's time at arrival.
    pub time: Timestamp,
    pub call: Arc<Call>,
    /// What was answered; none while it runs, and if no answer came (held, hung, killed, connection lost).
    pub code: Option<u16>,
    /// Whether an object changed: false for reads, refusals and writes that wrote what was there.
    pub changed: bool,
}

impl Deref for Logged {
    type Target = Call;

    fn deref(&self) -> &Call {
        &self.call
    }
}

/// A point in the log, see [`KubeSim::mark`](crate::KubeSim::mark).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(u64);

#[derive(Default)]
pub(crate) struct Log {
    entries: Vec<Logged>,
    next: u64,
}

impl Log {
    pub(crate) fn open(&mut self, call: Arc<Call>, time: Timestamp) -> u64 {
        let seq = self.next;
        self.next += 1;
        self.entries.push(Logged { seq, time, call, code: None, changed: false });
        seq
    }

    /// The entry, unless the log was cleared meanwhile.
    pub(crate) fn entry(&mut self, seq: u64) -> Option<&mut Logged> {
        let index = self.entries.binary_search_by_key(&seq, |logged| logged.seq).ok()?;
        self.entries.get_mut(index)
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark(self.next)
    }

    pub(crate) fn since(&self, mark: Mark) -> Vec<Logged> {
        let start = self.entries.partition_point(|logged| logged.seq < mark.0);
        self.entries[start..].to_vec()
    }

    pub(crate) fn all(&self) -> Vec<Logged> {
        self.entries.clone()
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }
}
