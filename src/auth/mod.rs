//! Authentication: credentials from a Secret, sign-in, and the user-visible failures of sign-in and listing.
//!
//! Invariants: no message contains a secret; a private key is decrypted only by [`KeyDecryption`].

mod failure;
mod failure_context;
mod key_decryption;
mod reconnect_backoff;
mod secret;
mod sign_in;

pub use failure::Failure;
pub use failure_context::FailureContext;
pub use key_decryption::KeyDecryption;
pub use reconnect_backoff::reconnect_interval;
pub use secret::{access_token_from_secret, verify_enterprise_id};
pub use sign_in::SignIn;
