//! The health of every object in every state, as kubectl, kstatus, Flux and Argo CD compute it. The states are produced by
//! the environment of the simulation tests.

#[path = "../../sim/env.rs"]
#[allow(dead_code, reason = "the simulation tests use the rest")]
mod env;
#[path = "../../sim/invariants/mod.rs"]
#[allow(dead_code, reason = "the simulation tests use the rest")]
mod invariants;
#[path = "../../sim/log.rs"]
mod log;
#[path = "../../sim/network.rs"]
#[allow(dead_code, reason = "the simulation tests use the rest")]
mod network;
#[path = "../../sim/operator.rs"]
#[allow(dead_code, reason = "the simulation tests use the rest")]
mod operator;
#[path = "../../sim/sign_in.rs"]
#[allow(dead_code, reason = "the simulation tests use the rest")]
mod sign_in;
#[path = "../../../src/test_support.rs"]
mod test_support;

mod connection_states;
mod verdicts;
