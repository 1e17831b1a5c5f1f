//! Box, simulated: its authorize page, its token endpoint and its user listing as an axum router.
//!
//! It answers as Box does, errors and oddities included, and shares no type with the program that is tested against it: a shared type would
//! hide a shared misreading of Box. It has no time of its own: a clock is handed in, and waiting is tokio's, so that it runs under paused time.
//!
//! ```
//! # async fn example() -> std::io::Result<()> {
//! use box_sim::{Answer, Behaviour, BoxSim, EnterpriseSpec, On, clock};
//! let sim = BoxSim::new(clock::system());
//! let acme = sim.enterprise(EnterpriseSpec::new("1001").named("Acme").users(1_200));
//! acme.behave(Behaviour::ShortPages);
//! acme.next(1, Answer::RateLimited { retry_after: Some("30".to_owned()) }, On::Users);
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
