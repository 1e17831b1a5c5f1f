//! The simulated Box, called like clients call it.

mod admin;
mod behaviours;
mod binary;
mod client;
mod errors;
mod oauth;
mod tokens;
mod users;
mod wire;
