//! Getting a token, and what is said where there is none.

use crate::client::{Got, claims, jwt_world, kid, signed, start, world, world_of};
use box_sim::{Auth, Behaviour, EnterpriseSpec, KeyFormat, KeyPair, PASSPHRASE, clock};
use jiff::SignedDuration;
use pkcs8::{EncryptedPrivateKeyInfoRef, SecretDocument};
use ring::rsa::KeyPair as RsaKeyPair;
use serde_json::{Value, json};
use std::time::Duration;

const JTI: &str = "a-random-jti-of-some-length";

#[track_caller]
fn refused(got: &Got, error: &str, words: &str) {
    let body = got.json();
    assert_eq!((got.status.as_u16(), body["error"].as_str()), (400, Some(error)), "{body}");
    let description = body["error_description"].as_str().unwrap_or_default();
    assert!(description.contains(words), "{description:?} does not say {words:?}");
}

#[tokio::test(start_paused = true)]
async fn client_credentials_give_a_token_for_about_an_hour() {
    let world = world(1);
    let got = world.client_credentials().await;
    assert_eq!((got.status.as_u16(), got.header("date")), (200, "Sun, 22 Nov 2026 10:00:00 GMT"));
    let token = got.json();
    assert_eq!((token["token_type"].as_str(), &token["restricted_to"]), (Some("bearer"), &json!([])));
    let lifetime = token["expires_in"].as_i64().expect("a number");
    assert!((3_000..5_000).contains(&lifetime) && lifetime != 3_600, "{lifetime}");
    assert!(token.get("refresh_token").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_token_dies_when_its_time_is_over() {
    let world = world(1);
    world.it.token_lifetime(SignedDuration::from_secs(100));
    let token = world.token().await;
    tokio::time::sleep(Duration::from_secs(99)).await;
    assert_eq!(world.get(&token, "/2.0/users/me").await.status, 200);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let late = world.get(&token, "/2.0/users/me").await;
    assert_eq!(late.status, 401);
    assert!(late.header("www-authenticate").contains("invalid_token"));
    assert_eq!(world.get(&world.token().await, "/2.0/users/me").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn wrong_client_credentials_are_told_apart_as_box_does() {
    let world = world(1);
    refused(
        &world.client_credentials_with("wrong", "1001").await,
        "invalid_client",
        "The client credentials are invalid",
    );
    refused(
        &world.client_credentials_with(&world.it.client_secret(), "1002").await,
        "invalid_grant",
        "Grant credentials are invalid",
    );
    let unknown =
        world.post(&[("grant_type", "client_credentials"), ("client_id", "nobody"), ("client_secret", "x")]).await;
    refused(&unknown, "invalid_client", "The client credentials are invalid");
    assert_eq!(world.sim.seen_of_strangers().len(), 1);
    let (id, secret) = (world.it.client_id(), world.it.client_secret());
    let other_type =
        [("grant_type", "refresh_token"), ("client_id", &*id), ("client_secret", &*secret), ("refresh_token", "x")];
    refused(&world.post(&other_type).await, "invalid_request", "The grant type is unauthorized for this client_id");
    refused(&world.post(&[("client_id", &id)]).await, "invalid_request", "parameter");
}

#[tokio::test(start_paused = true)]
async fn a_withdrawn_authorization_ends_tokens_and_refuses_new_ones() {
    let world = world(1);
    let token = world.token().await;
    world.it.withdraw();
    assert_eq!(world.get(&token, "/2.0/users/me").await.status, 401);
    refused(&world.client_credentials().await, "unauthorized_client", "This app is not authorized by the enterprise");
    world.it.grant();
    assert_eq!(world.get(&token, "/2.0/users/me").await.status, 401, "the old token stays dead");
    assert_eq!(world.get(&world.token().await, "/2.0/users/me").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_rotated_secret_refuses_the_old_one_but_not_its_tokens() {
    let world = world(1);
    let (old, token) = (world.it.client_secret(), world.token().await);
    assert_ne!(world.it.rotate_secret(), old);
    refused(&world.client_credentials_with(&old, "1001").await, "invalid_client", "");
    assert_eq!(world.get(&token, "/2.0/users/me").await.status, 200);
    assert_eq!(world.client_credentials().await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_signed_assertion_gives_a_token_with_kid_and_without() {
    let world = jwt_world();
    let with = signed(KeyPair::First, &json!({"alg": "RS256", "typ": "JWT", "kid": kid(&world)}), &claims(&world, JTI));
    assert_eq!(world.assert_with(&with).await.status, 200);
    let without = signed(KeyPair::First, &json!({"alg": "RS256"}), &claims(&world, "another-random-jti-here"));
    let got = world.assert_with(&without).await;
    assert_eq!(got.status, 200, "{}", got.json());
    let token = got.json()["access_token"].as_str().expect("a token").to_owned();
    assert_eq!(world.get(&token, "/2.0/users?usemarker=true").await.ids().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn an_assertion_works_once() {
    let world = jwt_world();
    let assertion = signed(KeyPair::First, &json!({"alg": "RS256"}), &claims(&world, JTI));
    assert_eq!(world.assert_with(&assertion).await.status, 200);
    refused(&world.assert_with(&assertion).await, "invalid_grant", "'jti'");
}

#[tokio::test(start_paused = true)]
async fn every_wrong_claim_is_named() {
    let world = jwt_world();
    let now = start().as_second();
    let cases = [
        ("aud", json!("http://127.0.0.1/oauth2/token"), "'aud'"),
        ("iss", json!("somebody"), "'iss'"),
        ("sub", json!("1"), "Please check the 'sub' claim"),
        ("sub", json!(1002), "Please check the 'sub' claim"),
        ("box_sub_type", json!("user"), "'box_sub_type'"),
        ("jti", json!("short"), "'jti'"),
        ("jti", json!("x".repeat(129)), "'jti'"),
        ("exp", json!(now + 61), "'exp'"),
        ("exp", json!(now), "'exp'"),
        ("exp", json!("soon"), "'exp'"),
    ];
    for (claim, value, words) in cases {
        let mut claims = claims(&world, JTI);
        claims[claim] = value;
        refused(
            &world.assert_with(&signed(KeyPair::First, &json!({"alg": "RS256"}), &claims)).await,
            "invalid_grant",
            words,
        );
    }
}

#[tokio::test(start_paused = true)]
async fn signatures_and_key_ids_are_checked() {
    let world = jwt_world();
    let good = claims(&world, JTI);
    refused(
        &world.assert_with(&signed(KeyPair::First, &json!({"alg": "RS256", "kid": "unknown"}), &good)).await,
        "invalid_grant",
        "kid",
    );
    refused(&world.assert_with(&signed(KeyPair::First, &json!({"alg": "none"}), &good)).await, "invalid_grant", "alg");
    refused(
        &world.assert_with(&signed(KeyPair::Second, &json!({"alg": "RS256"}), &good)).await,
        "invalid_grant",
        "signature",
    );
    refused(&world.assert_with("not a token").await, "invalid_grant", "assertion");
    let old_kid = kid(&world);
    world.it.replace_key_pair();
    refused(
        &world.assert_with(&signed(KeyPair::First, &json!({"alg": "RS256", "kid": old_kid}), &good)).await,
        "invalid_grant",
        "kid",
    );
    let new = signed(KeyPair::Second, &json!({"alg": "RS256", "kid": kid(&world)}), &good);
    assert_eq!(world.assert_with(&new).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn keys_of_ones_own_can_be_registered() {
    let spec = EnterpriseSpec::new("9").auth(Auth::Jwt).public_key("mine", KeyPair::Second.public_pem());
    let world = world_of(spec, clock::following_tokio(start()));
    assert!(world.it.config_json(KeyFormat::Pkcs8TripleDes).is_none(), "the private key is not ours");
    let assertion = signed(KeyPair::Second, &json!({"alg": "RS256", "kid": "mine"}), &claims(&world, JTI));
    assert_eq!(world.assert_with(&assertion).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_off_shows_in_the_date_and_in_the_judgement_of_exp() {
    for (behaviour, date, offset) in [
        (Behaviour::ClockAhead, "Sun, 22 Nov 2026 10:10:00 GMT", 600),
        (Behaviour::ClockBehind, "Sun, 22 Nov 2026 09:50:00 GMT", -600),
    ] {
        let world = jwt_world();
        world.it.behave(behaviour);
        let mut claims = claims(&world, JTI);
        let got = world.assert_with(&signed(KeyPair::First, &json!({"alg": "RS256"}), &claims)).await;
        refused(&got, "invalid_grant", "'exp'");
        assert_eq!(got.header("date"), date);
        claims["exp"] = json!(start().as_second() + offset + 45);
        let got = world.assert_with(&signed(KeyPair::First, &json!({"alg": "RS256"}), &claims)).await;
        assert_eq!(got.status, 200, "{}", got.json());
        let token = got.json()["access_token"].as_str().expect("a token").to_owned();
        assert_eq!(world.get(&token, "/2.0/users/me").await.status, 200);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refresh_token_works_once_and_for_60_days() {
    let world = world_of(EnterpriseSpec::new("5").auth(Auth::Oauth2), clock::following_tokio(start()));
    let (id, secret, first) =
        (world.it.client_id(), world.it.client_secret(), world.it.refresh_token().expect("an OAuth app"));
    let refresh = async |token: &str| {
        world
            .post(&[
                ("grant_type", "refresh_token"),
                ("refresh_token", token),
                ("client_id", &id),
                ("client_secret", &secret),
            ])
            .await
    };
    let got = refresh(&first).await;
    let second = got.json()["refresh_token"].as_str().expect("the next one").to_owned();
    assert_ne!(first, second);
    refused(&refresh(&first).await, "invalid_grant", "Invalid refresh token");
    tokio::time::sleep(Duration::from_secs(60 * 86_400)).await;
    refused(&refresh(&second).await, "invalid_grant", "Refresh token has expired");
    let third = world.it.authorize_again();
    assert_eq!(refresh(&third).await.status, 200);
}

#[test]
fn the_fixtures_are_what_they_are_called() {
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
    let world = jwt_world();
    for format in KeyFormat::ALL {
        let file: Value = serde_json::from_str(&world.it.config_json(*format).expect("a JWT app")).expect("JSON");
        assert_eq!(file["enterpriseID"], "1002");
        let settings = &file["boxAppSettings"];
        assert_eq!(
            (settings["clientID"].as_str(), settings["clientSecret"].as_str()),
            (Some(&*world.it.client_id()), Some(&*world.it.client_secret()))
        );
        assert!(settings["appAuth"]["privateKey"].as_str().is_some_and(|key| key.contains("PRIVATE KEY-----")));
        assert_eq!(settings["appAuth"]["passphrase"], PASSPHRASE);
    }
}
