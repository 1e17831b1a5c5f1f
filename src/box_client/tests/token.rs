//! The access token: requested once, used until it expires, replaced when Box rejects it.

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn client_credentials_are_sent_as_documented() {
    let fake = FakeBox::default();
    let account = fake.connect().get_account().await.expect("an account");
    let enterprise = Some(Enterprise { id: "123".into(), name: "Acme".into() });
    assert_eq!(account, Account { id: "7".into(), login: "a@b.c".into(), name: "App".into(), enterprise });

    let [token, me] = &fake.recorded_requests()[..] else { panic!("{:?}", fake.recorded_requests()) };
    assert_eq!((token.method.as_str(), token.path.as_str(), token.query.as_str()), ("POST", TOKEN, ""));
    assert_eq!(token.header("content-type"), "application/x-www-form-urlencoded");
    assert_eq!(
        token.body,
        format!(
            "grant_type=client_credentials&client_id=the-client&client_secret={SECRET}&box_subject_type=enterprise&box_subject_id=123"
        )
    );
    assert_eq!((me.method.as_str(), me.path.as_str()), ("GET", ME));
    assert_eq!(me.query, "fields=id,type,name,login,role,status,enterprise");
    assert_eq!((me.header("authorization"), me.header("accept")), ("Bearer access-token-1", "application/json"));
}

