//! OAuth 2.0 user authentication: authorize page, codes, refresh tokens, revocation.

use crate::client::{TestEnv, TestResponse, env_with, start_time};
use axum::body::Body;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use box_sim::{AuthMethod, Behaviour, Endpoint, EnterpriseConfig, clock};
use http::Request;
use ring::digest::{SHA256, digest};
use serde_json::Value;
use std::{collections::HashMap, time::Duration};

const REDIRECT_URI: &str = "http://127.0.0.1:4711/callback";
const CODE_VERIFIER: &str = "a-verifier-that-is-long-enough-to-be-one-0123456789";

fn oauth_env() -> TestEnv {
    env_with(EnterpriseConfig::new("1004").users(3).auth(AuthMethod::Oauth2), clock::tokio_clock(start_time()))
}

fn form_encode(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

impl TestEnv {
    /// The URL of the authorize page, with additional parameters.
    fn authorize_url(&self, redirect_uri: &str, more: &[(&str, &str)]) -> String {
        let id = self.enterprise.client_id();
        let usual = [
            ("response_type", "code"),
            ("client_id", &*id),
            ("redirect_uri", redirect_uri),
            ("state", "a state & more"),
        ];
        format!("/api/oauth2/authorize?{}", form_encode(&[&usual, more].concat()))
    }

    async fn submit_decision(&self, page: &str, decision: &str) -> HashMap<String, String> {
        let request = Request::post(page).header("content-type", "application/x-www-form-urlencoded");
        let response =
            self.send(request.body(Body::from(form_encode(&[("decision", decision)]))).expect("a request")).await;
        assert_eq!(response.status, 302, "{}", String::from_utf8_lossy(&response.body));
        let (back, query) = response.header("location").split_once('?').expect("a query");
        assert_eq!(back, REDIRECT_URI);
        form_urlencoded::parse(query.as_bytes()).into_owned().collect()
    }

    async fn obtain_code(&self, more: &[(&str, &str)]) -> String {
        self.submit_decision(&self.authorize_url(REDIRECT_URI, more), "grant").await["code"].clone()
    }

    async fn post_form(&self, path: &str, more: &[(&str, &str)]) -> TestResponse {
        let (id, secret) = (self.enterprise.client_id(), self.enterprise.client_secret());
        let form = form_encode(&[&[("client_id", &*id), ("client_secret", &*secret)], more].concat());
        let request = Request::post(path).header("content-type", "application/x-www-form-urlencoded");
        self.send(request.body(Body::from(form)).expect("a request")).await
    }

    async fn exchange_code(&self, code: &str, more: &[(&str, &str)]) -> TestResponse {
        let usual = [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", REDIRECT_URI)];
        self.post_form("/oauth2/token", &[&usual, more].concat()).await
    }

    async fn refresh_tokens(&self, token: &str) -> TestResponse {
        self.post_form("/oauth2/token", &[("grant_type", "refresh_token"), ("refresh_token", token)]).await
    }

    async fn current_user_status(&self, access: &str) -> u16 {
        self.get(access, "/2.0/users/me").await.status.as_u16()
    }
}

/// Access token and refresh token.
#[track_caller]
fn parse_tokens(response: &TestResponse) -> (String, String) {
    let text = |name: &str| response.string_field(name).unwrap_or_else(|| panic!("no {name} in {}", response.json()));
    (text("access_token"), text("refresh_token"))
}

#[track_caller]
fn assert_invalid_grant(response: &TestResponse, words: &str) {
    assert_eq!((response.status.as_u16(), response.string_field("error").as_deref()), (400, Some("invalid_grant")));
    assert_eq!(response.string_field("error_description").as_deref(), Some(words));
}

#[tokio::test(start_paused = true)]
async fn granting_access_returns_a_code_that_can_be_exchanged_for_tokens() {
    let env = oauth_env();
    let page = env.authorize_url(REDIRECT_URI, &[]);
    let shown = env.send(Request::get(&page).body(Body::empty()).expect("a request")).await;
    let html = String::from_utf8_lossy(&shown.body).into_owned();
    assert_eq!((shown.status.as_u16(), shown.header("content-type")), (200, "text/html; charset=utf-8"));
    assert!(html.contains("Grant access") && html.contains("Deny"), "{html}");
    let answer = env.submit_decision(&page, "grant").await;
    assert_eq!(answer["state"], "a state & more");
    let (access, refresh) = parse_tokens(&env.exchange_code(&answer["code"], &[]).await);
    assert_eq!(env.current_user_status(&access).await, 200);
    assert_eq!(env.refresh_tokens(&refresh).await.status, 200);
    let seen = env.enterprise.call_counts();
    assert_eq!((seen.for_endpoint(Endpoint::Authorize), seen.with_status(Endpoint::Authorize, 302)), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn denying_access_redirects_with_an_error() {
    let env = oauth_env();
    let answer = env.submit_decision(&env.authorize_url(REDIRECT_URI, &[]), "deny").await;
    assert_eq!((answer["error"].as_str(), answer["state"].as_str()), ("access_denied", "a state & more"));
    assert!(answer.contains_key("error_description") && !answer.contains_key("code"));
}

#[tokio::test(start_paused = true)]
async fn a_code_works_once_and_for_30_seconds() {
    let env = oauth_env();
    let code = env.obtain_code(&[]).await;
    assert_eq!(env.exchange_code(&code, &[]).await.status, 200);
    assert_invalid_grant(&env.exchange_code(&code, &[]).await, "Auth code doesn't exist or is invalid for the client");
    let code = env.obtain_code(&[]).await;
    tokio::time::sleep(Duration::from_secs(29)).await;
    assert_eq!(env.exchange_code(&code, &[]).await.status, 200);
    let code = env.obtain_code(&[]).await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_invalid_grant(&env.exchange_code(&code, &[]).await, "The authorization code has expired");
}

#[tokio::test(start_paused = true)]
async fn a_code_requires_its_verifier_and_redirect_uri() {
    let env = oauth_env();
    let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, CODE_VERIFIER.as_bytes()));
    let pkce = [("code_challenge", &*challenge), ("code_challenge_method", "S256")];
    let (right, wrong) = ([("code_verifier", CODE_VERIFIER)], [("code_verifier", "another")]);
    assert_eq!(env.exchange_code(&env.obtain_code(&pkce).await, &right).await.status, 200);
    for given in [&wrong[..], &[]] {
        let response = env.exchange_code(&env.obtain_code(&pkce).await, given).await;
        assert_invalid_grant(&response, "The code_verifier does not match the code_challenge");
    }
    let code = env.obtain_code(&[]).await;
    let elsewhere =
        [("grant_type", "authorization_code"), ("code", &*code), ("redirect_uri", "http://127.0.0.1:1/callback")];
    assert_invalid_grant(
        &env.post_form("/oauth2/token", &elsewhere).await,
        "The redirect_uri does not match the one of the authorization request",
    );
}

#[tokio::test(start_paused = true)]
async fn an_invalid_authorize_request_does_not_redirect() {
    let env = oauth_env();
    let id = env.enterprise.client_id();
    let with = |pairs: &[(&str, &str)]| format!("/api/oauth2/authorize?{}", form_encode(pairs));
    for (page, word) in [
        (env.authorize_url("https://evil.example/callback", &[]), "redirect_uri_mismatch"),
        (with(&[("response_type", "token"), ("client_id", &id)]), "unsupported_response_type"),
        (with(&[("response_type", "code"), ("client_id", "nobody")]), "invalid_client"),
        (
            env.authorize_url(REDIRECT_URI, &[("code_challenge", "x"), ("code_challenge_method", "plain")]),
            "invalid_request",
        ),
    ] {
        let response = env.send(Request::get(&page).body(Body::empty()).expect("a request")).await;
        assert_eq!(response.status, 400, "{page}");
        assert!(response.headers.get("location").is_none());
        assert!(String::from_utf8_lossy(&response.body).contains(word), "{page}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lenient_box_accepts_a_spent_refresh_token_until_its_access_token_is_used() {
    let env = oauth_env();
    env.enterprise.enable_behaviour(Behaviour::LenientRefresh);
    let first = env.enterprise.refresh_token().expect("an OAuth app");
    let (_, lost) = parse_tokens(&env.refresh_tokens(&first).await);
    let (access, second) = parse_tokens(&env.refresh_tokens(&first).await);
    assert_ne!(lost, second);
    assert_eq!(env.current_user_status(&access).await, 200);
    assert_invalid_grant(&env.refresh_tokens(&first).await, "Invalid refresh token");
    assert_eq!(env.refresh_tokens(&second).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn revoking_one_token_revokes_the_authorization() {
    let env = oauth_env();
    for which in ["access", "refresh"] {
        let (access, refresh) = parse_tokens(&env.exchange_code(&env.obtain_code(&[]).await, &[]).await);
        let token = if which == "access" { &access } else { &refresh };
        assert_eq!(env.post_form("/oauth2/revoke", &[("token", token)]).await.status, 200, "{which}");
        assert_eq!(env.current_user_status(&access).await, 401, "{which}");
        assert_invalid_grant(&env.refresh_tokens(&refresh).await, "Invalid refresh token");
    }
    let strangers = [("client_id", "nobody"), ("client_secret", "x"), ("token", "y")];
    assert_eq!(env.post_form("/oauth2/revoke", &[("token", "unknown")]).await.status, 200);
    let request = Request::post("/oauth2/revoke").header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(env.send(request.body(Body::from(form_encode(&strangers))).expect("a request")).await.status, 400);
}

#[tokio::test(start_paused = true)]
async fn a_user_can_revoke_access_and_grant_it_again() {
    let env = oauth_env();
    let (access, refresh) = parse_tokens(&env.exchange_code(&env.obtain_code(&[]).await, &[]).await);
    assert_eq!(env.admin("POST", "/enterprises/1004/revoke-user-access", Value::Null).await.status, 200);
    assert_eq!(env.current_user_status(&access).await, 401);
    assert_invalid_grant(&env.refresh_tokens(&refresh).await, "Invalid refresh token");
    let (access, _) = parse_tokens(&env.exchange_code(&env.obtain_code(&[]).await, &[]).await);
    assert_eq!(env.current_user_status(&access).await, 200);
}
