//! The request log, in order of arrival.

use crate::Call;
use jiff::Timestamp;
use std::{ops::Deref, sync::Arc};

/// A request and its result. Dereferences to its [`Call`].
#[derive(Debug, Clone)]
pub struct LoggedCall {
    /// Counts from 0 over the life of the server.
    pub seq: u64,
    /// The server's time at arrival.
    pub time: Timestamp,
    pub call: Arc<Call>,
    /// The response code; none while the request runs or if no response was sent (held, hung, killed, connection lost).
    pub code: Option<u16>,
    /// Whether an object changed: false for reads, errors and writes without a change.
    pub changed: bool,
}

impl Deref for LoggedCall {
    type Target = Call;

    fn deref(&self) -> &Call {
        &self.call
    }
}

/// A point in the log, see [`KubeSim::log_position`](crate::KubeSim::log_position).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogPosition(u64);

#[derive(Default)]
pub(crate) struct CallLog {
    entries: Vec<LoggedCall>,
    next: u64,
}

impl CallLog {
    pub(crate) fn append(&mut self, call: Arc<Call>, time: Timestamp) -> u64 {
        let seq = self.next;
        self.next += 1;
        self.entries.push(LoggedCall { seq, time, call, code: None, changed: false });
        seq
    }

    /// The entry, unless the log was cleared meanwhile.
    pub(crate) fn entry_mut(&mut self, seq: u64) -> Option<&mut LoggedCall> {
        let index = self.entries.binary_search_by_key(&seq, |logged| logged.seq).ok()?;
        self.entries.get_mut(index)
    }

    pub(crate) fn end_position(&self) -> LogPosition {
        LogPosition(self.next)
    }

    pub(crate) fn entries_since(&self, mark: LogPosition) -> Vec<LoggedCall> {
        let start = self.entries.partition_point(|logged| logged.seq < mark.0);
        self.entries[start..].to_vec()
    }

    pub(crate) fn all_entries(&self) -> Vec<LoggedCall> {
        self.entries.clone()
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }
}
