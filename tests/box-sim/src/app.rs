//! The app of an enterprise: its client id and secret, its keys, and the codes and tokens it was given.

use crate::{
    config::{AuthMethod, EnterpriseConfig},
    keys::{KeyPair, PublicKey},
    redirect::RedirectUris,
    rng::{hash_seed, random_alphanumeric},
};
use jiff::{SignedDuration, Timestamp};
use std::collections::HashMap;

/// A refresh token lives for 60 days.
const REFRESH_LIFETIME: SignedDuration = SignedDuration::from_hours(60 * 24);
/// A code of the authorize page lives for 30 s.
const CODE_LIFETIME: SignedDuration = SignedDuration::from_secs(30);

pub(crate) struct App {
    pub(crate) auth: AuthMethod,
    pub(crate) client_id: String,
    pub(crate) client_secret: String,
    /// Whether an admin authorized the app for this enterprise.
    pub(crate) authorized: bool,
    /// By key id.
    pub(crate) keys: Vec<(String, PublicKey)>,
    /// The fixture among `keys`, if one is registered.
    pub(crate) key_pair: Option<(String, KeyPair)>,
    pub(crate) token_lifetime: SignedDuration,
    /// The one refresh token that still works, and when it was made.
    pub(crate) refresh_token: Option<(String, Timestamp)>,
    /// Where the authorize page may send a user back to.
    pub(crate) redirects: RedirectUris,
    /// The refresh token before that one, until the access token that it was worth is used.
    spent_refresh_token: Option<SpentRefreshToken>,
    /// Handed out by the authorize page, each until it is used.
    codes: HashMap<String, AuthorizationCode>,
    tokens: HashMap<String, AccessToken>,
    /// Assertions that were used, until they expire by themselves.
    used_jtis: HashMap<String, Timestamp>,
    seed: u64,
    issued: u64,
}

struct AccessToken {
    expires: Timestamp,
    pages_served: u32,
}

struct SpentRefreshToken {
    refresh_token: String,
    access_token: String,
}

/// What the authorize page was asked with, and when the user agreed.
#[derive(Clone)]
pub(crate) struct AuthorizationCode {
    pub(crate) redirect_uri: Option<String>,
    /// PKCE: the SHA-256 of the verifier that is to come with the code.
    pub(crate) code_challenge: Option<String>,
    pub(crate) issued_at: Timestamp,
}

/// What a bearer token is worth.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenStatus {
    Valid { pages: u32 },
    Invalid,
}

impl AuthorizationCode {
    pub(crate) fn is_expired(&self, now: Timestamp) -> bool {
        now.duration_since(self.issued_at) >= CODE_LIFETIME
    }
}

impl App {
    pub(crate) fn new(spec: &EnterpriseConfig, now: Timestamp) -> Self {
        let seed = hash_seed(&spec.id);
        let mut app = Self {
            auth: spec.auth,
            client_id: spec.client_id.clone().unwrap_or_else(|| random_alphanumeric(seed ^ 1, 32)),
            client_secret: spec.client_secret.clone().unwrap_or_else(|| random_alphanumeric(seed ^ 2, 32)),
            authorized: true,
            keys: Vec::new(),
            key_pair: None,
            // About an hour, as Box has it, not exactly.
            token_lifetime: SignedDuration::from_secs(3_912),
            refresh_token: None,
            redirects: RedirectUris::new(&spec.redirect_uris),
            spent_refresh_token: None,
            codes: HashMap::new(),
            tokens: HashMap::new(),
            used_jtis: HashMap::new(),
            seed,
            issued: 0,
        };
        match spec.auth {
            AuthMethod::ClientCredentials => {}
            AuthMethod::Jwt if spec.public_keys.is_empty() => app.register_key(KeyPair::First),
            AuthMethod::Jwt => {
                app.keys = spec
                    .public_keys
                    .iter()
                    .filter_map(|key| Some((key.id.clone(), PublicKey::from_pem(&key.pem)?)))
                    .collect();
            }
            AuthMethod::Oauth2 => {
                app.issue_refresh_token(now);
            }
        }
        app
    }

    fn random_string(&mut self, len: usize) -> String {
        self.issued += 1;
        random_alphanumeric(self.seed ^ (self.issued << 8), len)
    }

