//! User authorization (OAuth 2.0) on the real API server: with exactly the chart's permissions, tokens are refreshed,
//! stored, and deleted with their connection.

use box_sim::{AuthMethod, BoxSim, Endpoint, Enterprise, EnterpriseConfig};
use harness::eventually;
use serde_json::Value;

use crate::env::{E2eEnv, SHORT_TIMEOUT, connection_conditions, expect_condition, request_conditions};

fn create_oauth_acme(sim: &BoxSim) -> Enterprise {
    sim.add_enterprise(EnterpriseConfig::new("1001").name("Acme").users(1_200).auth(AuthMethod::Oauth2))
}

/// A value of the operator's token Secret, registered as a secret that no output may contain.
async fn stored_token(env: &E2eEnv, key: &str) -> String {
    let secret = env.get_json(&["secret", "acme-oauth2"]).await;
    let value: k8s_openapi::ByteString = serde_json::from_value(secret["data"][key].clone()).expect("base64");
    env.secrets.add(String::from_utf8(value.0).expect("text"))
}

#[tokio::test]
async fn oauth2_tokens_are_refreshed_stored_and_deleted_with_the_connection() {
    let env = E2eEnv::with_oauth("oauth").await;
    let acme = create_oauth_acme(&env.sim);
    // The log of every level is searched for tokens.
    let operator =
        env.start_operator_with(&env.operator_settings().flag("--oauth", "true").env("BOXSYNC_LOG", "trace"));
    env.connect_by_oauth("acme", &acme).await;
    env.wait_until_ready("acme").await;
    let version = |secret: &Value| secret["metadata"]["resourceVersion"].clone();
    let seed = version(&env.get_json(&["secret", "acme"]).await);
    let first = stored_token(&env, "refreshToken").await;
    stored_token(&env, "accessToken").await;

    acme.revoke_tokens();
    let done = env.run_request("acme").await;
    assert_eq!(expect_condition(request_conditions(&done), "Complete").1, "Synced");
    let second = stored_token(&env, "refreshToken").await;
    stored_token(&env, "accessToken").await;
    assert_ne!(first, second, "token was not refreshed");
    assert_eq!(Some(second), acme.refresh_token());
    assert_eq!(version(&env.get_json(&["secret", "acme"]).await), seed, "the user's Secret was written");
    assert_eq!(acme.call_counts().with_status(Endpoint::Token, 400), 0, "a refresh token was reused");

    acme.reauthorize_user();
    acme.revoke_tokens();
    let failed = env.run_request("acme").await;
    assert_eq!(expect_condition(request_conditions(&failed), "Failed").1, "AuthorizationExpired");
    let connection = env.wait_for_condition("acme", "Connected", "False", "AuthorizationExpired").await;
    let message = expect_condition(connection_conditions(&connection), "Connected").2;
    assert!(message.contains(&format!("kubectl boxsync connect acme -n {}", env.namespace)), "{message}");
    env.apply_oauth_secret("acme", &acme).await;
    let done = env.run_request("acme").await;
    assert_eq!(expect_condition(request_conditions(&done), "Complete").1, "Synced");
    stored_token(&env, "refreshToken").await;
    stored_token(&env, "accessToken").await;

    env.run(&["delete", "boxconnection", "acme"]).await;
    eventually("the token Secret is garbage-collected", SHORT_TIMEOUT, async || {
        let found = env.run(&["get", "secret", "acme-oauth2", "--ignore-not-found", "-o", "name"]).await;
        if found.is_empty() { Ok(()) } else { Err(found) }
    })
    .await;
    env.stop_and_verify(operator).await;
}

#[tokio::test]
async fn without_the_right_to_write_secrets_no_token_is_used() {
    let env = E2eEnv::new("oauth denied").await;
    let acme = create_oauth_acme(&env.sim);
    let operator = env.start_operator_with(&env.operator_settings().flag("--oauth", "true"));
    env.connect_by_oauth("acme", &acme).await;
    let connection = env.wait_for_condition("acme", "Synced", "False", "Internal").await;
    let message = expect_condition(connection_conditions(&connection), "Synced").2;
    assert!(message.contains("oauth.enabled"), "{message}");
    assert_eq!(acme.call_counts().for_endpoint(Endpoint::Token), 0);
    env.stop_and_verify(operator).await;
}
