//! Tasks that must finish even if the caller that started them is canceled.

use std::time::Duration;

use tokio::time::sleep;
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

    /// The number of tasks that have not finished.
    pub fn unfinished(&self) -> usize {
        self.tracker.len()
    }

    /// Waits until all tasks have finished. Once `stop` is canceled, it waits at most `limit`, then aborts the rest.
    pub async fn wait_for_all(&self, stop: &CancellationToken, limit: Duration) {
        self.tracker.close();
        let time_limit = async {
            stop.cancelled().await;
            sleep(limit).await;
        };
        tokio::select! {
            () = self.tracker.wait() => {}
            () = time_limit => {
                tracing::warn!(seconds = limit.as_secs(), "background tasks did not finish in time, aborted");
                self.abort.cancel();
            }
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

    use super::*;

    const LONG: Duration = Duration::from_secs(5);

    fn stopped() -> CancellationToken {
        let stop = CancellationToken::new();
        stop.cancel();
        stop
    }

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
        background.wait_for_all(&stopped(), LONG * 2).await;
        assert!(done.load(Ordering::Relaxed));
    }

    #[tokio::test(start_paused = true)]
    async fn tasks_that_exceed_the_limit_are_aborted() {
        let (done, task) = slow_task();
        let background = BackgroundTasks::default();
        background.spawn_task(task);
        background.wait_for_all(&stopped(), LONG / 2).await;
        sleep(LONG * 2).await;
        assert!(!done.load(Ordering::Relaxed));
    }

    #[tokio::test(start_paused = true)]
    async fn the_limit_applies_only_once_the_process_is_to_stop() {
        let (done, task) = slow_task();
        let (background, stop) = (BackgroundTasks::default(), CancellationToken::new());
        background.spawn_task(task);
        assert_eq!(background.unfinished(), 1);
        background.wait_for_all(&stop, LONG / 10).await;
        assert!(done.load(Ordering::Relaxed));
        assert_eq!(background.unfinished(), 0);
        let (done, task) = slow_task();
        background.spawn_task(task);
        let (stopping, started) = (stop.clone(), tokio::time::Instant::now());
        tokio::spawn(async move {
            sleep(LONG / 2).await;
            stopping.cancel();
        });
        background.wait_for_all(&stop, LONG / 10).await;
        assert_eq!((started.elapsed(), done.load(Ordering::Relaxed)), (LONG / 2 + LONG / 10, false));
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
