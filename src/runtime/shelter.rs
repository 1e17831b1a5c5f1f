//! A shelter for work that must be brought to its end although whoever asked for it has gone.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{task::JoinSet, time::timeout};

/// Owns such work: dropping it aborts what has not ended.
#[derive(Default)]
pub struct Shelter(Mutex<JoinSet<()>>);

impl Shelter {
    pub fn take_in(&self, work: impl Future<Output = ()> + Send + 'static) {
        let mut works = self.works();
        while works.try_join_next().is_some() {}
        works.spawn(work);
    }

    /// Waits for all of it, at most for so long.
    pub async fn finish(&self, limit: Duration) {
        let mut works = std::mem::take(&mut *self.works());
        let all = async { while works.join_next().await.is_some() {} };
        if timeout(limit, all).await.is_err() {
            tracing::warn!(seconds = limit.as_secs(), "work that should have been brought to its end was aborted");
        }
    }

    fn works(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    };

    use tokio::time::sleep;

    use super::*;

    const LONG: Duration = Duration::from_secs(5);

    fn work() -> (Arc<AtomicBool>, impl Future<Output = ()>) {
        let done = Arc::new(AtomicBool::new(false));
        let tell = done.clone();
        (done, async move {
            sleep(LONG).await;
            tell.store(true, Ordering::Relaxed);
        })
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_taken_in_is_brought_to_its_end() {
        let (done, work) = work();
        let shelter = Shelter::default();
        shelter.take_in(work);
        shelter.finish(LONG * 2).await;
        assert!(done.load(Ordering::Relaxed));
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_not_waited_for_without_end_and_ends_with_its_owner() {
        let (done, work) = work();
        let shelter = Shelter::default();
        shelter.take_in(work);
        shelter.finish(LONG / 2).await;
        drop(shelter);
        sleep(LONG * 2).await;
        assert!(!done.load(Ordering::Relaxed));
    }
}
