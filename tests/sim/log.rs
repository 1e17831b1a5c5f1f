//! The operator's log in tests.

use kube_sim::SimClock;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::{format::Writer, time::FormatTime};

/// Prints the operator's log, with simulated times, if the test fails: libtest captures it otherwise.
pub(crate) fn capture_log(clock: &SimClock) -> DefaultGuard {
    struct SimTimer(SimClock);
    impl FormatTime for SimTimer {
        fn format_time(&self, writer: &mut Writer<'_>) -> std::fmt::Result {
            write!(writer, "{:.3}", self.0.now())
        }
    }
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(std::env::var("RUST_LOG").unwrap_or_else(|_| "boxsync=info".to_owned()))
        .with_timer(SimTimer(clock.clone()))
        .with_ansi(false)
        .with_test_writer();
    tracing::subscriber::set_default(subscriber.finish())
}
