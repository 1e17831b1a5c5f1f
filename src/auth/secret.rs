//! Parses credentials and tokens from a Secret. Makes no calls.

use k8s_openapi::api::core::v1::Secret;
use secrecy::{SecretSlice, SecretString};

use super::{failure::Failure, failure_context::FailureContext};
use crate::{
    api::{AuthType, BoxEnterprise},
    box_client::Credentials,
};

/// The key of a Secret with the configuration file of a JWT app.
pub(super) const CONFIG_KEY: &str = "config.json";

/// The validated credentials in a Secret. As costly as [`Credentials::jwt`].
///
/// # Errors
/// A key is missing, the content is malformed, or the configuration file is for another enterprise.
pub(super) fn credentials_from_secret(
    context: &FailureContext,
    method: AuthType,
    secret: Secret,
) -> Result<Credentials, Failure> {
    let mut data = secret.data.unwrap_or_default();
    let mut value = |key: &str| -> Result<SecretSlice<u8>, Failure> {
        let bytes = data.remove(key).filter(|b| !b.0.is_empty());
        bytes.map(|b| SecretSlice::from(b.0)).ok_or_else(|| Failure::missing_key(context, key))
    };
    let result = match method {
        AuthType::ClientCredentials => Credentials::client_credentials(value("clientId")?, value("clientSecret")?),
        AuthType::Jwt => Credentials::jwt(value(CONFIG_KEY)?),
        AuthType::Oauth2 => Credentials::oauth2(value("clientId")?, value("clientSecret")?, value("refreshToken")?),
    };
    let credentials = result.map_err(|error| Failure::malformed_credentials(context, &error))?;
    verify_enterprise_id(context, &credentials)?;
    Ok(credentials)
}

/// Checks the enterprise that a configuration file names, if it names one.
///
/// # Errors
/// It is not the enterprise of the context.
pub fn verify_enterprise_id(context: &FailureContext, credentials: &Credentials) -> Result<(), Failure> {
    match credentials.enterprise_id() {
        Some(id) if id != context.enterprise => {
            let found = BoxEnterprise { id: id.to_owned(), name: String::new() };
            Err(Failure::enterprise_mismatch(context, Some(&found)))
        }
        Some(_) | None => Ok(()),
    }
}

/// The access token in the operator's own Secret for a user's authorization.
pub fn access_token_from_secret(secret: Secret) -> Option<SecretString> {
    let bytes = secret.data?.remove("accessToken")?;
    let text = String::from_utf8(bytes.0).ok()?;
    Some(text).filter(|text| !text.is_empty()).map(SecretString::from)
}