#[tokio::test(start_paused = true)]
async fn a_token_is_used_until_shortly_before_it_expires() {
    let fake = FakeBox::default();
    let token_source = fake.new_token_source();
    let client = Client::new(&token_source, CancellationToken::new());
    assert!(!token_source.has_valid_token());
    client.get_account().await.expect("an account");
    tokio::time::sleep(HOUR - Duration::from_secs(61)).await;
    client.get_account().await.expect("an account");
    assert!(token_source.has_valid_token());
    assert_eq!(fake.requests_to(TOKEN).len(), 1);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(!token_source.has_valid_token());
    client.get_account().await.expect("an account");
    assert_eq!(fake.requests_to(TOKEN).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn concurrent_callers_share_one_token_request() {
    let fake = FakeBox::default()
        .respond_with(TOKEN, [token_response("shared-token", 3600).with_delay(Duration::from_secs(5))]);
    let token_source = fake.new_token_source();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let token_source = token_source.clone();
        tasks.spawn(async move { Client::new(&token_source, CancellationToken::new()).get_account().await });
    }
    assert!(tasks.join_all().await.iter().all(Result::is_ok));
    assert_eq!(fake.requests_to(TOKEN).len(), 1);
    assert!(fake.requests_to(ME).iter().all(|me| me.header("authorization") == "Bearer shared-token"));
}

#[tokio::test]
async fn a_rejected_token_is_replaced_once() {
    let fake = FakeBox::default().respond_with(ME, [canned_response(401, "")]);
    let client = fake.connect();
    client.get_account().await.expect("an account");
    assert_eq!(fake.requests_to(ME)[1].header("authorization"), "Bearer access-token-2");
    assert_eq!(client.call_count(), 4);
}

#[tokio::test(start_paused = true)]
async fn new_tokens_that_are_rejected_for_ten_minutes_mean_that_the_authorization_has_expired() {
    let fake = FakeBox::default().respond_with(ME, vec![api_error(401, "unauthorized"); 8]);
    let token_source = fake.new_token_source();
    let client = Client::new(&token_source, CancellationToken::new());
    for _ in 0..2 {
        let error = client.get_account().await.expect_err("refused");
        assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
        assert_eq!(
            error.to_string(),
            r#"Box is not available: it rejects access tokens that it has just issued: 401, "A message of Box" (unauthorized, request id r1)."#
        );
        tokio::time::advance(Duration::from_secs(500)).await;
    }
    let error = client.get_account().await.expect_err("refused");
    assert!(matches!(error, Error::Denied { denial: Denial::AuthorizationExpired, .. }), "{error:?}");
    assert_eq!(
        error.to_string(),
        r#"Box no longer accepts the authorization: "A message of Box" (unauthorized, request id r1)."#
    );
    assert!(!token_source.has_valid_token());
    client.get_account().await.expect_err("the last 401s");
    client.get_account().await.expect("an account");
}

#[tokio::test(start_paused = true)]
async fn rejections_that_come_and_go_never_add_up() {
    let rejected_twice = || [api_error(401, "unauthorized"), canned_response(401, "")];
    let accepted = || [canned_response(200, r#"{"id":"9","enterprise":{"id":"123"}}"#)];
    let answers = (0..4).flat_map(|_| rejected_twice().into_iter().chain(accepted()));
    let fake = FakeBox::default().respond_with(ME, answers);
    let client = fake.connect();
    for _ in 0..4 {
        let error = client.get_account().await.expect_err("refused");
        assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
        tokio::time::advance(Duration::from_secs(500)).await;
        client.get_account().await.expect("an account");
        tokio::time::advance(Duration::from_secs(500)).await;
    }
}

#[tokio::test]
async fn a_rejection_that_speaks_of_the_grant_is_believed_at_once() {
    for (code, message) in [
        ("invalid_grant", ""),
        ("unauthorized_client", "This app is not authorized by the enterprise admin"),
        ("invalid_token", "The grant was revoked by the user."),
        ("unauthorized", "The account has been deactivated"),
    ] {
        let rejected = || canned_response(401, json!({ "code": code, "message": message }));
        let fake = FakeBox::default().respond_with(ME, [rejected(), rejected()]);
        let error = fake.connect().get_account().await.expect_err("refused");
        assert!(matches!(error, Error::Denied { denial: Denial::AuthorizationExpired, .. }), "{code}: {error:?}");
        assert_eq!(fake.requests_to(TOKEN).len(), 2, "a new token is tried first");
    }
}

#[tokio::test]
async fn sign_in_requests_a_new_token_even_if_one_is_cached() {
    let fake = FakeBox::default();
    let client = fake.connect();
    client.sign_in().await.expect("signed in");
    client.sign_in().await.expect("signed in");
    client.get_account().await.expect("an account");
    assert_eq!(fake.requests_to(TOKEN).len(), 2);
    assert_eq!(fake.requests_to(ME)[0].header("authorization"), "Bearer access-token-2");
}

#[tokio::test]
async fn a_failed_sign_in_keeps_a_valid_token() {
    let fake = FakeBox::default().respond_with(
        TOKEN,
        [token_response("old-token", 3600), oauth_error("invalid_client", "The client credentials are invalid")],
    );
    let token_source = fake.new_token_source();
    let client = Client::new(&token_source, CancellationToken::new());
    client.sign_in().await.expect("signed in");
    let error = client.sign_in().await.expect_err("refused");
    assert_eq!(
        error.to_string(),
        r#"Box rejected the credentials: "The client credentials are invalid" (invalid_client)."#
    );
    assert!(token_source.has_valid_token());
    client.get_account().await.expect("an account");
    assert_eq!(fake.requests_to(ME)[0].header("authorization"), "Bearer old-token");
}

#[tokio::test]
async fn a_response_without_a_usable_token_is_invalid() {
    for (body, problem) in [
        ("<html>", InvalidResponse::NotJson),
        (r#"{"access_token":"abc"#, InvalidResponse::NotJson),
        ("{}", InvalidResponse::MissingToken),
        (r#"{"access_token":""}"#, InvalidResponse::MissingToken),
        (r#"{"access_token":"a\r\nb"}"#, InvalidResponse::MissingToken),
        (r#"{"access_token":7}"#, InvalidResponse::MissingToken),
    ] {
        let fake = FakeBox::default().respond_with(TOKEN, [canned_response(200, body)]);
        assert_eq!(fake.connect().sign_in().await, Err(Error::invalid_response(problem)), "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_missing_or_absurd_token_lifetime_is_bounded() {
    for (lifetime, valid_for) in
        [(json!(null), 3500), (json!("1800"), 1700), (json!(u64::MAX), 80_000), (json!(100), 49), (json!(-5), 0)]
    {
        let fake = FakeBox::default()
            .respond_with(TOKEN, [canned_response(200, json!({ "access_token": "t0ken", "expires_in": lifetime }))]);
        let token_source = fake.new_token_source();
        Client::new(&token_source, CancellationToken::new()).sign_in().await.expect("signed in");
        tokio::time::sleep(Duration::from_secs(valid_for)).await;
        assert_eq!(token_source.has_valid_token(), valid_for > 0, "{lifetime}");
        tokio::time::sleep(2 * 24 * HOUR).await;
        assert!(!token_source.has_valid_token(), "{lifetime}");
    }
}

#[tokio::test]
async fn an_account_without_an_id_is_invalid_and_numeric_ids_are_accepted() {
    for (body, expected) in [
        (json!({ "type": "user" }), Err(Error::invalid_response(InvalidResponse::MissingAccount))),
        (json!([]), Err(Error::invalid_response(InvalidResponse::MissingAccount))),
        (
            json!({ "id": 7, "enterprise": { "id": 123, "name": null } }),
            Ok(Some(Enterprise { id: "123".into(), name: String::new() })),
        ),
        (json!({ "id": "7", "enterprise": null }), Ok(None)),
    ] {
        let fake = FakeBox::default().respond_with(ME, [canned_response(200, &body)]);
        assert_eq!(fake.connect().get_account().await.map(|account| account.enterprise), expected, "{body}");
    }
}

#[tokio::test]
async fn no_error_repeats_a_token_a_secret_or_an_assertion() {
    let echo = |text: &str| {
        canned_response(400, json!({ "error": "invalid_grant", "error_description": format!("{SECRET} {text}") }))
    };
    let assertion = "eyJhbGciOiJSUzI1NiJ9.".repeat(20);
    let fake = FakeBox::default().respond_with(TOKEN, [echo(&assertion)]);
    let error = fake.connect().sign_in().await.expect_err("refused");
    assert!(
        matches!(error, Error::Denied { denial: Denial::CredentialsRejected(CredentialRejection::Unknown), .. }),
        "{error:?}"
    );
    let printed = format!("{error} {error:?}");
    assert!(!printed.contains(SECRET) && !printed.contains("eyJ"), "{printed}");

    let fake = FakeBox::default()
        .respond_with(ME, [canned_response(403, json!({ "message": "no: access-token-1", "code": "access-token-1" }))]);
    let error = fake.connect().get_account().await.expect_err("refused");
    assert!(matches!(error, Error::Denied { denial: Denial::PermissionDenied, .. }), "{error:?}");
    assert!(!format!("{error} {error:?}").contains("access-token"), "{error}");
}

fn code_credentials() -> Credentials {
    let app = ClientCredentials::new(b"the-client".to_vec().into(), SECRET.as_bytes().to_vec().into()).expect("usable");
    AuthorizationRequest::new(app, "http://127.0.0.1:4711/callback".into())
        .into_credentials("the-code".to_owned().into())
}

#[tokio::test]
async fn an_authorization_code_is_exchanged_for_a_token_and_the_first_refresh_token() {
    let with_refresh =
        json!({ "access_token": "an-access-token", "expires_in": 3600, "refresh_token": "the-refresh-token" });
    let fake = FakeBox::default().respond_with(TOKEN, [canned_response(200, with_refresh)]);
    let token_source = fake.token_source_for(code_credentials());
    let client = Client::new(&token_source, CancellationToken::new());
    client.sign_in().await.expect("a token");
    client.get_account().await.expect("an account");
    let refresh = token_source.refresh_token().expect("a refresh token");
    assert_eq!(secrecy::ExposeSecret::expose_secret(&refresh), "the-refresh-token");
    let [request] = &fake.requests_to(TOKEN)[..] else { panic!("{:?}", fake.recorded_requests()) };
    let mut form = request.form_fields();
    let verifier = form.remove("code_verifier").expect("a verifier");
    assert_eq!(verifier.len(), 64);
    let expected = [
        ("grant_type", "authorization_code"),
        ("code", "the-code"),
        ("client_id", "the-client"),
        ("client_secret", SECRET),
        ("redirect_uri", "http://127.0.0.1:4711/callback"),
    ];
    assert_eq!(form, expected.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
}

#[tokio::test]
async fn a_used_authorization_code_is_never_sent_again() {
    let fake = FakeBox::default().respond_with(ME, [api_error(401, "unauthorized")]);
    let client = Client::new(&fake.token_source_for(code_credentials()), CancellationToken::new());
    client.sign_in().await.expect("a token");
    let error = client.get_account().await.expect_err("refused");
    assert!(matches!(error, Error::Denied { denial: Denial::AuthorizationExpired, .. }), "{error}");
    assert!(client.sign_in().await.is_err() && client.get_account().await.is_err());
    assert_eq!(fake.requests_to(TOKEN).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_authorization_code_is_retried_after_a_server_error() {
    let fake = FakeBox::default().respond_with(TOKEN, [canned_response(503, "")]);
    Client::new(&fake.token_source_for(code_credentials()), CancellationToken::new()).sign_in().await.expect("a token");
    assert_eq!(fake.requests_to(TOKEN).len(), 2);
}
