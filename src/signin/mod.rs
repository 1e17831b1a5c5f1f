//! signin — from a Secret to Box: what its content is worth, and what it means that it is not enough, in words for a
//! person. Nothing here calls anybody.
//! Invariant: no secret stands in any word that is said here.

mod cadence;
mod failure;
mod names;
mod secret;

pub use cadence::reconnect_interval;
pub use failure::Failure;
pub use names::FailureContext;
pub use secret::{access_token_from_secret, credentials_from_secret};
