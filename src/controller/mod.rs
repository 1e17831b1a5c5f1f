//! controller — keeps every BoxConnection in sync and answers every UserSyncRequest.
//! observe → plan → place, confirm, plan again → act → report. `observe`, `plan`, `schedule`, `timetable`, `rhythm`,
//! `failure`, `message`, `conditions`, `report`, `answer`, `authorization`, `requester`, `kept` and `merged` decide on
//! values alone; the other files do IO.
//! Invariant: a connection's own reconcile is the only place that talks to Box, and a steady state writes nothing.

pub(crate) mod connection;
pub(crate) mod oauth;
pub(crate) mod request;

mod context;
mod crd_check;
mod events;
mod kube_calls;
mod merged_watch;
mod permits;
mod status_writer;
mod telemetry;
#[cfg(test)]
mod test_failures;
#[cfg(test)]
mod test_support;
mod watches;

pub use context::{BoxClientConfig, ControllerOptions};
pub use crd_check::{CrdAvailability, wait_until_available, watch_crd_availability};
pub use telemetry::ResourceKind;
pub use watches::{Dependencies, run};
