//! signin — from a Secret to Box: what its content is worth, and what it means that it is not enough, in words for a
//! person. Nothing here calls anybody.
//! Invariant: no secret stands in any word that is said here.

mod failure;
mod failure_context;
mod reconnect_backoff;
mod secret;

pub use failure::Failure;
pub use failure_context::FailureContext;
pub use reconnect_backoff::reconnect_interval;
pub use secret::{access_token_from_secret, credentials_from_secret};
