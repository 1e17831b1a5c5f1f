//! A small in-memory Kubernetes API server for simulation tests under paused time.
//!
//! kube's `Api`s, watchers and `Controller`s call it through a tower service without a socket, so days pass in
//! milliseconds under `#[tokio::test(start_paused = true)]`. Its write rules (versions, generations, conflicts, the
//! status subresource, finalizers) and its messages follow kube-apiserver 1.37.
//!
//! ```
//! use kube::{Api, api::{DynamicObject, GroupVersionKind, ApiResource}};
//! use kube_sim::{Fault, FaultAction, KubeSim, Resource, SimClock, Verb};
//! use serde_json::json;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let clock = SimClock::new("2026-11-22T00:00:00Z".parse()?);
//! let things = Resource::custom("example.dev", "v1", "things", "Thing").with_default_status(json!({"phase": "Pending"}));
//! let sim = KubeSim::new(clock.clock_fn(), [things]);
//! sim.create(json!({"apiVersion": "example.dev/v1", "kind": "Thing", "metadata": {"name": "a"}, "spec": {}}));
//!
//! let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("example.dev", "v1", "Thing"));
//! let things: Api<DynamicObject> = Api::default_namespaced_with(sim.client_as("operator"), &kind);
//! assert_eq!(things.get("a").await?.data["status"]["phase"], "Pending");
//!
//! sim.fail_next(1, |call| call.matches(Verb::Get, "things"), Fault::Before(FaultAction::Status(500)));
//! assert!(things.get("a").await.is_err());
//! assert_eq!(sim.requests().len(), 2);
//! # Ok(()) }
//! ```
//!
//! | file | holds |
//! | --- | --- |
//! | `sim`, `test_api` | the test's handle: clients, log and faults; direct access to objects |
//! | `resource`, `builtin`, `schema` | served resources, pruning and defaulting |
//! | `call`, `serve`, `handlers`, `projection`, `status_error` | requests, handlers, responses |
//! | `store`, `write`, `validation`, `object`, `selectors`, `history` | the objects; pure, no await and no clock |
//! | `watch` | watches |
//! | `server`, `fault`, `log`, `clock` | shared state, injected faults, request log, time |
//!
//! Rejected with an error that names the feature: server-side apply, JSON and strategic merge patches, dry runs,
//! `deletecollection`, `sendInitialEvents`, orphan deletion. Not implemented: RBAC (but see
//! [`KubeSim::forbid`]), CEL and schema types (but see [`Resource::with_rule`]), `managedFields`, discovery, namespaces
//! as objects.

mod builtin;
mod call;
mod clock;
mod fault;
mod handlers;
mod history;
mod log;
mod object;
mod projection;
mod resource;
mod schema;
mod selectors;
mod serve;
mod server;
mod sim;
mod status_error;
mod store;
mod test_api;
mod validation;
mod watch;
mod write;

pub use crate::{
    call::{Call, Verb},
    clock::{Clock, SimClock},
    fault::{Fault, FaultAction, Gate},
    log::{LogPosition, LoggedCall},
    resource::Resource,
    sim::KubeSim,
};
