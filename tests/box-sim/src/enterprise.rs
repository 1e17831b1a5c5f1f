//! The handle of one enterprise: what a test or the demo does to it, and what it can look up.

use crate::{
    answer::{Answer, On},
    behaviour::Behaviour,
    calls::{Call, Calls},
    clock::Clock,
    keys::{KeyFormat, PASSPHRASE},
    state::Cell,
    user::User,
};
use jiff::SignedDuration;
use serde_json::json;
use std::{sync::Arc, time::Duration};

/// One enterprise of a `BoxSim`; clones are the same enterprise.
#[derive(Clone)]
pub struct Enterprise {
    pub(crate) cell: Arc<Cell>,
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
        self.cell.state().name.clone()
    }

    /// The true list, sorted by id.
    #[must_use]
    pub fn users(&self) -> Vec<User> {
        self.cell.state().list.users()
    }

    #[must_use]
    pub fn user(&self, id: u64) -> Option<User> {
        self.cell.state().list.get(id)
    }

    #[must_use]
    pub fn user_count(&self) -> usize {
        self.cell.state().list.len()
    }

    /// A new active user with this name and login; everything else is made up.
    pub fn add_user(&self, name: &str, login: &str) -> User {
        let user = self.new_user(name, login);
        self.put(user.clone());
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
            ..self.cell.state().list.make_up()
        }
    }

    /// So many made-up users more.
    pub fn add_users(&self, count: usize) -> Vec<User> {
        let mut state = self.cell.state();
        let made: Vec<User> = (0..count)
            .map(|_| {
                let user = state.list.make_up();
                state.list.put(user.clone());
                user
            })
            .collect();
        made
    }

    /// Puts exactly this user into the list: somebody who returns, or a user with every field chosen.
    pub fn put(&self, user: User) {
        self.cell.state().list.put(user);
    }

    /// Changes a user; `None` if there is nobody with this id. The id itself stays.
    pub fn edit(&self, id: u64, change: impl FnOnce(&mut User)) -> Option<User> {
        let now = (self.clock)();
        let mut state = self.cell.state();
        let mut user = state.list.get(id)?;
        user.modified_at = now;
        change(&mut user);
        user.id = id;
        state.list.put(user.clone());
        Some(user)
    }

    pub fn deactivate(&self, id: u64) -> Option<User> {
        self.edit(id, |user| "inactive".clone_into(&mut user.status))
    }

    /// Deletes the user, or rolls them out of the enterprise: Box shows no difference.
    pub fn remove_user(&self, id: u64) -> Option<User> {
        self.cell.state().list.remove(id)
    }
}

/// The app and its credentials.
impl Enterprise {
    #[must_use]
    pub fn client_id(&self) -> String {
        self.cell.state().app.client_id.clone()
    }

    #[must_use]
    pub fn client_secret(&self) -> String {
        self.cell.state().app.client_secret.clone()
    }

    /// The access tokens that were handed out and have not reached their end.
    #[must_use]
    pub fn access_tokens(&self) -> Vec<String> {
        self.cell.state().app.access_tokens()
    }

    /// The refresh token that works at the moment: for `Auth::Oauth2`.
    #[must_use]
    pub fn refresh_token(&self) -> Option<String> {
        self.cell.state().app.refresh.as_ref().map(|(token, _)| token.clone())
    }

    /// A user goes through the authorize page again: a new refresh token, the old one stops working.
    pub fn authorize_again(&self) -> String {
        let now = (self.clock)();
        self.cell.state().app.renew_refresh_token(now)
    }

    /// The user ends the authorization in Box's account settings: its refresh token and its access tokens stop working.
    pub fn user_withdraws(&self) {
        self.cell.state().app.end_authorization();
    }

    /// The file that Box's developer console hands out: for `Auth::Jwt` with a key pair of the fixtures.
    #[must_use]
    pub fn config_json(&self, format: KeyFormat) -> Option<String> {
        let state = self.cell.state();
        let (kid, pair) = state.app.pair.as_ref()?;
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
    pub fn withdraw(&self) {
        let mut state = self.cell.state();
        state.app.authorized = false;
        state.app.revoke();
    }

    /// The admin authorizes the app again.
    pub fn grant(&self) {
        self.cell.state().app.authorized = true;
    }

    /// Tokens that were handed out stop working; new ones can be had.
    pub fn revoke_tokens(&self) {
        self.cell.state().app.revoke();
    }

    /// A new client secret. Tokens that were handed out go on working, as at Box.
    pub fn rotate_secret(&self) -> String {
        let mut state = self.cell.state();
        state.app.rotate_secret();
        state.app.client_secret.clone()
    }

    /// Registers the other key pair of the fixtures under a new key id and removes the old one: `config_json` is another one now.
    pub fn replace_key_pair(&self) {
        let mut state = self.cell.state();
        if let Some((_, pair)) = state.app.pair.clone() {
            state.app.register(pair.other());
        }
    }
}

/// How Box behaves towards this enterprise.
impl Enterprise {
    pub fn behave(&self, behaviour: Behaviour) {
        self.cell.state().behaviours.add(behaviour);
    }

    pub fn behave_no_longer(&self, behaviour: Behaviour) {
        self.cell.state().behaviours.remove(behaviour);
    }

    #[must_use]
    pub fn behaviours(&self) -> Vec<Behaviour> {
        self.cell.state().behaviours.iter().collect()
    }

    /// Switches every behaviour off and forgets the ordered answers.
    pub fn normal(&self) {
        self.cell.state().normal();
    }

    /// The next `times` calls that `on` covers are answered like this. Orders are served in turn.
    pub fn next(&self, times: u32, answer: Answer, on: On) {
        self.cell.state().order(times, answer, on);
    }

    /// Every answer takes this long.
    pub fn latency(&self, latency: Duration) {
        self.cell.state().latency = latency;
    }

    /// How far the servers' clock is ahead of the simulator's.
    pub fn skew(&self, skew: SignedDuration) {
        self.cell.state().skew = skew;
    }

    /// What `expires_in` says of tokens from now on.
    pub fn token_lifetime(&self, lifetime: SignedDuration) {
        self.cell.state().app.token_lifetime = lifetime;
    }

    /// Calls a minute; `None`: no limit.
    pub fn rate_limit(&self, calls_a_minute: Option<u32>) {
        self.cell.state().rate.a_minute = calls_a_minute;
    }

    #[must_use]
    pub fn calls(&self) -> Calls {
        self.cell.state().log.calls.clone()
    }

    /// The newest calls, oldest first, without any secret.
    #[must_use]
    pub fn seen(&self) -> Vec<Call> {
        self.cell.state().log.seen()
    }

    pub fn forget_calls(&self) {
        self.cell.state().log.forget();
    }
}
