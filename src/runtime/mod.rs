//! runtime — what a long-running process needs: the time, the log, the signal to stop.
//! Invariant: nothing here knows Box, Kubernetes or the custom resources.

mod clock;
mod shutdown;
mod telemetry;

pub use clock::Clock;
pub use shutdown::on_signal;
pub use telemetry::{LogFormat, log_to_stderr};
