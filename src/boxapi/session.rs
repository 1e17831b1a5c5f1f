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

use super::account::{self, Account};
use super::base_url::BaseUrl;
use super::call::{Endpoint, Listener};
use super::credentials::Credentials;
use super::error::{Error, Nonsense, Refusal};
use super::exchange::{Ask, CALL_LIMIT};
use super::said::Said;
use super::token::Token;
use super::transport::Transport;
use super::users::{self, Caps, Walk};

/// The wall clock, which only assertions need: Box checks their time.
pub type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Credentials at work. It holds the access token, renews it some 60 s before its end, and has one renewal in flight at most.
/// Clones share all of that.
#[derive(Clone)]
pub struct Session(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) transport: Transport,
    pub(super) base: BaseUrl,
    pub(super) source: Source,
    pub(super) call_limit: Duration,
    now: Now,
    slot: Mutex<Slot>,
    /// Whoever holds it may ask Box for a token.
    turn: Turn,
}

type Turn = Arc<tokio::sync::Mutex<()>>;

#[derive(Default)]
struct Slot {
    token: Option<Arc<Token>>,
    /// The last token that Box refused before its end.
    refused: Option<SecretString>,
    /// Until when a user's authorization can be renewed.
    ends: Option<Timestamp>,
    /// Why newer credentials were not taken, where kept ones went on.
    passed_over: Option<Error>,
}

/// Where tokens come from.
pub(super) enum Source {
    Credentials {
        credentials: Credentials,
        enterprise_id: String,
    },
    /// From somebody else: what was lent is used, and never renewed.
    Lent,
}

impl Source {
    /// What Box's words must not show.
    pub(super) fn client_secret(&self) -> &str {
        match self {
            Self::Credentials { credentials, enterprise_id: _ } => credentials.client_secret().expose_secret(),
            Self::Lent => "",
        }
    }
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
        let source = Source::Credentials { credentials, enterprise_id };
        let (slot, turn) = (Mutex::default(), Turn::default());
        Self(Arc::new(Inner { transport, base, source, call_limit, now, slot, turn }))
    }

    /// A session with an access token that somebody else keeps and renews. Calls nobody, and never asks for a token:
    /// that would spend the refresh token, which works once.
    ///
    /// # Errors
    /// It cannot be a token.
    pub fn lent(transport: Transport, base: BaseUrl, access: SecretString, now: Now) -> Result<Self, Error> {
        let slot = Mutex::new(Slot { token: Some(Arc::new(Token::lent(access)?)), ..Slot::default() });
        let (source, call_limit, turn) = (Source::Lent, CALL_LIMIT, Turn::default());
        Ok(Self(Arc::new(Inner { transport, base, source, call_limit, now, slot, turn })))
    }

    /// Begins an errand. Every wait in it ends with [`Error::Stopped`] once `stop` is cancelled, and no new call begins then;
    /// a call in flight goes on until its future is dropped.
    pub fn visit(&self, stop: CancellationToken) -> Visit {
        Visit { session: self.clone(), stop, calls: Arc::default(), listener: None }
    }

    /// Whether a token is there that has not reached its end.
    pub fn holds_token(&self) -> bool {
        self.good_token().is_some()
    }

    /// The refresh token that Box gave with the token that is held.
    pub fn refresh_token(&self) -> Option<SecretString> {
        self.slot().token.as_ref().and_then(|token| token.refresh().cloned())
    }

    pub(super) fn now(&self) -> Timestamp {
        (self.0.now)()
    }

    /// Until when the authorization of a user can be renewed, as far as it was used.
    pub fn authorization_ends(&self) -> Option<Timestamp> {
        self.slot().ends
    }

    /// Why newer credentials were refused, where kept ones went on; told once.
    pub fn passed_over(&self) -> Option<Error> {
        self.slot().passed_over.take()
    }

    pub(super) fn pass_over(&self, refused: Option<Error>) {
        self.slot().passed_over = refused;
    }

    /// From now on this token is used.
    pub(super) fn hold(&self, token: Token, ends: Option<Timestamp>) -> Arc<Token> {
        let token = Arc::new(token);
        let mut slot = self.slot();
        slot.token = Some(Arc::clone(&token));
        slot.ends = ends.or(slot.ends);
        token
    }

    pub(super) fn has_refused(&self, access: &SecretString) -> bool {
        self.slot().refused.as_ref().is_some_and(|refused| refused.expose_secret() == access.expose_secret())
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        // Nothing panics while it is held; the slot is whole whatever happened.
        self.0.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn good_token(&self) -> Option<Arc<Token>> {
        self.slot().token.clone().filter(|token| token.is_good())
    }

    fn forget(&self, refused: &Arc<Token>) {
        let mut slot = self.slot();
        slot.refused = Some(refused.access().clone());
        // Another visit may have brought a new one meanwhile.
        if slot.token.as_ref().is_some_and(|held| Arc::ptr_eq(held, refused)) {
            slot.token = None;
        }
    }
}

