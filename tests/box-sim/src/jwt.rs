//! JWT assertions: signature, audience, enterprise and lifetime (one minute at most).

use crate::{
    app::App,
    token_error::{self, TokenError},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde_json::Value;

const AUDIENCE: &str = "https://api.box.com/oauth2/token";
const MAX_LIFETIME_SECONDS: i64 = 60;

pub(crate) struct Assertion {
    claims: Value,
    pub(crate) jti: String,
    pub(crate) expires: Timestamp,
}

impl Assertion {
    /// Decodes an assertion and verifies its signature.
    pub(crate) fn decode(text: &str, app: &App) -> Result<Self, TokenError> {
        let (message, signature) = text.rsplit_once('.').ok_or(token_error::MALFORMED_ASSERTION)?;
        let (header, claims) = message.split_once('.').ok_or(token_error::MALFORMED_ASSERTION)?;
        let (header, claims) = (decode_json(header)?, decode_json(claims)?);
        if header["alg"] != "RS256" {
            return Err(token_error::INVALID_ALG);
        }
        let signature = decode_base64(signature)?;
        // Without a kid, all keys of the app are tried.
        let mut keys = match &header["kid"] {
            Value::Null => app.keys.iter().collect::<Vec<_>>(),
            kid => app.keys.iter().filter(|(id, _)| kid == id).collect(),
        };
        if keys.is_empty() {
            return Err(token_error::INVALID_KID);
        }
        keys.retain(|(_, key)| key.verifies(message.as_bytes(), &signature));
        if keys.is_empty() {
            return Err(token_error::INVALID_SIGNATURE);
        }
        let expires = claims["exp"]
            .as_i64()
            .and_then(|exp| Timestamp::from_second(exp).ok())
            .ok_or(token_error::EXP_NOT_INTEGER)?;
        let jti = claims["jti"].as_str().unwrap_or_default().to_owned();
        Ok(Self { claims, jti, expires })
    }

    /// The type and the id of the subject.
    pub(crate) fn subject(&self) -> (&str, &str) {
        let claim = |name: &str| self.claims[name].as_str().unwrap_or_default();
        (claim("box_sub_type"), claim("sub"))
    }

    /// Validates the claims, except that the `jti` is new, and the subject.
    pub(crate) fn validate_claims(&self, client_id: &str, now: Timestamp) -> Result<(), TokenError> {
        let claim = |name: &str, wanted: &str, refusal| if self.claims[name] == wanted { Ok(()) } else { Err(refusal) };
        claim("iss", client_id, token_error::INVALID_ISS)?;
        claim("aud", AUDIENCE, token_error::INVALID_AUD)?;
        if !(16..=128).contains(&self.jti.chars().count()) {
            return Err(token_error::INVALID_JTI_LENGTH);
        }
        if self.expires.as_second() <= now.as_second() {
            return Err(token_error::EXP_PAST);
        }
        if self.expires.as_second() > now.as_second() + MAX_LIFETIME_SECONDS {
            return Err(token_error::EXP_TOO_FAR);
        }
        Ok(())
    }
}

/// The enterprise of an unverified assertion: several enterprises may have authorized the same app.
pub(crate) fn unverified_subject(assertion: &str) -> Option<String> {
    let claims = decode_json(assertion.split('.').nth(1)?).ok()?;
    Some(claims["sub"].as_str()?.to_owned())
}

fn decode_base64(part: &str) -> Result<Vec<u8>, TokenError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| token_error::MALFORMED_ASSERTION)
}

fn decode_json(part: &str) -> Result<Value, TokenError> {
    serde_json::from_slice(&decode_base64(part)?).map_err(|_| token_error::MALFORMED_ASSERTION)
}
