//! The ways an app signs in, as their owner hands them over. Nothing here calls Box.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretSlice, SecretString};

use super::encode::form;
use super::grant::Keeper;
use super::jwt::App;

/// What an app signs in with, known to be usable: complete, and with a key that can be read.
pub enum Credentials {
    /// Client id and client secret (Box: "Server Authentication, Client Credentials Grant").
    ClientCredentials(ClientCredentials),
    /// The configuration file with the app's key pair (Box: "Server Authentication, with JWT").
    Jwt(Jwt),
    /// An app that a user authorized (Box: "User Authentication, OAuth 2.0").
    Oauth2(Authorized),
    /// A code that a user has just granted (Box: "User Authentication, OAuth 2.0"). It is good for one token.
    Code(Code),
}

/// See [`Credentials::client_credentials`].
pub struct ClientCredentials {
    client_id: String,
    client_secret: SecretString,
}

impl ClientCredentials {
    /// One line break at the end of either is taken off: editors add it.
    pub fn new(client_id: SecretSlice<u8>, client_secret: SecretSlice<u8>) -> Result<Self, Unusable> {
        let client_id = line(&client_id, "client id")?.to_owned();
        let client_secret = line(&client_secret, "client secret")?.into();
        Ok(Self { client_id, client_secret })
    }

    pub(super) fn client_id(&self) -> &str {
        &self.client_id
    }
}

/// See [`Invitation::accept`](super::Invitation::accept).
pub struct Code {
    pub(super) app: ClientCredentials,
    pub(super) code: SecretString,
    pub(super) redirect_uri: String,
    pub(super) verifier: SecretString,
    /// Box may take a code that comes twice for a stolen one, and end what the first was worth.
    pub(super) spent: AtomicBool,
}

/// See [`Credentials::jwt`].
pub struct Jwt(Box<App>);

/// See [`Credentials::oauth2`].
pub struct Authorized {
    client_id: String,
    client_secret: SecretString,
    refresh: SecretString,
    pub(super) keeper: Option<Arc<dyn Keeper>>,
}

/// Why credentials cannot even be tried: what is wrong, and how to mend it. Never holds any of their content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    #[error("The {0} is empty. Copy it again from the app's page in Box's developer console.")]
    Empty(&'static str),
    #[error("The {0} is not text. Copy it again from the app's page in Box's developer console.")]
    NotText(&'static str),
    #[error(
        "The configuration file of the app is not JSON (line {line}, column {column}). Use the file as Box's developer console hands it out (Configuration, \"App Settings\", Download as JSON)."
    )]
    NotJson { line: usize, column: usize },
    #[error(
        "The configuration file of the app is JSON, but not the file that Box's developer console hands out. Download it there again (Configuration, \"App Settings\", Download as JSON)."
    )]
    NotTheConfigFile,
    /// A member of the configuration file, by its path.
    #[error(
        "The configuration file of the app lacks {0}, or it is not a text. Generate a key pair in Box's developer console and use the file that it hands out then."
    )]
    Missing(&'static str),
    #[error(
        "The private key cannot be decrypted with boxAppSettings.appAuth.passphrase. Use key and passphrase of the same configuration file."
    )]
    WrongPassphrase,
    #[error(
        "The private key (boxAppSettings.appAuth.privateKey) is an encrypted PEM of the traditional kind (\"Proc-Type: 4,ENCRYPTED\"), which is not supported. Convert it with `openssl pkcs8 -topk8 -v2 aes-256-cbc -in old.pem -out new.pem` and put the new one into the configuration file."
    )]
    TraditionalPem,
    #[error(
        "The private key (boxAppSettings.appAuth.privateKey) is encrypted in a way that is not supported. Convert it with `openssl pkcs8 -topk8 -v2 aes-256-cbc -in old.pem -out new.pem` and put the new one into the configuration file."
    )]
    KeyCipherUnknown,
    #[error(
        "The private key (boxAppSettings.appAuth.privateKey) is not a complete PEM of a private key. Use the configuration file as Box's developer console hands it out."
    )]
    KeyUnreadable,
    #[error(
        "The private key (boxAppSettings.appAuth.privateKey) is not an RSA key of 2048 to 4096 bits. Generate a new key pair in Box's developer console."
    )]
    KeyNotRsa,
}

impl Credentials {
    /// An app's client id and client secret.
    pub fn client_credentials(client_id: SecretSlice<u8>, client_secret: SecretSlice<u8>) -> Result<Self, Unusable> {
        ClientCredentials::new(client_id, client_secret).map(Self::ClientCredentials)
    }

    /// An app's configuration file (`{"boxAppSettings":{…},"enterpriseID":…}`), its private key decrypted here and now.
    ///
    /// That takes some milliseconds: keep the result.
    pub fn jwt(config_json: SecretSlice<u8>) -> Result<Self, Unusable> {
        Ok(Self::Jwt(Jwt(Box::new(App::read(&config_json)?))))
    }

