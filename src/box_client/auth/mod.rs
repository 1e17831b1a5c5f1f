//! Tokens: credentials, where they come from, how long they are good for.

pub(crate) mod authorization_code;
pub(crate) mod credentials;
pub(crate) mod jwt;
pub(crate) mod private_key;
pub(crate) mod token;
pub(crate) mod token_refresh;
pub(crate) mod token_source;
