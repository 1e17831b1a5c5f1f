//! How long a failed reconcile waits for its retry: per object, exponentially, until it succeeds.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use kube::{Resource, runtime::reflector::ObjectRef};

use super::connection::backoff::error_backoff;

/// Objects whose last reconcile failed, and how often in a row. An object is removed when it succeeds or is deleted, so
/// the map holds no more than there are objects.
pub(super) struct ErrorBackoffs<K: Resource<DynamicType: Eq + Hash>>(Mutex<HashMap<ObjectRef<K>, u32>>);

impl<K: Resource<DynamicType: Eq + Hash>> Default for ErrorBackoffs<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Resource<DynamicType = ()>> ErrorBackoffs<K> {
    /// Counts an error of this object. Returns how long to wait for the next attempt.
    pub(super) fn next_delay(&self, object: &K) -> Duration {
        let key = ObjectRef::from_obj(object);
        let name = key.to_string();
        let mut counts = self.lock();
        let count = counts.entry(key).or_default();
        *count = count.saturating_add(1);
        error_backoff(&name, *count)
    }

    /// A reconcile of this object succeeded, or it is deleted.
    pub(super) fn reset(&self, key: &ObjectRef<K>) {
        self.lock().remove(key);
    }

    /// The objects whose last reconcile failed.
    pub(super) fn failing_objects(&self) -> Vec<ObjectRef<K>> {
        self.lock().keys().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ObjectRef<K>, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::test_support::new_connection;

    #[test]
    fn delays_grow_per_object_until_it_succeeds() {
        let backoffs = ErrorBackoffs::default();
        let failing = new_connection().connection;
        let mut other = failing.clone();
        other.metadata.name = Some("other".to_owned());
        let first = backoffs.next_delay(&failing);
        let delays: Vec<Duration> = (0..20).map(|_| backoffs.next_delay(&failing)).collect();
        assert!(first < Duration::from_secs(2), "{first:?}");
        assert!(delays[19] > Duration::from_secs(200), "{delays:?}");
        assert!(backoffs.next_delay(&other) < Duration::from_secs(2));
        backoffs.reset(&ObjectRef::from_obj(&failing));
        assert_eq!(backoffs.next_delay(&failing), first);
    }
}
