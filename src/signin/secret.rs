//! What a Secret's content is worth. Calls nobody.

use k8s_openapi::api::core::v1::Secret;
use secrecy::{SecretSlice, SecretString};

use super::{failure::Failure, names::Names};
use crate::{api::AuthType, boxapi::Credentials};

/// The credentials in a Secret, known to be usable and not those of another enterprise.
///
/// # Errors
/// A key that is missing, content that cannot be used, a configuration file of another enterprise.
pub fn credentials(names: &Names, method: AuthType, secret: Secret) -> Result<Credentials, Failure> {
    let mut data = secret.data.unwrap_or_default();
    let mut value = |key: &str| -> Result<SecretSlice<u8>, Failure> {
        let bytes = data.remove(key).filter(|b| !b.0.is_empty());
        bytes.map(|b| SecretSlice::from(b.0)).ok_or_else(|| Failure::no_key(names, key))
    };
    let made = match method {
        AuthType::ClientCredentials => Credentials::client_credentials(value("clientId")?, value("clientSecret")?),
        AuthType::Jwt => Credentials::jwt(value("config.json")?),
        AuthType::Oauth2 => Credentials::oauth2(value("clientId")?, value("clientSecret")?, value("refreshToken")?),
    };
    let credentials = made.map_err(|why| Failure::unusable(names, &why))?;
    match credentials.enterprise_id() {
        Some(other) if other != names.enterprise => Err(Failure::mismatch(names, Some((other, "")))),
        Some(_) | None => Ok(credentials),
    }
}

/// The access token in the Secret in which the operator keeps those of a user's authorization.
pub fn stored_token(secret: Secret) -> Option<SecretString> {
    let bytes = secret.data?.remove("accessToken")?;
    let text = String::from_utf8(bytes.0).ok()?;
    Some(text).filter(|text| !text.is_empty()).map(SecretString::from)
}
