//! The health of every object in every state, as kubectl, kstatus, Flux and Argo CD compute it. The states are produced by
//! the environment of the simulation tests.

#[path = "../../sim/env.rs"]
#[allow(dead_code, reason = "the simulation tests use the rest")]
mod env;
#[path = "../../sim/network.rs"]
#[allow(dead_code, reason = "the simulation tests use the rest")]
mod network;
#[path = "../../../src/test_support.rs"]
mod test_support;

mod connection_states;
mod verdicts;