/// One errand to Box: it counts its calls, and can be told to stop. Clones are the same errand.
#[derive(Clone)]
pub struct Visit {
    pub(super) session: Session,
    pub(super) stop: CancellationToken,
    pub(super) calls: Arc<AtomicU32>,
    pub(super) listener: Option<Listener>,
}

impl Visit {
    /// From now on this one is told of every call that ends.
    #[must_use]
    pub fn heard_by(self, listener: Listener) -> Self {
        Self { listener: Some(listener), ..self }
    }

    /// Asks Box for a new token, whatever is held. If that fails, a token that is still good stays in use.
    pub async fn sign_in(&self) -> Result<(), Error> {
        let turn = self.turn().await?;
        self.renew(turn).await.map(drop)
    }

    /// Who the credentials act as (`users/me`), and in which enterprise.
    pub async fn account(&self) -> Result<Account, Error> {
        account::read(&self.get(Endpoint::Me, account::PATH).await?)
    }

    /// Whether the list of users may be had: one user is asked for.
    pub async fn may_list_users(&self) -> Result<(), Error> {
        users::try_one(self).await
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
    pub(super) async fn get(&self, endpoint: Endpoint, path: &str) -> Result<Bytes, Error> {
        let token = self.token().await?;
        match (self.get_with(&token, endpoint, path).await, &self.session.0.source) {
            (
                Err(Error::Refused { refusal: Refusal::AuthorizationExpired, .. }),
                Source::Credentials { credentials, enterprise_id: _ },
            ) if !credentials.spent() => {
                let token = self.token().await?;
                self.get_with(&token, endpoint, path).await
            }
            (answer, Source::Credentials { .. } | Source::Lent) => answer,
        }
    }

    /// GET with this token, which is forgotten if Box refuses it.
    async fn get_with(&self, token: &Arc<Token>, endpoint: Endpoint, path: &str) -> Result<Bytes, Error> {
        let url = self.session.0.base.join(path);
        let ask = || Ask {
            request: Request::get(&url).header(header::AUTHORIZATION, token.header()),
            body: Bytes::new(),
            secret: token.access().clone(),
        };
        let answer = self.exchange(endpoint, ask).await;
        if let Err(Error::Refused { refusal: Refusal::AuthorizationExpired, .. }) = &answer {
            self.session.forget(token);
        }
        answer
    }

    async fn token(&self) -> Result<Arc<Token>, Error> {
        if let Some(token) = self.session.good_token() {
            return Ok(token);
        }
        let turn = self.turn().await?;
        match self.session.good_token() {
            Some(token) => Ok(token),
            None => match &self.session.0.source {
                Source::Credentials { credentials: Credentials::Oauth2(app), enterprise_id: _ } => {
                    match self.kept(app).await? {
                        Some(token) => Ok(token),
                        None => self.renew(turn).await,
                    }
                }
                Source::Credentials { .. } | Source::Lent => self.renew(turn).await,
            },
        }
    }

    async fn turn(&self) -> Result<OwnedMutexGuard<()>, Error> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(Error::Stopped),
            turn = Arc::clone(&self.session.0.turn).lock_owned() => Ok(turn),
        }
    }

    async fn renew(&self, turn: OwnedMutexGuard<()>) -> Result<Arc<Token>, Error> {
        match &self.session.0.source {
            Source::Credentials { credentials: Credentials::Oauth2(app), enterprise_id: _ } => {
                let turn = Arc::new(turn);
                self.tried(|| self.renew_grant(app, Arc::clone(&turn))).await
            }
            Source::Credentials { credentials, enterprise_id: _ } => {
                if credentials.spent() {
                    return Err(Error::invalid(Nonsense::NoToken));
                }
                let body = match self.ask_token(SignedDuration::ZERO).await {
                    // Once more with a new id, and by Box's clock where it told it.
                    Err(Error::ClockSkew { skew, .. }) => self.ask_token(skew.unwrap_or_default()).await?,
                    other => other?,
                };
                credentials.took_token();
                Ok(self.session.hold(Token::read(&body)?, None))
            }
            Source::Lent => Err(Error::Refused { refusal: Refusal::AuthorizationExpired, said: Said::default() }),
        }
    }

    async fn ask_token(&self, skew: SignedDuration) -> Result<Bytes, Error> {
        let Inner { base, source, .. } = &*self.session.0;
        let Source::Credentials { credentials, enterprise_id } = source else {
            return Err(Error::Refused { refusal: Refusal::AuthorizationExpired, said: Said::default() });
        };
        let url = base.join("/oauth2/token");
        self.exchange(Endpoint::Token, || {
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
