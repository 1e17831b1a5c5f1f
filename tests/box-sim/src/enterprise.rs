//! The handle of one enterprise for tests and the demo.

use crate::{
    behaviour::Behaviour,
    call_log::{Call, CallCounts},
    clock::Clock,
    keys::{KeyFormat, PASSPHRASE},
    scripted_responses::{EndpointFilter, ScriptedResponse},
    state::{EnterpriseCell, FormerUser},
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

/// Users.
impl Enterprise {
    #[must_use]
    pub fn id(&self) -> &str {
        &self.cell.id
    }

    #[must_use]
    pub fn name(&self) -> String {
        self.cell.lock().name.clone()
    }

    /// All users, sorted by id.
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

    /// Adds a new active user with this name and login; all other fields are generated.
    pub fn add_user(&self, name: &str, login: &str) -> User {
        let user = self.new_user(name, login);
        self.put_user(user.clone());
        user
    }

    /// The same without adding it to the list, for `put_user`.
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

    /// Adds generated users.
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

    /// Adds or replaces exactly this user.
    pub fn put_user(&self, user: User) {
        self.cell.lock().users.upsert(user);
    }

    /// Changes a user, except its id; `None` if there is no user with this id.
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

    /// Removes the user. In Box, deletion and removal from the enterprise look the same.
    pub fn remove_user(&self, id: u64) -> Option<User> {
        self.cell.lock().users.remove(id)
    }

    /// The user leaves the enterprise, to another one or to none, and keeps the account.
    pub fn roll_out_user(&self, id: u64, to_enterprise: Option<&str>) -> Option<User> {
        let mut state = self.cell.lock();
        let user = state.users.remove(id)?;
        let enterprise_id = to_enterprise.map(str::to_owned);
        state.former_users.insert(id, FormerUser { user: user.clone(), enterprise_id });
        Some(user)
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

    /// Switches on "Generate user access tokens" in the developer console.
    pub fn allow_user_tokens(&self) {
        self.cell.lock().app.user_tokens = true;
    }

    /// The unexpired access tokens.
    #[must_use]
    pub fn access_tokens(&self) -> Vec<String> {
        self.cell.lock().app.access_tokens()
    }

    /// The valid refresh token, for `AuthMethod::Oauth2`.
    #[must_use]
    pub fn refresh_token(&self) -> Option<String> {
        self.cell.lock().app.refresh_token.as_ref().map(|(token, _)| token.clone())
    }

    /// The user authorizes the app again: issues a new refresh token and revokes the old one.
    pub fn reauthorize_user(&self) -> String {
        let now = (self.clock)();
        self.cell.lock().app.issue_refresh_token(now)
    }

    /// The user revokes the authorization in Box's account settings, with its refresh token and access tokens.
    pub fn revoke_user_access(&self) {
        self.cell.lock().app.revoke_authorization();
    }

    /// The config.json of Box's developer console, for `AuthMethod::Jwt` with a fixture key pair.
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

    /// The admin revokes the authorization: existing tokens are revoked, new ones are denied.
    pub fn deauthorize_app(&self) {
        let mut state = self.cell.lock();
        state.app.authorized = false;
        state.app.revoke_access_tokens();
    }

    /// The admin authorizes the app again.
    pub fn authorize_app(&self) {
        self.cell.lock().app.authorized = true;
    }

    /// Revokes the issued tokens; new ones can be requested.
    pub fn revoke_tokens(&self) {
        self.cell.lock().app.revoke_access_tokens();
    }

    /// Sets a new client secret. Issued tokens stay valid, as in Box.
    pub fn rotate_secret(&self) -> String {
        let mut state = self.cell.lock();
        state.app.rotate_secret();
        state.app.client_secret.clone()
    }

    /// Registers the other fixture key pair under a new key id and removes the old one, which changes `config_json`.
    pub fn replace_key_pair(&self) {
        let mut state = self.cell.lock();
        if let Some((_, pair)) = state.app.key_pair.clone() {
            state.app.register_key(pair.other());
        }
    }
}

/// Behaviours and settings.
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

    /// Disables all behaviours and clears the queued responses.
    pub fn reset_behaviours(&self) {
        self.cell.lock().reset_behaviours();
    }

    /// The next `times` calls of `endpoints` get this response. Queued responses are served in order.
    pub fn queue_response(&self, times: u32, response: ScriptedResponse, endpoints: EndpointFilter) {
        self.cell.lock().queue_response(times, response, endpoints);
    }

    /// The latency of every response.
    pub fn set_latency(&self, latency: Duration) {
        self.cell.lock().latency = latency;
    }

    /// How far Box's clock is ahead of the simulator's.
    pub fn set_clock_skew(&self, skew: SignedDuration) {
        self.cell.lock().skew = skew;
    }

    /// The lifetime of new access tokens.
    pub fn set_token_lifetime(&self, lifetime: SignedDuration) {
        self.cell.lock().app.token_lifetime = lifetime;
    }

    /// Calls per minute; `None`: no limit.
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
