//! The client id and the client secret of an app.

use secrecy::{ExposeSecret, SecretSlice, SecretString};

use super::malformed_credentials::MalformedCredentials;

/// See `Credentials::client_credentials`.
pub struct ClientCredentials {
    pub(super) client_id: String,
    pub(super) client_secret: SecretString,
}

impl ClientCredentials {
    /// One line break at the end of either is removed, because editors add it.
    pub fn new(client_id: SecretSlice<u8>, client_secret: SecretSlice<u8>) -> Result<Self, MalformedCredentials> {
        let client_id = decode_secret_text(&client_id, "client id")?.to_owned();
        let client_secret = decode_secret_text(&client_secret, "client secret")?.into();
        Ok(Self { client_id, client_secret })
    }

    pub(crate) fn client_id(&self) -> &str {
        &self.client_id
    }
}

pub(super) fn decode_secret_text<'a>(
    bytes: &'a SecretSlice<u8>,
    name: &'static str,
) -> Result<&'a str, MalformedCredentials> {
    let text = std::str::from_utf8(bytes.expose_secret()).map_err(|_| MalformedCredentials::NotUtf8(name))?;
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    match text.trim().is_empty() {
        true => Err(MalformedCredentials::Empty(name)),
        false => Ok(text),
    }
}
