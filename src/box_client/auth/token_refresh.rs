//! The grant of a user (OAuth 2.0): its tokens, and how they are renewed. A refresh token works once and lives for 60
//! days; Box answers each renewal with the next one. So the new one is kept before it is used, and whoever asked for it
//! may go: a renewal that has begun is brought to its end.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, header};
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{OwnedMutexGuard, oneshot};

use super::{
    credentials::{Credentials, OAuth2Credentials},
    token::Token,
    token_source::{Client, TokenOrigin},
};
use crate::box_client::{
    call_observer::Endpoint,
    error::{Denial, Error, InvalidResponse},
    retry::RequestTemplate,
};

/// What Box lets a refresh token live.
const REFRESH_LIFETIME: Duration = Duration::from_secs(60 * 86_400);

/// The tokens of a grant.
#[derive(Clone)]
pub struct OAuthTokens {
    pub refresh_token: SecretString,
    pub access_token: SecretString,
    /// When the access token ends.
    pub access_expires_at: Timestamp,
    /// When Box handed them out.
    pub issued_at: Timestamp,
}

impl OAuthTokens {
    /// Until when the grant can be renewed.
    pub fn refresh_expires_at(&self) -> Timestamp {
        saturating_add(self.issued_at, REFRESH_LIFETIME)
    }
}

/// The right to renew a grant, which one process has at a time.
pub struct RefreshLock {
    /// By which the keeper knows it again.
    pub id: String,
    /// What is to be spent.
    pub refresh_token: SecretString,
}

/// What there is to do after Box refused a refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterRejection {
    /// Somebody renewed the grant meanwhile: there is a newer one.
    RetryNewer,
    /// It was a new one; that of the grant before is still kept.
    RetryPrevious,
    /// There is no other.
    GiveUp,
}

/// Why the keeper could not do its part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenStoreError {
    #[error("the tokens that are kept belong to another connection")]
    OwnedByOther,
    #[error("what stands where the tokens are to be kept is something else")]
    ForeignSecret,
    #[error("the tokens may not be read or written")]
    Forbidden,
    #[error("the tokens cannot be read or written at the moment")]
    Unreachable,
    /// Box had handed them out already.
    #[error("new tokens could not be written down")]
    NotPersisted,
    #[error("tokens of a user are not renewed here")]
    Disabled,
}

/// Keeps the tokens of a grant where the next process finds them, and lets one process at a time renew them.
pub trait TokenStore: Send + Sync {
    /// The tokens that are kept for these credentials.
    fn load(&self) -> BoxFuture<'_, Result<Option<OAuthTokens>, TokenStoreError>>;

    /// Takes the turn to renew; waits while somebody else has it.
    fn lock(&self) -> BoxFuture<'_, Result<RefreshLock, TokenStoreError>>;

    /// Keeps the tokens that Box answered, and ends the turn. Tries for long: until it is done, they exist nowhere else.
    fn save<'a>(&'a self, lock: &'a RefreshLock, tokens: &'a OAuthTokens)
    -> BoxFuture<'a, Result<(), TokenStoreError>>;

    /// Ends the turn after Box refused what was to be spent.
    fn on_rejected<'a>(&'a self, lock: &'a RefreshLock) -> BoxFuture<'a, Result<AfterRejection, TokenStoreError>>;

    /// Ends the turn; nothing came of it.
    fn unlock<'a>(&'a self, lock: &'a RefreshLock) -> BoxFuture<'a, ()>;

    /// Runs a renewal to its end, whether or not somebody still waits for it.
    fn run_to_completion(&self, refresh: BoxFuture<'static, ()>);
}

impl Client {
    /// The access token that is kept, where it can still be used.
    pub(crate) async fn load_stored_token(&self, app: &OAuth2Credentials) -> Result<Option<Arc<Token>>, Error> {
        let Some(tokens) = token_store(app)?.load().await? else { return Ok(None) };
        let token = Token::from_stored(&tokens, self.token_source.current_time());
        if !token.is_valid() || self.token_source.is_rejected_token(&tokens.access_token) {
            return Ok(None);
        }
        Ok(Some(self.token_source.cache_token(token, Some(tokens.refresh_expires_at()))))
    }

