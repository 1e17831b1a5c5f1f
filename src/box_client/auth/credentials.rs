//! The ways an app signs in, as their owner hands them over. Nothing here calls Box.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretSlice, SecretString};

use super::{form::encode_form, jwt::JwtApp, malformed_credentials::MalformedCredentials};

/// What an app signs in with, known to be usable: complete, and with a key that can be read.
pub enum Credentials {
    /// Client id and client secret (Box: "Server Authentication, Client Credentials Grant").
    ClientCredentials(ClientCredentials),
    /// The configuration file with the app's key pair (Box: "Server Authentication, with JWT").
    Jwt(JwtCredentials),
    /// An app that a user authorized (Box: "User Authentication, OAuth 2.0").
    Oauth2(OAuth2Credentials),
    /// A code that a user has just granted (Box: "User Authentication, OAuth 2.0"). It is good for one token.
    AuthorizationCode(AuthorizationCodeCredentials),
}

/// See [`Credentials::client_credentials`].
pub struct ClientCredentials {
    client_id: String,
    client_secret: SecretString,
}

impl ClientCredentials {
    /// One line break at the end of either is taken off: editors add it.
    pub fn new(client_id: SecretSlice<u8>, client_secret: SecretSlice<u8>) -> Result<Self, MalformedCredentials> {
        let client_id = decode_secret_text(&client_id, "client id")?.to_owned();
        let client_secret = decode_secret_text(&client_secret, "client secret")?.into();
        Ok(Self { client_id, client_secret })
    }

    pub(crate) fn client_id(&self) -> &str {
        &self.client_id
    }
}

/// See [`Invitation::accept`](super::Invitation::accept).
pub struct AuthorizationCodeCredentials {
    pub(crate) app: ClientCredentials,
    pub(crate) code: SecretString,
    pub(crate) redirect_uri: String,
    pub(crate) verifier: SecretString,
    /// Box may take a code that comes twice for a stolen one, and end what the first was worth.
    pub(crate) used: AtomicBool,
}

/// See [`Credentials::jwt`].
pub struct JwtCredentials(Box<JwtApp>);

/// See [`Credentials::oauth2`].
pub struct OAuth2Credentials {
    client_id: String,
    client_secret: SecretString,
    refresh_token: SecretString,
}

impl Credentials {
    /// An app's client id and client secret.
    pub fn client_credentials(
        client_id: SecretSlice<u8>,
        client_secret: SecretSlice<u8>,
    ) -> Result<Self, MalformedCredentials> {
        ClientCredentials::new(client_id, client_secret).map(Self::ClientCredentials)
    }

    /// An app's configuration file (`{"boxAppSettings":{…},"enterpriseID":…}`), its private key decrypted here and now.
    ///
    /// That takes some milliseconds: keep the result.
    pub fn jwt(config_json: SecretSlice<u8>) -> Result<Self, MalformedCredentials> {
        Ok(Self::Jwt(JwtCredentials(Box::new(JwtApp::parse(&config_json)?))))
    }

    /// An app's client id and client secret, and the refresh token that Box handed out when a user authorized it. It works
    /// once: a [`Keeper`](super::Keeper) has the tokens that follow it.
    pub fn oauth2(
        client_id: SecretSlice<u8>,
        client_secret: SecretSlice<u8>,
        refresh_token: SecretSlice<u8>,
    ) -> Result<Self, MalformedCredentials> {
        let client_id = decode_secret_text(&client_id, "client id")?.to_owned();
        let client_secret = decode_secret_text(&client_secret, "client secret")?.into();
        let refresh_token = decode_secret_text(&refresh_token, "refresh token")?.into();
        Ok(Self::Oauth2(OAuth2Credentials { client_id, client_secret, refresh_token }))
    }

    /// The refresh token that everything began with; of a user's authorization only.
    pub fn initial_refresh_token(&self) -> Option<&SecretString> {
        match self {
            Self::Oauth2(app) => Some(&app.refresh_token),
            Self::ClientCredentials(_) | Self::Jwt(_) | Self::AuthorizationCode(_) => None,
        }
    }

