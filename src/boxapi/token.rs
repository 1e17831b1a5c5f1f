//! An access token, how long it may be used, and the refresh token that came with it.

use std::time::Duration;

use http::HeaderValue;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::time::Instant;

use super::error::{Error, Nonsense};
use super::grant::Grant;
use super::scalar::Scalar;

/// A token is renewed this long before its end, so that none ends on its way to Box.
const EARLY: Duration = Duration::from_secs(60);
/// What Box's tokens live, taken where its answer does not say.
const USUAL: Duration = Duration::from_secs(3600);
const LONGEST: Duration = Duration::from_secs(86_400);

pub(super) struct Token {
    access: SecretString,
    /// Only where a user's authorization was asked for.
    refresh: Option<SecretString>,
    /// By the monotonic clock: setting the wall clock back must not keep a dead token.
    good_until: Instant,
    life: Duration,
}

#[derive(Deserialize)]
struct Reply<'a> {
    #[serde(default)]
    access_token: Option<SecretString>,
    #[serde(default)]
    refresh_token: Option<SecretString>,
    #[serde(borrow, default)]
    expires_in: Scalar<'a>,
}

impl Token {
    /// Reads Box's answer; the token's life counts from now on.
    pub(super) fn read(body: &[u8]) -> Result<Self, Error> {
        let reply: Reply<'_> = serde_json::from_slice(body).map_err(|error| match error.classify() {
            serde_json::error::Category::Data => Error::invalid(Nonsense::NoToken),
            _ => Error::invalid(Nonsense::NotJson),
        })?;
        let access = reply
            .access_token
            .filter(|token| is_token(token.expose_secret()))
            .ok_or(Error::invalid(Nonsense::NoToken))?;
        let life = match reply.expires_in.integer() {
            Some(seconds) => Duration::from_secs(u64::try_from(seconds).unwrap_or(0)).min(LONGEST),
            None => USUAL,
        };
        let refresh = reply.refresh_token.filter(|token| is_token(token.expose_secret()));
        Ok(Self { refresh, ..Self::living(access, life) })
    }

    /// The access token of a grant.
    pub(super) fn of(grant: &Grant, now: Timestamp) -> Self {
        let left = Duration::try_from(now.duration_until(grant.access_until)).unwrap_or_default();
        Self::living(grant.access.clone(), left.min(LONGEST))
    }

    fn living(access: SecretString, life: Duration) -> Self {
        let good_until = Instant::now() + life.saturating_sub(EARLY.min(life / 2));
        Self { access, refresh: None, good_until, life }
    }

    /// How long it lives from when it was read.
    pub(super) fn life(&self) -> Duration {
        self.life
    }

    /// A token that somebody else was given, and renews.
    pub(super) fn lent(access: SecretString) -> Result<Self, Error> {
        match is_token(access.expose_secret()) {
            true => Ok(Self::living(access, USUAL)),
            false => Err(Error::invalid(Nonsense::NoToken)),
        }
    }

    pub(super) fn is_good(&self) -> bool {
        Instant::now() < self.good_until
    }

    pub(super) fn access(&self) -> &SecretString {
        &self.access
    }

    pub(super) fn refresh(&self) -> Option<&SecretString> {
        self.refresh.as_ref()
    }

    pub(super) fn header(&self) -> HeaderValue {
        let mut header = HeaderValue::try_from(format!("Bearer {}", self.access.expose_secret()))
            .expect("looked at when it was read");
        header.set_sensitive(true);
        header
    }
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}
