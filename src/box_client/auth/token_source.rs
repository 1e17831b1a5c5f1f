//! A session: one enterprise, one set of credentials, and the token that they are worth at the moment.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, header};
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::OwnedMutexGuard;
use tokio_util::sync::CancellationToken;

use super::{credentials::Credentials, token::Token};
use crate::box_client::{
    account::{self, Account},
    base_url::BaseUrl,
    call_observer::{CallObserver, Endpoint},
    error::{Denial, Error, InvalidResponse},
    error_body::ErrorBody,
    retry::{CALL_TIMEOUT, RequestTemplate},
    transport::Transport,
    user_pages::{self, Limits, UserPages},
};

/// The wall clock, which only assertions need: Box checks their time.
pub type ClockFn = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Credentials at work. It holds the access token, renews it some 60 s before its end, and has one renewal in flight at most.
/// Clones share all of that.
#[derive(Clone)]
pub struct TokenSource(pub(crate) Arc<TokenSourceInner>);

pub(crate) struct TokenSourceInner {
    pub(crate) transport: Transport,
    pub(crate) base: BaseUrl,
    pub(crate) origin: TokenOrigin,
    pub(crate) call_timeout: Duration,
    clock: ClockFn,
    cache: Mutex<TokenCache>,
    /// Whoever holds it may ask Box for a token.
    token_mutex: TokenMutex,
}

type TokenMutex = Arc<tokio::sync::Mutex<()>>;

#[derive(Default)]
struct TokenCache {
    token: Option<Arc<Token>>,
    /// The last token that Box refused before its end.
    rejected_access_token: Option<SecretString>,
    /// Until when a user's authorization can be renewed.
    refresh_expires_at: Option<Timestamp>,
    /// Why newer credentials were not taken, where kept ones went on.
    fallback_cause: Option<Error>,
}

/// Where tokens come from.
pub(crate) enum TokenOrigin {
    Credentials {
        credentials: Credentials,
        enterprise_id: String,
    },
    /// From somebody else: what was lent is used, and never renewed.
    AccessTokenOnly,
}

impl TokenOrigin {
    /// What Box's words must not show.
    pub(crate) fn client_secret(&self) -> &str {
        match self {
            Self::Credentials { credentials, enterprise_id: _ } => credentials.client_secret().expose_secret(),
            Self::AccessTokenOnly => "",
        }
    }
}

impl TokenSource {
    /// Calls nobody. `enterprise_id` is the enterprise that the tokens are asked for.
    pub fn new(
        transport: Transport,
        base: BaseUrl,
        credentials: Credentials,
        enterprise_id: String,
        clock: ClockFn,
    ) -> Self {
        Self::with_call_timeout(transport, base, credentials, enterprise_id, clock, CALL_TIMEOUT)
    }

    pub(crate) fn with_call_timeout(
        transport: Transport,
        base: BaseUrl,
        credentials: Credentials,
        enterprise_id: String,
        clock: ClockFn,
        call_timeout: Duration,
    ) -> Self {
        let origin = TokenOrigin::Credentials { credentials, enterprise_id };
        let (cache, token_mutex) = (Mutex::default(), TokenMutex::default());
        Self(Arc::new(TokenSourceInner { transport, base, origin, call_timeout, clock, cache, token_mutex }))
    }

    /// A session with an access token that somebody else keeps and renews. Calls nobody, and never asks for a token:
    /// that would spend the refresh token, which works once.
    ///
    /// # Errors
    /// It cannot be a token.
    pub fn with_access_token(
        transport: Transport,
        base: BaseUrl,
        access_token: SecretString,
        clock: ClockFn,
    ) -> Result<Self, Error> {
        let cache = Mutex::new(TokenCache {
            token: Some(Arc::new(Token::from_access_token(access_token)?)),
            ..TokenCache::default()
        });
        let (origin, call_timeout, token_mutex) = (TokenOrigin::AccessTokenOnly, CALL_TIMEOUT, TokenMutex::default());
        Ok(Self(Arc::new(TokenSourceInner { transport, base, origin, call_timeout, clock, cache, token_mutex })))
    }

