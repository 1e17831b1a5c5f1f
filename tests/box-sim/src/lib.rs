//! A simulated Box: authorize page, token endpoint and user listing as an axum router.
//!
//! It responds as Box does, including errors and unusual responses, and shares no type with the program under test: a
//! shared type would hide a shared misreading of Box. The clock is a parameter and delays use tokio's timers, so that
//! it runs under paused time.
//!
//! ```
//! # async fn example() -> std::io::Result<()> {
//! use box_sim::{Behaviour, BoxSim, EndpointFilter, EnterpriseConfig, ScriptedResponse, clock};
//! let sim = BoxSim::new(clock::system_clock());
//! let acme = sim.add_enterprise(EnterpriseConfig::new("1001").name("Acme").users(1_200));
//! acme.enable_behaviour(Behaviour::ShortPages);
//! let limited = ScriptedResponse::RateLimited { retry_after: Some("30".to_owned()) };
//! acme.queue_response(1, limited, EndpointFilter::Users);
//! let in_process = sim.router(); // a tower service
//! let server = sim.serve().await?; // or a socket: server.url()
//! # Ok(()) }
//! ```

mod admin;
mod app;
mod authorize;
mod behaviour;
mod call_log;
pub mod clock;
mod config;
pub mod demo;
mod enterprise;
mod fields;
mod jwt;
mod keys;
mod list;
mod marker;
mod me;
mod redirect;
mod request;
mod response;
mod revoke;
mod rng;
mod route;
mod scripted_responses;
mod serve;
mod sim;
mod state;
mod token;
mod token_error;
mod user;
mod user_lookup;
mod users;

pub use crate::{
    behaviour::{Behaviour, UnknownBehaviour},
    call_log::{Call, CallCounts, Endpoint},
    clock::Clock,
    config::{AuthMethod, EnterpriseConfig, RegisteredKey},
    enterprise::Enterprise,
    keys::{KeyFormat, KeyPair, PASSPHRASE},
    scripted_responses::{EndpointFilter, ScriptedResponse},
    serve::Server,
    sim::BoxSim,
    user::User,
};
