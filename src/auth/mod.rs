//! Authentication: credentials from a Secret, and the user-visible failures of sign-in and listing. Makes no calls.
//!
//! Invariant: no message contains a secret.

mod failure;
mod failure_context;
mod reconnect_backoff;
mod secret;

pub use failure::Failure;
pub use failure_context::FailureContext;
pub use reconnect_backoff::reconnect_interval;
pub use secret::{access_token_from_secret, credentials_from_secret};
