//! The client id and the client secret of an app.

use secrecy::{ExposeSecret, SecretSlice, SecretString};

use super::{
    credential_text::decode_text,
    limits::{MAX_CLIENT_ID, MAX_CLIENT_SECRET},
    malformed_credentials::MalformedCredentials,
};

/// See `Credentials::client_credentials`.
pub struct ClientCredentials {
    pub(super) client_id: String,
    pub(super) client_secret: SecretString,
}

impl ClientCredentials {
    /// White space and byte order marks around either are removed, because editors and copying add them.
    pub fn new(client_id: SecretSlice<u8>, client_secret: SecretSlice<u8>) -> Result<Self, MalformedCredentials> {
        let client_id = decode_text(&client_id, "client id", MAX_CLIENT_ID)?.expose_secret().to_owned();
        let client_secret = decode_text(&client_secret, "client secret", MAX_CLIENT_SECRET)?;
        Ok(Self { client_id, client_secret })
    }

    pub(crate) fn client_id(&self) -> &str {
        &self.client_id
    }
}
