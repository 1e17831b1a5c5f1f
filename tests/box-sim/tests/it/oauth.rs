//! Users who log in: the authorize page, its codes, refresh tokens, and the end of an authorization.

use crate::client::{Got, World, start, world_of};
use axum::body::Body;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use box_sim::{Auth, Behaviour, Endpoint, EnterpriseSpec, clock};
use http::Request;
use ring::digest::{SHA256, digest};
use serde_json::Value;
use std::{collections::HashMap, time::Duration};

const BACK: &str = "http://127.0.0.1:4711/callback";
const VERIFIER: &str = "a-verifier-that-is-long-enough-to-be-one-0123456789";

fn oauth_world() -> World {
    world_of(EnterpriseSpec::new("1004").users(3).auth(Auth::Oauth2), clock::following_tokio(start()))
}

fn encoded(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

impl World {
    /// The address of the authorize page, with what else there is to say.
    fn page_for(&self, redirect_uri: &str, more: &[(&str, &str)]) -> String {
        let id = self.it.client_id();
        let usual = [
            ("response_type", "code"),
            ("client_id", &*id),
            ("redirect_uri", redirect_uri),
            ("state", "a state & more"),
        ];
        format!("/api/oauth2/authorize?{}", encoded(&[&usual, more].concat()))
    }

    async fn press(&self, page: &str, decision: &str) -> HashMap<String, String> {
        let request = Request::post(page).header("content-type", "application/x-www-form-urlencoded");
        let got = self.send(request.body(Body::from(encoded(&[("decision", decision)]))).expect("a request")).await;
        assert_eq!(got.status, 302, "{}", String::from_utf8_lossy(&got.body));
        let (back, query) = got.header("location").split_once('?').expect("a query");
        assert_eq!(back, BACK);
        form_urlencoded::parse(query.as_bytes()).into_owned().collect()
    }

    async fn code(&self, more: &[(&str, &str)]) -> String {
        self.press(&self.page_for(BACK, more), "grant").await["code"].clone()
    }

    async fn ask(&self, path: &str, more: &[(&str, &str)]) -> Got {
        let (id, secret) = (self.it.client_id(), self.it.client_secret());
        let form = encoded(&[&[("client_id", &*id), ("client_secret", &*secret)], more].concat());
        let request = Request::post(path).header("content-type", "application/x-www-form-urlencoded");
        self.send(request.body(Body::from(form)).expect("a request")).await
    }

    async fn exchange(&self, code: &str, more: &[(&str, &str)]) -> Got {
        let usual = [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", BACK)];
        self.ask("/oauth2/token", &[&usual, more].concat()).await
    }

    async fn refresh(&self, token: &str) -> Got {
        self.ask("/oauth2/token", &[("grant_type", "refresh_token"), ("refresh_token", token)]).await
    }

    async fn me(&self, access: &str) -> u16 {
        self.get(access, "/2.0/users/me").await.status.as_u16()
    }
}

/// Access token and refresh token.
#[track_caller]
fn tokens(got: &Got) -> (String, String) {
    let text = |name: &str| got.member(name).unwrap_or_else(|| panic!("no {name} in {}", got.json()));
    (text("access_token"), text("refresh_token"))
}

#[track_caller]
fn refused(got: &Got, words: &str) {
    assert_eq!((got.status.as_u16(), got.member("error").as_deref()), (400, Some("invalid_grant")));
    assert_eq!(got.member("error_description").as_deref(), Some(words));
}

#[tokio::test(start_paused = true)]
async fn a_user_who_grants_access_gives_a_code_that_is_worth_tokens() {
    let world = oauth_world();
    let page = world.page_for(BACK, &[]);
    let shown = world.send(Request::get(&page).body(Body::empty()).expect("a request")).await;
    let html = String::from_utf8_lossy(&shown.body).into_owned();
    assert_eq!((shown.status.as_u16(), shown.header("content-type")), (200, "text/html; charset=utf-8"));
    assert!(html.contains("Grant access") && html.contains("Deny"), "{html}");
    let answer = world.press(&page, "grant").await;
    assert_eq!(answer["state"], "a state & more");
    let (access, refresh) = tokens(&world.exchange(&answer["code"], &[]).await);
    assert_eq!(world.me(&access).await, 200);
    assert_eq!(world.refresh(&refresh).await.status, 200);
    let seen = world.it.calls();
    assert_eq!((seen.of(Endpoint::Authorize), seen.with(Endpoint::Authorize, 302)), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_user_who_denies_access_is_sent_back_with_an_error() {
    let world = oauth_world();
    let answer = world.press(&world.page_for(BACK, &[]), "deny").await;
    assert_eq!((answer["error"].as_str(), answer["state"].as_str()), ("access_denied", "a state & more"));
    assert!(answer.contains_key("error_description") && !answer.contains_key("code"));
}

#[tokio::test(start_paused = true)]
async fn a_code_works_once_and_for_30_seconds() {
    let world = oauth_world();
    let code = world.code(&[]).await;
    assert_eq!(world.exchange(&code, &[]).await.status, 200);
    refused(&world.exchange(&code, &[]).await, "Auth code doesn't exist or is invalid for the client");
    let code = world.code(&[]).await;
    tokio::time::sleep(Duration::from_secs(29)).await;
    assert_eq!(world.exchange(&code, &[]).await.status, 200);
    let code = world.code(&[]).await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    refused(&world.exchange(&code, &[]).await, "The authorization code has expired");
}

#[tokio::test(start_paused = true)]
async fn a_code_belongs_to_its_verifier_and_to_its_redirect_uri() {
    let world = oauth_world();
    let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, VERIFIER.as_bytes()));
    let pkce = [("code_challenge", &*challenge), ("code_challenge_method", "S256")];
    let (right, wrong) = ([("code_verifier", VERIFIER)], [("code_verifier", "another")]);
    assert_eq!(world.exchange(&world.code(&pkce).await, &right).await.status, 200);
    for given in [&wrong[..], &[]] {
        let got = world.exchange(&world.code(&pkce).await, given).await;
        refused(&got, "The code_verifier does not match the code_challenge");
    }
    let code = world.code(&[]).await;
    let elsewhere =
        [("grant_type", "authorization_code"), ("code", &*code), ("redirect_uri", "http://127.0.0.1:1/callback")];
    refused(
        &world.ask("/oauth2/token", &elsewhere).await,
        "The redirect_uri does not match the one of the authorization request",
    );
}

#[tokio::test(start_paused = true)]
async fn a_page_that_was_asked_wrongly_sends_nobody_anywhere() {
    let world = oauth_world();
    let id = world.it.client_id();
    let with = |pairs: &[(&str, &str)]| format!("/api/oauth2/authorize?{}", encoded(pairs));
    for (page, word) in [
        (world.page_for("https://evil.example/callback", &[]), "redirect_uri_mismatch"),
        (with(&[("response_type", "token"), ("client_id", &id)]), "unsupported_response_type"),
        (with(&[("response_type", "code"), ("client_id", "nobody")]), "invalid_client"),
        (world.page_for(BACK, &[("code_challenge", "x"), ("code_challenge_method", "plain")]), "invalid_request"),
    ] {
        let got = world.send(Request::get(&page).body(Body::empty()).expect("a request")).await;
        assert_eq!(got.status, 400, "{page}");
        assert!(got.headers.get("location").is_none());
        assert!(String::from_utf8_lossy(&got.body).contains(word), "{page}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lenient_box_takes_a_spent_refresh_token_until_its_access_token_is_used() {
    let world = oauth_world();
    world.it.behave(Behaviour::LenientRefresh);
    let first = world.it.refresh_token().expect("an OAuth app");
    let (_, lost) = tokens(&world.refresh(&first).await);
    let (access, second) = tokens(&world.refresh(&first).await);
    assert_ne!(lost, second);
    assert_eq!(world.me(&access).await, 200);
    refused(&world.refresh(&first).await, "Invalid refresh token");
    assert_eq!(world.refresh(&second).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn revoking_one_token_ends_the_whole_authorization() {
    let world = oauth_world();
    for which in ["access", "refresh"] {
        let (access, refresh) = tokens(&world.exchange(&world.code(&[]).await, &[]).await);
        let token = if which == "access" { &access } else { &refresh };
        assert_eq!(world.ask("/oauth2/revoke", &[("token", token)]).await.status, 200, "{which}");
        assert_eq!(world.me(&access).await, 401, "{which}");
        refused(&world.refresh(&refresh).await, "Invalid refresh token");
    }
    let strangers = [("client_id", "nobody"), ("client_secret", "x"), ("token", "y")];
    assert_eq!(world.ask("/oauth2/revoke", &[("token", "unknown")]).await.status, 200);
    let request = Request::post("/oauth2/revoke").header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(world.send(request.body(Body::from(encoded(&strangers))).expect("a request")).await.status, 400);
}

#[tokio::test(start_paused = true)]
async fn a_user_can_end_the_authorization_and_give_another() {
    let world = oauth_world();
    let (access, refresh) = tokens(&world.exchange(&world.code(&[]).await, &[]).await);
    assert_eq!(world.admin("POST", "/enterprises/1004/user-withdraws", Value::Null).await.status, 200);
    assert_eq!(world.me(&access).await, 401);
    refused(&world.refresh(&refresh).await, "Invalid refresh token");
    let (access, _) = tokens(&world.exchange(&world.code(&[]).await, &[]).await);
    assert_eq!(world.me(&access).await, 200);
}
