//! runtime — what a long-running process needs: the time, the log, the signal to stop, a port for those who look after
//! it, and to be the only one at work.
//! Invariant: nothing here knows Box or the custom resources, and of Kubernetes only `lease` knows, its Lease.

mod clock;
pub mod lease;
pub mod server;
mod shelter;
mod shutdown;
mod telemetry;

pub use clock::Clock;
pub use shelter::BackgroundTasks;
pub use shutdown::cancel_on_signal;
pub use telemetry::{LogFormat, init_logging};
