//! The initial configuration of an enterprise.

use serde::Deserialize;

/// How the app of an enterprise authenticates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuthMethod {
    #[default]
    ClientCredentials,
    Jwt,
    /// OAuth 2.0 user authentication; the simulator issues the first refresh token itself.
    Oauth2,
}

/// A registered public key of an app.
#[derive(Clone, Debug, Deserialize)]
pub struct RegisteredKey {
    /// `publicKeyID` in the config file, `kid` in the assertion.
    pub id: String,
    pub pem: String,
}

/// The configuration of a new enterprise. Defaults of name, users and credentials are derived from the id.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EnterpriseConfig {
    pub id: String,
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    pub users: usize,
    /// Same seed, same users.
    #[serde(default)]
    pub seed: u64,
    #[serde(default)]
    pub auth: AuthMethod,
    #[serde(default)]
    pub client_id: Option<String>,
    #[serde(default)]
    pub client_secret: Option<String>,
    /// For `AuthMethod::Jwt`; empty: the first fixture key pair.
    #[serde(default)]
    pub public_keys: Vec<RegisteredKey>,
    /// Whether the generated users have tracking codes.
    #[serde(default)]
    pub tracking_codes: bool,
    /// "Generate user access tokens" of the developer console.
    #[serde(default)]
    pub user_tokens: bool,
    /// For `Auth::Oauth2`; empty: `http://127.0.0.1/callback`.
    #[serde(default)]
    pub redirect_uris: Vec<String>,
}

impl EnterpriseConfig {
    #[must_use]
    pub fn new(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            name: None,
            users: 0,
            seed: 0,
            auth: AuthMethod::default(),
            client_id: None,
            client_secret: None,
            public_keys: Vec::new(),
            tracking_codes: false,
            user_tokens: false,
            redirect_uris: Vec::new(),
        }
    }

    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    #[must_use]
    pub const fn users(mut self, users: usize) -> Self {
        self.users = users;
        self
    }

    #[must_use]
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    #[must_use]
    pub const fn auth(mut self, auth: AuthMethod) -> Self {
        self.auth = auth;
        self
    }

    #[must_use]
    pub const fn tracking_codes(mut self) -> Self {
        self.tracking_codes = true;
        self
    }

    #[must_use]
    pub fn credentials(mut self, id: impl Into<String>, secret: impl Into<String>) -> Self {
        self.client_id = Some(id.into());
        self.client_secret = Some(secret.into());
        self
    }

    #[must_use]
    pub fn public_key(mut self, id: impl Into<String>, pem: impl Into<String>) -> Self {
        self.public_keys.push(RegisteredKey { id: id.into(), pem: pem.into() });
        self
    }

    #[must_use]
    pub fn redirect_uri(mut self, uri: impl Into<String>) -> Self {
        self.redirect_uris.push(uri.into());
        self
    }
}