    /// The app's client id. It is no secret: a Box admin authorizes the app by it.
    pub fn client_id(&self) -> &str {
        match self {
            Self::ClientCredentials(app) => &app.client_id,
            Self::Jwt(app) => &app.0.client_id,
            Self::Oauth2(app) => &app.client_id,
            Self::AuthorizationCode(code) => &code.app.client_id,
        }
    }

    /// The `enterpriseID` of a configuration file. `None` for all other credentials, and where the file has none or `"0"`.
    pub fn enterprise_id(&self) -> Option<&str> {
        match self {
            Self::ClientCredentials(_) | Self::Oauth2(_) | Self::AuthorizationCode(_) => None,
            Self::Jwt(app) => app.0.enterprise_id.as_deref(),
        }
    }

    pub(crate) fn client_secret(&self) -> &SecretString {
        match self {
            Self::ClientCredentials(app) => &app.client_secret,
            Self::Jwt(app) => &app.0.client_secret,
            Self::Oauth2(app) => &app.client_secret,
            Self::AuthorizationCode(code) => &code.app.client_secret,
        }
    }

    /// Whether there is no other token to be had for them.
    pub(crate) fn is_used(&self) -> bool {
        match self {
            Self::ClientCredentials(_) | Self::Jwt(_) | Self::Oauth2(_) => false,
            Self::AuthorizationCode(code) => code.used.load(Ordering::Relaxed),
        }
    }

    /// Box gave a token for them.
    pub(crate) fn mark_used(&self) {
        match self {
            Self::ClientCredentials(_) | Self::Jwt(_) | Self::Oauth2(_) => {}
            Self::AuthorizationCode(code) => code.used.store(true, Ordering::Relaxed),
        }
    }

    /// The form that asks for a token of this enterprise. It differs each time: an assertion is good once, and for less than a minute.
    pub(crate) fn token_request_form(&self, enterprise_id: &str, issued_at: Timestamp) -> SecretString {
        let client_secret = self.client_secret().expose_secret();
        match self {
            Self::ClientCredentials(app) => encode_form(&[
                ("grant_type", "client_credentials"),
                ("client_id", &app.client_id),
                ("client_secret", client_secret),
                ("box_subject_type", "enterprise"),
                ("box_subject_id", enterprise_id),
            ]),
            Self::Jwt(app) => encode_form(&[
                ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
                ("assertion", app.0.sign_assertion(enterprise_id, issued_at).expose_secret()),
                ("client_id", &app.0.client_id),
                ("client_secret", client_secret),
            ]),
            Self::Oauth2(app) => return app.refresh_form(&app.refresh_token),
            Self::AuthorizationCode(AuthorizationCodeCredentials { app, code, redirect_uri, verifier, used: _ }) => {
                encode_form(&[
                    ("grant_type", "authorization_code"),
                    ("code", code.expose_secret()),
                    ("client_id", &app.client_id),
                    ("client_secret", client_secret),
                    ("redirect_uri", redirect_uri),
                    ("code_verifier", verifier.expose_secret()),
                ])
            }
        }
        .into()
    }
}

impl OAuth2Credentials {
    pub(crate) fn client_secret(&self) -> &SecretString {
        &self.client_secret
    }

    /// The form that spends a refresh token.
    pub(crate) fn refresh_form(&self, refresh_token: &SecretString) -> SecretString {
        encode_form(&[
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token.expose_secret()),
            ("client_id", &self.client_id),
            ("client_secret", self.client_secret.expose_secret()),
        ])
        .into()
    }
}

/// Names the app and nothing else.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("client_id", &self.client_id()).finish_non_exhaustive()
    }
}

fn decode_secret_text<'a>(bytes: &'a SecretSlice<u8>, name: &'static str) -> Result<&'a str, MalformedCredentials> {
    let text = std::str::from_utf8(bytes.expose_secret()).map_err(|_| MalformedCredentials::NotUtf8(name))?;
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    match text.trim().is_empty() {
        true => Err(MalformedCredentials::Empty(name)),
        false => Ok(text),
    }
}
