//! POST /oauth2/token: client credentials, signed assertions, codes of the authorize page, refresh tokens.

use crate::{
    app::App,
    ask::Ask,
    behaviour::Behaviour,
    jwt,
    refusal::{self as why, Refusal},
    reply::Reply,
    spec::Auth,
    state::State,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{StatusCode, header};
use jiff::{SignedDuration, Timestamp};
use ring::digest::{SHA256, digest};
use serde_json::json;

pub(crate) const CLIENT_CREDENTIALS: &str = "client_credentials";
pub(crate) const ASSERTION: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
pub(crate) const CODE: &str = "authorization_code";
pub(crate) const REFRESH_TOKEN: &str = "refresh_token";

const SHORT_LIFETIME: SignedDuration = SignedDuration::from_secs(90);

pub(crate) fn answer(ask: &Ask, state: &mut State, now: Timestamp) -> Reply {
    match grant(ask, state, now) {
        Ok(granted) => {
            let lifetime = if state.behaviours.has(Behaviour::ShortLivedTokens) {
                SHORT_LIFETIME
            } else {
                state.app.token_lifetime
            };
            let access = state.app.token(now, lifetime);
            let refresh = match granted {
                Granted::Access => None,
                Granted::Authorization => Some(state.app.renew_refresh_token(now)),
                Granted::Refresh(given) => Some(state.app.refreshed(&given, &access, now)),
            };
            let mut body = json!({
                "access_token": access,
                "expires_in": lifetime.as_secs(),
                "restricted_to": [],
                "token_type": "bearer",
            });
            if let Some(token) = refresh {
                body["refresh_token"] = token.into();
            }
            Reply::json(StatusCode::OK, &body).with(header::CACHE_CONTROL, "no-store")
        }
        Err(refusal) => Reply::refusal(refusal),
    }
}

/// What is granted.
enum Granted {
    /// An access token alone.
    Access,
    /// An access token, and the first refresh token of a user's authorization.
    Authorization,
    /// An access token, and the refresh token that comes after this one.
    Refresh(String),
}

fn grant(ask: &Ask, state: &mut State, now: Timestamp) -> Result<Granted, Refusal> {
    let grant_type = ask.field("grant_type").ok_or(why::INCOMPLETE)?;
    let auth = match grant_type {
        CLIENT_CREDENTIALS => Auth::ClientCredentials,
        ASSERTION => Auth::Jwt,
        CODE | REFRESH_TOKEN => Auth::Oauth2,
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
            Ok(Granted::Access)
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
            Ok(Granted::Access)
        }
        Auth::Oauth2 if grant_type == CODE => by_code(ask, &mut state.app, now),
        Auth::Oauth2 => {
            let given = ask.field("refresh_token").ok_or(why::INCOMPLETE)?;
            let newest = state.app.refresh.as_ref().is_some_and(|(token, _)| token == given);
            let lenient = state.behaviours.has(Behaviour::LenientRefresh) && state.app.spent_unused(given);
            if !state.app.authorized || !(newest || lenient) {
                return Err(why::REFRESH_INVALID);
            }
            if state.app.refresh_token_expired(now) {
                return Err(why::REFRESH_EXPIRED);
            }
            Ok(Granted::Refresh(given.to_owned()))
        }
    }
}

/// A code, asked with the redirect URI and the verifier that belong to it.
fn by_code(ask: &Ask, app: &mut App, now: Timestamp) -> Result<Granted, Refusal> {
    let code = app.take_code(ask.field("code").ok_or(why::INCOMPLETE)?).ok_or(why::CODE_INVALID)?;
    if code.expired(now) {
        return Err(why::CODE_EXPIRED);
    }
    if code.redirect_uri.is_some() && code.redirect_uri.as_deref() != ask.field("redirect_uri") {
        return Err(why::CODE_REDIRECT);
    }
    let verifier = ask.field("code_verifier").map(challenge_of);
    if code.challenge.is_some() && code.challenge != verifier {
        return Err(why::CODE_VERIFIER);
    }
    if app.authorized { Ok(Granted::Authorization) } else { Err(why::NOT_AUTHORIZED) }
}

fn challenge_of(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()))
}

fn authorized(state: &State) -> Result<(), Refusal> {
    if state.app.authorized { Ok(()) } else { Err(why::NOT_AUTHORIZED) }
}
