//! Authentication: credentials from a Secret, sign-in, and the user-visible failures of sign-in and listing.
//!
//! Invariant: no message contains a secret.

mod failure;
mod failure_context;
mod reconnect_backoff;
mod secret;
mod sign_in;

pub use failure::Failure;
pub use failure_context::FailureContext;
pub use reconnect_backoff::reconnect_interval;
pub use secret::{access_token_from_secret, credentials_from_secret, verify_enterprise_id};
pub use sign_in::SignIn;
