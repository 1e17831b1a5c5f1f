//! The handle of one enterprise: what a test or the demo does to it, and what it can look up.

use crate::{
    behaviour::Behaviour,
    call_log::{Call, CallCounts},
    clock::Clock,
    keys::{KeyFormat, PASSPHRASE},
    scripted_responses::{EndpointFilter, ScriptedResponse},
    state::EnterpriseCell,
    user::User,
};
use jiff::SignedDuration;
use serde_json::json;
use std::{sync::Arc, time::Duration};

/// One enterprise of a `BoxSim`; clones are the same enterprise.
#[derive(Clone)]
pub struct Enterprise {
    pub(crate) cell: Arc<EnterpriseCell>,
    pub(crate) clock: Clock,
}

/// Users: what is true in Box from now on.
impl Enterprise {
    #[must_use]
    pub fn id(&self) -> &str {
        &self.cell.id
    }

    #[must_use]
    pub fn name(&self) -> String {
        self.cell.lock().name.clone()
    }

    /// The true list, sorted by id.
    #[must_use]
    pub fn users(&self) -> Vec<User> {
        self.cell.lock().users.all_users()
    }

    #[must_use]
    pub fn get_user(&self, id: u64) -> Option<User> {
        self.cell.lock().users.get(id)
    }

    #[must_use]
    pub fn user_count(&self) -> usize {
        self.cell.lock().users.len()
    }

    /// A new active user with this name and login; everything else is made up.
    pub fn add_user(&self, name: &str, login: &str) -> User {
        let user = self.new_user(name, login);
        self.put_user(user.clone());
        user
    }

    /// The same, but not in the list yet: for `put`.
    #[must_use]
    pub fn new_user(&self, name: &str, login: &str) -> User {
        let now = (self.clock)();
        User {
            name: name.to_owned(),
            login: login.to_owned(),
            status: "active".to_owned(),
            role: "user".to_owned(),
            app: false,
            external_app_user_id: None,
            created_at: now,
            modified_at: now,
            ..self.cell.lock().users.generate_user()
        }
    }

    /// So many made-up users more.
    pub fn add_users(&self, count: usize) -> Vec<User> {
        let mut state = self.cell.lock();
        let made: Vec<User> = (0..count)
            .map(|_| {
                let user = state.users.generate_user();
                state.users.upsert(user.clone());
                user
            })
            .collect();
        made
    }

    /// Puts exactly this user into the list: somebody who returns, or a user with every field chosen.
    pub fn put_user(&self, user: User) {
        self.cell.lock().users.upsert(user);
    }

    /// Changes a user; `None` if there is nobody with this id. The id itself stays.
    pub fn update_user(&self, id: u64, change: impl FnOnce(&mut User)) -> Option<User> {
        let now = (self.clock)();
        let mut state = self.cell.lock();
        let mut user = state.users.get(id)?;
        user.modified_at = now;
        change(&mut user);
        user.id = id;
        state.users.upsert(user.clone());
        Some(user)
    }

    pub fn deactivate_user(&self, id: u64) -> Option<User> {
        self.update_user(id, |user| "inactive".clone_into(&mut user.status))
    }

    /// Deletes the user, or rolls them out of the enterprise: Box shows no difference.
    pub fn remove_user(&self, id: u64) -> Option<User> {
        self.cell.lock().users.remove(id)
    }
}

/// The app and its credentials.
impl Enterprise {
    #[must_use]
    pub fn client_id(&self) -> String {
        self.cell.lock().app.client_id.clone()
    }

    #[must_use]
    pub fn client_secret(&self) -> String {
        self.cell.lock().app.client_secret.clone()
    }

    /// The access tokens that were handed out and have not reached their end.
    #[must_use]
    pub fn access_tokens(&self) -> Vec<String> {
        self.cell.lock().app.access_tokens()
    }

    /// The refresh token that works at the moment: for `Auth::Oauth2`.
    #[must_use]
    pub fn refresh_token(&self) -> Option<String> {
        self.cell.lock().app.refresh_token.as_ref().map(|(token, _)| token.clone())
    }