    /// An app's client id and client secret, and the refresh token that Box handed out when a user authorized it. It works
    /// once: a [`Keeper`](super::Keeper) has the tokens that follow it.
    pub fn oauth2(
        client_id: SecretSlice<u8>,
        client_secret: SecretSlice<u8>,
        refresh_token: SecretSlice<u8>,
    ) -> Result<Self, Unusable> {
        let client_id = line(&client_id, "client id")?.to_owned();
        let client_secret = line(&client_secret, "client secret")?.into();
        let refresh = line(&refresh_token, "refresh token")?.into();
        Ok(Self::Oauth2(Authorized { client_id, client_secret, refresh, keeper: None }))
    }

    /// The same, its tokens kept by `keeper`: without one, those of a user are not renewed. Nothing for the other methods.
    #[must_use]
    pub fn kept_by(self, keeper: Arc<dyn Keeper>) -> Self {
        match self {
            Self::Oauth2(app) => Self::Oauth2(Authorized { keeper: Some(keeper), ..app }),
            other @ (Self::ClientCredentials(_) | Self::Jwt(_) | Self::Code(_)) => other,
        }
    }

    /// The refresh token that everything began with; of a user's authorization only.
    pub fn seed(&self) -> Option<&SecretString> {
        match self {
            Self::Oauth2(app) => Some(&app.refresh),
            Self::ClientCredentials(_) | Self::Jwt(_) | Self::Code(_) => None,
        }
    }

    /// The app's client id. It is no secret: a Box admin authorizes the app by it.
    pub fn client_id(&self) -> &str {
        match self {
            Self::ClientCredentials(app) => &app.client_id,
            Self::Jwt(app) => &app.0.client_id,
            Self::Oauth2(app) => &app.client_id,
            Self::Code(code) => &code.app.client_id,
        }
    }

    /// The `enterpriseID` of a configuration file. `None` for all other credentials, and where the file has none or `"0"`.
    pub fn enterprise_id(&self) -> Option<&str> {
        match self {
            Self::ClientCredentials(_) | Self::Oauth2(_) | Self::Code(_) => None,
            Self::Jwt(app) => app.0.enterprise_id.as_deref(),
        }
    }

    pub(super) fn client_secret(&self) -> &SecretString {
        match self {
            Self::ClientCredentials(app) => &app.client_secret,
            Self::Jwt(app) => &app.0.client_secret,
            Self::Oauth2(app) => &app.client_secret,
            Self::Code(code) => &code.app.client_secret,
        }
    }

    /// Whether there is no other token to be had for them.
    pub(super) fn spent(&self) -> bool {
        match self {
            Self::ClientCredentials(_) | Self::Jwt(_) | Self::Oauth2(_) => false,
            Self::Code(code) => code.spent.load(Ordering::Relaxed),
        }
    }

    /// Box gave a token for them.
    pub(super) fn took_token(&self) {
        match self {
            Self::ClientCredentials(_) | Self::Jwt(_) | Self::Oauth2(_) => {}
            Self::Code(code) => code.spent.store(true, Ordering::Relaxed),
        }
    }

    /// The form that asks for a token of this enterprise. It differs each time: an assertion is good once, and for less than a minute.
    pub(super) fn form(&self, enterprise_id: &str, at: Timestamp) -> SecretString {
        let client_secret = self.client_secret().expose_secret();
        match self {
            Self::ClientCredentials(app) => form(&[
                ("grant_type", "client_credentials"),
                ("client_id", &app.client_id),
                ("client_secret", client_secret),
                ("box_subject_type", "enterprise"),
                ("box_subject_id", enterprise_id),
            ]),
            Self::Jwt(app) => form(&[
                ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
                ("assertion", app.0.assertion(enterprise_id, at).expose_secret()),
                ("client_id", &app.0.client_id),
                ("client_secret", client_secret),
            ]),
            Self::Oauth2(app) => return app.refresh_form(&app.refresh),
            Self::Code(Code { app, code, redirect_uri, verifier, spent: _ }) => form(&[
                ("grant_type", "authorization_code"),
                ("code", code.expose_secret()),
                ("client_id", &app.client_id),
                ("client_secret", client_secret),
                ("redirect_uri", redirect_uri),
                ("code_verifier", verifier.expose_secret()),
            ]),
        }
        .into()
    }
}

impl Authorized {
    /// The form that spends a refresh token.
    pub(super) fn refresh_form(&self, refresh: &SecretString) -> SecretString {
        form(&[
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh.expose_secret()),
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

fn line<'a>(bytes: &'a SecretSlice<u8>, what: &'static str) -> Result<&'a str, Unusable> {
    let text = std::str::from_utf8(bytes.expose_secret()).map_err(|_| Unusable::NotText(what))?;
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    match text.trim().is_empty() {
        true => Err(Unusable::Empty(what)),
        false => Ok(text),
    }
}
