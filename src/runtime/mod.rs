//! runtime — what a long-running process needs: the time, the log, the signal to stop, a port for those who look after
//! it, and to be the only one at work.
//! Invariant: nothing here knows Box or the custom resources, and of Kubernetes only `lease` knows, its Lease.

pub mod admin_server;
mod background_tasks;
mod clock;
mod logging;
mod signals;

pub use background_tasks::BackgroundTasks;
pub use clock::Clock;
pub use logging::{LogFormat, init_logging};
pub use signals::cancel_on_signal;