    /// From now on this pair, under a new key id, is the only one registered.
    pub(crate) fn register_key(&mut self, pair: KeyPair) {
        let id = self.random_string(8).to_lowercase();
        self.keys = PublicKey::from_pem(pair.public_pem()).map(|key| (id.clone(), key)).into_iter().collect();
        self.key_pair = Some((id, pair));
    }

    pub(crate) fn rotate_secret(&mut self) {
        self.client_secret = self.random_string(32);
    }

    pub(crate) fn issue_refresh_token(&mut self, now: Timestamp) -> String {
        let token = self.random_string(64);
        (self.refresh_token, self.spent_refresh_token) = (Some((token.clone(), now)), None);
        token
    }

    /// The next refresh token. `access` is the access token that goes with it: until that is used, a lenient Box still
    /// takes the refresh token that was given.
    pub(crate) fn rotate_refresh_token(&mut self, given: &str, access: &str, now: Timestamp) -> String {
        let next = self.issue_refresh_token(now);
        self.spent_refresh_token =
            Some(SpentRefreshToken { refresh_token: given.to_owned(), access_token: access.to_owned() });
        next
    }

    /// Whether this is the refresh token that was spent last, and nobody has used what it was worth.
    pub(crate) fn is_refresh_token_reusable(&self, refresh: &str) -> bool {
        self.spent_refresh_token.as_ref().is_some_and(|spent| spent.refresh_token == refresh)
    }

    pub(crate) fn issue_code(&mut self, code: AuthorizationCode) -> String {
        let name = self.random_string(32);
        self.codes.insert(name.clone(), code);
        name
    }

    pub(crate) fn has_code(&self, code: &str) -> bool {
        self.codes.contains_key(code)
    }

    /// A code is good once, whatever comes of it.
    pub(crate) fn take_code(&mut self, code: &str) -> Option<AuthorizationCode> {
        self.codes.remove(code)
    }

    pub(crate) fn is_refresh_token_expired(&self, now: Timestamp) -> bool {
        self.refresh_token.as_ref().is_some_and(|(_, made)| now.duration_since(*made) >= REFRESH_LIFETIME)
    }

    pub(crate) fn issue_access_token(&mut self, now: Timestamp, lifetime: SignedDuration) -> String {
        self.tokens.retain(|_, token| token.expires > now);
        let token = self.random_string(32);
        self.tokens.insert(token.clone(), AccessToken { expires: now + lifetime, pages_served: 0 });
        token
    }

    pub(crate) fn access_tokens(&self) -> Vec<String> {
        self.tokens.keys().cloned().collect()
    }

    /// Whether the token was handed out here, even if it has expired since.
    pub(crate) fn has_access_token(&self, token: &str) -> bool {
        self.tokens.contains_key(token)
    }

    pub(crate) fn token_status(&self, token: &str, now: Timestamp) -> TokenStatus {
        match self.tokens.get(token) {
            Some(token) if self.authorized && token.expires > now => TokenStatus::Valid { pages: token.pages_served },
            _ => TokenStatus::Invalid,
        }
    }

    /// A call was answered for this token.
    pub(crate) fn mark_used(&mut self, token: &str) {
        self.spent_refresh_token.take_if(|spent| spent.access_token == token);
    }

    pub(crate) fn count_page(&mut self, token: &str) {
        if let Some(token) = self.tokens.get_mut(token) {
            token.pages_served += 1;
        }
    }

    /// No token that was handed out works any longer.
    pub(crate) fn revoke_access_tokens(&mut self) {
        for token in self.tokens.values_mut() {
            token.expires = Timestamp::MIN;
        }
    }

    /// This one stops working.
    pub(crate) fn revoke_access_token(&mut self, token: &str) {
        self.tokens.remove(token);
    }

    /// The user's authorization ends, with every token that it was worth.
    pub(crate) fn revoke_authorization(&mut self) {
        (self.refresh_token, self.spent_refresh_token) = (None, None);
        self.codes.clear();
        self.revoke_access_tokens();
    }

    /// False if the assertion was used before.
    pub(crate) fn record_jti(&mut self, jti: &str, expires: Timestamp, now: Timestamp) -> bool {
        self.used_jtis.retain(|_, until| *until >= now);
        self.used_jtis.insert(jti.to_owned(), expires).is_none()
    }
}
