//! Damaged and random input for every parser of Secrets and of Box's responses: none panics, and what they return is
//! bounded. The corpus is in `fixtures/corpus`; an input that ever failed belongs there.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, header};
use proptest::prelude::*;
use secrecy::ExposeSecret;

use super::{credentials::config_json, *};
use crate::box_client::{account::parse_account, auth::token::Token, error_body::ErrorBody, retry::parse_retry_after};

const TOKEN_BODY: &str = include_str!("../fixtures/corpus/token.json");
const TOKEN_ERROR: &str = include_str!("../fixtures/corpus/token-error.json");
const API_ERROR: &str = include_str!("../fixtures/corpus/api-error.json");
const ACCOUNT: &str = include_str!("../fixtures/corpus/account.json");
const PAGE: &str = include_str!("../fixtures/corpus/page.json");
const RETRY_AFTER: &str = include_str!("../fixtures/corpus/retry-after.txt");
/// No parser takes as long for any of these inputs, even on a busy machine.
const DAY: Duration = Duration::from_secs(86_400);

/// What happens to an input of the corpus.
#[derive(Clone, Debug)]
enum Damage {
    Set(u8),
    Insert(Vec<u8>),
    Truncate,
    /// Repeats the rest that often.
    Repeat(usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    let pieces = ["[", "{\"a\":", "\\u0001", "\u{202e}", "\"", "1e999", "-", "null", "\0", "\u{feff}", "\\ud800"];
    let inserts = (prop::sample::select(pieces.to_vec()), prop::sample::select(vec![1_usize, 3, 200, 5000]));
    prop_oneof![
        any::<u8>().prop_map(Damage::Set),
        inserts.prop_map(|(piece, times)| Damage::Insert(piece.repeat(times).into_bytes())),
        Just(Damage::Truncate),
        (1_usize..50).prop_map(Damage::Repeat),
    ]
}

/// An input of the corpus with up to four damages, or random bytes.
fn damaged(corpus: Vec<String>) -> impl Strategy<Value = Vec<u8>> {
    let damages = prop::collection::vec((any::<prop::sample::Index>(), damage()), 0..5);
    let from_corpus = (prop::sample::select(corpus), damages).prop_map(|(text, damages)| {
        let mut bytes = text.into_bytes();
        for (index, damage) in damages {
            let at = index.index(bytes.len() + 1);
            match damage {
                Damage::Set(byte) if at < bytes.len() => bytes[at] = byte,
                Damage::Set(_) => {}
                Damage::Insert(piece) => bytes = [&bytes[..at], &piece, &bytes[at..]].concat(),
                Damage::Truncate => bytes.truncate(at),
                Damage::Repeat(times) => bytes.extend(bytes[at..].repeat(times)),
            }
        }
        bytes
    });
    prop_oneof![9 => from_corpus, 1 => prop::collection::vec(any::<u8>(), 0..300)]
}

fn corpus(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn is_printable(text: &str, max_chars: usize) -> bool {
    text.chars().count() <= max_chars && !text.contains(char::is_control)
}

#[test]
fn the_undamaged_corpus_is_parsed() {
    assert!(Credentials::jwt(config_json().to_string().into_bytes().into()).is_ok());
    assert!(Token::parse(TOKEN_BODY.as_bytes()).is_ok());
    assert!(parse_account(ACCOUNT.as_bytes()).is_ok());
    assert!([TOKEN_ERROR, API_ERROR].iter().all(|text| ErrorBody::parse(text.as_bytes(), &[]).is_some()));
}

#[tokio::test(start_paused = true)]
async fn a_marker_that_makes_no_url_fails_the_listing() {
    let marker = "m".repeat(100_000);
    let fake = FakeBox::default().respond_with(USERS, [user_page_response(&["1"], Some(&marker))]);
    let error = collect_user_ids(&fake.connect(), Limits::default()).await.expect_err("no URL");
    assert!(matches!(error, Error::InvalidResponse { .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_error_body_that_is_too_large_is_not_parsed() {
    let body = json!({ "code": "forbidden_by_policy", "message": "x", "padding": "y".repeat(70_000) });
    let fake = FakeBox::default().respond_with(USERS, [canned_response(403, body)]);
    let error = collect_user_ids(&fake.connect(), Limits::default()).await.expect_err("403");
    assert!(matches!(&error, Error::InvalidResponse { body, .. } if body.is_empty()), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_stored_access_token_that_makes_no_header_is_not_valid() {
    for access_token in ["a\r\nHost: evil", "", "ü", &"x".repeat(10_000)] {
        let (access_expires_at, issued_at) = (Timestamp::MAX, test_time());
        let tokens =
            OAuthTokens { refresh_token: "r".into(), access_token: access_token.into(), access_expires_at, issued_at };
        assert!(!Token::from_stored(&tokens, test_time()).is_valid());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_configuration_file_gives_bounded_credentials_or_a_bounded_message(
        config in damaged(vec![config_json().to_string()]),
    ) {
        match Credentials::jwt(config.into()) {
            Ok(credentials) => {
                prop_assert!(is_printable(credentials.client_id(), 256));
                prop_assert!(credentials.enterprise_id().is_none_or(|id| is_printable(id, 64)));
            }
            Err(error) => prop_assert!(is_printable(&error.to_string(), 800), "{}", error),
        }
    }

    #[test]
    fn damaged_client_credentials_are_bounded(id in damaged(corpus(&["abc\r\n"])), secret in damaged(corpus(&["xyz"]))) {
        match Credentials::oauth2(id.into(), secret.clone().into(), secret.into()) {
            Ok(credentials) => prop_assert!(is_printable(credentials.client_id(), 256)),
            Err(error) => prop_assert!(is_printable(&error.to_string(), 300), "{}", error),
        }
    }

    #[test]
    fn a_damaged_token_response_gives_a_token_for_a_header_or_an_error(body in damaged(corpus(&[TOKEN_BODY]))) {
        if let Ok(token) = Token::parse(&body) {
            // Panics if the token makes no header.
            prop_assert!(token.authorization_header().len() <= (8 << 10) + "Bearer ".len());
            prop_assert!(token.lifetime() <= DAY);
            prop_assert!(token.refresh_token().is_none_or(|token| token.expose_secret().len() <= 8 << 10));
        }
    }

    #[test]
    fn a_damaged_error_body_gives_a_bounded_message(body in damaged(corpus(&[TOKEN_ERROR, API_ERROR]))) {
        let secret = "s3cret-of-the-app";
        let shown = ErrorBody::parse(&body, &[secret]).unwrap_or_default().to_string();
        prop_assert!(is_printable(&shown, 500) && !shown.contains(secret), "{}", shown);
    }

    #[test]
    fn a_damaged_account_is_bounded(body in damaged(corpus(&[ACCOUNT]))) {
        if let Ok(Account { id, login, name, enterprise }) = parse_account(&body) {
            prop_assert!(!id.is_empty() && is_printable(&id, 65));
            prop_assert!(is_printable(&login, 257) && is_printable(&name, 257));
            prop_assert!(enterprise.is_none_or(|e| is_printable(&e.id, 65) && is_printable(&e.name, 257)));
        }
    }

    #[test]
    fn a_damaged_page_is_listed_or_fails(body in damaged(corpus(&[PAGE]))) {
        let Ok(body) = String::from_utf8(body) else { return Ok(()) };
        let fake = FakeBox::default().respond_with(USERS, [canned_response(200, &body)]);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let listing = runtime.expect("a runtime").block_on(collect_user_ids(&fake.connect(), Limits::default()));
        match listing {
            Ok(ids) => prop_assert!(ids.iter().map(String::len).sum::<usize>() <= body.len() + 100),
            Err(error) => prop_assert!(is_printable(&error.to_string(), 700), "{}", error),
        }
    }

    #[test]
    fn a_damaged_retry_after_is_at_most_a_day(
        wait in damaged(RETRY_AFTER.lines().map(str::to_owned).collect()),
        date in damaged(RETRY_AFTER.lines().map(str::to_owned).collect()),
    ) {
        let mut headers = HeaderMap::new();
        headers.extend(HeaderValue::from_bytes(&wait).ok().map(|value| (header::RETRY_AFTER, value)));
        headers.extend(HeaderValue::from_bytes(&date).ok().map(|value| (header::DATE, value)));
        prop_assert!(parse_retry_after(&headers, test_time()).is_none_or(|wait| !wait.is_zero() && wait <= DAY));
    }
}
