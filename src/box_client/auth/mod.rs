//! Authentication with Box: credentials, assertions, tokens and their renewal.

pub(super) mod authorization_code;
pub(super) mod client_credentials;
mod credential_text;
pub(super) mod credentials;
mod form;
mod jwt;
mod key_derivation;
pub(super) mod limits;
pub(super) mod malformed_credentials;
mod private_key;
mod random_token;
pub(super) mod token;
mod token_refresh;
pub(super) mod token_source;
pub(super) mod token_store;
pub(super) mod token_subject;
