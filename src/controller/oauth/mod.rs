//! OAuth 2.0 tokens of users: stored in a Secret, renewed before they expire.

pub(crate) mod expiry;
pub(crate) mod token_secret;
pub(crate) mod token_store;
