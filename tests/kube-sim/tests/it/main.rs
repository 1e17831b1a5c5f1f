//! The simulated server as kube's own clients see it; one module a subject.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod controllers;
mod crashes;
mod fixture;
mod odd;
mod reading;
mod trouble;
mod watches;
mod writing;
