//! The authorization of a user on the real API server: under exactly the rights of the chart, tokens are renewed and
//! kept, and go with their connection.

use box_sim::{Auth, BoxSim, Endpoint, Enterprise, EnterpriseSpec};
use harness::eventually;
use serde_json::Value;

use crate::stage::{SOON, Stage, condition, conditions, request_conditions};

fn acme(sim: &BoxSim) -> Enterprise {
    sim.enterprise(EnterpriseSpec::new("1001").named("Acme").users(1_200).auth(Auth::Oauth2))
}

/// A value of the Secret in which the operator keeps the tokens, which from now on may stand nowhere else.
async fn kept(stage: &Stage, key: &str) -> String {
    let secret = stage.get(&["secret", "acme-oauth2"]).await;
    let value: k8s_openapi::ByteString = serde_json::from_value(secret["data"][key].clone()).expect("base64");
    stage.secrets.plant(String::from_utf8(value.0).expect("text"))
}

#[tokio::test]
async fn the_authorization_of_a_user_is_renewed_and_kept_and_goes_with_its_connection() {
    let stage = Stage::with_oauth("oauth").await;
    let acme = acme(&stage.sim);
    // Whatever it says at any level is looked through for tokens.
    let operator = stage.start(&stage.settings().flag("--oauth", "true").env("BOXSYNC_LOG", "trace"));
    stage.connect_by_oauth("acme", &acme).await;
    stage.ready("acme").await;
    let version = |secret: &Value| secret["metadata"]["resourceVersion"].clone();
    let seed = version(&stage.get(&["secret", "acme"]).await);
    let first = kept(&stage, "refreshToken").await;
    kept(&stage, "accessToken").await;

    acme.revoke_tokens();
    let done = stage.finished(&stage.ask("acme").await).await;
    assert_eq!(condition(request_conditions(&done), "Complete").1, "Synced");
    let second = kept(&stage, "refreshToken").await;
    kept(&stage, "accessToken").await;
    assert_ne!(first, second, "it was renewed");
    assert_eq!(Some(second), acme.refresh_token());
    assert_eq!(version(&stage.get(&["secret", "acme"]).await), seed, "the user's Secret is never written");
    assert_eq!(acme.calls().with(Endpoint::Token, 400), 0, "no token was spent twice");

    acme.authorize_again();
    acme.revoke_tokens();
    let failed = stage.finished(&stage.ask("acme").await).await;
    assert_eq!(condition(request_conditions(&failed), "Failed").1, "AuthorizationExpired");
    let lost = stage.told("acme", "Connected", "False", "AuthorizationExpired").await;
    let told = condition(conditions(&lost), "Connected").2;
    assert!(told.contains(&format!("kubectl boxsync connect acme -n {}", stage.namespace)), "{told}");
    stage.authorize("acme", &acme).await;
    let done = stage.finished(&stage.ask("acme").await).await;
    assert_eq!(condition(request_conditions(&done), "Complete").1, "Synced");
    kept(&stage, "refreshToken").await;
    kept(&stage, "accessToken").await;

    stage.run(&["delete", "boxconnection", "acme"]).await;
    eventually("the tokens are collected with their connection", SOON, async || {
        let found = stage.run(&["get", "secret", "acme-oauth2", "--ignore-not-found", "-o", "name"]).await;
        if found.is_empty() { Ok(()) } else { Err(found) }
    })
    .await;
    stage.end(operator).await;
}

#[tokio::test]
async fn without_the_right_to_write_secrets_nothing_is_spent() {
    let stage = Stage::begin("oauth denied").await;
    let acme = acme(&stage.sim);
    let operator = stage.start(&stage.settings().flag("--oauth", "true"));
    stage.connect_by_oauth("acme", &acme).await;
    let connection = stage.told("acme", "Synced", "False", "Internal").await;
    let told = condition(conditions(&connection), "Synced").2;
    assert!(told.contains("oauth.enabled"), "{told}");
    assert_eq!(acme.calls().of(Endpoint::Token), 0);
    stage.end(operator).await;
}