    /// Renews the grant once. Dropping the future does not end the renewal, which holds `turn` until then.
    pub(crate) async fn refresh_tokens(
        &self,
        app: &OAuth2Credentials,
        token_guard: Arc<OwnedMutexGuard<()>>,
    ) -> Result<Arc<Token>, Error> {
        let store = token_store(app)?;
        let (sender, receiver) = oneshot::channel();
        let (client, task_store) = (self.clone(), Arc::clone(&store));
        store.run_to_completion(Box::pin(async move {
            let result = client.refresh_with_lock(&*task_store).await;
            drop(token_guard);
            // Whoever asked may have gone; the token is held all the same.
            let _ = sender.send(result);
        }));
        receiver.await.unwrap_or(Err(Error::Cancelled))
    }

    async fn refresh_with_lock(&self, store: &dyn TokenStore) -> Result<Arc<Token>, Error> {
        let (mut rejections, mut fallback_cause) = (0, None);
        loop {
            let lock = tokio::select! {
                biased;
                () = self.cancel.cancelled() => return Err(Error::Cancelled),
                lock = store.lock() => lock?,
            };
            match self.exchange_refresh_token(&lock).await {
                Ok(tokens) => {
                    store.save(&lock, &tokens).await?;
                    self.token_source.set_fallback_cause(fallback_cause);
                    return Ok(self.token_source.cache_token(
                        Token::from_stored(&tokens, self.token_source.current_time()),
                        Some(tokens.refresh_expires_at()),
                    ));
                }
                Err(rejected @ Error::Denied { denial: Denial::AuthorizationExpired, .. }) => {
                    rejections += 1;
                    match store.on_rejected(&lock).await? {
                        AfterRejection::RetryNewer if rejections == 1 => {}
                        AfterRejection::RetryPrevious if rejections == 1 => fallback_cause = Some(rejected),
                        AfterRejection::RetryNewer | AfterRejection::RetryPrevious | AfterRejection::GiveUp => {
                            return Err(fallback_cause.unwrap_or(rejected));
                        }
                    }
                }
                Err(other) => {
                    store.unlock(&lock).await;
                    return Err(other);
                }
            }
        }
    }

    async fn exchange_refresh_token(&self, lock: &RefreshLock) -> Result<OAuthTokens, Error> {
        let TokenOrigin::Credentials { credentials: Credentials::Oauth2(app), .. } = &self.token_source.0.origin else {
            return Err(TokenStoreError::Disabled.into());
        };
        let form = app.refresh_form(&lock.refresh_token);
        let template = RequestTemplate {
            request: Request::post(self.token_source.0.base.join("/oauth2/token"))
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded"),
            body: Bytes::copy_from_slice(form.expose_secret().as_bytes()),
            secret: lock.refresh_token.clone(),
        };
        let token = Token::parse(&self.send(Endpoint::Token, template).await?)?;
        let issued_at = self.token_source.current_time();
        Ok(OAuthTokens {
            refresh_token: token
                .refresh_token()
                .cloned()
                .ok_or(Error::invalid_response(InvalidResponse::MissingToken))?,
            access_token: token.access_token().clone(),
            access_expires_at: saturating_add(issued_at, token.lifetime()),
            issued_at,
        })
    }
}

fn token_store(app: &OAuth2Credentials) -> Result<Arc<dyn TokenStore>, TokenStoreError> {
    app.token_store.clone().ok_or(TokenStoreError::Disabled)
}

fn saturating_add(time: Timestamp, lifetime: Duration) -> Timestamp {
    SignedDuration::try_from(lifetime).ok().and_then(|life| time.checked_add(life).ok()).unwrap_or(Timestamp::MAX)
}