    /// Begins an errand. Every wait in it ends with [`Error::Stopped`] once `stop` is cancelled, and no new call begins then;
    /// a call in flight goes on until its future is dropped.
    pub fn new_client(&self, cancel: CancellationToken) -> Client {
        Client { token_source: self.clone(), cancel, call_count: Arc::default(), observer: None }
    }

    /// Whether a token is there that has not reached its end.
    pub fn has_valid_token(&self) -> bool {
        self.valid_token().is_some()
    }

    /// The refresh token that Box gave with the token that is held.
    pub fn refresh_token(&self) -> Option<SecretString> {
        self.lock_cache().token.as_ref().and_then(|token| token.refresh_token().cloned())
    }

    pub(crate) fn current_time(&self) -> Timestamp {
        (self.0.clock)()
    }

    /// Until when the authorization of a user can be renewed, as far as it was used.
    pub fn refresh_expires_at(&self) -> Option<Timestamp> {
        self.lock_cache().refresh_expires_at
    }

    /// Why newer credentials were refused, where kept ones went on; told once.
    pub fn take_fallback_cause(&self) -> Option<Error> {
        self.lock_cache().fallback_cause.take()
    }

    pub(crate) fn set_fallback_cause(&self, cause: Option<Error>) {
        self.lock_cache().fallback_cause = cause;
    }

    /// From now on this token is used.
    pub(crate) fn cache_token(&self, token: Token, refresh_expires_at: Option<Timestamp>) -> Arc<Token> {
        let token = Arc::new(token);
        let mut cache = self.lock_cache();
        cache.token = Some(Arc::clone(&token));
        cache.refresh_expires_at = refresh_expires_at.or(cache.refresh_expires_at);
        token
    }

    pub(crate) fn is_rejected_token(&self, access_token: &SecretString) -> bool {
        self.lock_cache()
            .rejected_access_token
            .as_ref()
            .is_some_and(|rejected| rejected.expose_secret() == access_token.expose_secret())
    }

    fn lock_cache(&self) -> MutexGuard<'_, TokenCache> {
        // Nothing panics while it is held; the slot is whole whatever happened.
        self.0.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn valid_token(&self) -> Option<Arc<Token>> {
        self.lock_cache().token.clone().filter(|token| token.is_valid())
    }

    fn invalidate(&self, rejected: &Arc<Token>) {
        let mut cache = self.lock_cache();
        cache.rejected_access_token = Some(rejected.access_token().clone());
        // Another visit may have brought a new one meanwhile.
        if cache.token.as_ref().is_some_and(|cached| Arc::ptr_eq(cached, rejected)) {
            cache.token = None;
        }
    }
}

/// One errand to Box: it counts its calls, and can be told to stop. Clones are the same errand.
#[derive(Clone)]
pub struct Client {
    pub(crate) token_source: TokenSource,
    pub(crate) cancel: CancellationToken,
    pub(crate) call_count: Arc<AtomicU32>,
    pub(crate) observer: Option<CallObserver>,
}

impl Client {
    /// From now on this one is told of every call that ends.
    #[must_use]
    pub fn with_observer(self, observer: CallObserver) -> Self {
        Self { observer: Some(observer), ..self }
    }

    /// Asks Box for a new token, whatever is held. If that fails, a token that is still good stays in use.
    pub async fn sign_in(&self) -> Result<(), Error> {
        let token_guard = self.lock_token_mutex().await?;
        self.renew_token(token_guard).await.map(drop)
    }

    /// Who the credentials act as (`users/me`), and in which enterprise.
    pub async fn get_account(&self) -> Result<Account, Error> {
        account::parse_account(&self.get_authorized(Endpoint::Me, account::CURRENT_USER_PATH).await?)
    }

    /// Whether the list of users may be had: one user is asked for.
    pub async fn check_list_access(&self) -> Result<(), Error> {
        user_pages::check_list_access(self).await
    }

