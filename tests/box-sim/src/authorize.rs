//! GET /api/oauth2/authorize: the page where a user grants an app access, and where the two buttons lead.

use crate::{app::Code, ask::Ask, reply::Reply, spec::Auth, state::State};
use http::{Method, StatusCode, header};
use jiff::Timestamp;

pub(crate) fn answer(ask: &Ask, state: &mut State, now: Timestamp) -> Reply {
    if state.app.auth != Auth::Oauth2 {
        return wrong("unauthorized_client", "The app does not let users log in.");
    }
    let Some(redirect_uri) = state.app.redirects.chosen(ask.param("redirect_uri")).map(str::to_owned) else {
        return wrong("redirect_uri_mismatch", "The redirect_uri is none of those that the app has registered.");
    };
    if ask.param("response_type") != Some("code") {
        return wrong("unsupported_response_type", "The response_type has to be code.");
    }
    let challenge = ask.param("code_challenge").map(str::to_owned);
    if challenge.is_some() && ask.param("code_challenge_method") != Some("S256") {
        return wrong("invalid_request", "The code_challenge_method has to be S256.");
    }
    let back = |answer: &[(&str, &str)]| {
        let state = ask.param("state").map(|state| ("state", state));
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(answer.iter().copied().chain(state));
        let separator = if redirect_uri.contains('?') { '&' } else { '?' };
        let location = format!("{redirect_uri}{separator}{}", query.finish());
        Reply::empty(StatusCode::FOUND).with(header::LOCATION, &location)
    };
    match (&ask.method, ask.field("decision")) {
        (&Method::POST, Some("grant")) => {
            let code = Code { redirect_uri: ask.param("redirect_uri").map(str::to_owned), challenge, made: now };
            back(&[("code", &state.app.code(code))])
        }
        (&Method::POST, _) => {
            back(&[("error", "access_denied"), ("error_description", "The user denied access to your application")])
        }
        // The forms lead to the address that the page has.
        _ => Reply::page(
            StatusCode::OK,
            "Grant access to Box",
            "<p>An app asks for access to the files and users of your account.</p>\n\
             <form method=\"post\"><button name=\"decision\" value=\"grant\">Grant access</button></form>\n\
             <form method=\"post\"><button name=\"decision\" value=\"deny\">Deny</button></form>",
        ),
    }
}

pub(crate) fn of_stranger() -> Reply {
    wrong("invalid_client", "There is no app with this client_id.")
}

/// Shown, and sent nowhere: whoever asked is not known to be the app.
fn wrong(error: &str, description: &str) -> Reply {
    Reply::page(StatusCode::BAD_REQUEST, "Error", &format!("<p>{description}</p>\n<pre>{error}</pre>"))
}
