//! Assertions: what they claim, who signed them, and what happens when Box finds their time wrong.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::SignedDuration;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::Value;

use super::credentials::config;
use super::*;

fn session(fake: &FakeBox) -> Session {
    fake.session_with(Credentials::jwt(config().to_string().into_bytes().into()).expect("usable"))
}

fn visit(fake: &FakeBox) -> Visit {
    session(fake).visit(CancellationToken::new())
}

fn part(assertion: &str, number: usize) -> Vec<u8> {
    BASE64_URL_SAFE_NO_PAD.decode(assertion.split('.').nth(number).expect("three parts")).expect("base64")
}

fn claims(asked: &Asked) -> Value {
    serde_json::from_slice(&part(&asked.form()["assertion"], 1)).expect("claims")
}

#[tokio::test]
async fn an_assertion_claims_what_box_asks_for_and_is_signed_by_the_apps_key() {
    let fake = FakeBox::default();
    visit(&fake).sign_in().await.expect("signed in");
    let asked = &fake.asked()[0];
    let form = asked.form();
    assert_eq!(form["grant_type"], "urn:ietf:params:oauth:grant-type:jwt-bearer");
    assert_eq!((form["client_id"].as_str(), form["client_secret"].as_str(), form.len()), ("jwt-client", SECRET, 4));
    let header: Value = serde_json::from_slice(&part(&form["assertion"], 0)).expect("header");
    assert_eq!(header, json!({ "alg": "RS256", "typ": "JWT", "kid": "kid-1" }));
    let mut claims = claims(asked);
    let jti = claims["jti"].take();
    assert!((16..=128).contains(&jti.as_str().expect("text").len()));
    assert_eq!(
        claims,
        json!({ "iss": "jwt-client", "sub": "123", "box_sub_type": "enterprise", "aud": "https://api.box.com/oauth2/token", "jti": null, "exp": now().as_second() + 45 })
    );
    let (signed, _) = form["assertion"].rsplit_once('.').expect("a signature");
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, include_bytes!("../fixtures/public-key.der"))
        .verify(signed.as_bytes(), &part(&form["assertion"], 2))
        .expect("a signature of the app's key");
}

#[tokio::test]
async fn a_clock_that_is_wrong_is_corrected_by_the_date_of_boxs_answer() {
    for (claim, date, moved) in [
        ("exp", "Sun, 22 Nov 2026 13:00:00 GMT", 3600),
        ("exp", "Sun, 22 Nov 2026 11:59:00 GMT", -60),
        ("jti", "Sun, 22 Nov 2026 12:00:01 GMT", 1),
        ("jti", "no date", 0),
    ] {
        let refusal = oauth_error("invalid_grant", &format!("Please check the '{claim}' claim.")).header("date", date);
        let fake = FakeBox::default().then(TOKEN, [refusal]);
        let visit = visit(&fake);
        visit.sign_in().await.expect("signed in");
        let claims: Vec<Value> = fake.asked().iter().map(claims).collect();
        assert_eq!(visit.calls(), 2);
        assert_eq!(claims[1]["exp"], now().as_second() + 45 + moved, "{date}");
        assert_ne!(claims[0]["jti"], claims[1]["jti"]);
    }
}

#[tokio::test]
async fn a_clock_that_stays_wrong_is_reported_after_one_correction() {
    let refusal =
        oauth_error("invalid_grant", "Please check the 'exp' claim.").header("date", "Sun, 22 Nov 2026 13:00:00 GMT");
    let fake = FakeBox::default().then(TOKEN, [refusal.clone(), refusal]);
    let error = visit(&fake).sign_in().await.expect_err("refused");
    let Error::ClockSkew { skew, .. } = &error else { panic!("{error:?}") };
    assert_eq!(*skew, Some(SignedDuration::from_hours(1)));
    assert_eq!(
        error.to_string(),
        r#"Box refused the time of the signed assertion (our clock is 3600 s behind Box's): "Please check the 'exp' claim." (invalid_grant)."#
    );
    assert_eq!(fake.asked().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn no_assertion_is_sent_twice_not_even_when_box_stumbles() {
    let fake = FakeBox::default().then(TOKEN, [answer(503, ""), answer(502, "<html>")]);
    visit(&fake).sign_in().await.expect("signed in");
    let mut ids: Vec<String> = fake.asked().iter().map(|asked| claims(asked)["jti"].to_string()).collect();
    ids.dedup();
    assert_eq!(ids.len(), 3);
}
