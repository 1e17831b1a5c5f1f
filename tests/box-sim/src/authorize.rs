//! GET /api/oauth2/authorize: the page on which a user grants access to an app.

use crate::{
    app::AuthorizationCode, config::AuthMethod, request::BoxRequest, response::BoxResponse, state::EnterpriseState,
};
use http::{Method, StatusCode, header};
use jiff::Timestamp;

pub(crate) fn handle_authorize(request: &BoxRequest, state: &mut EnterpriseState, now: Timestamp) -> BoxResponse {
    if state.app.auth != AuthMethod::Oauth2 {
        return error_page("unauthorized_client", "The app does not use OAuth 2.0 user authentication.");
    }
    let Some(redirect_uri) = state.app.redirects.resolve(request.query_param("redirect_uri")).map(str::to_owned) else {
        return error_page("redirect_uri_mismatch", "The redirect_uri is not registered for this app.");
    };
    if request.query_param("response_type") != Some("code") {
        return error_page("unsupported_response_type", "The response_type must be \"code\".");
    }
    let challenge = request.query_param("code_challenge").map(str::to_owned);
    if challenge.is_some() && request.query_param("code_challenge_method") != Some("S256") {
        return error_page("invalid_request", "The code_challenge_method must be S256.");
    }
    let redirect_back = |answer: &[(&str, &str)]| {
        let state = request.query_param("state").map(|state| ("state", state));
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(answer.iter().copied().chain(state));
        let separator = if redirect_uri.contains('?') { '&' } else { '?' };
        let location = format!("{redirect_uri}{separator}{}", query.finish());
        BoxResponse::empty(StatusCode::FOUND).with_header(header::LOCATION, &location)
    };
    match (&request.method, request.form_field("decision")) {
        (&Method::POST, Some("grant")) => {
            let code = AuthorizationCode {
                redirect_uri: request.query_param("redirect_uri").map(str::to_owned),
                code_challenge: challenge,
                issued_at: now,
            };
            redirect_back(&[("code", &state.app.issue_code(code))])
        }
        (&Method::POST, _) => redirect_back(&[
            ("error", "access_denied"),
            ("error_description", "The user denied access to your application"),
        ]),
        // The forms post to the page's own address.
        _ => BoxResponse::html_page(
            StatusCode::OK,
            "Grant access to Box",
            "<p>An app asks for access to the files and users of your account.</p>\n\
             <form method=\"post\"><button name=\"decision\" value=\"grant\">Grant access</button></form>\n\
             <form method=\"post\"><button name=\"decision\" value=\"deny\">Deny</button></form>",
        ),
    }
}

pub(crate) fn unknown_client_page() -> BoxResponse {
    error_page("invalid_client", "There is no app with this client_id.")
}

/// Shown without a redirect, since the client is not verified.
fn error_page(error: &str, description: &str) -> BoxResponse {
    BoxResponse::html_page(StatusCode::BAD_REQUEST, "Error", &format!("<p>{description}</p>\n<pre>{error}</pre>"))
}
