//! boxapi — Box over HTTP: sign in, ask who we are, walk the list of users.
//!
//! Invariants:
//! * Nothing here knows the operator or where credentials come from; a caller brings bytes, a clock and a transport.
//! * Every call to Box goes through `exchange.rs`: tries, waits, time limit and the reading of errors stand there, above the transport,
//!   so that they hold for sockets and for a router in process alike.
//! * A secret is a `secrecy` type from its first byte to the request that carries it. No error repeats a secret, a token, an assertion or a body.
//! * A refresh token that Box handed out is kept before it is used. A renewal that has begun is not cancelled.
//! * A walk that did not reach Box's own end never says so: it returns an error, and goes on returning it.

mod account;
mod authorize;
mod base_url;
mod call;
mod credentials;
mod encode;
mod error;
mod exchange;
mod grant;
mod jwt;
mod key;
mod meaning;
mod page;
mod reach;
mod said;
mod scalar;
mod session;
mod token;
mod transport;
mod users;

#[cfg(test)]
mod tests;

pub use account::{Account, Enterprise};
pub use authorize::{AuthorizationRequest, AuthorizationResponse};
pub use base_url::{BaseUrl, BaseUrlError};
pub use call::{CallObserver, CallOutcome, CallRecord, Endpoint};
pub use credentials::{ClientCredentials, Credentials, MalformedCredentials};
pub use error::{CredentialRejection, Denial, Error, InvalidResponse, LimitExceeded};
pub use grant::{AfterRejection, OAuthTokens, RefreshLock, TokenStore, TokenStoreError};
pub use page::{User, UserPage};
pub use reach::{ProxyConfig, Reachability, check_reachability};
pub use said::ErrorBody;
pub use session::{Client, ClockFn, TokenSource};
pub use transport::{ConnectPhase, Transport, TransportError, https_transport};
pub use users::{Limits, UserPages};
