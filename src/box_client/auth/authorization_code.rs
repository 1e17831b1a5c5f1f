//! The OAuth 2.0 authorization code flow with PKCE: the URL of Box's authorize page, and the redirect. Makes no calls.

use std::sync::atomic::AtomicBool;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use super::{
    client_credentials::ClientCredentials,
    credentials::{AuthorizationCodeCredentials, Credentials},
    form::encode_form,
    random_token::random_token,
};
use crate::box_client::{base_url::BaseUrl, error_body::sanitize_text};

/// One authorization request to a user. It accepts only the redirect with its own `state`.
pub struct AuthorizationRequest {
    app: ClientCredentials,
    redirect_uri: String,
    state: String,
    verifier: SecretString,
}

/// The parameters of Box's redirect.
#[derive(Debug)]
pub enum AuthorizationResponse {
    Granted(SecretString),
    /// With Box's message, if there is one.
    Denied(Option<String>),
    /// The redirect of another request, or an incomplete one.
    StateMismatch,
}

impl AuthorizationRequest {
    /// `redirect_uri` must be registered in the app.
    pub fn new(app: ClientCredentials, redirect_uri: String) -> Self {
        // RFC 7636 requires 43 to 128 characters.
        let verifier = format!("{}{}", random_token(), random_token()).into();
        Self { app, redirect_uri, state: random_token(), verifier }
    }

    /// The page to open. `account` is Box's login site, https://account.box.com.
    pub fn authorization_url(&self, account: &BaseUrl) -> String {
        let challenge = BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, self.verifier.expose_secret().as_bytes()));
        let query = encode_form(&[
            ("response_type", "code"),
            ("client_id", self.app.client_id()),
            ("redirect_uri", &self.redirect_uri),
            ("state", &self.state),
            // Box's documentation does not mention PKCE; a server without PKCE ignores these parameters.
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ]);
        account.join(&format!("/api/oauth2/authorize?{query}"))
    }

    /// Parses the query of the redirect.
    pub fn parse_redirect(&self, query: &str) -> AuthorizationResponse {
        let (mut state, mut code, mut error, mut description) = (None, None, None, None);
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let target = match &*name {
                "state" => &mut state,
                "code" => &mut code,
                "error" => &mut error,
                "error_description" => &mut description,
                _ => continue,
            };
            *target = Some(value.into_owned());
        }
        let state_matches = state.is_some_and(|state| bool::from(state.as_bytes().ct_eq(self.state.as_bytes())));
        match (state_matches, error, code) {
            (true, Some(error), _) => {
                AuthorizationResponse::Denied(description.or(Some(error)).and_then(|text| sanitize_text(&text, 200)))
            }
            (true, None, Some(code)) if !code.is_empty() => AuthorizationResponse::Granted(code.into()),
            (true, None, _) | (false, _, _) => AuthorizationResponse::StateMismatch,
        }
    }

    /// Credentials that exchange the code, which Box accepts once within 30 s.
    pub fn into_credentials(self, code: SecretString) -> Credentials {
        let Self { app, redirect_uri, state: _, verifier } = self;
        Credentials::AuthorizationCode(AuthorizationCodeCredentials {
            app,
            code,
            redirect_uri,
            verifier,
            used: AtomicBool::new(false),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authorization_request() -> AuthorizationRequest {
        let app = ClientCredentials::new(b"an-id".to_vec().into(), b"a-secret".to_vec().into()).expect("usable");
        AuthorizationRequest::new(app, "http://127.0.0.1:4711/callback".into())
    }

    #[test]
    fn only_a_redirect_with_the_matching_state_is_accepted() {
        let request = authorization_request();
        let parse = |query: &str| match request.parse_redirect(&query.replace("STATE", &request.state)) {
            AuthorizationResponse::Granted(code) => format!("granted {}", code.expose_secret()),
            AuthorizationResponse::Denied(why) => format!("denied {why:?}"),
            AuthorizationResponse::StateMismatch => "state mismatch".to_owned(),
        };
        for (query, expected) in [
            ("code=abc%2B1&state=STATE", "granted abc+1"),
            ("state=STATE&error=access_denied&error_description=The+user+said+no", "denied Some(\"The user said no\")"),
            ("state=STATE&error=access_denied", "denied Some(\"access_denied\")"),
            ("code=abc&state=other", "state mismatch"),
            ("code=abc&state=", "state mismatch"),
            ("code=abc", "state mismatch"),
            ("error=access_denied&state=other", "state mismatch"),
            ("state=STATE", "state mismatch"),
            ("code=&state=STATE", "state mismatch"),
            ("", "state mismatch"),
        ] {
            assert_eq!(parse(query), expected, "{query}");
        }
    }

    #[test]
    fn the_authorization_url_contains_the_challenge_and_no_secret() {
        let request = authorization_request();
        let url = request.authorization_url(&BaseUrl::default());
        let verifier = request.verifier.expose_secret();
        let challenge = BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()));
        assert_eq!(
            url,
            format!(
                "https://api.box.com/api/oauth2/authorize?response_type=code&client_id=an-id&redirect_uri=http%3A%2F%2F127.0.0.1%3A4711%2Fcallback&state={}&code_challenge={challenge}&code_challenge_method=S256",
                request.state
            )
        );
        assert!(!url.contains(verifier) && !url.contains("a-secret"));
        assert!((43..=128).contains(&verifier.len()));
        assert_ne!(authorization_request().state, request.state);
    }
}
