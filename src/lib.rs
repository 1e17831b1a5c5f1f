//! boxsync keeps the user lists of Box enterprises in a Kubernetes cluster in sync.
//!
//! The rooms, each with what it holds and what it must not know. `tests/tidy.rs` keeps them apart.
//!
//! | room | holds | knows |
//! | --- | --- | --- |
//! | [`api`] | the custom resources, reasons and conditions: what users write and read | nothing |
//! | [`boxapi`] | Box over HTTP: signing in, who we are, the walk over the users | nothing |
//! | [`cluster`] | the API server, asked with a time limit | nothing |
//! | [`roster`] | the list of users: packed, cut into slices, compared, published, read | `api` `cluster` |
//! | [`signin`] | what a Secret is worth in Box, and what it means that it is not enough | `api` `boxapi` |
//! | [`sync`] | one run: Box walked to its end, then the list published | `api` `boxapi` `roster` |
//! | [`metrics`] | what is counted and measured, and the page of it | `api` `boxapi` |
//! | [`controller`] | observe → maintain → acquire a permit → confirm and plan again → act and report | all of the above, `runtime` |
//! | [`runtime`] | clock, log, signals, leadership, the port | nothing |
//! | [`cli`] | kubectl boxsync, a file a subcommand: what people ask of the cluster and read there | `api` `boxapi` `cluster` `roster` `runtime` `signin` |
//! | [`health`] | whether this process does its part, and what is missing | `controller` `runtime` |
//! | [`config`], [`operator`] | flags and environment; the parts put together | all |
//!
//! What always holds:
//! * A list counts only when Box was walked to its end, and is published whole: writing the roster, after all slices, is
//!   the commit. Whatever ends a run early leaves the last list as it was.
//! * One reconcile, the connection's own, talks to Box; kube runs one at a time for an object. So a connection has one
//!   sync at most, and requests are its inputs.
//! * Every decision is a pure function of values and the time, made twice: first on the cached view of the watches, then
//!   on objects confirmed by the API server. On the cached view only maintenance is done (`connection/maintain.rs`):
//!   reading the Secret's version, deleting unreferenced slices, updating the status to the time. Everything else, each
//!   call to Box included, acts on the second decision.
//! * Due-ness follows from the status, never from memory. What a process remembers may be lost with it.
//! * Every write names the version that it replaces. A steady state writes nothing.
//! * No secret, token, response body or user's name stands in a message, an event, a metric or a log line.

pub mod api;
pub mod auth;
pub mod box_client;
pub mod cli;
pub mod config;
pub mod controller;
pub mod health;
pub mod kube_client;
pub mod leader_election;
pub mod metrics;
pub mod operator;
pub mod roster;
pub mod runtime;
pub mod sync;

#[cfg(test)]
mod test_support;
