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

use super::call::Endpoint;
use super::credentials::{Authorized, Credentials};
use super::error::{Error, Nonsense, Refusal};
use super::exchange::Ask;
use super::session::{Source, Visit};
use super::token::Token;

/// What Box lets a refresh token live.
const REFRESH_LIFETIME: Duration = Duration::from_secs(60 * 86_400);

/// The tokens of a grant.
#[derive(Clone)]
pub struct Grant {
    pub refresh: SecretString,
    pub access: SecretString,
    /// When the access token ends.
    pub access_until: Timestamp,
    /// When Box handed them out.
    pub granted: Timestamp,
}

impl Grant {
    /// Until when the grant can be renewed.
    pub fn ends(&self) -> Timestamp {
        later(self.granted, REFRESH_LIFETIME)
    }
}

/// The right to renew a grant, which one process has at a time.
pub struct Turn {
    /// By which the keeper knows it again.
    pub id: String,
    /// What is to be spent.
    pub refresh: SecretString,
}

/// What there is to do after Box refused a refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Somebody renewed the grant meanwhile: there is a newer one.
    Renewed,
    /// It was a new one; that of the grant before is still kept.
    Older,
    /// There is no other.
    Nothing,
}

/// Why the keeper could not do its part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unkept {
    #[error("the tokens that are kept belong to another connection")]
    Elsewhere,
    #[error("what stands where the tokens are to be kept is something else")]
    InTheWay,
    #[error("the tokens may not be read or written")]
    Denied,
    #[error("the tokens cannot be read or written at the moment")]
    Unreachable,
    /// Box had handed them out already.
    #[error("new tokens could not be written down")]
    Lost,
    #[error("tokens of a user are not renewed here")]
    Nobody,
}

/// Keeps the tokens of a grant where the next process finds them, and lets one process at a time renew them.
pub trait Keeper: Send + Sync {
    /// The tokens that are kept for these credentials.
    fn kept(&self) -> BoxFuture<'_, Result<Option<Grant>, Unkept>>;

    /// Takes the turn to renew; waits while somebody else has it.
    fn turn(&self) -> BoxFuture<'_, Result<Turn, Unkept>>;

    /// Keeps the tokens that Box answered, and ends the turn. Tries for long: until it is done, they exist nowhere else.
    fn keep<'a>(&'a self, turn: &'a Turn, grant: &'a Grant) -> BoxFuture<'a, Result<(), Unkept>>;

    /// Ends the turn after Box refused what was to be spent.
    fn refused<'a>(&'a self, turn: &'a Turn) -> BoxFuture<'a, Result<Refused, Unkept>>;

    /// Ends the turn; nothing came of it.
    fn give_back<'a>(&'a self, turn: &'a Turn) -> BoxFuture<'a, ()>;

    /// Runs a renewal to its end, whether or not somebody still waits for it.
    fn shelter(&self, renewal: BoxFuture<'static, ()>);
}

impl Visit {
    /// The access token that is kept, where it can still be used.
    pub(super) async fn kept(&self, app: &Authorized) -> Result<Option<Arc<Token>>, Error> {
        let Some(grant) = keeper(app)?.kept().await? else { return Ok(None) };
        let token = Token::of(&grant, self.session.now());
        if !token.is_good() || self.session.has_refused(&grant.access) {
            return Ok(None);
        }
        Ok(Some(self.session.hold(token, Some(grant.ends()))))
    }

    /// Renews the grant once. Dropping the future does not end the renewal, which holds `turn` until then.
    pub(super) async fn renew_grant(
        &self,
        app: &Authorized,
        turn: Arc<OwnedMutexGuard<()>>,
    ) -> Result<Arc<Token>, Error> {
        let keeper = keeper(app)?;
        let (tell, told) = oneshot::channel();
        let (visit, own) = (self.clone(), Arc::clone(&keeper));
        keeper.shelter(Box::pin(async move {
            let renewed = visit.renewal(&*own).await;
            drop(turn);
            // Whoever asked may have gone; the token is held all the same.
            let _ = tell.send(renewed);
        }));
        told.await.unwrap_or(Err(Error::Stopped))
    }

    async fn renewal(&self, keeper: &dyn Keeper) -> Result<Arc<Token>, Error> {
        let (mut refusals, mut passed_over) = (0, None);
        loop {
            let turn = tokio::select! {
                biased;
                () = self.stop.cancelled() => return Err(Error::Stopped),
                turn = keeper.turn() => turn?,
            };
            match self.spend(&turn).await {
                Ok(grant) => {
                    keeper.keep(&turn, &grant).await?;
                    self.session.pass_over(passed_over);
                    return Ok(self.session.hold(Token::of(&grant, self.session.now()), Some(grant.ends())));
                }
                Err(refused @ Error::Refused { refusal: Refusal::AuthorizationExpired, .. }) => {
                    refusals += 1;
                    match keeper.refused(&turn).await? {
                        Refused::Renewed if refusals == 1 => {}
                        Refused::Older if refusals == 1 => passed_over = Some(refused),
                        Refused::Renewed | Refused::Older | Refused::Nothing => {
                            return Err(passed_over.unwrap_or(refused));
                        }
                    }
                }
                Err(other) => {
                    keeper.give_back(&turn).await;
                    return Err(other);
                }
            }
        }
    }

    async fn spend(&self, turn: &Turn) -> Result<Grant, Error> {
        let Source::Credentials { credentials: Credentials::Oauth2(app), .. } = &self.session.0.source else {
            return Err(Unkept::Nobody.into());
        };
        let form = app.refresh_form(&turn.refresh);
        let ask = Ask {
            request: Request::post(self.session.0.base.join("/oauth2/token"))
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded"),
            body: Bytes::copy_from_slice(form.expose_secret().as_bytes()),
            secret: turn.refresh.clone(),
        };
        let token = Token::read(&self.once(Endpoint::Token, ask).await?)?;
        let granted = self.session.now();
        Ok(Grant {
            refresh: token.refresh().cloned().ok_or(Error::invalid(Nonsense::NoToken))?,
            access: token.access().clone(),
            access_until: later(granted, token.life()),
            granted,
        })
    }
}

fn keeper(app: &Authorized) -> Result<Arc<dyn Keeper>, Unkept> {
    app.keeper.clone().ok_or(Unkept::Nobody)
}

fn later(time: Timestamp, life: Duration) -> Timestamp {
    SignedDuration::try_from(life).ok().and_then(|life| time.checked_add(life).ok()).unwrap_or(Timestamp::MAX)
}
