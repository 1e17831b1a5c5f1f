//! A session: one enterprise, one set of credentials, and the token that they are worth at the moment.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, header};
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use tokio_util::sync::CancellationToken;

use super::account::{self, Account};
use super::base_url::BaseUrl;
use super::credentials::Credentials;
use super::error::{Error, Nonsense, Refusal};
use super::exchange::{Ask, CALL_LIMIT};
use super::meaning::Place;
use super::token::Token;
use super::transport::Transport;
use super::users::{Caps, Walk};

/// The wall clock, which only assertions need: Box checks their time.
pub type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Credentials at work. It holds the access token, renews it some 60 s before its end, and has one renewal in flight at most.
/// Clones share all of that.
#[derive(Clone)]
pub struct Session(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) transport: Transport,
    pub(super) base: BaseUrl,
    pub(super) credentials: Credentials,
    pub(super) call_limit: Duration,
    enterprise_id: String,
    now: Now,
    token: Mutex<Option<Arc<Token>>>,
    /// Whoever holds it may ask Box for a token.
    turn: tokio::sync::Mutex<()>,
}

impl Session {
    /// Calls nobody. `enterprise_id` is the enterprise that the tokens are asked for.
    pub fn new(transport: Transport, base: BaseUrl, credentials: Credentials, enterprise_id: String, now: Now) -> Self {
        Self::with_limit(transport, base, credentials, enterprise_id, now, CALL_LIMIT)
    }

    pub(super) fn with_limit(
        transport: Transport,
        base: BaseUrl,
        credentials: Credentials,
        enterprise_id: String,
        now: Now,
        call_limit: Duration,
    ) -> Self {
        let (token, turn) = (Mutex::default(), tokio::sync::Mutex::default());
        Self(Arc::new(Inner { transport, base, credentials, call_limit, enterprise_id, now, token, turn }))
    }

    /// Begins an errand. Every wait in it ends with [`Error::Stopped`] once `stop` is cancelled, and no new call begins then;
    /// a call in flight goes on until its future is dropped.
    pub fn visit(&self, stop: CancellationToken) -> Visit {
        Visit { session: self.clone(), stop, calls: AtomicU32::new(0) }
    }

    /// Whether a token is there that has not reached its end.
    pub fn holds_token(&self) -> bool {
        self.good_token().is_some()
    }

    /// The refresh token that Box gave with the token that is held.
    pub fn refresh_token(&self) -> Option<SecretString> {
        self.slot().as_ref().and_then(|token| token.refresh().cloned())
    }

    pub(super) fn now(&self) -> Timestamp {
        (self.0.now)()
    }

    fn slot(&self) -> MutexGuard<'_, Option<Arc<Token>>> {
        // Nothing panics while it is held; the slot is whole whatever happened.
        self.0.token.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn good_token(&self) -> Option<Arc<Token>> {
        self.slot().clone().filter(|token| token.is_good())
    }

    fn forget(&self, refused: &Arc<Token>) {
        let mut slot = self.slot();
        // Another visit may have brought a new one meanwhile.
        if slot.as_ref().is_some_and(|held| Arc::ptr_eq(held, refused)) {
            *slot = None;
        }
    }
}

/// One errand to Box: it counts its calls, and can be told to stop.
pub struct Visit {
    pub(super) session: Session,
    pub(super) stop: CancellationToken,
    pub(super) calls: AtomicU32,
}

impl Visit {
    /// Asks Box for a new token, whatever is held. If that fails, a token that is still good stays in use.
    pub async fn sign_in(&self) -> Result<(), Error> {
        let _turn = self.turn().await?;
        self.renew().await.map(drop)
    }

    /// Who the credentials act as (`users/me`), and in which enterprise.
    pub async fn account(&self) -> Result<Account, Error> {
        account::read(&self.get(account::PATH).await?)
    }

    /// A walk over all users of the enterprise. It calls Box only when it is asked for a page.
    pub fn users(&self, caps: Caps) -> Walk<'_> {
        Walk::new(self, caps)
    }

    /// HTTP calls made to Box so far, every try counted.
    pub fn calls(&self) -> u32 {
        self.calls.load(Ordering::Relaxed)
    }

    /// GET, signed in. A token that Box refuses is replaced once.
    pub(super) async fn get(&self, path: &str) -> Result<Bytes, Error> {
        let token = self.token().await?;
        match self.get_with(&token, path).await {
            Err(Error::Refused { refusal: Refusal::AuthorizationExpired, .. })
                if !self.session.0.credentials.spent() =>
            {
                let token = self.token().await?;
                self.get_with(&token, path).await
            }
            other => other,
        }
    }

    /// GET with this token, which is forgotten if Box refuses it.
    async fn get_with(&self, token: &Arc<Token>, path: &str) -> Result<Bytes, Error> {
        let url = self.session.0.base.join(path);
        let ask = || Ask {
            request: Request::get(&url).header(header::AUTHORIZATION, token.header()),
            body: Bytes::new(),
            secret: token.access().clone(),
        };
        let answer = self.exchange(Place::Api, ask).await;
        if let Err(Error::Refused { refusal: Refusal::AuthorizationExpired, .. }) = &answer {
            self.session.forget(token);
        }
        answer
    }

    async fn token(&self) -> Result<Arc<Token>, Error> {
        if let Some(token) = self.session.good_token() {
            return Ok(token);
        }
        let _turn = self.turn().await?;
        match self.session.good_token() {
            Some(token) => Ok(token),
            None => self.renew().await,
        }
    }

    async fn turn(&self) -> Result<tokio::sync::MutexGuard<'_, ()>, Error> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(Error::Stopped),
            turn = self.session.0.turn.lock() => Ok(turn),
        }
    }

    async fn renew(&self) -> Result<Arc<Token>, Error> {
        if self.session.0.credentials.spent() {
            return Err(Error::invalid(Nonsense::NoToken));
        }
        let body = match self.ask_token(SignedDuration::ZERO).await {
            // Once more with a new id, and by Box's clock where it told it.
            Err(Error::ClockSkew { skew, .. }) => self.ask_token(skew.unwrap_or_default()).await?,
            other => other?,
        };
        self.session.0.credentials.took_token();
        let token = Arc::new(Token::read(&body)?);
        *self.session.slot() = Some(Arc::clone(&token));
        Ok(token)
    }

    async fn ask_token(&self, skew: SignedDuration) -> Result<Bytes, Error> {
        let Inner { base, credentials, enterprise_id, .. } = &*self.session.0;
        let url = base.join("/oauth2/token");
        self.exchange(Place::Token, || {
            let now = self.session.now();
            let form: SecretString = credentials.form(enterprise_id, now.checked_add(skew).unwrap_or(now));
            Ask {
                request: Request::post(&url).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded"),
                body: Bytes::copy_from_slice(form.expose_secret().as_bytes()),
                secret: form,
            }
        })
        .await
    }
}
