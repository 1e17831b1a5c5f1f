//! The real API server, the operator's binary under its chart's own RBAC, kubectl as people use it, and the simulator
//! of Box on a socket. One module a story, a namespace a test; all but two tests share one control plane.

#[path = "../../src/testing.rs"]
mod testing;

mod manifests;
mod query;
mod release;
mod series;
mod stage;
mod table;

mod admission;
mod alerts;
mod at_rest;
mod away;
mod bad_input;
mod chart;
mod connecting;
mod connecting_by_hand;
mod crash;
mod dashboard;
mod explain;
mod field_owners;
mod generated;
mod gitops;
mod health;
mod image;
mod installing;
mod kubectl_get;
mod leading;
mod oauth;
mod publishing;
mod reading;
mod reconnecting;
mod requesting;
mod rules;
mod samples;
mod upgrading;
