//! The app of an enterprise: client id and secret, keys, codes and tokens.

use crate::{
    config::{AuthMethod, EnterpriseConfig},
    keys::{KeyPair, PublicKey},
    redirect::RedirectUris,
    rng::{hash_seed, random_alphanumeric},
};
use jiff::{SignedDuration, Timestamp};
use std::collections::HashMap;

/// The lifetime of a refresh token: 60 days.
const REFRESH_LIFETIME: SignedDuration = SignedDuration::from_hours(60 * 24);
/// The lifetime of an authorization code: 30 s.
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
    /// "Generate user access tokens" in the developer console.
    pub(crate) user_tokens: bool,
    /// The valid refresh token, and when it was issued.
    pub(crate) refresh_token: Option<(String, Timestamp)>,
    /// The registered redirect URIs.
    pub(crate) redirects: RedirectUris,
    /// The previous refresh token, until the access token issued for it is used.
    spent_refresh_token: Option<SpentRefreshToken>,
    /// Issued authorization codes that are not used yet.
    codes: HashMap<String, AuthorizationCode>,
    tokens: HashMap<String, AccessToken>,
    /// Used assertions that have not expired.
    used_jtis: HashMap<String, Timestamp>,
    seed: u64,
    issued: u64,
}

struct AccessToken {
    expires: Timestamp,
    /// The user that the token was requested for; `None`: the app's own account, or the authenticated user.
    user: Option<u64>,
    pages_served: u32,
}

struct SpentRefreshToken {
    refresh_token: String,
    access_token: String,
}

/// The authorization request of a code, and when the user granted it.
#[derive(Clone)]
pub(crate) struct AuthorizationCode {
    pub(crate) redirect_uri: Option<String>,
    /// PKCE: the SHA-256 of the verifier.
    pub(crate) code_challenge: Option<String>,
    pub(crate) issued_at: Timestamp,
}

/// The state of a bearer token.
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
            // About an hour, like Box.
            token_lifetime: SignedDuration::from_secs(3_912),
            user_tokens: spec.user_tokens,
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

    /// Registers this key pair under a new key id, as the only one.
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

    /// Issues the next refresh token. Until the access token issued with it is used, a lenient Box still accepts the
    /// previous refresh token.
    pub(crate) fn rotate_refresh_token(&mut self, given: &str, access: &str, now: Timestamp) -> String {
        let next = self.issue_refresh_token(now);
        self.spent_refresh_token =
            Some(SpentRefreshToken { refresh_token: given.to_owned(), access_token: access.to_owned() });
        next
    }

    /// Whether this is the last spent refresh token and the access token issued for it is unused.
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

    /// Removes the code: it can be used only once, even if the exchange fails.
    pub(crate) fn take_code(&mut self, code: &str) -> Option<AuthorizationCode> {
        self.codes.remove(code)
    }

    pub(crate) fn is_refresh_token_expired(&self, now: Timestamp) -> bool {
        self.refresh_token.as_ref().is_some_and(|(_, made)| now.duration_since(*made) >= REFRESH_LIFETIME)
    }

    pub(crate) fn issue_access_token(&mut self, user: Option<u64>, now: Timestamp, lifetime: SignedDuration) -> String {
        self.tokens.retain(|_, token| token.expires > now);
        let token = self.random_string(32);
        self.tokens.insert(token.clone(), AccessToken { expires: now + lifetime, user, pages_served: 0 });
        token
    }

    pub(crate) fn access_tokens(&self) -> Vec<String> {
        self.tokens.keys().cloned().collect()
    }

    /// Whether the token was issued here, even if it has expired.
    pub(crate) fn has_access_token(&self, token: &str) -> bool {
        self.tokens.contains_key(token)
    }

    pub(crate) fn token_status(&self, token: &str, now: Timestamp) -> TokenStatus {
        match self.tokens.get(token) {
            Some(token) if self.authorized && token.expires > now => TokenStatus::Valid { pages: token.pages_served },
            _ => TokenStatus::Invalid,
        }
    }

    /// The user that this token was requested for.
    pub(crate) fn token_user(&self, token: &str) -> Option<u64> {
        self.tokens.get(token)?.user
    }

    /// Records a call with this token.
    pub(crate) fn mark_used(&mut self, token: &str) {
        self.spent_refresh_token.take_if(|spent| spent.access_token == token);
    }

    pub(crate) fn count_page(&mut self, token: &str) {
        if let Some(token) = self.tokens.get_mut(token) {
            token.pages_served += 1;
        }
    }

    /// Revokes all access tokens.
    pub(crate) fn revoke_access_tokens(&mut self) {
        for token in self.tokens.values_mut() {
            token.expires = Timestamp::MIN;
        }
    }

    /// Revokes this access token.
    pub(crate) fn revoke_access_token(&mut self, token: &str) {
        self.tokens.remove(token);
    }

    /// Revokes the user's authorization and all of its tokens.
    pub(crate) fn revoke_authorization(&mut self) {
        (self.refresh_token, self.spent_refresh_token) = (None, None);
        self.codes.clear();
        self.revoke_access_tokens();
    }

    /// False if the assertion was already used.
    pub(crate) fn record_jti(&mut self, jti: &str, expires: Timestamp, now: Timestamp) -> bool {
        self.used_jtis.retain(|_, until| *until >= now);
        self.used_jtis.insert(jti.to_owned(), expires).is_none()
    }
}
