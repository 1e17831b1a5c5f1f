//! All changes, in order. Invariant: every resource version is exactly one change, so a version is an index.

use crate::{object, status_error::StatusError};
use serde_json::Value;
use std::{collections::VecDeque, sync::Arc, time::Duration};
use tokio::time::Instant;

/// Limits the memory of a long simulation; a real server compacts after some minutes.
const MAX_CHANGES: usize = 20_000;
const MAX_AGE: Duration = Duration::from_secs(3600);

#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) resource: usize,
    pub(crate) old: Option<Arc<Value>>,
    /// None if the object was deleted.
    pub(crate) new: Option<Arc<Value>>,
    pub(crate) at: Instant,
}

#[derive(Debug, Default)]
pub(crate) struct History {
    changes: VecDeque<Arc<Change>>,
    /// The newest compacted version.
    compacted: u64,
}

impl History {
    /// The version of the newest change.
    pub(crate) fn version(&self) -> u64 {
        self.compacted + self.changes.len() as u64
    }

    pub(crate) fn record(&mut self, change: Change) {
        let now = change.at;
        self.changes.push_back(Arc::new(change));
        let is_expired = |change: &Arc<Change>| now.duration_since(change.at) > MAX_AGE;
        while self.changes.len() > MAX_CHANGES || self.changes.front().is_some_and(is_expired) {
            self.changes.pop_front();
            self.compacted += 1;
        }
    }

    /// The change after `version`, with its own version.
    pub(crate) fn change_after(&self, version: u64) -> Result<Option<(u64, Arc<Change>)>, StatusError> {
        let Some(index) = version.checked_sub(self.compacted) else {
            return Err(StatusError::expired(version, self.compacted));
        };
        let change = usize::try_from(index).ok().and_then(|index| self.changes.get(index));
        Ok(change.map(|change| (version + 1, change.clone())))
    }

    pub(crate) fn compact(&mut self) {
        self.compacted = self.version();
        self.changes.clear();
    }
}

impl Change {
    /// The event of this change for a watch with a selector: an object that no longer matches is sent as deleted, one
    /// that starts to match as added.
    pub(crate) fn watch_event(&self, version: u64, admits: impl Fn(&Value) -> bool) -> Option<(&'static str, Value)> {
        let admitted = |object: &Option<Arc<Value>>| object.as_deref().is_some_and(&admits);
        let (kind, object) = match (admitted(&self.old), admitted(&self.new)) {
            (false, false) => return None,
            (false, true) => ("ADDED", &self.new),
            (true, true) => ("MODIFIED", &self.new),
            (true, false) => ("DELETED", &self.old),
        };
        let mut object = object.as_deref().cloned()?;
        object::set_metadata(&mut object, "resourceVersion", version.to_string().into());
        Some((kind, object))
    }
}
