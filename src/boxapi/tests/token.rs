//! The token: asked for once, used while it lasts, dropped when Box refuses it.

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn client_credentials_are_sent_as_box_wants_them() {
    let fake = FakeBox::default();
    let account = fake.visit().account().await.expect("an account");
    let enterprise = Some(Enterprise { id: "123".into(), name: "Acme".into() });
    assert_eq!(account, Account { id: "7".into(), login: "a@b.c".into(), name: "App".into(), enterprise });

    let [token, me] = &fake.asked()[..] else { panic!("{:?}", fake.asked()) };
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
async fn a_token_is_used_until_shortly_before_its_end() {
    let fake = FakeBox::default();
    let session = fake.session();
    let visit = session.visit(CancellationToken::new());
    assert!(!session.holds_token());
    visit.account().await.expect("an account");
    tokio::time::sleep(HOUR - Duration::from_secs(61)).await;
    visit.account().await.expect("an account");
    assert!(session.holds_token());
    assert_eq!(fake.asked_at(TOKEN).len(), 1);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(!session.holds_token());
    visit.account().await.expect("an account");
    assert_eq!(fake.asked_at(TOKEN).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn one_token_is_asked_for_however_many_need_it_at_once() {
    let fake = FakeBox::default().then(TOKEN, [token("shared-token", 3600).late(Duration::from_secs(5))]);
    let session = fake.session();
    let mut errands = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let session = session.clone();
        errands.spawn(async move { session.visit(CancellationToken::new()).account().await });
    }
    assert!(errands.join_all().await.iter().all(Result::is_ok));
    assert_eq!(fake.asked_at(TOKEN).len(), 1);
    assert!(fake.asked_at(ME).iter().all(|me| me.header("authorization") == "Bearer shared-token"));
}

#[tokio::test]
async fn a_token_that_box_refuses_is_replaced_once() {
    let fake = FakeBox::default().then(ME, [answer(401, "")]);
    let visit = fake.visit();
    visit.account().await.expect("an account");
    assert_eq!(fake.asked_at(ME)[1].header("authorization"), "Bearer access-token-2");
    assert_eq!(visit.calls(), 4);
}

#[tokio::test]
async fn a_new_token_that_box_refuses_too_means_that_the_authorization_has_expired() {
    let fake = FakeBox::default().then(ME, [answer(401, ""), api_error(401, "unauthorized")]);
    let session = fake.session();
    let error = session.visit(CancellationToken::new()).account().await.expect_err("refused");
    assert!(matches!(error, Error::Refused { refusal: Refusal::AuthorizationExpired, .. }), "{error:?}");
    assert_eq!(
        error.to_string(),
        r#"Box no longer accepts the authorization: "Words of Box" (unauthorized, request id r1)."#
    );
    assert_eq!(fake.asked_at(TOKEN).len(), 2);
    assert!(!session.holds_token());
}

#[tokio::test]
async fn signing_in_asks_for_a_new_token_whatever_is_held() {
    let fake = FakeBox::default();
    let visit = fake.visit();
    visit.sign_in().await.expect("signed in");
    visit.sign_in().await.expect("signed in");
    visit.account().await.expect("an account");
    assert_eq!(fake.asked_at(TOKEN).len(), 2);
    assert_eq!(fake.asked_at(ME)[0].header("authorization"), "Bearer access-token-2");
}

#[tokio::test]
async fn a_failed_sign_in_leaves_a_good_token_in_use() {
    let fake = FakeBox::default()
        .then(TOKEN, [token("old-token", 3600), oauth_error("invalid_client", "The client credentials are invalid")]);
    let session = fake.session();
    let visit = session.visit(CancellationToken::new());
    visit.sign_in().await.expect("signed in");
    let error = visit.sign_in().await.expect_err("refused");
    assert_eq!(
        error.to_string(),
        r#"Box rejected the credentials: "The client credentials are invalid" (invalid_client)."#
    );
    assert!(session.holds_token());
    visit.account().await.expect("an account");
    assert_eq!(fake.asked_at(ME)[0].header("authorization"), "Bearer old-token");
}

#[tokio::test]
async fn an_answer_without_a_usable_token_makes_no_sense() {
    for (body, what) in [
        ("<html>", Nonsense::NotJson),
        (r#"{"access_token":"abc"#, Nonsense::NotJson),
        ("{}", Nonsense::NoToken),
        (r#"{"access_token":""}"#, Nonsense::NoToken),
        (r#"{"access_token":"a\r\nb"}"#, Nonsense::NoToken),
        (r#"{"access_token":7}"#, Nonsense::NoToken),
    ] {
        let fake = FakeBox::default().then(TOKEN, [answer(200, body)]);
        assert_eq!(fake.visit().sign_in().await, Err(Error::invalid(what)), "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_life_that_box_does_not_tell_or_tells_absurdly_is_bounded() {
    for (life, good_for) in
        [(json!(null), 3500), (json!("1800"), 1700), (json!(u64::MAX), 80_000), (json!(100), 49), (json!(-5), 0)]
    {
        let fake =
            FakeBox::default().then(TOKEN, [answer(200, json!({ "access_token": "t0ken", "expires_in": life }))]);
        let session = fake.session();
        session.visit(CancellationToken::new()).sign_in().await.expect("signed in");
        tokio::time::sleep(Duration::from_secs(good_for)).await;
        assert_eq!(session.holds_token(), good_for > 0, "{life}");
        tokio::time::sleep(2 * 24 * HOUR).await;
        assert!(!session.holds_token(), "{life}");
    }
}

#[tokio::test]
async fn an_account_without_an_id_makes_no_sense_and_one_with_numbers_does() {
    for (body, expected) in [
        (json!({ "type": "user" }), Err(Error::invalid(Nonsense::NoAccount))),
        (json!([]), Err(Error::invalid(Nonsense::NoAccount))),
        (
            json!({ "id": 7, "enterprise": { "id": 123, "name": null } }),
            Ok(Some(Enterprise { id: "123".into(), name: String::new() })),
        ),
        (json!({ "id": "7", "enterprise": null }), Ok(None)),
    ] {
        let fake = FakeBox::default().then(ME, [answer(200, &body)]);
        assert_eq!(fake.visit().account().await.map(|account| account.enterprise), expected, "{body}");
    }
}

#[tokio::test]
async fn no_error_repeats_a_token_a_secret_or_an_assertion() {
    let echo =
        |text: &str| answer(400, json!({ "error": "invalid_grant", "error_description": format!("{SECRET} {text}") }));
    let assertion = "eyJhbGciOiJSUzI1NiJ9.".repeat(20);
    let fake = FakeBox::default().then(TOKEN, [echo(&assertion)]);
    let error = fake.visit().sign_in().await.expect_err("refused");
    assert!(
        matches!(error, Error::Refused { refusal: Refusal::CredentialsRejected(Rejected::Unknown), .. }),
        "{error:?}"
    );
    let printed = format!("{error} {error:?}");
    assert!(!printed.contains(SECRET) && !printed.contains("eyJ"), "{printed}");

    let fake = FakeBox::default()
        .then(ME, [answer(403, json!({ "message": "no: access-token-1", "code": "access-token-1" }))]);
    let error = fake.visit().account().await.expect_err("refused");
    assert!(matches!(error, Error::Refused { refusal: Refusal::PermissionDenied, .. }), "{error:?}");
    assert!(!format!("{error} {error:?}").contains("access-token"), "{error}");
}

fn code() -> Credentials {
    let app = ClientCredentials::new(b"the-client".to_vec().into(), SECRET.as_bytes().to_vec().into()).expect("usable");
    Invitation::new(app, "http://127.0.0.1:4711/callback".into()).accept("the-code".to_owned().into())
}

#[tokio::test]
async fn a_granted_code_is_exchanged_for_a_token_and_the_first_refresh_token() {
    let with_refresh =
        json!({ "access_token": "an-access-token", "expires_in": 3600, "refresh_token": "the-refresh-token" });
    let fake = FakeBox::default().then(TOKEN, [answer(200, with_refresh)]);
    let session = fake.session_with(code());
    let visit = session.visit(CancellationToken::new());
    visit.sign_in().await.expect("a token");
    visit.account().await.expect("an account");
    let refresh = session.refresh_token().expect("a refresh token");
    assert_eq!(secrecy::ExposeSecret::expose_secret(&refresh), "the-refresh-token");
    let [asked] = &fake.asked_at(TOKEN)[..] else { panic!("{:?}", fake.asked()) };
    let mut form = asked.form();
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
async fn a_code_that_gave_a_token_is_never_sent_again() {
    let fake = FakeBox::default().then(ME, [api_error(401, "unauthorized")]);
    let visit = fake.session_with(code()).visit(CancellationToken::new());
    visit.sign_in().await.expect("a token");
    let refused = visit.account().await.expect_err("refused");
    assert!(matches!(refused, Error::Refused { refusal: Refusal::AuthorizationExpired, .. }), "{refused}");
    assert!(visit.sign_in().await.is_err() && visit.account().await.is_err());
    assert_eq!(fake.asked_at(TOKEN).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_code_that_box_did_not_answer_for_is_sent_again() {
    let fake = FakeBox::default().then(TOKEN, [answer(503, "")]);
    fake.session_with(code()).visit(CancellationToken::new()).sign_in().await.expect("a token");
    assert_eq!(fake.asked_at(TOKEN).len(), 2);
}
