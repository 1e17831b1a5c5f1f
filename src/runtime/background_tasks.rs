//! A shelter for work that must be brought to its end although whoever asked for it has gone.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{task::JoinSet, time::timeout};

/// Owns such work: dropping it aborts what has not ended.
#[derive(Default)]
pub struct BackgroundTasks(Mutex<JoinSet<()>>);

impl BackgroundTasks {
    pub fn spawn_task(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.lock_tasks();
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    /// Waits for all of it, at most for so long.
    pub async fn wait_for_all(&self, limit: Duration) {
        let mut tasks = std::mem::take(&mut *self.lock_tasks());
        let all = async { while tasks.join_next().await.is_some() {} };
        if timeout(limit, all).await.is_err() {
            tracing::warn!(seconds = limit.as_secs(), "work that should have been brought to its end was aborted");
        }
    }

    fn lock_tasks(&self) -> MutexGuard<'_, JoinSet<()>> {
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

    fn slow_task() -> (Arc<AtomicBool>, impl Future<Output = ()>) {
        let done = Arc::new(AtomicBool::new(false));
        let done_flag = done.clone();
        (done, async move {
            sleep(LONG).await;
            done_flag.store(true, Ordering::Relaxed);
        })
    }

    #[tokio::test(start_paused = true)]
    async fn a_spawned_task_runs_to_completion() {
        let (done, task) = slow_task();
        let background = BackgroundTasks::default();
        background.spawn_task(task);
        background.wait_for_all(LONG * 2).await;
        assert!(done.load(Ordering::Relaxed));
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_has_a_limit_and_dropping_the_owner_aborts_the_tasks() {
        let (done, task) = slow_task();
        let background = BackgroundTasks::default();
        background.spawn_task(task);
        background.wait_for_all(LONG / 2).await;
        drop(background);
        sleep(LONG * 2).await;
        assert!(!done.load(Ordering::Relaxed));
    }
}
