//! boxsync: keeps the user lists of Box enterprises in a Kubernetes cluster in sync.

pub mod api;
pub mod boxapi;
pub mod config;
pub mod controller;
pub mod operator;
pub mod roster;
pub mod runtime;
pub mod sync;
#[cfg(test)]
mod testing;
