//! Client for the Box API: sign-in, the current account, the list of users, and one user by its id.
//!
//! Invariants:
//! * Nothing here knows the operator or where credentials come from; a caller passes bytes, a clock and a transport.
//! * Every call to Box goes through `sender.rs`, which applies retries, delays, the timeout and the classification of
//!   errors above the transport, so that they hold for sockets and for an in-process router alike.
//! * A secret is a `secrecy` type from its first byte to the request that carries it. No error contains a secret, a
//!   token, an assertion or a response body.
//! * A refresh token that Box issued is stored before it is used. A refresh that has started is not cancelled. A token
//!   source runs one renewal at a time.
//! * An incomplete list of users is never reported as complete: [`UserPages`] ends only after Box's last page.
//! * The files do not import each other in circles: `transport` and `error` ← `sender` ← `auth::token_source` ←
//!   `client` ← `account`, `user_lookup`, `user_pages`.

mod auth;

mod account;
mod base_url;
mod ca_bundle;
mod call_observer;
mod client;
mod error;
mod error_body;
mod error_classification;
mod lenient_json;
mod lenient_value;
mod reachability;
mod renewable_client;
mod retry;
mod sender;
mod transport;
mod user_codes;
mod user_lookup;
mod user_page;
mod user_pages;

#[cfg(test)]
mod tests;

pub use account::{Account, Enterprise};
pub use auth::{
    authorization_code::{AuthorizationRequest, AuthorizationResponse},
    client_credentials::ClientCredentials,
    credentials::Credentials,
    limits::MAX_CONFIG_BYTES,
    malformed_credentials::MalformedCredentials,
    token_source::{SpawnFn, TokenSource},
    token_store::{AfterRejection, OAuthTokens, RefreshLock, TokenStore, TokenStoreError},
    token_subject::TokenSubject,
};
pub use base_url::{BaseUrl, BaseUrlError};
pub use ca_bundle::{CaBundle, InvalidCaBundle, check_system_certificates};
pub use call_observer::{CallObserver, CallOutcome, CallRecord, Endpoint};
pub use client::Client;
pub use error::{CredentialRejection, Denial, Error, InvalidResponse, LimitExceeded};
pub use error_body::ErrorBody;
pub use reachability::{check_reachability, proxy_from_env};
pub use sender::ClockFn;
pub use transport::{ConnectPhase, Transport, TransportError, https_transport};
pub use user_pages::{Limits, UserPages};
