//! kube-sim — a small Kubernetes API server in memory, for simulation tests under paused time.
//!
//! The real kube `Api`s, watchers and `Controller`s talk to it through a tower service; no socket is involved, so
//! `#[tokio::test(start_paused = true)]` lets days pass in milliseconds. Its rules of writing (versions, generations,
//! conflicts, the status subresource, finalizers) and its messages were copied from what kube-apiserver 1.37 answered.
//!
//! ```
//! use kube::{Api, api::{DynamicObject, GroupVersionKind, ApiResource}};
//! use kube_sim::{Fault, KubeSim, Resource, SimClock, Trouble, Verb};
//! use serde_json::json;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let clock = SimClock::new("2026-11-22T00:00:00Z".parse()?);
//! let things = Resource::custom("example.dev", "v1", "things", "Thing").with_default_status(json!({"phase": "Pending"}));
//! let sim = KubeSim::new(clock.reader(), [things]);
//! sim.create(json!({"apiVersion": "example.dev/v1", "kind": "Thing", "metadata": {"name": "a"}, "spec": {}}));
//!
//! let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("example.dev", "v1", "Thing"));
//! let things: Api<DynamicObject> = Api::default_namespaced_with(sim.client_as("operator"), &kind);
//! assert_eq!(things.get("a").await?.data["status"]["phase"], "Pending");
//!
//! sim.fail_next(1, |call| call.is(Verb::Get, "things"), Fault::Before(Trouble::Status(500)));
//! assert!(things.get("a").await.is_err());
//! assert_eq!(sim.requests().len(), 2);
//! # Ok(()) }
//! ```
//!
//! | file | holds |
//! | --- | --- |
//! | `sim`, `direct` | the test's handle: clients, log and trouble; objects without HTTP |
//! | `resource`, `builtin`, `schema` | what is served, and what a schema does to an object |
//! | `call`, `serve`, `answer`, `shape`, `refusal` | a request, its way to the answer, the forms of answers |
//! | `store`, `write`, `rules`, `object`, `selection`, `history` | the objects; pure, no await and no clock |
//! | `watching` | watches |
//! | `server`, `fault`, `log`, `clock` | what clients share, ordered trouble, who asked what, time |
//!
//! Not served, and refused by name: server-side apply, JSON and strategic patches, dry runs, `deletecollection`,
//! `sendInitialEvents`, `continue`, orphaning and foreground deletion. Not there: RBAC (but [`KubeSim::forbid`]), CEL
//! and schema types (but [`Resource::with_rule`]), `managedFields`, discovery, namespaces as objects.

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
