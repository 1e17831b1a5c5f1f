//! Tasks that must finish even if the caller that started them is canceled.

use std::time::Duration;

use tokio::time::timeout;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Owns the tasks: dropping it aborts those that have not finished.
#[derive(Default)]
pub struct BackgroundTasks {
    tracker: TaskTracker,
    abort: CancellationToken,
}

impl BackgroundTasks {
    pub fn spawn_task(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tracker.spawn(self.abort.clone().run_until_cancelled_owned(task));
    }

    /// Waits until all tasks have finished, at most `limit`; then aborts the rest.
    pub async fn wait_for_all(&self, limit: Duration) {
        self.tracker.close();
        if timeout(limit, self.tracker.wait()).await.is_err() {
            tracing::warn!(seconds = limit.as_secs(), "background tasks did not finish in time, aborted");
            self.abort.cancel();
        }
    }
}

impl Drop for BackgroundTasks {
    fn drop(&mut self) {
        self.abort.cancel();
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
    async fn tasks_that_exceed_the_limit_are_aborted() {
        let (done, task) = slow_task();
        let background = BackgroundTasks::default();
        background.spawn_task(task);
        background.wait_for_all(LONG / 2).await;
        sleep(LONG * 2).await;
        assert!(!done.load(Ordering::Relaxed));
    }

    #[tokio::test(start_paused = true)]
    async fn dropping_the_owner_aborts_its_tasks() {
        let (done, task) = slow_task();
        let background = BackgroundTasks::default();
        background.spawn_task(task);
        drop(background);
        sleep(LONG * 2).await;
        assert!(!done.load(Ordering::Relaxed));
    }
}
