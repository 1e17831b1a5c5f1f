//! The source of access tokens for one set of credentials: caches the token, and requests or refreshes it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt};
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use tokio::{
    sync::{OwnedMutexGuard, oneshot},
    time::{Instant, timeout},
};

use super::{
    credentials::{Credentials, OAuth2Credentials},
    token::Token,
    token_refresh::{RefreshedTokens, refresh_tokens},
    token_store::{TokenStore, TokenStoreError},
    token_subject::TokenSubject,
};
use crate::box_client::{
    base_url::BaseUrl,
    call_observer::Endpoint,
    error::{Denial, Error, InvalidResponse},
    error_body::ErrorBody,
    sender::{CALL_TIMEOUT, ClockFn, ReceivedBody, RequestTemplate, Sender},
    transport::Transport,
};

/// Runs a task to its end, whether or not anything still waits for its result.
pub type SpawnFn = Arc<dyn Fn(BoxFuture<'static, ()>) + Send + Sync>;

/// How long a caller waits for a refresh. The refresh itself goes on until the tokens are stored, for hours if the store is
/// unavailable, but nothing else may wait that long. Enough for the lock of another process (90 s) and a call to Box.
const REFRESH_WAIT: Duration = Duration::from_secs(240);

/// Supplies access tokens: caches one, renews it 60 s before it expires, and runs one renewal at a time. Clones share
/// the token.
#[derive(Clone)]
pub struct TokenSource {
    inner: Arc<TokenSourceInner>,
    refresher: Option<Refresher>,
}

struct TokenSourceInner {
    sender: Sender,
    /// `None`: only an access token of another process, which is never renewed here.
    credentials: Option<Credentials>,
    subject: TokenSubject,
    cache: Mutex<TokenCache>,
    /// Its holder may request a token.
    renewal_mutex: Arc<tokio::sync::Mutex<()>>,
}

/// Where the tokens of a user's authorization are stored, and what runs a refresh.
#[derive(Clone)]
struct Refresher {
    store: Arc<dyn TokenStore>,
    spawn: SpawnFn,
}

#[derive(Default)]
struct TokenCache {
    token: Option<Arc<Token>>,
    /// The last token that Box rejected before it expired.
    rejected_access_token: Option<SecretString>,
    refresh_expires_at: Option<Timestamp>,
    fallback_cause: Option<Error>,
    /// Since when Box has rejected every token that it had just issued.
    new_tokens_rejected_since: Option<Instant>,
}

impl TokenSource {
    /// Makes no call. `subject` is for whom tokens are requested; a user's authorization has its own.
    pub fn new(
        transport: Transport,
        base: BaseUrl,
        credentials: Credentials,
        subject: TokenSubject,
        clock: ClockFn,
    ) -> Self {
        Self::with_call_timeout(transport, base, credentials, subject, clock, CALL_TIMEOUT)
    }

    pub(crate) fn with_call_timeout(
        transport: Transport,
        base: BaseUrl,
        credentials: Credentials,
        subject: TokenSubject,
        clock: ClockFn,
        call_timeout: Duration,
    ) -> Self {
        let sender = Sender::new(transport, base, clock, call_timeout);
        Self::from_parts(sender, Some(credentials), subject, TokenCache::default())
    }

    /// A source that only has an access token of another process. Makes no call, and never requests a token: that would
    /// use up the refresh token, which works once.
    ///
    /// # Errors
    /// The text cannot be a token.
    pub fn with_access_token(
        transport: Transport,
        base: BaseUrl,
        access_token: SecretString,
        clock: ClockFn,
    ) -> Result<Self, Error> {
        let token = Some(Arc::new(Token::from_access_token(access_token)?));
        let sender = Sender::new(transport, base, clock, CALL_TIMEOUT);
        Ok(Self::from_parts(
            sender,
            None,
            TokenSubject::Enterprise(String::new()),
            TokenCache { token, ..TokenCache::default() },
        ))
    }

    /// Stores the tokens of a user's authorization in `store`; without a store they are not refreshed. `spawn` runs each
    /// refresh. Other authentication methods do not use either.
    #[must_use]
    pub fn with_token_store(self, store: Arc<dyn TokenStore>, spawn: SpawnFn) -> Self {
        Self { refresher: Some(Refresher { store, spawn }), ..self }
    }

    /// Whether a token is cached that has not expired.
    pub fn has_valid_token(&self) -> bool {
        self.valid_token().is_some()
    }

    /// The refresh token that Box issued together with the cached token.
    pub fn refresh_token(&self) -> Option<SecretString> {
        self.lock_cache().token.as_ref().and_then(|token| token.refresh_token().cloned())
    }

    /// When a user's authorization expires, once its tokens have been used.
    pub fn refresh_expires_at(&self) -> Option<Timestamp> {
        self.lock_cache().refresh_expires_at
    }

    /// Why Box rejected newer credentials while stored tokens continued to work; returned once.
    pub fn take_fallback_cause(&self) -> Option<Error> {
        self.lock_cache().fallback_cause.take()
    }

    pub(crate) fn sender(&self) -> &Sender {
        &self.inner.sender
    }

    /// A valid token: cached, stored or new.
    pub(crate) async fn token(&self, sender: &Sender) -> Result<Arc<Token>, Error> {
        if let Some(token) = self.valid_token() {
            return Ok(token);
        }
        let guard = self.lock_renewal(sender).await?;
        if let Some(token) = self.valid_token() {
            return Ok(token);
        }
        if self.oauth2_app().is_some()
            && let Some(token) = self.load_stored_token().await?
        {
            return Ok(token);
        }
        self.renew_locked(sender, guard).await
    }

    /// A new token, even if one is cached. After a failure, the cached one remains.
    pub(crate) async fn renew(&self, sender: &Sender) -> Result<Arc<Token>, Error> {
        let guard = self.lock_renewal(sender).await?;
        self.renew_locked(sender, guard).await
    }

    /// Whether a rejected token can be replaced.
    pub(crate) fn can_renew(&self) -> bool {
        self.inner.credentials.as_ref().is_some_and(|credentials| !credentials.is_used())
    }

    pub(crate) fn client_secret(&self) -> Option<&SecretString> {
        self.inner.credentials.as_ref().map(Credentials::client_secret)
    }

    /// Removes a token that Box rejected.
    pub(crate) fn invalidate(&self, rejected: &Arc<Token>) {
        let mut cache = self.lock_cache();
        cache.rejected_access_token = Some(rejected.access_token().clone());
        // Another client may have replaced it meanwhile.
        if cache.token.as_ref().is_some_and(|cached| Arc::ptr_eq(cached, rejected)) {
            cache.token = None;
        }
    }

    /// Box accepted a token.
    pub(crate) fn record_accepted_token(&self) {
        self.lock_cache().new_tokens_rejected_since = None;
    }

    /// Box rejected a token that it had just issued. Returns for how long it has rejected all of them.
    pub(crate) fn record_rejected_new_token(&self) -> Duration {
        self.lock_cache().new_tokens_rejected_since.get_or_insert_with(Instant::now).elapsed()
    }

    fn from_parts(sender: Sender, credentials: Option<Credentials>, subject: TokenSubject, cache: TokenCache) -> Self {
        let (cache, renewal_mutex) = (Mutex::new(cache), Arc::default());
        let inner = TokenSourceInner { sender, credentials, subject, cache, renewal_mutex };
        Self { inner: Arc::new(inner), refresher: None }
    }

    fn lock_cache(&self) -> MutexGuard<'_, TokenCache> {
        // Nothing panics while the lock is held, so the cache is consistent even if it is poisoned.
        self.inner.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn valid_token(&self) -> Option<Arc<Token>> {
        self.lock_cache().token.clone().filter(|token| token.is_valid())
    }

    fn cache_token(&self, token: Token, refresh_expires_at: Option<Timestamp>) -> Arc<Token> {
        let token = Arc::new(token);
        let mut cache = self.lock_cache();
        cache.token = Some(Arc::clone(&token));
        cache.refresh_expires_at = refresh_expires_at.or(cache.refresh_expires_at);
        token
    }

    fn is_rejected_token(&self, access_token: &SecretString) -> bool {
        self.lock_cache()
            .rejected_access_token
            .as_ref()
            .is_some_and(|rejected| rejected.expose_secret() == access_token.expose_secret())
    }

    async fn lock_renewal(&self, sender: &Sender) -> Result<OwnedMutexGuard<()>, Error> {
        let lock = timeout(REFRESH_WAIT, Arc::clone(&self.inner.renewal_mutex).lock_owned());
        Ok(sender.unless_cancelled(lock).await?.map_err(|_| TokenStoreError::NotPersisted(String::new()))?)
    }

    async fn renew_locked(&self, sender: &Sender, guard: OwnedMutexGuard<()>) -> Result<Arc<Token>, Error> {
        match &self.inner.credentials {
            Some(Credentials::Oauth2(_)) => {
                let guard = Arc::new(guard);
                sender.with_retries(|| self.refresh(sender, Arc::clone(&guard))).await
            }
            Some(credentials) => {
                if credentials.is_used() {
                    return Err(Error::invalid_response(InvalidResponse::MissingToken));
                }
                let request = |skew| request_token(sender, credentials, &self.inner.subject, skew);
                let body = match request(SignedDuration::ZERO).await {
                    // Once more with a new assertion id, and by Box's clock if it is known.
                    Err(Error::ClockSkew { skew, .. }) => request(skew.unwrap_or_default()).await?,
                    other => other?,
                };
                credentials.mark_used();
                Ok(self.cache_token(Token::parse(&body).map_err(|error| body.explain(error))?, None))
            }
            None => Err(Error::Denied { denial: Denial::AuthorizationExpired, body: ErrorBody::default() }),
        }
    }

    fn oauth2_app(&self) -> Option<&OAuth2Credentials> {
        match &self.inner.credentials {
            Some(Credentials::Oauth2(app)) => Some(app),
            Some(_) | None => None,
        }
    }

    fn refresher(&self) -> Result<&Refresher, TokenStoreError> {
        self.refresher.as_ref().ok_or(TokenStoreError::Disabled)
    }

    /// The stored access token, if it is still usable.
    async fn load_stored_token(&self) -> Result<Option<Arc<Token>>, Error> {
        let Some(tokens) = self.refresher()?.store.load().await? else { return Ok(None) };
        let token = Token::from_stored(&tokens, self.inner.sender.now());
        if !token.is_valid() || self.is_rejected_token(&tokens.access_token) {
            return Ok(None);
        }
        Ok(Some(self.cache_token(token, Some(tokens.refresh_expires_at()))))
    }

    /// Refreshes the tokens of a user's authorization once. Dropping the future does not stop the refresh, which holds
    /// `guard` until its end.
    async fn refresh(&self, sender: &Sender, guard: Arc<OwnedMutexGuard<()>>) -> Result<Arc<Token>, Error> {
        let spawn = Arc::clone(&self.refresher()?.spawn);
        let (token_source, sender) = (self.clone(), sender.clone());
        let (result_sender, result_receiver) = oneshot::channel();
        spawn(
            async move {
                let result = token_source.refresh_and_cache(&sender).await;
                drop(guard);
                // The receiver may be gone; the token is cached nevertheless.
                let _ = result_sender.send(result);
            }
            .boxed(),
        );
        match timeout(REFRESH_WAIT, result_receiver).await {
            Ok(result) => result.unwrap_or(Err(Error::Cancelled)),
            Err(_) => Err(TokenStoreError::NotPersisted(String::new()).into()),
        }
    }

    async fn refresh_and_cache(&self, sender: &Sender) -> Result<Arc<Token>, Error> {
        let store = &self.refresher()?.store;
        let app = self.oauth2_app().ok_or(TokenStoreError::Disabled)?;
        let RefreshedTokens { tokens, fallback_cause } = refresh_tokens(sender, app, &**store).await?;
        self.lock_cache().fallback_cause = fallback_cause;
        let token = Token::from_stored(&tokens, sender.now());
        Ok(self.cache_token(token, Some(tokens.refresh_expires_at())))
    }
}

async fn request_token(
    sender: &Sender,
    credentials: &Credentials,
    subject: &TokenSubject,
    skew: SignedDuration,
) -> Result<ReceivedBody, Error> {
    let url = sender.url("/oauth2/token");
    sender
        .send_with_retries(Endpoint::Token, || {
            let now = sender.now();
            let form = credentials.token_request_form(subject, now.checked_add(skew).unwrap_or(now));
            let secrets = vec![form.clone(), credentials.client_secret().clone()];
            RequestTemplate::post_form(&url, &form, secrets)
        })
        .await
}
