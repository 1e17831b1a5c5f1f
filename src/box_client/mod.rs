//! boxapi — Box over HTTP: sign in, ask who we are, walk the list of users.
//!
//! Invariants:
//! * Nothing here knows the operator or where credentials come from; a caller brings bytes, a clock and a transport.
//! * Every call to Box goes through `exchange.rs`: tries, waits, time limit and the reading of errors stand there, above the transport,
//!   so that they hold for sockets and for a router in process alike.
//! * A secret is a `secrecy` type from its first byte to the request that carries it. No error repeats a secret, a token, an assertion or a body.
//! * A refresh token that Box handed out is kept before it is used. A renewal that has begun is not cancelled.
//! * A walk that did not reach Box's own end never says so: it returns an error, and goes on returning it.

pub(crate) mod auth;

mod account;
mod base_url;
mod call_observer;
mod error;
mod error_body;
mod error_classification;
mod form_encoding;
mod lenient_value;
mod reachability;
mod retry;
mod transport;
mod user_page;
mod user_pages;

#[cfg(test)]
mod tests;

pub use account::{Account, Enterprise};
pub use auth::{
    authorization_code::{AuthorizationRequest, AuthorizationResponse},
    credentials::{ClientCredentials, Credentials, MalformedCredentials},
    token_refresh::{AfterRejection, OAuthTokens, RefreshLock, TokenStore, TokenStoreError},
    token_source::{Client, ClockFn, TokenSource},
};
pub use base_url::{BaseUrl, BaseUrlError};
pub use call_observer::{CallObserver, CallOutcome, CallRecord, Endpoint};
pub use error::{CredentialRejection, Denial, Error, InvalidResponse, LimitExceeded};
pub use error_body::ErrorBody;
pub use reachability::{ProxyConfig, Reachability, check_reachability};
pub use transport::{ConnectPhase, Transport, TransportError, https_transport};
pub use user_page::{User, UserPage};
pub use user_pages::{Limits, UserPages};
