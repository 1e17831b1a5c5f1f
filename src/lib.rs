//! boxsync keeps the user lists of Box enterprises in a Kubernetes cluster in sync.
//!
//! The modules, what each holds and which other modules it may use. `tests/architecture` checks the imports.
//!
//! | module | holds | may use |
//! | --- | --- | --- |
//! | [`api`] | the custom resources, reasons and conditions: what users write and read | nothing |
//! | `text` | clamping and cleaning texts from outside | nothing |
//! | `remote_clock` | the time of a server, by its responses | nothing |
//! | [`user_list`] | the users of an enterprise in memory, packed | nothing |
//! | [`box_client`] | Box over HTTP: sign-in, the current user, paging through the users | `remote_clock` `text` `user_list` |
//! | [`kube_client`] | the way to the API server, and API calls with a timeout | `remote_clock` `text` |
//! | [`roster`] | the published list: chunking into slices, diff, publishing, reading | `api` `kube_client` `user_list` |
//! | [`auth`] | credentials in a Secret, sign-in, and why Box does not accept them | `api` `box_client` |
//! | [`sync`] | one run: fetch all users from Box, then publish the list | `api` `box_client` `roster` `user_list` |
//! | [`metrics`] | metrics and their page | `api` `box_client` |
//! | [`controller`] | observe → maintain → permit → confirm, plan again → act → report | all of the above, `runtime` |
//! | [`leader_election`] | the Lease: which replica works | `runtime` |
//! | [`runtime`] | clock, logging, signals, background tasks, the admin server | `text` |
//! | [`cli`] | kubectl boxsync, one file or folder per subcommand | `api` `auth` `box_client` `kube_client` `roster` `runtime` `text` `user_list` |
//! | [`health`] | whether this process is ready, and what is missing | `controller` `leader_election` `runtime` |
//! | [`config`], [`operator`] | flags and environment; startup of all parts | all |
//!
//! Invariants:
//! * A list counts only if every page was fetched, and is published as a whole: writing the roster, after all slices, is
//!   the commit. A run that ends early leaves the last list unchanged.
//! * Only the connection's own reconcile calls Box, and kube runs one reconcile at a time for an object. So a connection
//!   has at most one sync, and requests are its inputs.
//! * Every decision is a pure function of values and the time, made twice: first on the cached view of the watches, then
//!   on objects confirmed by the API server. On the cached view only maintenance is done (`connection/maintain.rs`):
//!   reading the Secret's version, deleting unreferenced slices, updating the status to the time. Everything else, each
//!   call to Box included, acts on the second decision.
//! * What is due follows from the status, never from memory: a restart loses nothing.
//! * Every write names the version that it replaces. A steady state writes nothing.
//! * No message, event, metric or log line contains a secret, a token, a response body or a user's name.

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
mod remote_clock;
pub mod roster;
pub mod runtime;
pub mod sync;
mod text;
pub mod user_list;

#[cfg(test)]
mod test_support;
