//! Token requests and their errors.

use crate::client::{TestResponse, claims, env, env_with, jwt_env, key_id, sign_assertion, start_time};
use box_sim::{AuthMethod, Behaviour, EnterpriseConfig, KeyFormat, KeyPair, PASSPHRASE, clock};
use jiff::SignedDuration;
use pkcs8::{EncryptedPrivateKeyInfoRef, SecretDocument};
use ring::rsa::KeyPair as RsaKeyPair;
use serde_json::{Value, json};
use std::time::Duration;

const JTI: &str = "a-random-jti-of-some-length";

#[track_caller]
fn assert_token_error(response: &TestResponse, error: &str, words: &str) {
    let body = response.json();
    assert_eq!((response.status.as_u16(), body["error"].as_str()), (400, Some(error)), "{body}");
    let description = body["error_description"].as_str().unwrap_or_default();
    assert!(description.contains(words), "{description:?} does not say {words:?}");
}

#[tokio::test(start_paused = true)]
async fn client_credentials_give_a_token_for_about_an_hour() {
    let env = env(1);
    let response = env.request_client_credentials().await;
    assert_eq!((response.status.as_u16(), response.header("date")), (200, "Sun, 22 Nov 2026 10:00:00 GMT"));
    let token = response.json();
    assert_eq!((token["token_type"].as_str(), &token["restricted_to"]), (Some("bearer"), &json!([])));
    let lifetime = token["expires_in"].as_i64().expect("a number");
    assert!((3_000..5_000).contains(&lifetime) && lifetime != 3_600, "{lifetime}");
    assert!(token.get("refresh_token").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_token_expires() {
    let env = env(1);
    env.enterprise.set_token_lifetime(SignedDuration::from_secs(100));
    let token = env.fetch_access_token().await;
    tokio::time::sleep(Duration::from_secs(99)).await;
    assert_eq!(env.get(&token, "/2.0/users/me").await.status, 200);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let late = env.get(&token, "/2.0/users/me").await;
    assert_eq!(late.status, 401);
    assert!(late.header("www-authenticate").contains("invalid_token"));
    assert_eq!(env.get(&env.fetch_access_token().await, "/2.0/users/me").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn wrong_client_credentials_get_boxs_error_codes() {
    let env = env(1);
    assert_token_error(
        &env.request_client_credentials_with("wrong", "1001").await,
        "invalid_client",
        "The client credentials are invalid",
    );
    assert_token_error(
        &env.request_client_credentials_with(&env.enterprise.client_secret(), "1002").await,
        "invalid_grant",
        "Grant credentials are invalid",
    );
    let unknown =
        env.post_token(&[("grant_type", "client_credentials"), ("client_id", "nobody"), ("client_secret", "x")]).await;
    assert_token_error(&unknown, "invalid_client", "The client credentials are invalid");
    assert_eq!(env.sim.unmatched_calls().len(), 1);
    let (id, secret) = (env.enterprise.client_id(), env.enterprise.client_secret());
    let other_type =
        [("grant_type", "refresh_token"), ("client_id", &*id), ("client_secret", &*secret), ("refresh_token", "x")];
    assert_token_error(
        &env.post_token(&other_type).await,
        "invalid_request",
        "The grant type is unauthorized for this client_id",
    );
    assert_token_error(&env.post_token(&[("client_id", &id)]).await, "invalid_request", "parameter");
}

#[tokio::test(start_paused = true)]
async fn deauthorizing_the_app_revokes_tokens_and_rejects_new_ones() {
    let env = env(1);
    let token = env.fetch_access_token().await;
    env.enterprise.deauthorize_app();
    assert_eq!(env.get(&token, "/2.0/users/me").await.status, 401);
    assert_token_error(
        &env.request_client_credentials().await,
        "unauthorized_client",
        "This app is not authorized by the enterprise",
    );
    env.enterprise.authorize_app();
    assert_eq!(env.get(&token, "/2.0/users/me").await.status, 401, "the old token stays dead");
    assert_eq!(env.get(&env.fetch_access_token().await, "/2.0/users/me").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_rotated_secret_invalidates_the_old_secret_but_not_its_tokens() {
    let env = env(1);
    let (old, token) = (env.enterprise.client_secret(), env.fetch_access_token().await);
    assert_ne!(env.enterprise.rotate_secret(), old);
    assert_token_error(&env.request_client_credentials_with(&old, "1001").await, "invalid_client", "");
    assert_eq!(env.get(&token, "/2.0/users/me").await.status, 200);
    assert_eq!(env.request_client_credentials().await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_signed_assertion_returns_a_token_with_or_without_kid() {
    let env = jwt_env();
    let with =
        sign_assertion(KeyPair::First, &json!({"alg": "RS256", "typ": "JWT", "kid": key_id(&env)}), &claims(&env, JTI));
    assert_eq!(env.exchange_assertion(&with).await.status, 200);
    let without = sign_assertion(KeyPair::First, &json!({"alg": "RS256"}), &claims(&env, "another-random-jti-here"));
    let response = env.exchange_assertion(&without).await;
    assert_eq!(response.status, 200, "{}", response.json());
    let token = response.json()["access_token"].as_str().expect("a token").to_owned();
    assert_eq!(env.get(&token, "/2.0/users?usemarker=true").await.ids().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn an_assertion_works_once() {
    let env = jwt_env();
    let assertion = sign_assertion(KeyPair::First, &json!({"alg": "RS256"}), &claims(&env, JTI));
    assert_eq!(env.exchange_assertion(&assertion).await.status, 200);
    assert_token_error(&env.exchange_assertion(&assertion).await, "invalid_grant", "'jti'");
}

#[tokio::test(start_paused = true)]
async fn every_wrong_claim_is_named() {
    let env = jwt_env();
    let now = start_time().as_second();
    let cases = [
        ("aud", json!("http://127.0.0.1/oauth2/token"), "'aud'"),
        ("iss", json!("somebody"), "'iss'"),
        ("sub", json!("1"), "Please check the 'sub' claim"),
        ("sub", json!(1002), "Please check the 'sub' claim"),
        ("box_sub_type", json!("group"), "'box_sub_type'"),
        ("jti", json!("short"), "'jti'"),
        ("jti", json!("x".repeat(129)), "'jti'"),
        ("exp", json!(now + 61), "'exp'"),
        ("exp", json!(now), "'exp'"),
        ("exp", json!("soon"), "'exp'"),
    ];
    for (claim, value, words) in cases {
        let mut claims = claims(&env, JTI);
        claims[claim] = value;
        assert_token_error(
            &env.exchange_assertion(&sign_assertion(KeyPair::First, &json!({"alg": "RS256"}), &claims)).await,
            "invalid_grant",
            words,
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_of_a_user_needs_an_app_that_may_have_one() {
    let env = jwt_env();
    let mut claims = claims(&env, JTI);
    claims["box_sub_type"] = json!("user");
    assert_token_error(
        &env.exchange_assertion(&sign_assertion(KeyPair::First, &json!({"alg": "RS256"}), &claims)).await,
        "invalid_request",
        "enterprise configuration for your app",
    );
}

#[tokio::test(start_paused = true)]
async fn signatures_and_key_ids_are_checked() {
    let env = jwt_env();
    let good = claims(&env, JTI);
    assert_token_error(
        &env.exchange_assertion(&sign_assertion(KeyPair::First, &json!({"alg": "RS256", "kid": "unknown"}), &good))
            .await,
        "invalid_grant",
        "kid",
    );
    assert_token_error(
        &env.exchange_assertion(&sign_assertion(KeyPair::First, &json!({"alg": "none"}), &good)).await,
        "invalid_grant",
        "alg",
    );
    assert_token_error(
        &env.exchange_assertion(&sign_assertion(KeyPair::Second, &json!({"alg": "RS256"}), &good)).await,
        "invalid_grant",
        "signature",
    );
    assert_token_error(&env.exchange_assertion("not a token").await, "invalid_grant", "assertion");
    let old_kid = key_id(&env);
    env.enterprise.replace_key_pair();
    assert_token_error(
        &env.exchange_assertion(&sign_assertion(KeyPair::First, &json!({"alg": "RS256", "kid": old_kid}), &good)).await,
        "invalid_grant",
        "kid",
    );
    let new = sign_assertion(KeyPair::Second, &json!({"alg": "RS256", "kid": key_id(&env)}), &good);
    assert_eq!(env.exchange_assertion(&new).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn custom_public_keys_can_be_registered() {
    let spec = EnterpriseConfig::new("9").auth(AuthMethod::Jwt).public_key("mine", KeyPair::Second.public_pem());
    let env = env_with(spec, clock::tokio_clock(start_time()));
    assert!(env.enterprise.config_json(KeyFormat::Pkcs8TripleDes).is_none(), "the private key is not ours");
    let assertion = sign_assertion(KeyPair::Second, &json!({"alg": "RS256", "kid": "mine"}), &claims(&env, JTI));
    assert_eq!(env.exchange_assertion(&assertion).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn clock_skew_affects_the_date_header_and_exp_validation() {
    for (behaviour, date, offset) in [
        (Behaviour::ClockAhead, "Sun, 22 Nov 2026 10:10:00 GMT", 600),
        (Behaviour::ClockBehind, "Sun, 22 Nov 2026 09:50:00 GMT", -600),
    ] {
        let env = jwt_env();
        env.enterprise.enable_behaviour(behaviour);
        let mut claims = claims(&env, JTI);
        let response = env.exchange_assertion(&sign_assertion(KeyPair::First, &json!({"alg": "RS256"}), &claims)).await;
        assert_token_error(&response, "invalid_grant", "'exp'");
        assert_eq!(response.header("date"), date);
        claims["exp"] = json!(start_time().as_second() + offset + 45);
        let response = env.exchange_assertion(&sign_assertion(KeyPair::First, &json!({"alg": "RS256"}), &claims)).await;
        assert_eq!(response.status, 200, "{}", response.json());
        let token = response.json()["access_token"].as_str().expect("a token").to_owned();
        assert_eq!(env.get(&token, "/2.0/users/me").await.status, 200);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refresh_token_works_once_and_for_60_days() {
    let env = env_with(EnterpriseConfig::new("5").auth(AuthMethod::Oauth2), clock::tokio_clock(start_time()));
    let (id, secret, first) = (
        env.enterprise.client_id(),
        env.enterprise.client_secret(),
        env.enterprise.refresh_token().expect("an OAuth app"),
    );
    let refresh = async |token: &str| {
        env.post_token(&[
            ("grant_type", "refresh_token"),
            ("refresh_token", token),
            ("client_id", &id),
            ("client_secret", &secret),
        ])
        .await
    };
    let response = refresh(&first).await;
    let second = response.json()["refresh_token"].as_str().expect("the next one").to_owned();
    assert_ne!(first, second);
    assert_token_error(&refresh(&first).await, "invalid_grant", "Invalid refresh token");
    tokio::time::sleep(Duration::from_secs(60 * 86_400)).await;
    assert_token_error(&refresh(&second).await, "invalid_grant", "Refresh token has expired");
    let third = env.enterprise.reauthorize_user();
    assert_eq!(refresh(&third).await.status, 200);
}

#[test]
fn key_fixtures_have_their_declared_formats() {
    for pair in [KeyPair::First, KeyPair::Second] {
        for format in [KeyFormat::Pkcs8TripleDes, KeyFormat::Pkcs8Aes256] {
            let (label, document) = SecretDocument::from_pem(pair.private_pem(format)).expect("PEM");
            assert_eq!(label, "ENCRYPTED PRIVATE KEY");
            let key = EncryptedPrivateKeyInfoRef::try_from(document.as_bytes())
                .expect("PKCS#8")
                .decrypt(PASSPHRASE)
                .expect("the passphrase");
            assert!(RsaKeyPair::from_pkcs8(key.as_bytes()).is_ok(), "{pair:?} {format:?}");
        }
        assert!(pair.private_pem(KeyFormat::TraditionalPem).contains("Proc-Type: 4,ENCRYPTED"));
    }
}

#[tokio::test(start_paused = true)]
async fn the_config_file_has_the_shape_of_boxs_own() {
    let env = jwt_env();
    for format in KeyFormat::ALL {
        let file: Value = serde_json::from_str(&env.enterprise.config_json(*format).expect("a JWT app")).expect("JSON");
        assert_eq!(file["enterpriseID"], "1002");
        let settings = &file["boxAppSettings"];
        assert_eq!(
            (settings["clientID"].as_str(), settings["clientSecret"].as_str()),
            (Some(&*env.enterprise.client_id()), Some(&*env.enterprise.client_secret()))
        );
        assert!(settings["appAuth"]["privateKey"].as_str().is_some_and(|key| key.contains("PRIVATE KEY-----")));
        assert_eq!(settings["appAuth"]["passphrase"], PASSPHRASE);
    }
}
