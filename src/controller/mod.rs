//! The controllers: they keep every BoxConnection in sync and answer every UserSyncRequest.
//! The reconcile of a connection observes, maintains, acquires a permit, confirms and plans again, acts and reports.
//! Decisions and texts are pure functions of values; files that do IO take the `Context`.
//! Invariant: a connection's own reconcile is the only place that talks to Box, and a steady state writes nothing.

pub(crate) mod connection;
pub(crate) mod oauth;
pub(crate) mod request;

mod context;
mod crd_check;
mod error_backoff;
mod events;
mod kube_calls;
mod merged_watch;
mod options;
mod permit_queue;
mod permits;
mod refusal_messages;
mod status_writer;
mod telemetry;
#[cfg(test)]
mod test_failures;
#[cfg(test)]
mod test_support;
mod unreadable_objects;
mod watch_health;
mod watch_scopes;
mod watch_store;
mod watches;

pub use context::BoxClientConfig;
pub use crd_check::{CrdAvailability, UnavailableKind, wait_until_available, watch_crd_availability};
pub use options::ControllerOptions;
pub use telemetry::ResourceKind;
pub use watch_scopes::{ScopeState, WatchScopes};
pub use watches::{Dependencies, run};
