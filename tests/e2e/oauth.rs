//! User authorization (OAuth 2.0) on the real API server: with exactly the chart's permissions, tokens are refreshed,
//! stored, and deleted with their connection.

use std::time::Duration;

use box_sim::{AuthMethod, BoxSim, Endpoint, Enterprise, EnterpriseConfig};
use harness::{MetricsPage, eventually, exclusive_control_plane};
use serde_json::{Value, json};

use crate::env::{E2eEnv, SHORT_TIMEOUT, connection_conditions, expect_condition, install_crds, request_conditions};

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

/// The API server is away while Box answers a refresh, for longer than a stopping process waits.
#[tokio::test]
async fn a_leader_that_loses_the_api_server_exits_once_renewed_tokens_are_stored() {
    let mut plane = exclusive_control_plane("oauth-outage").await.expect("control plane");
    install_crds(&plane).await;
    let oauth = json!({"oauth": {"enabled": true}});
    let env = E2eEnv::with_values(&plane, "oauth-outage", &oauth, |manifests| manifests).await;
    let acme = create_oauth_acme(&env.sim);
    let times = env.operator_settings().flag("--lease-duration", "5s").flag("--renew-deadline", "3s");
    let mut operator = env.start_operator_with(&times.flag("--retry-period", "1s").flag("--oauth", "true"));
    env.connect_by_oauth("acme", &acme).await;
    env.wait_until_ready("acme").await;
    acme.revoke_tokens();
    acme.set_latency(Duration::from_secs(4));
    env.request_sync("acme").await;
    eventually("a refresh is running", SHORT_TIMEOUT, async || {
        let secret = env.get_json(&["secret", "acme-oauth2"]).await;
        let mark = &secret["metadata"]["annotations"]["boxsync.dev/renewing"];
        if mark.is_null() { Err("no mark on the Secret".to_owned()) } else { Ok(()) }
    })
    .await;
    plane.stop_api_server().expect("stopped");
    eventually("it says what it waits for", SHORT_TIMEOUT, async || {
        match operator.http_get("/readyz").await.map_err(|e| e.to_string())? {
            (503, text) if text.contains("not leading; one renewed token waits to be stored") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    eventually("Box has answered", SHORT_TIMEOUT, async || {
        if operator.log().contains("storing renewed tokens failed") { Ok(()) } else { Err(operator.log()) }
    })
    .await;
    let calls = acme.call_counts().total();
    tokio::time::sleep(Duration::from_secs(25)).await;
    assert!(operator.process().is_running(), "{}", operator.log());
    assert_eq!(acme.call_counts().total(), calls, "it called Box");
    let page = MetricsPage::parse(&operator.http_get("/metrics").await.expect("an answer").1).expect("valid");
    assert_eq!(page.value("boxsync_token_refreshes", &[]), Some(1.0));
    assert_eq!(page.value("boxsync_leader", &[]), Some(0.0));

    plane.start_api_server().await.expect("started");
    eventually("it exits", Duration::from_secs(30), async || {
        if operator.process().is_running() { Err(operator.log()) } else { Ok(()) }
    })
    .await;
    assert_eq!(operator.kill().expect("exited").code(), Some(1), "{}", operator.log());
    assert_eq!(stored_token(&env, "refreshToken").await, acme.refresh_token().expect("authorized"));
    acme.set_latency(Duration::ZERO);
    operator.restart().expect("started");
    let done = env.wait_until_finished(&env.request_sync("acme").await).await;
    assert_eq!(expect_condition(request_conditions(&done), "Complete").1, "Synced");
    env.stop_and_verify(operator).await;
}
