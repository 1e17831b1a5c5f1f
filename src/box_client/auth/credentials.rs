//! The credentials of an app for each authentication method, and their token requests. Makes no calls.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretSlice, SecretString};

use super::{
    client_credentials::ClientCredentials, credential_text::decode_text, form::encode_form, jwt::JwtApp,
    limits::MAX_REFRESH_TOKEN, malformed_credentials::MalformedCredentials, token_subject::TokenSubject,
};

/// Validated credentials of an app: complete, and with a decrypted key.
pub enum Credentials {
    /// Client id and client secret (Box: "Server Authentication, Client Credentials Grant").
    ClientCredentials(ClientCredentials),
    /// The configuration file with the app's key pair (Box: "Server Authentication, with JWT").
    Jwt(Box<JwtApp>),
    /// An app that a user authorized (Box: "User Authentication, OAuth 2.0").
    Oauth2(OAuth2Credentials),
    /// An authorization code (Box: "User Authentication, OAuth 2.0"). It can be used for one token.
    AuthorizationCode(AuthorizationCodeCredentials),
}

/// See `AuthorizationRequest::into_credentials`.
pub struct AuthorizationCodeCredentials {
    pub(crate) app: ClientCredentials,
    pub(crate) code: SecretString,
    pub(crate) redirect_uri: String,
    pub(crate) verifier: SecretString,
    /// Box may treat a code that is sent twice as stolen, and revoke the tokens of its first use.
    pub(crate) used: AtomicBool,
}

/// See [`Credentials::oauth2`].
pub struct OAuth2Credentials {
    app: ClientCredentials,
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

    /// An app's configuration file (`{"boxAppSettings":{…},"enterpriseID":…}`). Decrypting its private key takes
    /// milliseconds with the keys that Box issues, and up to some seconds and 64 MiB with others: asynchronous code calls
    /// it on a thread of its own.
    pub fn jwt(config_json: SecretSlice<u8>) -> Result<Self, MalformedCredentials> {
        Ok(Self::Jwt(Box::new(JwtApp::parse(&config_json)?)))
    }

    /// An app's client id and client secret, and the refresh token that Box issued when a user authorized it. It can be
    /// used once; a token store has the tokens that follow it.
    pub fn oauth2(
        client_id: SecretSlice<u8>,
        client_secret: SecretSlice<u8>,
        refresh_token: SecretSlice<u8>,
    ) -> Result<Self, MalformedCredentials> {
        let app = ClientCredentials::new(client_id, client_secret)?;
        let refresh_token = decode_text(&refresh_token, "refresh token", MAX_REFRESH_TOKEN)?;
        Ok(Self::Oauth2(OAuth2Credentials { app, refresh_token }))
    }

    /// The refresh token of the user's Secret; only with OAuth 2.0.
    pub fn initial_refresh_token(&self) -> Option<&SecretString> {
        match self {
            Self::Oauth2(app) => Some(&app.refresh_token),
            Self::ClientCredentials(_) | Self::Jwt(_) | Self::AuthorizationCode(_) => None,
        }
    }

    /// The app's client id. It is not a secret: a Box admin authorizes the app by it.
    pub fn client_id(&self) -> &str {
        &self.app().client_id
    }

    /// The `enterpriseID` of a configuration file. `None` for other methods, and if the file has none or `"0"`.
    pub fn enterprise_id(&self) -> Option<&str> {
        match self {
            Self::ClientCredentials(_) | Self::Oauth2(_) | Self::AuthorizationCode(_) => None,
            Self::Jwt(file) => file.enterprise_id.as_deref(),
        }
    }

    pub(crate) fn client_secret(&self) -> &SecretString {
        &self.app().client_secret
    }

    fn app(&self) -> &ClientCredentials {
        match self {
            Self::ClientCredentials(app) => app,
            Self::Jwt(file) => &file.app,
            Self::Oauth2(authorization) => &authorization.app,
            Self::AuthorizationCode(code) => &code.app,
        }
    }

    /// Whether they cannot be used for another token.
    pub(crate) fn is_used(&self) -> bool {
        match self {
            Self::ClientCredentials(_) | Self::Jwt(_) | Self::Oauth2(_) => false,
            Self::AuthorizationCode(code) => code.used.load(Ordering::Relaxed),
        }
    }

    /// Records that Box issued a token for them.
    pub(crate) fn mark_used(&self) {
        match self {
            Self::ClientCredentials(_) | Self::Jwt(_) | Self::Oauth2(_) => {}
            Self::AuthorizationCode(code) => code.used.store(true, Ordering::Relaxed),
        }
    }

    /// The form of a token request for this subject. Each call returns a new one, because an assertion can be used
    /// once, within a minute.
    pub(crate) fn token_request_form(&self, subject: &TokenSubject, issued_at: Timestamp) -> SecretString {
        let (subject_type, subject_id) = subject.type_and_id();
        let (client_id, client_secret) = (self.client_id(), self.client_secret().expose_secret());
        match self {
            Self::ClientCredentials(_) => encode_form(&[
                ("grant_type", "client_credentials"),
                ("client_id", client_id),
                ("client_secret", client_secret),
                ("box_subject_type", subject_type),
                ("box_subject_id", subject_id),
            ]),
            Self::Jwt(file) => encode_form(&[
                ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
                ("assertion", file.sign_assertion(subject, issued_at).expose_secret()),
                ("client_id", client_id),
                ("client_secret", client_secret),
            ]),
            Self::Oauth2(app) => return app.refresh_form(&app.refresh_token),
            Self::AuthorizationCode(AuthorizationCodeCredentials { app: _, code, redirect_uri, verifier, used: _ }) => {
                encode_form(&[
                    ("grant_type", "authorization_code"),
                    ("code", code.expose_secret()),
                    ("client_id", client_id),
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
        &self.app.client_secret
    }

    /// The form of a refresh request.
    pub(crate) fn refresh_form(&self, refresh_token: &SecretString) -> SecretString {
        encode_form(&[
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token.expose_secret()),
            ("client_id", &self.app.client_id),
            ("client_secret", self.app.client_secret.expose_secret()),
        ])
        .into()
    }
}

/// Shows only the client id.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("client_id", &self.client_id()).finish_non_exhaustive()
    }
}
