//! An access token, its expiry, and the refresh token that was issued with it.

use std::time::Duration;

use http::HeaderValue;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::time::Instant;

use super::token_store::OAuthTokens;
use crate::box_client::{
    error::{Error, InvalidResponse},
    lenient_value::LenientValue,
};

/// A token is renewed this long before it expires, so that none expires on its way to Box.
const EXPIRY_MARGIN: Duration = Duration::from_secs(60);
/// The lifetime of Box's tokens, used if the response has none.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(3600);
const MAX_LIFETIME: Duration = Duration::from_secs(86_400);
/// Box's have 32 to about 2,000; servers and proxies rarely accept longer headers.
const MAX_TOKEN_BYTES: usize = 8 << 10;

pub(crate) struct Token {
    access_token: SecretString,
    /// Only with a user's authorization.
    refresh_token: Option<SecretString>,
    /// By the monotonic clock: setting the wall clock back must not prolong the use of an expired token.
    renew_at: Instant,
    lifetime: Duration,
}

#[derive(Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct TokenResponse<'a> {
    access_token: Option<SecretString>,
    refresh_token: Option<SecretString>,
    expires_in: LenientValue<'a>,
}

impl Token {
    /// Parses the response of the token endpoint; the lifetime starts now.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, Error> {
        let response: TokenResponse<'_> = serde_json::from_slice(body).map_err(|error| match error.classify() {
            serde_json::error::Category::Data => Error::invalid_response(InvalidResponse::MissingToken),
            _ => Error::invalid_response(InvalidResponse::NotJson),
        })?;
        let access_token = response
            .access_token
            .filter(|token| is_token(token.expose_secret()))
            .ok_or(Error::invalid_response(InvalidResponse::MissingToken))?;
        let lifetime = match response.expires_in.as_i64() {
            Some(seconds) => Duration::from_secs(u64::try_from(seconds).unwrap_or(0)).min(MAX_LIFETIME),
            None => DEFAULT_LIFETIME,
        };
        let refresh_token = response.refresh_token.filter(|token| is_token(token.expose_secret()));
        Ok(Self { refresh_token, ..Self::with_lifetime(access_token, lifetime) })
    }

    /// The stored access token. It is not valid if it has expired, or cannot be one.
    pub(crate) fn from_stored(tokens: &OAuthTokens, now: Timestamp) -> Self {
        // Others can write the Secret too.
        let remaining = match is_token(tokens.access_token.expose_secret()) {
            true => Duration::try_from(now.duration_until(tokens.access_expires_at)).unwrap_or_default(),
            false => Duration::ZERO,
        };
        Self::with_lifetime(tokens.access_token.clone(), remaining.min(MAX_LIFETIME))
    }

    fn with_lifetime(access_token: SecretString, lifetime: Duration) -> Self {
        let renew_at = Instant::now() + lifetime.saturating_sub(EXPIRY_MARGIN.min(lifetime / 2));
        Self { access_token, refresh_token: None, renew_at, lifetime }
    }

    /// The lifetime, counted from the parsing of the response.
    pub(crate) fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// An access token that another process renews.
    pub(crate) fn from_access_token(access_token: SecretString) -> Result<Self, Error> {
        match is_token(access_token.expose_secret()) {
            true => Ok(Self::with_lifetime(access_token, DEFAULT_LIFETIME)),
            false => Err(Error::invalid_response(InvalidResponse::MissingToken)),
        }
    }

    pub(crate) fn is_valid(&self) -> bool {
        Instant::now() < self.renew_at
    }

    pub(crate) fn access_token(&self) -> &SecretString {
        &self.access_token
    }

    pub(crate) fn refresh_token(&self) -> Option<&SecretString> {
        self.refresh_token.as_ref()
    }

    pub(crate) fn authorization_header(&self) -> HeaderValue {
        let mut header = HeaderValue::try_from(format!("Bearer {}", self.access_token.expose_secret()))
            .expect("validated when it was parsed");
        header.set_sensitive(true);
        header
    }
}

fn is_token(text: &str) -> bool {
    (1..=MAX_TOKEN_BYTES).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}
