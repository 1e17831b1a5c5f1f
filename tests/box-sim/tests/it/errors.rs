//! Errors, scripted responses, and the rate limit.

use crate::client::{env, get_request};
use box_sim::{Behaviour, Endpoint, EndpointFilter, ScriptedResponse};
use std::{collections::BTreeSet, time::Duration};

#[tokio::test(start_paused = true)]
async fn an_invalid_token_gets_401() {
    let env = env(1);
    let response = env.get("invented", "/2.0/users").await;
    assert_eq!((response.status.as_u16(), response.header("content-type")), (401, "application/json"));
    assert!(response.header("www-authenticate").starts_with("Bearer"));
    assert_eq!(env.sim.unmatched_calls()[0].status, 401);
}

#[tokio::test(start_paused = true)]
async fn every_api_error_has_a_request_id_of_its_own() {
    let env = env(1);
    let token = env.fetch_access_token().await;
    let mut ids = BTreeSet::new();
    for _ in 0..50 {
        let error = env.get(&token, "/2.0/folders/0").await.json();
        for member in ["type", "status", "code", "message", "context_info", "help_url", "request_id"] {
            assert!(error.get(member).is_some(), "{error} has no {member}");
        }
        ids.insert(error["request_id"].to_string());
    }
    assert_eq!(ids.len(), 50);
}

#[tokio::test(start_paused = true)]
async fn the_1001st_call_of_a_minute_is_rejected_until_the_next_minute() {
    let env = env(1);
    let token = env.fetch_access_token().await;
    tokio::time::sleep(Duration::from_secs(120)).await;
    for _ in 0..1000 {
        assert_eq!(env.get(&token, "/2.0/users/me").await.status, 200);
    }
    tokio::time::sleep(Duration::from_secs(40)).await;
    let refused = env.get(&token, "/2.0/users/me").await;
    assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (429, "20"));
    assert_eq!(refused.json()["code"], "rate_limit_exceeded");
    assert_eq!(env.request_client_credentials().await.status, 200, "tokens are not counted");
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(env.get(&token, "/2.0/users/me").await.status, 200);
    env.enterprise.set_rate_limit(None);
    for _ in 0..1100 {
        assert_eq!(env.get(&token, "/2.0/users/me").await.status, 200);
    }
}

#[tokio::test(start_paused = true)]
async fn queued_responses_are_served_in_order_to_matching_endpoints() {
    let env = env(3);
    let token = env.fetch_access_token().await;
    env.enterprise.queue_response(
        2,
        ScriptedResponse::RateLimited { retry_after: Some("30".to_owned()) },
        EndpointFilter::Users,
    );
    env.enterprise.queue_response(1, ScriptedResponse::Unavailable { retry_after: None }, EndpointFilter::Users);
    env.enterprise.queue_response(1, ScriptedResponse::InternalError, EndpointFilter::Token);
    assert_eq!(env.get(&token, "/2.0/users/me").await.status, 200);
    let statuses = async |n: usize| {
        let mut statuses = Vec::new();
        for _ in 0..n {
            statuses.push(env.get(&token, "/2.0/users").await.status.as_u16());
        }
        statuses
    };
    assert_eq!(statuses(4).await, [429, 429, 503, 200]);
    assert_eq!(env.request_client_credentials().await.status, 500);
    assert_eq!(env.request_client_credentials().await.status, 200);
    assert_eq!(env.enterprise.call_counts().with_status(Endpoint::Users, 429), 2);
}

#[tokio::test(start_paused = true)]
async fn queued_responses_have_their_parameters() {
    let env = env(3);
    let token = env.fetch_access_token().await;
    let answer = async |answer: ScriptedResponse| {
        env.enterprise.queue_response(1, answer, EndpointFilter::Api);
        env.get(&token, "/2.0/users").await
    };
    let limited = answer(ScriptedResponse::RateLimited { retry_after: Some("7".to_owned()) }).await;
    assert_eq!((limited.status.as_u16(), limited.header("retry-after")), (429, "7"));
    assert!(!answer(ScriptedResponse::Unavailable { retry_after: None }).await.headers.contains_key("retry-after"));
    let accepted = answer(ScriptedResponse::Accepted { retry_after: Some("5".to_owned()) }).await;
    assert_eq!((accepted.status.as_u16(), accepted.body.len()), (202, 0));
    let redirect = answer(ScriptedResponse::Redirect).await;
    assert_eq!((redirect.status.as_u16(), redirect.header("location")), (302, "/maintenance"));
    let forbidden = answer(ScriptedResponse::Forbidden { code: "forbidden_by_policy".to_owned() }).await;
    assert_eq!((forbidden.status.as_u16(), forbidden.json()["code"].as_str()), (403, Some("forbidden_by_policy")));
    assert!(answer(ScriptedResponse::Html { status: 502 }).await.body.starts_with(b"<!DOCTYPE html>"));
    assert!(serde_json::from_slice::<serde_json::Value>(&answer(ScriptedResponse::Truncated).await.body).is_err());
    env.enterprise.enable_behaviour(Behaviour::OauthErrorsFromApi);
    assert_eq!(answer(ScriptedResponse::Unauthorized).await.json()["error"], "unauthorized");
    env.enterprise.enable_behaviour(Behaviour::ErrorsWithoutBody);
    assert!(answer(ScriptedResponse::Unauthorized).await.body.is_empty());
}

#[tokio::test(start_paused = true)]
async fn responses_take_the_configured_time() {
    let env = env(3);
    let token = env.fetch_access_token().await;
    env.enterprise.set_latency(Duration::from_millis(300));
    env.enterprise.queue_response(1, ScriptedResponse::Delayed { millis: 10_000 }, EndpointFilter::Users);
    let begun = tokio::time::Instant::now();
    env.get(&token, "/2.0/users").await;
    assert_eq!(begun.elapsed(), Duration::from_millis(10_300));
    env.get(&token, "/2.0/users").await;
    assert_eq!(begun.elapsed(), Duration::from_millis(10_600));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_the_client_cancels_is_logged_with_status_0() {
    let env = env(3);
    let token = env.fetch_access_token().await;
    env.enterprise.enable_behaviour(Behaviour::NeverResponds);
    let waited = tokio::time::timeout(Duration::from_secs(30), env.send_raw(get_request(&token, "/2.0/users"))).await;
    assert!(waited.is_err());
    assert_eq!(env.enterprise.call_counts().with_status(Endpoint::Users, 0), 1);
}

#[tokio::test(start_paused = true)]
async fn concurrent_calls_are_counted() {
    let env = env(3);
    let token = env.fetch_access_token().await;
    env.enterprise.set_latency(Duration::from_secs(1));
    let request = || env.send_raw(get_request(&token, "/2.0/users"));
    let _answers = tokio::join!(request(), request(), request());
    assert_eq!(env.enterprise.call_counts().max_in_flight, 3);
}
