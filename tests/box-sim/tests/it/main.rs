//! What the simulated Box answers, asked the way clients ask.

mod admin;
mod behaviours;
mod binary;
mod client;
mod errors;
mod oauth;
mod tokens;
mod users;
mod wire;