    /// A user goes through the authorize page again: a new refresh token, the old one stops working.
    pub fn reauthorize_user(&self) -> String {
        let now = (self.clock)();
        self.cell.lock().app.issue_refresh_token(now)
    }

    /// The user ends the authorization in Box's account settings: its refresh token and its access tokens stop working.
    pub fn revoke_user_access(&self) {
        self.cell.lock().app.revoke_authorization();
    }

    /// The file that Box's developer console hands out: for `Auth::Jwt` with a key pair of the fixtures.
    #[must_use]
    pub fn config_json(&self, format: KeyFormat) -> Option<String> {
        let state = self.cell.lock();
        let (kid, pair) = state.app.key_pair.as_ref()?;
        let file = json!({
            "boxAppSettings": {
                "clientID": state.app.client_id,
                "clientSecret": state.app.client_secret,
                "appAuth": {"publicKeyID": kid, "privateKey": pair.private_pem(format), "passphrase": PASSPHRASE},
            },
            "enterpriseID": state.id,
        });
        Some(format!("{file:#}\n"))
    }

    /// The admin withdraws the authorization: existing tokens stop working, new ones are refused.
    pub fn deauthorize_app(&self) {
        let mut state = self.cell.lock();
        state.app.authorized = false;
        state.app.revoke_access_tokens();
    }

    /// The admin authorizes the app again.
    pub fn authorize_app(&self) {
        self.cell.lock().app.authorized = true;
    }

    /// Tokens that were handed out stop working; new ones can be had.
    pub fn revoke_tokens(&self) {
        self.cell.lock().app.revoke_access_tokens();
    }

    /// A new client secret. Tokens that were handed out go on working, as at Box.
    pub fn rotate_secret(&self) -> String {
        let mut state = self.cell.lock();
        state.app.rotate_secret();
        state.app.client_secret.clone()
    }

    /// Registers the other key pair of the fixtures under a new key id and removes the old one: `config_json` is another one now.
    pub fn replace_key_pair(&self) {
        let mut state = self.cell.lock();
        if let Some((_, pair)) = state.app.key_pair.clone() {
            state.app.register_key(pair.other());
        }
    }
}

/// How Box behaves towards this enterprise.
impl Enterprise {
    pub fn enable_behaviour(&self, behaviour: Behaviour) {
        self.cell.lock().behaviours.insert(behaviour);
    }

    pub fn disable_behaviour(&self, behaviour: Behaviour) {
        self.cell.lock().behaviours.remove(behaviour);
    }

    #[must_use]
    pub fn enabled_behaviours(&self) -> Vec<Behaviour> {
        self.cell.lock().behaviours.iter().collect()
    }

    /// Switches every behaviour off and forgets the ordered answers.
    pub fn reset_behaviours(&self) {
        self.cell.lock().reset_behaviours();
    }

    /// The next `times` calls that `on` covers are answered like this. Orders are served in turn.
    pub fn queue_response(&self, times: u32, response: ScriptedResponse, endpoints: EndpointFilter) {
        self.cell.lock().queue_response(times, response, endpoints);
    }

    /// Every answer takes this long.
    pub fn set_latency(&self, latency: Duration) {
        self.cell.lock().latency = latency;
    }

    /// How far the servers' clock is ahead of the simulator's.
    pub fn set_clock_skew(&self, skew: SignedDuration) {
        self.cell.lock().skew = skew;
    }

    /// What `expires_in` says of tokens from now on.
    pub fn set_token_lifetime(&self, lifetime: SignedDuration) {
        self.cell.lock().app.token_lifetime = lifetime;
    }

    /// Calls a minute; `None`: no limit.
    pub fn set_rate_limit(&self, calls_a_minute: Option<u32>) {
        self.cell.lock().rate_limiter.per_minute = calls_a_minute;
    }

    #[must_use]
    pub fn call_counts(&self) -> CallCounts {
        self.cell.lock().call_log.counts.clone()
    }

    /// The newest calls, oldest first, without any secret.
    #[must_use]
    pub fn recent_calls(&self) -> Vec<Call> {
        self.cell.lock().call_log.recent_calls()
    }

    pub fn clear_calls(&self) {
        self.cell.lock().call_log.clear();
    }
}
