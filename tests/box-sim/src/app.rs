//! The app of an enterprise: its client id and secret, its keys, and the codes and tokens it was given.

use crate::{
    dice::{letters, seed_of},
    keys::{KeyPair, PublicKey},
    redirect::Redirects,
    spec::{Auth, EnterpriseSpec},
};
use jiff::{SignedDuration, Timestamp};
use std::collections::HashMap;

/// A refresh token lives for 60 days.
const REFRESH_LIFETIME: SignedDuration = SignedDuration::from_hours(60 * 24);
/// A code of the authorize page lives for 30 s.
const CODE_LIFETIME: SignedDuration = SignedDuration::from_secs(30);

pub(crate) struct App {
    pub(crate) auth: Auth,
    pub(crate) client_id: String,
    pub(crate) client_secret: String,
    /// Whether an admin authorized the app for this enterprise.
    pub(crate) authorized: bool,
    /// By key id.
    pub(crate) keys: Vec<(String, PublicKey)>,
    /// The fixture among `keys`, if one is registered.
    pub(crate) pair: Option<(String, KeyPair)>,
    pub(crate) token_lifetime: SignedDuration,
    /// The one refresh token that still works, and when it was made.
    pub(crate) refresh: Option<(String, Timestamp)>,
    /// Where the authorize page may send a user back to.
    pub(crate) redirects: Redirects,
    /// The refresh token before that one, until the access token that it was worth is used.
    spent: Option<Spent>,
    /// Handed out by the authorize page, each until it is used.
    codes: HashMap<String, Code>,
    tokens: HashMap<String, Token>,
    /// Assertions that were used, until they expire by themselves.
    jtis: HashMap<String, Timestamp>,
    seed: u64,
    made: u64,
}

struct Token {
    expires: Timestamp,
    pages: u32,
}

struct Spent {
    refresh: String,
    access: String,
}

/// What the authorize page was asked with, and when the user agreed.
#[derive(Clone)]
pub(crate) struct Code {
    pub(crate) redirect_uri: Option<String>,
    /// PKCE: the SHA-256 of the verifier that is to come with the code.
    pub(crate) challenge: Option<String>,
    pub(crate) made: Timestamp,
}

/// What a bearer token is worth.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Worth {
    Good { pages: u32 },
    Nothing,
}

impl Code {
    pub(crate) fn expired(&self, now: Timestamp) -> bool {
        now.duration_since(self.made) >= CODE_LIFETIME
    }
}

impl App {
    pub(crate) fn new(spec: &EnterpriseSpec, now: Timestamp) -> Self {
        let seed = seed_of(&spec.id);
        let mut app = Self {
            auth: spec.auth,
            client_id: spec.client_id.clone().unwrap_or_else(|| letters(seed ^ 1, 32)),
            client_secret: spec.client_secret.clone().unwrap_or_else(|| letters(seed ^ 2, 32)),
            authorized: true,
            keys: Vec::new(),
            pair: None,
            // About an hour, as Box has it, not exactly.
            token_lifetime: SignedDuration::from_secs(3_912),
            refresh: None,
            redirects: Redirects::of(&spec.redirect_uris),
            spent: None,
            codes: HashMap::new(),
            tokens: HashMap::new(),
            jtis: HashMap::new(),
            seed,
            made: 0,
        };
        match spec.auth {
            Auth::ClientCredentials => {}
            Auth::Jwt if spec.public_keys.is_empty() => app.register(KeyPair::First),
            Auth::Jwt => {
                app.keys = spec
                    .public_keys
                    .iter()
                    .filter_map(|key| Some((key.id.clone(), PublicKey::from_pem(&key.pem)?)))
                    .collect();
            }
            Auth::Oauth2 => {
                app.renew_refresh_token(now);
            }
        }
        app
    }

    fn letters(&mut self, len: usize) -> String {
        self.made += 1;
        letters(self.seed ^ (self.made << 8), len)
    }

