//! The OAuth 2.0 refresh. A refresh token can be used once, and Box answers with the next one; so the next one is
//! stored before it is used.

use jiff::Timestamp;

use super::{
    credentials::OAuth2Credentials,
    token::Token,
    token_store::{AfterRejection, OAuthTokens, RefreshLock, TokenStore},
};
use crate::box_client::{
    call_observer::Endpoint,
    error::{Denial, Error, InvalidResponse},
    sender::{RequestTemplate, Sender},
};

/// New tokens, already stored.
pub(crate) struct RefreshedTokens {
    pub(crate) tokens: OAuthTokens,
    /// Why Box rejected a new initial refresh token, if the previous authorization was used instead.
    pub(crate) fallback_cause: Option<Error>,
}

/// Refreshes the tokens once and stores them. The caller must poll this to its end even after a cancellation, which
/// ends only the wait for the lock: otherwise a used refresh token is lost.
pub(crate) async fn refresh_tokens(
    sender: &Sender,
    app: &OAuth2Credentials,
    store: &dyn TokenStore,
) -> Result<RefreshedTokens, Error> {
    let (mut rejections, mut fallback_cause) = (0, None);
    loop {
        let lock = sender.unless_cancelled(store.lock()).await??;
        match exchange_refresh_token(sender, app, &lock).await {
            Ok(tokens) => {
                store.save(&lock, &tokens).await?;
                return Ok(RefreshedTokens { tokens, fallback_cause });
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

async fn exchange_refresh_token(
    sender: &Sender,
    app: &OAuth2Credentials,
    lock: &RefreshLock,
) -> Result<OAuthTokens, Error> {
    let form = app.refresh_form(&lock.refresh_token);
    let secrets = vec![lock.refresh_token.clone(), app.client_secret().clone()];
    let template = RequestTemplate::post_form(&sender.url("/oauth2/token"), &form, secrets);
    let token = Token::parse(&sender.send(Endpoint::Token, template).await?)?;
    let issued_at = sender.now();
    Ok(OAuthTokens {
        refresh_token: token.refresh_token().cloned().ok_or(Error::invalid_response(InvalidResponse::MissingToken))?,
        access_token: token.access_token().clone(),
        access_expires_at: issued_at.saturating_add(token.lifetime()).unwrap_or(Timestamp::MAX),
        issued_at,
    })
}