    /// A walk over all users of the enterprise. It calls Box only when it is asked for a page.
    pub fn list_users(&self, limits: Limits) -> UserPages<'_> {
        UserPages::new(self, limits)
    }

    /// HTTP calls made to Box so far, every try counted.
    pub fn call_count(&self) -> u32 {
        self.call_count.load(Ordering::Relaxed)
    }

    /// GET, signed in. A token that Box refuses is replaced once.
    pub(crate) async fn get_authorized(&self, endpoint: Endpoint, path: &str) -> Result<Bytes, Error> {
        let token = self.access_token().await?;
        match (self.get_with_token(&token, endpoint, path).await, &self.token_source.0.origin) {
            (
                Err(Error::Denied { denial: Denial::AuthorizationExpired, .. }),
                TokenOrigin::Credentials { credentials, enterprise_id: _ },
            ) if !credentials.is_used() => {
                let token = self.access_token().await?;
                self.get_with_token(&token, endpoint, path).await
            }
            (result, TokenOrigin::Credentials { .. } | TokenOrigin::AccessTokenOnly) => result,
        }
    }

    /// GET with this token, which is forgotten if Box refuses it.
    async fn get_with_token(&self, token: &Arc<Token>, endpoint: Endpoint, path: &str) -> Result<Bytes, Error> {
        let url = self.token_source.0.base.join(path);
        let template = || RequestTemplate {
            request: Request::get(&url).header(header::AUTHORIZATION, token.authorization_header()),
            body: Bytes::new(),
            secret: token.access_token().clone(),
        };
        let result = self.send_with_retries(endpoint, template).await;
        if let Err(Error::Denied { denial: Denial::AuthorizationExpired, .. }) = &result {
            self.token_source.invalidate(token);
        }
        result
    }

    async fn access_token(&self) -> Result<Arc<Token>, Error> {
        if let Some(token) = self.token_source.valid_token() {
            return Ok(token);
        }
        let token_guard = self.lock_token_mutex().await?;
        match self.token_source.valid_token() {
            Some(token) => Ok(token),
            None => match &self.token_source.0.origin {
                TokenOrigin::Credentials { credentials: Credentials::Oauth2(app), enterprise_id: _ } => {
                    match self.load_stored_token(app).await? {
                        Some(token) => Ok(token),
                        None => self.renew_token(token_guard).await,
                    }
                }
                TokenOrigin::Credentials { .. } | TokenOrigin::AccessTokenOnly => self.renew_token(token_guard).await,
            },
        }
    }

    async fn lock_token_mutex(&self) -> Result<OwnedMutexGuard<()>, Error> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(Error::Cancelled),
            token_guard = Arc::clone(&self.token_source.0.token_mutex).lock_owned() => Ok(token_guard),
        }
    }

    async fn renew_token(&self, token_guard: OwnedMutexGuard<()>) -> Result<Arc<Token>, Error> {
        match &self.token_source.0.origin {
            TokenOrigin::Credentials { credentials: Credentials::Oauth2(app), enterprise_id: _ } => {
                let token_guard = Arc::new(token_guard);
                self.with_retries(|| self.refresh_tokens(app, Arc::clone(&token_guard))).await
            }
            TokenOrigin::Credentials { credentials, enterprise_id: _ } => {
                if credentials.is_used() {
                    return Err(Error::invalid_response(InvalidResponse::MissingToken));
                }
                let body = match self.request_token(SignedDuration::ZERO).await {
                    // Once more with a new id, and by Box's clock where it told it.
                    Err(Error::ClockSkew { skew, .. }) => self.request_token(skew.unwrap_or_default()).await?,
                    other => other?,
                };
                credentials.mark_used();
                Ok(self.token_source.cache_token(Token::parse(&body)?, None))
            }
            TokenOrigin::AccessTokenOnly => {
                Err(Error::Denied { denial: Denial::AuthorizationExpired, body: ErrorBody::default() })
            }
        }
    }

    async fn request_token(&self, skew: SignedDuration) -> Result<Bytes, Error> {
        let TokenSourceInner { base, origin, .. } = &*self.token_source.0;
        let TokenOrigin::Credentials { credentials, enterprise_id } = origin else {
            return Err(Error::Denied { denial: Denial::AuthorizationExpired, body: ErrorBody::default() });
        };
        let url = base.join("/oauth2/token");
        self.send_with_retries(Endpoint::Token, || {
            let now = self.token_source.current_time();
            let form: SecretString =
                credentials.token_request_form(enterprise_id, now.checked_add(skew).unwrap_or(now));
            RequestTemplate {
                request: Request::post(&url).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded"),
                body: Bytes::copy_from_slice(form.expose_secret().as_bytes()),
                secret: form,
            }
        })
        .await
    }
}
