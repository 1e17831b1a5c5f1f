//! Assertions: signed by the app's key, for this enterprise, for a minute at most.

use crate::{
    app::App,
    refusal::{self as why, Refusal},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde_json::Value;

const AUDIENCE: &str = "https://api.box.com/oauth2/token";
const LONGEST: i64 = 60;

pub(crate) struct Assertion {
    claims: Value,
    pub(crate) jti: String,
    pub(crate) expires: Timestamp,
}

impl Assertion {
    /// Reads an assertion whose signature is right.
    pub(crate) fn read(text: &str, app: &App) -> Result<Self, Refusal> {
        let (message, signature) = text.rsplit_once('.').ok_or(why::ASSERTION)?;
        let (header, claims) = message.split_once('.').ok_or(why::ASSERTION)?;
        let (header, claims) = (json(header)?, json(claims)?);
        if header["alg"] != "RS256" {
            return Err(why::ALG);
        }
        let signature = bytes(signature)?;
        // Without a kid every key of the app is tried.
        let mut keys = match &header["kid"] {
            Value::Null => app.keys.iter().collect::<Vec<_>>(),
            kid => app.keys.iter().filter(|(id, _)| kid == id).collect(),
        };
        if keys.is_empty() {
            return Err(why::KID);
        }
        keys.retain(|(_, key)| key.signed(message.as_bytes(), &signature));
        if keys.is_empty() {
            return Err(why::SIGNATURE);
        }
        let expires = claims["exp"].as_i64().and_then(|exp| Timestamp::from_second(exp).ok()).ok_or(why::EXP_SHAPE)?;
        let jti = claims["jti"].as_str().unwrap_or_default().to_owned();
        Ok(Self { claims, jti, expires })
    }

    /// Whether the claims are right; whether the `jti` is new only the app knows.
    pub(crate) fn check(&self, enterprise: &str, client_id: &str, now: Timestamp) -> Result<(), Refusal> {
        let claim = |name: &str, wanted: &str, refusal| if self.claims[name] == wanted { Ok(()) } else { Err(refusal) };
        claim("iss", client_id, why::ISS)?;
        claim("aud", AUDIENCE, why::AUD)?;
        claim("box_sub_type", "enterprise", why::SUB_TYPE)?;
        claim("sub", enterprise, why::SUB)?;
        if !(16..=128).contains(&self.jti.chars().count()) {
            return Err(why::JTI_LENGTH);
        }
        if self.expires.as_second() <= now.as_second() {
            return Err(why::EXP_PAST);
        }
        if self.expires.as_second() > now.as_second() + LONGEST {
            return Err(why::EXP_FAR);
        }
        Ok(())
    }
}

/// The enterprise that an assertion speaks of, before anything is checked: several enterprises may have authorized the same app.
pub(crate) fn subject(assertion: &str) -> Option<String> {
    let claims = json(assertion.split('.').nth(1)?).ok()?;
    Some(claims["sub"].as_str()?.to_owned())
}

fn bytes(part: &str) -> Result<Vec<u8>, Refusal> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| why::ASSERTION)
}

fn json(part: &str) -> Result<Value, Refusal> {
    serde_json::from_slice(&bytes(part)?).map_err(|_| why::ASSERTION)
}
