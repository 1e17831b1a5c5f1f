//! The simulated server, called through kube's own clients. The cases about API semantics also run on a real
//! kube-apiserver, see `servers`.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod builtin;
mod controllers;
mod crashes;
mod fixture;
mod invalid_requests;
mod reading;
mod servers;
mod trouble;
mod watches;
mod writing;
