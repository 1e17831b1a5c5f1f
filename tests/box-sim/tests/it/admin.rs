//! The admin API.

use crate::client::env;
use box_sim::{Behaviour, Endpoint};
use serde_json::{Value, json};

#[tokio::test(start_paused = true)]
async fn enterprises_can_be_created_and_read() {
    let env = env(0);
    let made = env.admin("POST", "/enterprises", json!({"id": "42", "name": "New", "users": 3, "auth": "jwt"})).await;
    assert_eq!((made.status.as_u16(), made.json()["users"].as_u64()), (200, Some(3)));
    let config = env.admin("GET", "/enterprises/42/config.json?format=traditional", Value::Null).await.json();
    assert_eq!(config["enterpriseID"], "42");
    assert_eq!(env.admin("GET", "/enterprises", Value::Null).await.json().as_array().map(Vec::len), Some(2));
    assert_eq!(env.admin("GET", "/enterprises/43", Value::Null).await.status, 404);
    let bad = json!({"id": "44", "auth": "jwt", "publicKeys": [{"id": "k", "pem": "not PEM"}]});
    assert_eq!(env.admin("POST", "/enterprises", bad).await.status, 400);
}

#[tokio::test(start_paused = true)]
async fn users_can_be_added_edited_and_removed() {
    let env = env(0);
    let users = "/enterprises/1001/users";
    let added =
        env.admin("POST", users, json!({"name": "Ada", "login": "ada@acme.example", "role": "coadmin"})).await.json();
    assert_eq!((added["role"].as_str(), added["status"].as_str()), (Some("coadmin"), Some("active")));
    let one = format!("{users}/{}", added["id"]);
    assert_eq!(env.admin("PATCH", &one, json!({"status": "inactive"})).await.json()["status"], "inactive");
    assert_eq!(env.admin("PATCH", &one, json!({"no_such": 1})).await.status, 400);
    assert_eq!(env.admin("PATCH", &one, json!({"status": 1})).await.status, 400);
    assert_eq!(env.enterprise.users()[0].status, "inactive");
    assert_eq!(env.admin("DELETE", &one, Value::Null).await.status, 200);
    assert_eq!(env.admin("DELETE", &one, Value::Null).await.status, 404);
    assert_eq!(env.admin("GET", users, Value::Null).await.json(), json!([]));
}

#[tokio::test(start_paused = true)]
async fn responses_and_behaviours_can_be_set_and_reset() {
    let env = env(2);
    let token = env.fetch_access_token().await;
    let list = async || env.get(&token, "/2.0/users").await.status.as_u16();
    let ordered = env
        .admin(
            "POST",
            "/enterprises/1001/responses",
            json!({"times": 1, "endpoints": "users", "response": "rate-limited", "retryAfter": "9"}),
        )
        .await;
    assert_eq!(ordered.status, 204, "{}", String::from_utf8_lossy(&ordered.body));
    assert_eq!((list().await, list().await), (429, 200));
    assert_eq!(env.admin("PUT", "/enterprises/1001/behaviours/insufficient-scope", Value::Null).await.status, 200);
    assert_eq!((list().await, env.enterprise.enabled_behaviours()), (403, vec![Behaviour::InsufficientScope]));
    assert_eq!(env.admin("PUT", "/enterprises/1001/behaviours/unknown", Value::Null).await.status, 404);
    assert_eq!(env.admin("POST", "/enterprises/1001/reset-behaviours", Value::Null).await.status, 200);
    assert_eq!(list().await, 200);
    assert_eq!(
        env.admin("PATCH", "/enterprises/1001/settings", json!({"latencyMillis": 5, "rateLimit": 1})).await.status,
        204
    );
    assert_eq!(list().await, 429);
    assert_eq!(env.admin("POST", "/enterprises/1001/deauthorize-app", Value::Null).await.status, 200);
    assert_eq!(list().await, 401);
    assert_eq!(env.admin("POST", "/enterprises/1001/dance", Value::Null).await.status, 404);
    let calls = env.admin("GET", "/enterprises/1001/calls", Value::Null).await.json();
    assert_eq!(calls.as_array().map(Vec::len), Some(7), "the admin's own calls are no calls of Box: {calls}");
    env.admin("DELETE", "/enterprises/1001/calls", Value::Null).await;
    assert_eq!(env.enterprise.call_counts().for_endpoint(Endpoint::Users), 0);
    let names = env.admin("GET", "/behaviours", Value::Null).await.json();
    assert_eq!(names.as_array().map(Vec::len), Some(Behaviour::ALL.len()));
}
