//! JWT assertions: claims, signature and clock skew.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::SignedDuration;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::Value;

use super::{credentials::config_json, *};

fn jwt_token_source(fake: &FakeBox) -> TokenSource {
    fake.token_source_for(Credentials::jwt(config_json().to_string().into_bytes().into()).expect("usable"))
}

fn jwt_client(fake: &FakeBox) -> Client {
    Client::new(&jwt_token_source(fake), CancellationToken::new())
}

fn decode_part(assertion: &str, number: usize) -> Vec<u8> {
    BASE64_URL_SAFE_NO_PAD.decode(assertion.split('.').nth(number).expect("three parts")).expect("base64")
}

fn claims(request: &RecordedRequest) -> Value {
    serde_json::from_slice(&decode_part(&request.form_fields()["assertion"], 1)).expect("claims")
}

#[tokio::test]
async fn an_assertion_has_the_required_claims_and_is_signed_by_the_app_key() {
    let fake = FakeBox::default();
    jwt_client(&fake).sign_in().await.expect("signed in");
    let request = &fake.recorded_requests()[0];
    let form = request.form_fields();
    assert_eq!(form["grant_type"], "urn:ietf:params:oauth:grant-type:jwt-bearer");
    assert_eq!((form["client_id"].as_str(), form["client_secret"].as_str(), form.len()), ("jwt-client", SECRET, 4));
    let header: Value = serde_json::from_slice(&decode_part(&form["assertion"], 0)).expect("header");
    assert_eq!(header, json!({ "alg": "RS256", "typ": "JWT", "kid": "kid-1" }));
    let mut claims = claims(request);
    let jti = claims["jti"].take();
    assert!((16..=128).contains(&jti.as_str().expect("text").len()));
    assert_eq!(
        claims,
        json!({ "iss": "jwt-client", "sub": "123", "box_sub_type": "enterprise", "aud": "https://api.box.com/oauth2/token", "jti": null, "exp": test_time().as_second() + 45 })
    );
    let (signed, _) = form["assertion"].rsplit_once('.').expect("a signature");
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, include_bytes!("../fixtures/public-key.der"))
        .verify(signed.as_bytes(), &decode_part(&form["assertion"], 2))
        .expect("a signature of the app's key");
}

#[tokio::test]
async fn clock_skew_is_corrected_by_the_date_header() {
    for (claim, date, shift) in [
        ("exp", "Sun, 22 Nov 2026 13:00:00 GMT", 3600),
        ("exp", "Sun, 22 Nov 2026 11:59:00 GMT", -60),
        ("jti", "Sun, 22 Nov 2026 12:00:01 GMT", 1),
        ("jti", "no date", 0),
    ] {
        let response =
            oauth_error("invalid_grant", &format!("Please check the '{claim}' claim.")).with_header("date", date);
        let fake = FakeBox::default().respond_with(TOKEN, [response]);
        let client = jwt_client(&fake);
        client.sign_in().await.expect("signed in");
        let claims: Vec<Value> = fake.recorded_requests().iter().map(claims).collect();
        assert_eq!(client.call_count(), 2);
        assert_eq!(claims[1]["exp"], test_time().as_second() + 45 + shift, "{date}");
        assert_ne!(claims[0]["jti"], claims[1]["jti"]);
    }
}

#[tokio::test]
async fn persistent_clock_skew_is_reported_after_one_correction() {
    let response = oauth_error("invalid_grant", "Please check the 'exp' claim.")
        .with_header("date", "Sun, 22 Nov 2026 13:00:00 GMT");
    let fake = FakeBox::default().respond_with(TOKEN, [response.clone(), response]);
    let error = jwt_client(&fake).sign_in().await.expect_err("refused");
    let Error::ClockSkew { skew, .. } = &error else { panic!("{error:?}") };
    assert_eq!(*skew, Some(SignedDuration::from_hours(1)));
    assert_eq!(
        error.to_string(),
        r#"Box rejected the time in the signed assertion (the local clock is 3600 s behind Box's): "Please check the 'exp' claim." (invalid_grant)."#
    );
    assert_eq!(fake.recorded_requests().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn no_assertion_is_sent_twice_even_after_a_server_error() {
    let fake = FakeBox::default().respond_with(TOKEN, [canned_response(503, ""), canned_response(502, "<html>")]);
    jwt_client(&fake).sign_in().await.expect("signed in");
    let mut ids: Vec<String> =
        fake.recorded_requests().iter().map(|request| claims(request)["jti"].to_string()).collect();
    ids.dedup();
    assert_eq!(ids.len(), 3);
}
