//! The slices that one publisher has made and not yet committed: reused when it tries again, and deleted when it gives up,
//! so that no attempt leaves a second copy of the list behind.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::store::SliceMeta;
use crate::api::{SliceRef, SliceState};

/// Below the grace period of garbage collection (15 minutes): a slice that another process may be deleting is not reused.
const MAX_REUSE_AGE: Duration = Duration::from_secs(10 * 60);

#[derive(Default)]
pub(super) struct OwnSlices(Mutex<HashMap<(SliceState, String), OwnSlice>>);

struct OwnSlice {
    meta: SliceMeta,
    created_at: Instant,
}

impl OwnSlices {
    pub(super) fn insert(&self, slice: &SliceRef, meta: SliceMeta) {
        self.lock().insert((slice.state, slice.digest.clone()), OwnSlice { meta, created_at: Instant::now() });
    }

    /// The name of a slice with this content that is young enough to be reused.
    pub(super) fn reusable_name(&self, slice: &SliceRef) -> Option<String> {
        let slices = self.lock();
        let own = slices.get(&(slice.state, slice.digest.clone()))?;
        (own.created_at.elapsed() < MAX_REUSE_AGE).then(|| own.meta.name.clone())
    }

    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    /// The slices that are not in `existing` any more are forgotten.
    pub(super) fn retain_existing(&self, existing: &[SliceMeta]) {
        self.lock().retain(|_, own| existing.iter().any(|slice| slice.uid == own.meta.uid));
    }

    pub(super) fn take_all(&self) -> Vec<SliceMeta> {
        self.lock().drain().map(|(_, own)| own.meta).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(SliceState, String), OwnSlice>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
