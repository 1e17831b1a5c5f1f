//! POST /oauth2/token: client credentials, signed assertions, authorization codes, refresh tokens.

use crate::{
    app::App,
    behaviour::Behaviour,
    config::AuthMethod,
    jwt,
    request::BoxRequest,
    response::BoxResponse,
    state::EnterpriseState,
    token_error::{self, TokenError},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{StatusCode, header};
use jiff::{SignedDuration, Timestamp};
use ring::digest::{SHA256, digest};
use serde_json::json;

pub(crate) const CLIENT_CREDENTIALS: &str = "client_credentials";
pub(crate) const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
pub(crate) const AUTHORIZATION_CODE: &str = "authorization_code";
pub(crate) const REFRESH_TOKEN: &str = "refresh_token";

const SHORT_TOKEN_LIFETIME: SignedDuration = SignedDuration::from_secs(90);

pub(crate) fn handle_token(request: &BoxRequest, state: &mut EnterpriseState, now: Timestamp) -> BoxResponse {
    match validate_grant(request, state, now) {
        Ok(granted) => {
            let lifetime = if state.behaviours.contains(Behaviour::ShortLivedTokens) {
                SHORT_TOKEN_LIFETIME
            } else {
                state.app.token_lifetime
            };
            let user = if let TokenGrant::ForUser(user) = &granted { Some(*user) } else { None };
            let access = state.app.issue_access_token(user, now, lifetime);
            let refresh = match granted {
                TokenGrant::AccessTokenOnly | TokenGrant::ForUser(_) => None,
                TokenGrant::NewRefreshToken => Some(state.app.issue_refresh_token(now)),
                TokenGrant::RotatedRefreshToken(given) => Some(state.app.rotate_refresh_token(&given, &access, now)),
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
            BoxResponse::json(StatusCode::OK, &body).with_header(header::CACHE_CONTROL, "no-store")
        }
        Err(error) => BoxResponse::from_token_error(error),
    }
}

/// The granted tokens.
enum TokenGrant {
    /// Only an access token.
    AccessTokenOnly,
    /// An access token of this user.
    ForUser(u64),
    /// An access token, and the first refresh token of a user's authorization.
    NewRefreshToken,
    /// An access token and the next refresh token.
    RotatedRefreshToken(String),
}

fn validate_grant(request: &BoxRequest, state: &mut EnterpriseState, now: Timestamp) -> Result<TokenGrant, TokenError> {
    let grant_type = request.form_field("grant_type").ok_or(token_error::MISSING_PARAMETER)?;
    let auth = match grant_type {
        CLIENT_CREDENTIALS => AuthMethod::ClientCredentials,
        JWT_BEARER => AuthMethod::Jwt,
        AUTHORIZATION_CODE | REFRESH_TOKEN => AuthMethod::Oauth2,
        _ => return Err(token_error::UNSUPPORTED_GRANT_TYPE),
    };
    let credentials = (
        request.form_field("client_id").ok_or(token_error::MISSING_PARAMETER)?,
        request.form_field("client_secret").ok_or(token_error::MISSING_PARAMETER)?,
    );
    if credentials != (&state.app.client_id, &state.app.client_secret) {
        return Err(token_error::INVALID_CLIENT);
    }
    if auth != state.app.auth {
        return Err(token_error::UNAUTHORIZED_GRANT_TYPE);
    }
    match auth {
        AuthMethod::ClientCredentials => {
            let subject = (
                request.form_field("box_subject_type").ok_or(token_error::MISSING_PARAMETER)?,
                request.form_field("box_subject_id").ok_or(token_error::MISSING_PARAMETER)?,
            );
            let granted = match subject {
                ("enterprise", id) if id == state.id => TokenGrant::AccessTokenOnly,
                ("user", _) if !state.app.user_tokens => return Err(token_error::USER_SUBJECT_UNAUTHORIZED),
                ("user", id) => find_user(state, id).ok_or(token_error::INVALID_GRANT)?,
                _ => return Err(token_error::INVALID_GRANT),
            };
            check_authorized(state)?;
            Ok(granted)
        }
        AuthMethod::Jwt => {
            let assertion = jwt::Assertion::decode(
                request.form_field("assertion").ok_or(token_error::MISSING_PARAMETER)?,
                &state.app,
            )?;
            // Only client timestamps are checked by Box's clock; tokens expire by the simulator's.
            let server_now = state.server_time(now);
            assertion.validate_claims(&state.app.client_id, server_now)?;
            let granted = match assertion.subject() {
                ("enterprise", id) if id == state.id => TokenGrant::AccessTokenOnly,
                ("user", _) if !state.app.user_tokens => return Err(token_error::USER_TOKENS_OFF),
                ("user", id) => find_user(state, id).ok_or(token_error::INVALID_SUB)?,
                ("enterprise", _) => return Err(token_error::INVALID_SUB),
                _ => return Err(token_error::INVALID_SUB_TYPE),
            };
            check_authorized(state)?;
            if !state.app.record_jti(&assertion.jti, assertion.expires, server_now) {
                return Err(token_error::REUSED_JTI);
            }
            Ok(granted)
        }
        AuthMethod::Oauth2 if grant_type == AUTHORIZATION_CODE => exchange_code(request, &mut state.app, now),
        AuthMethod::Oauth2 => {
            let given = request.form_field("refresh_token").ok_or(token_error::MISSING_PARAMETER)?;
            let is_current = state.app.refresh_token.as_ref().is_some_and(|(token, _)| token == given);
            let is_reusable =
                state.behaviours.contains(Behaviour::LenientRefresh) && state.app.is_refresh_token_reusable(given);
            if !state.app.authorized || !(is_current || is_reusable) {
                return Err(token_error::REFRESH_TOKEN_INVALID);
            }
            if state.app.is_refresh_token_expired(now) {
                return Err(token_error::REFRESH_TOKEN_EXPIRED);
            }
            Ok(TokenGrant::RotatedRefreshToken(given.to_owned()))
        }
    }
}

/// A token of a user of the enterprise.
fn find_user(state: &EnterpriseState, id: &str) -> Option<TokenGrant> {
    let id = id.parse().ok()?;
    state.users.get(id).map(|_| TokenGrant::ForUser(id))
}

/// Exchanges a code, with its redirect URI and verifier.
fn exchange_code(request: &BoxRequest, app: &mut App, now: Timestamp) -> Result<TokenGrant, TokenError> {
    let code = app
        .take_code(request.form_field("code").ok_or(token_error::MISSING_PARAMETER)?)
        .ok_or(token_error::CODE_INVALID)?;
    if code.is_expired(now) {
        return Err(token_error::CODE_EXPIRED);
    }
    if code.redirect_uri.is_some() && code.redirect_uri.as_deref() != request.form_field("redirect_uri") {
        return Err(token_error::REDIRECT_URI_MISMATCH);
    }
    let verifier = request.form_field("code_verifier").map(pkce_challenge);
    if code.code_challenge.is_some() && code.code_challenge != verifier {
        return Err(token_error::CODE_VERIFIER_MISMATCH);
    }
    if app.authorized { Ok(TokenGrant::NewRefreshToken) } else { Err(token_error::NOT_AUTHORIZED) }
}

fn pkce_challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()))
}

fn check_authorized(state: &EnterpriseState) -> Result<(), TokenError> {
    if state.app.authorized { Ok(()) } else { Err(token_error::NOT_AUTHORIZED) }
}
