//! POST /oauth2/revoke: a token, and every other that the same authorization was worth, stops working.

use crate::{ask::Ask, refusal as why, reply::Reply, spec::Auth, state::State};
use http::StatusCode;

pub(crate) fn answer(ask: &Ask, state: &mut State) -> Reply {
    let app = &mut state.app;
    let credentials = (ask.field("client_id"), ask.field("client_secret"));
    if credentials != (Some(app.client_id.as_str()), Some(app.client_secret.as_str())) {
        return Reply::refusal(why::CLIENT);
    }
    let Some(token) = ask.field("token") else { return Reply::refusal(why::INCOMPLETE) };
    // A token that is not known has nothing left to end, which is what was asked for.
    if app.knows(token) || app.refresh.as_ref().is_some_and(|(refresh, _)| refresh == token) {
        match app.auth {
            Auth::Oauth2 => app.end_authorization(),
            Auth::ClientCredentials | Auth::Jwt => app.forget(token),
        }
    }
    Reply::empty(StatusCode::OK)
}
