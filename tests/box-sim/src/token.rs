//! POST /oauth2/token: client credentials, signed assertions, refresh tokens.

use crate::{
    ask::Ask,
    behaviour::Behaviour,
    jwt,
    refusal::{self as why, Refusal},
    reply::Reply,
    spec::Auth,
    state::State,
};
use http::{StatusCode, header};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

pub(crate) const CLIENT_CREDENTIALS: &str = "client_credentials";
pub(crate) const ASSERTION: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
pub(crate) const REFRESH_TOKEN: &str = "refresh_token";

const SHORT_LIFETIME: SignedDuration = SignedDuration::from_secs(90);

pub(crate) fn answer(ask: &Ask, state: &mut State, now: Timestamp) -> Reply {
    match grant(ask, state, now) {
        Ok(refresh_token) => {
            let lifetime = if state.behaviours.has(Behaviour::ShortLivedTokens) {
                SHORT_LIFETIME
            } else {
                state.app.token_lifetime
            };
            let mut body = json!({
                "access_token": state.app.token(now, lifetime),
                "expires_in": lifetime.as_secs(),
                "restricted_to": [],
                "token_type": "bearer",
            });
            if let Some(token) = refresh_token {
                body["refresh_token"] = token.into();
            }
            Reply::json(StatusCode::OK, &body).with(header::CACHE_CONTROL, "no-store")
        }
        Err(refusal) => Reply::refusal(refusal),
    }
}

/// Whether a token is granted, and with it, which refresh token comes next.
fn grant(ask: &Ask, state: &mut State, now: Timestamp) -> Result<Option<String>, Refusal> {
    let grant_type = ask.field("grant_type").ok_or(why::INCOMPLETE)?;
    let auth = match grant_type {
        CLIENT_CREDENTIALS => Auth::ClientCredentials,
        ASSERTION => Auth::Jwt,
        REFRESH_TOKEN => Auth::Oauth2,
        _ => return Err(why::GRANT_TYPE_UNKNOWN),
    };
    let credentials =
        (ask.field("client_id").ok_or(why::INCOMPLETE)?, ask.field("client_secret").ok_or(why::INCOMPLETE)?);
    if credentials != (&state.app.client_id, &state.app.client_secret) {
        return Err(why::CLIENT);
    }
    if auth != state.app.auth {
        return Err(why::GRANT_TYPE);
    }
    match auth {
        Auth::ClientCredentials => {
            let subject = (
                ask.field("box_subject_type").ok_or(why::INCOMPLETE)?,
                ask.field("box_subject_id").ok_or(why::INCOMPLETE)?,
            );
            if subject != ("enterprise", &state.id) {
                return Err(why::GRANT);
            }
            authorized(state)?;
            Ok(None)
        }
        Auth::Jwt => {
            let assertion = jwt::Assertion::read(ask.field("assertion").ok_or(why::INCOMPLETE)?, &state.app)?;
            // Only what the client dates is judged by the servers' clock; tokens age by the true one.
            let here = state.now(now);
            assertion.check(&state.id, &state.app.client_id, here)?;
            authorized(state)?;
            if !state.app.first_use(&assertion.jti, assertion.expires, here) {
                return Err(why::JTI);
            }
            Ok(None)
        }
        Auth::Oauth2 => {
            let given = ask.field("refresh_token").ok_or(why::INCOMPLETE)?;
            if !state.app.authorized || state.app.refresh.as_ref().is_none_or(|(token, _)| token != given) {
                return Err(why::REFRESH_INVALID);
            }
            if state.app.refresh_token_expired(now) {
                return Err(why::REFRESH_EXPIRED);
            }
            Ok(Some(state.app.renew_refresh_token(now)))
        }
    }
}

fn authorized(state: &State) -> Result<(), Refusal> {
    if state.app.authorized { Ok(()) } else { Err(why::NOT_AUTHORIZED) }
}