    /// From now on this pair, under a new key id, is the only one registered.
    pub(crate) fn register(&mut self, pair: KeyPair) {
        let id = self.letters(8).to_lowercase();
        self.keys = PublicKey::from_pem(pair.public_pem()).map(|key| (id.clone(), key)).into_iter().collect();
        self.pair = Some((id, pair));
    }

    pub(crate) fn rotate_secret(&mut self) {
        self.client_secret = self.letters(32);
    }

    pub(crate) fn renew_refresh_token(&mut self, now: Timestamp) -> String {
        let token = self.letters(64);
        (self.refresh, self.spent) = (Some((token.clone(), now)), None);
        token
    }

    /// The next refresh token. `access` is the access token that goes with it: until that is used, a lenient Box still
    /// takes the refresh token that was given.
    pub(crate) fn refreshed(&mut self, given: &str, access: &str, now: Timestamp) -> String {
        let next = self.renew_refresh_token(now);
        self.spent = Some(Spent { refresh: given.to_owned(), access: access.to_owned() });
        next
    }

    /// Whether this is the refresh token that was spent last, and nobody has used what it was worth.
    pub(crate) fn spent_unused(&self, refresh: &str) -> bool {
        self.spent.as_ref().is_some_and(|spent| spent.refresh == refresh)
    }

    pub(crate) fn code(&mut self, code: Code) -> String {
        let name = self.letters(32);
        self.codes.insert(name.clone(), code);
        name
    }

    pub(crate) fn knows_code(&self, code: &str) -> bool {
        self.codes.contains_key(code)
    }

    /// A code is good once, whatever comes of it.
    pub(crate) fn take_code(&mut self, code: &str) -> Option<Code> {
        self.codes.remove(code)
    }

    pub(crate) fn refresh_token_expired(&self, now: Timestamp) -> bool {
        self.refresh.as_ref().is_some_and(|(_, made)| now.duration_since(*made) >= REFRESH_LIFETIME)
    }

    pub(crate) fn token(&mut self, now: Timestamp, lifetime: SignedDuration) -> String {
        self.tokens.retain(|_, token| token.expires > now);
        let token = self.letters(32);
        self.tokens.insert(token.clone(), Token { expires: now + lifetime, pages: 0 });
        token
    }

    pub(crate) fn access_tokens(&self) -> Vec<String> {
        self.tokens.keys().cloned().collect()
    }

    /// Whether the token was handed out here, even if it has expired since.
    pub(crate) fn knows(&self, token: &str) -> bool {
        self.tokens.contains_key(token)
    }

    pub(crate) fn worth(&self, token: &str, now: Timestamp) -> Worth {
        match self.tokens.get(token) {
            Some(token) if self.authorized && token.expires > now => Worth::Good { pages: token.pages },
            _ => Worth::Nothing,
        }
    }

    /// A call was answered for this token.
    pub(crate) fn used(&mut self, token: &str) {
        self.spent.take_if(|spent| spent.access == token);
    }

    pub(crate) fn page_given(&mut self, token: &str) {
        if let Some(token) = self.tokens.get_mut(token) {
            token.pages += 1;
        }
    }

    /// No token that was handed out works any longer.
    pub(crate) fn revoke(&mut self) {
        for token in self.tokens.values_mut() {
            token.expires = Timestamp::MIN;
        }
    }

    /// This one stops working.
    pub(crate) fn forget(&mut self, token: &str) {
        self.tokens.remove(token);
    }

    /// The user's authorization ends, with every token that it was worth.
    pub(crate) fn end_authorization(&mut self) {
        (self.refresh, self.spent) = (None, None);
        self.codes.clear();
        self.revoke();
    }

    /// False if the assertion was used before.
    pub(crate) fn first_use(&mut self, jti: &str, expires: Timestamp, now: Timestamp) -> bool {
        self.jtis.retain(|_, until| *until >= now);
        self.jtis.insert(jti.to_owned(), expires).is_none()
    }
}
