//! The interface of a store for OAuth 2.0 tokens: its types and its errors.

use std::time::Duration;

use futures::future::BoxFuture;
use jiff::Timestamp;
use secrecy::SecretString;

/// The lifetime of a refresh token (Box's documentation).
const REFRESH_TOKEN_LIFETIME: Duration = Duration::from_secs(60 * 86_400);

/// The tokens that Box issues for a user's authorization.
#[derive(Clone)]
pub struct OAuthTokens {
    /// Can be used once.
    pub refresh_token: SecretString,
    pub access_token: SecretString,
    /// When the access token expires.
    pub access_expires_at: Timestamp,
    pub issued_at: Timestamp,
}

impl OAuthTokens {
    /// When the refresh token expires.
    pub fn refresh_expires_at(&self) -> Timestamp {
        self.issued_at.saturating_add(REFRESH_TOKEN_LIFETIME).unwrap_or(Timestamp::MAX)
    }
}

/// The right to refresh the tokens. One process has it at a time.
pub struct RefreshLock {
    /// Identifies the lock in the store.
    pub id: String,
    /// The refresh token to use.
    pub refresh_token: SecretString,
}

/// What to do after Box rejected a refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterRejection {
    /// Another process refreshed the tokens meanwhile: lock again and use the newer token.
    RetryNewer,
    /// A new initial token was rejected: lock again and use the tokens of the previous authorization.
    RetryPrevious,
    /// The store has no other token.
    GiveUp,
}

/// Why the token store failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenStoreError {
    #[error("the stored tokens belong to another connection")]
    OwnedByOther,
    #[error("the Secret for the tokens exists and was not created by the operator")]
    ForeignSecret,
    /// The text names the right that is missing.
    #[error("no permission to read or write the tokens: {0}")]
    Forbidden(String),
    /// In whole sentences: why the store does not take the tokens, and who must do what.
    #[error("the store does not take the tokens")]
    Refused { why: String, remediation: String },
    #[error("the tokens cannot be read or written at present")]
    Unreachable,
    /// Box had issued them already. The text says why, in sentences; empty if they are still being stored.
    #[error("the new tokens could not be stored")]
    NotPersisted(String),
    #[error("OAuth 2.0 token refresh is disabled")]
    Disabled,
}

/// Stores the tokens of a user's authorization for later processes, and lets one process at a time refresh them.
pub trait TokenStore: Send + Sync {
    /// The stored tokens for these credentials.
    fn load(&self) -> BoxFuture<'_, Result<Option<OAuthTokens>, TokenStoreError>>;

    /// Acquires the lock; waits while another process holds it.
    fn lock(&self) -> BoxFuture<'_, Result<RefreshLock, TokenStoreError>>;

    /// Stores the tokens that Box issued, and releases the lock. Retries for as long as the store is unavailable, because
    /// until they are stored the tokens exist nowhere else.
    fn save<'a>(&'a self, lock: &'a RefreshLock, tokens: &'a OAuthTokens)
    -> BoxFuture<'a, Result<(), TokenStoreError>>;

    /// Releases the lock after Box rejected its refresh token.
    fn on_rejected<'a>(&'a self, lock: &'a RefreshLock) -> BoxFuture<'a, Result<AfterRejection, TokenStoreError>>;

    /// Releases the lock without a result.
    fn unlock<'a>(&'a self, lock: &'a RefreshLock) -> BoxFuture<'a, ()>;
}
