//! The authorized client of one run: a [`Sender`] with bearer tokens of a [`TokenSource`].

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use super::{
    auth::{token::Token, token_source::TokenSource},
    call_observer::{CallObserver, Endpoint},
    error::{Denial, Error},
    error_classification::ends_authorization,
    sender::{ReceivedBody, RequestTemplate, Sender},
};

/// For how long Box may reject every token that it has just issued. This passes within minutes as a rule, as users of Box
/// report; a person is asked to authorize the app again only when it lasts.
const REJECTED_TOKENS_TOLERANCE: Duration = Duration::from_secs(600);

/// A client for one run, which counts its calls and can be cancelled. Clones share both.
#[derive(Clone)]
pub struct Client {
    sender: Sender,
    token_source: TokenSource,
}

impl Client {
    /// After `cancel` is cancelled, every wait ends with [`Error::Cancelled`] and no new call starts; a call in flight
    /// continues until its future is dropped.
    pub fn new(token_source: &TokenSource, cancel: CancellationToken) -> Self {
        Self { sender: token_source.sender().with_cancellation(cancel), token_source: token_source.clone() }
    }

    /// Reports every finished call to `observer`.
    #[must_use]
    pub fn with_observer(self, observer: CallObserver) -> Self {
        Self { sender: self.sender.with_observer(observer), ..self }
    }

    /// Requests a new token even if one is cached. After a failure, a cached token that is still valid remains in use.
    pub async fn sign_in(&self) -> Result<(), Error> {
        self.token_source.renew(&self.sender).await.map(drop)
    }

    /// The refresh token that Box issued with the token in use.
    pub fn refresh_token(&self) -> Option<SecretString> {
        self.token_source.refresh_token()
    }

    /// The time by Box's clock, as of its last response.
    pub fn server_time(&self) -> Option<Timestamp> {
        self.sender.server_time()
    }

    /// HTTP calls made to Box so far, including retries.
    pub fn call_count(&self) -> u32 {
        self.sender.call_count()
    }

    /// GET with a bearer token. A rejected token is replaced once. That Box rejects the new one as well is not taken for
    /// the end of the authorization at once: without it, Box would have issued none.
    pub(super) async fn get_authorized(&self, endpoint: Endpoint, path: &str) -> Result<ReceivedBody, Error> {
        let token = self.token_source.token(&self.sender).await?;
        match self.get_with_token(&token, endpoint, path).await {
            Err(Error::Denied { denial: Denial::AuthorizationExpired, .. }) if self.token_source.can_renew() => {}
            result => return result,
        }
        let token = self.token_source.token(&self.sender).await?;
        match self.get_with_token(&token, endpoint, path).await {
            Err(Error::Denied { denial: Denial::AuthorizationExpired, body })
                if !ends_authorization(&body)
                    && self.token_source.record_rejected_new_token() < REJECTED_TOKENS_TOLERANCE =>
            {
                let detail = format!("it rejects access tokens that it has just issued: 401, {body}");
                Err(Error::Unavailable { retry_after: None, detail })
            }
            result => result,
        }
    }

    async fn get_with_token(&self, token: &Arc<Token>, endpoint: Endpoint, path: &str) -> Result<ReceivedBody, Error> {
        let url = self.sender.url(path);
        let template = || {
            let secrets = [Some(token.access_token()), self.token_source.client_secret()];
            let secrets = secrets.into_iter().flatten().cloned().collect();
            RequestTemplate::get(&url, token.authorization_header(), secrets)
        };
        let result = self.sender.send_with_retries(endpoint, template).await;
        match &result {
            Err(Error::Denied { denial: Denial::AuthorizationExpired, .. }) => self.token_source.invalidate(token),
            Ok(_) | Err(Error::Denied { .. }) => self.token_source.record_accepted_token(),
            Err(_) => {}
        }
        result
    }
}
