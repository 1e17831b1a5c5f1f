//! POST /oauth2/revoke: revokes a token and all others of the same authorization.

use crate::{config::AuthMethod, request::BoxRequest, response::BoxResponse, state::EnterpriseState, token_error};
use http::StatusCode;

pub(crate) fn handle_revoke(request: &BoxRequest, state: &mut EnterpriseState) -> BoxResponse {
    let app = &mut state.app;
    let credentials = (request.form_field("client_id"), request.form_field("client_secret"));
    if credentials != (Some(app.client_id.as_str()), Some(app.client_secret.as_str())) {
        return BoxResponse::from_token_error(token_error::INVALID_CLIENT);
    }
    let Some(token) = request.form_field("token") else {
        return BoxResponse::from_token_error(token_error::MISSING_PARAMETER);
    };
    // Revoking an unknown token succeeds (RFC 7009).
    if app.has_access_token(token) || app.refresh_token.as_ref().is_some_and(|(refresh, _)| refresh == token) {
        match app.auth {
            AuthMethod::Oauth2 => app.revoke_authorization(),
            AuthMethod::ClientCredentials | AuthMethod::Jwt => app.revoke_access_token(token),
        }
    }
    BoxResponse::empty(StatusCode::OK)
}
