//! GET /2.0/users/me: the user and the enterprise of the credentials.

use crate::{
    behaviour::Behaviour,
    config::AuthMethod,
    fields::{EnterpriseValue, FieldSet, UserWriter},
    request::BoxRequest,
    response::BoxResponse,
    rng::{hash_seed, random_alphanumeric},
    state::EnterpriseState,
    user::User,
};
use http::StatusCode;

pub(crate) fn handle_current_user(request: &BoxRequest, state: &EnterpriseState) -> BoxResponse {
    let enterprise = match (
        state.behaviours.contains(Behaviour::NoEnterprise),
        state.behaviours.contains(Behaviour::OtherEnterprise),
    ) {
        (true, _) => EnterpriseValue::Null,
        (false, true) => EnterpriseValue::Present { id: "999999", name: "Somebody Else" },
        (false, false) => EnterpriseValue::Present { id: &state.id, name: &state.name },
    };
    let writer = UserWriter {
        fields: FieldSet::from_query(request.query_param("fields")),
        behaviours: state.behaviours,
        enterprise,
    };
    let mut body = Vec::new();
    let bearer = request.bearer.as_deref().unwrap_or_default();
    writer.write_user(&token_user(state, bearer).unwrap_or_else(|| current_user(state)), &mut body);
    BoxResponse::new(StatusCode::OK, "application/json", body)
}

/// Whether the account of this token may read the users of the enterprise.
pub(crate) fn may_read_users(state: &EnterpriseState, bearer: &str) -> bool {
    match state.app.token_user(bearer) {
        None => true,
        Some(id) => state.users.get(id).is_some_and(|user| matches!(user.role.as_str(), "admin" | "coadmin")),
    }
}

/// The user that the token was requested for.
fn token_user(state: &EnterpriseState, bearer: &str) -> Option<User> {
    state.users.get(state.app.token_user(bearer)?)
}

/// Server credentials act as a service account, which is not in the list of users; OAuth acts as the authenticated user.
fn current_user(state: &EnterpriseState) -> User {
    let seed = hash_seed(&state.id);
    let mut user = User::generate(seed, 0, 10_000_000_000 + seed % 9_999_999_999, "example.com");
    "active".clone_into(&mut user.status);
    match state.app.auth {
        AuthMethod::ClientCredentials | AuthMethod::Jwt => {
            "Boxsync Service Account".clone_into(&mut user.name);
            user.login = format!(
                "AutomationUser_{}_{}@boxdevedition.com",
                100_000 + seed % 900_000,
                random_alphanumeric(seed, 10)
            );
            "user".clone_into(&mut user.role);
        }
        AuthMethod::Oauth2 => {
            user.login = format!("admin@{}.example", state.id);
            "admin".clone_into(&mut user.role);
        }
    }
    user
}
