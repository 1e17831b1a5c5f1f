//! runtime — process infrastructure: clock, logging, signals, background tasks, and the HTTP server for probes and
//! metrics.
//! Invariant: nothing here depends on Box or Kubernetes.

pub mod admin_server;
mod background_tasks;
mod clock;
mod logging;
mod signals;

pub use background_tasks::BackgroundTasks;
pub use clock::Clock;
pub use logging::{LogFormat, init_logging, parse_log_filter};
pub use signals::cancel_on_signal;
