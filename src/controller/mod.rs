//! controller — keeps every BoxConnection in sync and answers every UserSyncRequest.
//! observe → plan → place, confirm, plan again → act → report. `observe`, `plan`, `schedule`, `timetable`, `rhythm`,
//! `failure`, `message`, `conditions`, `report`, `answer`, `authorization`, `requester`, `kept` and `merged` decide on
//! values alone; the other files do IO.
//! Invariant: a connection's own reconcile is the only place that talks to Box, and a steady state writes nothing.

mod access;
mod answer;
mod authorization;
mod cluster;
mod conditions;
mod connection;
mod context;
mod events;
mod failure;
#[cfg(test)]
mod fixture;
mod happening;
mod kept;
mod leftovers;
mod memory;
mod merged;
mod message;
mod observe;
mod places;
mod plan;
mod progress;
mod report;
mod request;
mod requester;
mod rhythm;
mod run;
#[cfg(test)]
mod samples;
mod schedule;
mod served;
mod tell;
mod timetable;
mod vault;
mod watch;

pub use context::{BoxClientConfig, ControllerOptions};
pub use happening::ResourceKind;
pub use served::{CrdAvailability, wait_until_available, watch_crd_availability as look_what_is_served};
pub use watch::{Dependencies, run};
