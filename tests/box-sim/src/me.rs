//! GET /2.0/users/me: who the credentials act as, and for which enterprise.

use crate::{
    ask::Ask,
    behaviour::Behaviour,
    dice::{letters, seed_of},
    fields::{Belongs, FieldSet, Writer},
    reply::Reply,
    spec::Auth,
    state::State,
    user::User,
};
use http::StatusCode;

pub(crate) fn answer(ask: &Ask, state: &State) -> Reply {
    let belongs =
        match (state.behaviours.has(Behaviour::NoEnterprise), state.behaviours.has(Behaviour::OtherEnterprise)) {
            (true, _) => Belongs::Nowhere,
            (false, true) => Belongs::To { id: "999999", name: "Somebody Else" },
            (false, false) => Belongs::To { id: &state.id, name: &state.name },
        };
    let writer = Writer { fields: FieldSet::asked(ask.param("fields")), behaviours: state.behaviours, belongs };
    let mut body = Vec::new();
    writer.write(&account(state), &mut body);
    Reply::new(StatusCode::OK, "application/json", body)
}

/// Server credentials act as a service account, which is in no list of users; OAuth acts as the user who logged in.
fn account(state: &State) -> User {
    let seed = seed_of(&state.id);
    let mut user = User::made_up(seed, 0, 10_000_000_000 + seed % 9_999_999_999, "example.com");
    "active".clone_into(&mut user.status);
    match state.app.auth {
        Auth::ClientCredentials | Auth::Jwt => {
            "Boxsync Service Account".clone_into(&mut user.name);
            user.login = format!("AutomationUser_{}_{}@boxdevedition.com", 100_000 + seed % 900_000, letters(seed, 10));
            "user".clone_into(&mut user.role);
        }
        Auth::Oauth2 => {
            user.login = format!("admin@{}.example", state.id);
            "admin".clone_into(&mut user.role);
        }
    }
    user
}
