//! Errors, ordered answers, and the limit of calls.

use crate::client::{get_request, world};
use box_sim::{Answer, Behaviour, Endpoint, On};
use std::{collections::BTreeSet, time::Duration};

#[tokio::test(start_paused = true)]
async fn without_a_good_token_the_answer_is_401() {
    let world = world(1);
    let got = world.get("invented", "/2.0/users").await;
    assert_eq!((got.status.as_u16(), got.header("content-type")), (401, "application/json"));
    assert!(got.header("www-authenticate").starts_with("Bearer"));
    assert_eq!(world.sim.seen_of_strangers()[0].status, 401);
}

#[tokio::test(start_paused = true)]
async fn every_api_error_has_a_request_id_of_its_own() {
    let world = world(1);
    let token = world.token().await;
    let mut ids = BTreeSet::new();
    for _ in 0..50 {
        let error = world.get(&token, "/2.0/folders/0").await.json();
        for member in ["type", "status", "code", "message", "context_info", "help_url", "request_id"] {
            assert!(error.get(member).is_some(), "{error} has no {member}");
        }
        ids.insert(error["request_id"].to_string());
    }
    assert_eq!(ids.len(), 50);
}

#[tokio::test(start_paused = true)]
async fn the_1001st_call_of_a_minute_is_refused_until_the_minute_is_over() {
    let world = world(1);
    let token = world.token().await;
    tokio::time::sleep(Duration::from_secs(120)).await;
    for _ in 0..1000 {
        assert_eq!(world.get(&token, "/2.0/users/me").await.status, 200);
    }
    tokio::time::sleep(Duration::from_secs(40)).await;
    let refused = world.get(&token, "/2.0/users/me").await;
    assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (429, "20"));
    assert_eq!(refused.json()["code"], "rate_limit_exceeded");
    assert_eq!(world.client_credentials().await.status, 200, "tokens are not counted");
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(world.get(&token, "/2.0/users/me").await.status, 200);
    world.it.rate_limit(None);
    for _ in 0..1100 {
        assert_eq!(world.get(&token, "/2.0/users/me").await.status, 200);
    }
}

#[tokio::test(start_paused = true)]
async fn ordered_answers_are_served_in_turn_and_only_where_they_are_meant() {
    let world = world(3);
    let token = world.token().await;
    world.it.next(2, Answer::RateLimited { retry_after: Some("30".to_owned()) }, On::Users);
    world.it.next(1, Answer::Unavailable { retry_after: None }, On::Users);
    world.it.next(1, Answer::InternalError, On::Token);
    assert_eq!(world.get(&token, "/2.0/users/me").await.status, 200);
    let statuses = async |n: usize| {
        let mut statuses = Vec::new();
        for _ in 0..n {
            statuses.push(world.get(&token, "/2.0/users").await.status.as_u16());
        }
        statuses
    };
    assert_eq!(statuses(4).await, [429, 429, 503, 200]);
    assert_eq!(world.client_credentials().await.status, 500);
    assert_eq!(world.client_credentials().await.status, 200);
    assert_eq!(world.it.calls().with(Endpoint::Users, 429), 2);
}

#[tokio::test(start_paused = true)]
async fn ordered_answers_carry_what_they_were_given() {
    let world = world(3);
    let token = world.token().await;
    let answer = async |answer: Answer| {
        world.it.next(1, answer, On::Api);
        world.get(&token, "/2.0/users").await
    };
    let limited = answer(Answer::RateLimited { retry_after: Some("7".to_owned()) }).await;
    assert_eq!((limited.status.as_u16(), limited.header("retry-after")), (429, "7"));
    assert!(!answer(Answer::Unavailable { retry_after: None }).await.headers.contains_key("retry-after"));
    let accepted = answer(Answer::Accepted { retry_after: Some("5".to_owned()) }).await;
    assert_eq!((accepted.status.as_u16(), accepted.body.len()), (202, 0));
    let redirect = answer(Answer::Redirect).await;
    assert_eq!((redirect.status.as_u16(), redirect.header("location")), (302, "/maintenance"));
    let forbidden = answer(Answer::Forbidden { code: "forbidden_by_policy".to_owned() }).await;
    assert_eq!((forbidden.status.as_u16(), forbidden.json()["code"].as_str()), (403, Some("forbidden_by_policy")));
    assert!(answer(Answer::Html { status: 502 }).await.body.starts_with(b"<!DOCTYPE html>"));
    assert!(serde_json::from_slice::<serde_json::Value>(&answer(Answer::Truncated).await.body).is_err());
    world.it.behave(Behaviour::OauthErrorsFromApi);
    assert_eq!(answer(Answer::Unauthorized).await.json()["error"], "unauthorized");
    world.it.behave(Behaviour::ErrorsWithoutBody);
    assert!(answer(Answer::Unauthorized).await.body.is_empty());
}

#[tokio::test(start_paused = true)]
async fn answers_take_as_long_as_they_are_told_to() {
    let world = world(3);
    let token = world.token().await;
    world.it.latency(Duration::from_millis(300));
    world.it.next(1, Answer::Delayed { millis: 10_000 }, On::Users);
    let begun = tokio::time::Instant::now();
    world.get(&token, "/2.0/users").await;
    assert_eq!(begun.elapsed(), Duration::from_millis(10_300));
    world.get(&token, "/2.0/users").await;
    assert_eq!(begun.elapsed(), Duration::from_millis(10_600));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_the_client_gives_up_is_logged_with_status_0() {
    let world = world(3);
    let token = world.token().await;
    world.it.behave(Behaviour::NeverAnswers);
    let waited = tokio::time::timeout(Duration::from_secs(30), world.raw(get_request(&token, "/2.0/users"))).await;
    assert!(waited.is_err());
    assert_eq!(world.it.calls().with(Endpoint::Users, 0), 1);
}

#[tokio::test(start_paused = true)]
async fn calls_at_the_same_time_are_counted() {
    let world = world(3);
    let token = world.token().await;
    world.it.latency(Duration::from_secs(1));
    let request = || world.raw(get_request(&token, "/2.0/users"));
    let _answers = tokio::join!(request(), request(), request());
    assert_eq!(world.it.calls().most_at_once, 3);
}
