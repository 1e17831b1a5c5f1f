//! The admin's side over HTTP.

use crate::client::world;
use box_sim::{Behaviour, Endpoint};
use serde_json::{Value, json};

#[tokio::test(start_paused = true)]
async fn an_enterprise_can_be_created_used_and_looked_at() {
    let world = world(0);
    let made = world.admin("POST", "/enterprises", json!({"id": "42", "name": "New", "users": 3, "auth": "jwt"})).await;
    assert_eq!((made.status.as_u16(), made.json()["users"].as_u64()), (200, Some(3)));
    let config = world.admin("GET", "/enterprises/42/config.json?format=traditional", Value::Null).await.json();
    assert_eq!(config["enterpriseID"], "42");
    assert_eq!(world.admin("GET", "/enterprises", Value::Null).await.json().as_array().map(Vec::len), Some(2));
    assert_eq!(world.admin("GET", "/enterprises/43", Value::Null).await.status, 404);
    let bad = json!({"id": "44", "auth": "jwt", "publicKeys": [{"id": "k", "pem": "nonsense"}]});
    assert_eq!(world.admin("POST", "/enterprises", bad).await.status, 400);
}

#[tokio::test(start_paused = true)]
async fn users_can_be_added_edited_and_removed() {
    let world = world(0);
    let users = "/enterprises/1001/users";
    let added =
        world.admin("POST", users, json!({"name": "Ada", "login": "ada@acme.example", "role": "coadmin"})).await.json();
    assert_eq!((added["role"].as_str(), added["status"].as_str()), (Some("coadmin"), Some("active")));
    let one = format!("{users}/{}", added["id"]);
    assert_eq!(world.admin("PATCH", &one, json!({"status": "inactive"})).await.json()["status"], "inactive");
    assert_eq!(world.admin("PATCH", &one, json!({"no_such": 1})).await.status, 400);
    assert_eq!(world.admin("PATCH", &one, json!({"status": 1})).await.status, 400);
    assert_eq!(world.it.users()[0].status, "inactive");
    assert_eq!(world.admin("DELETE", &one, Value::Null).await.status, 200);
    assert_eq!(world.admin("DELETE", &one, Value::Null).await.status, 404);
    assert_eq!(world.admin("GET", users, Value::Null).await.json(), json!([]));
}

#[tokio::test(start_paused = true)]
async fn trouble_can_be_ordered_and_ended() {
    let world = world(2);
    let token = world.token().await;
    let list = async || world.get(&token, "/2.0/users").await.status.as_u16();
    let ordered = world
        .admin(
            "POST",
            "/enterprises/1001/next",
            json!({"times": 1, "on": "users", "answer": "rate-limited", "retryAfter": "9"}),
        )
        .await;
    assert_eq!(ordered.status, 204, "{}", String::from_utf8_lossy(&ordered.body));
    assert_eq!((list().await, list().await), (429, 200));
    assert_eq!(world.admin("PUT", "/enterprises/1001/behaviours/insufficient-scope", Value::Null).await.status, 200);
    assert_eq!((list().await, world.it.behaviours()), (403, vec![Behaviour::InsufficientScope]));
    assert_eq!(world.admin("PUT", "/enterprises/1001/behaviours/nonsense", Value::Null).await.status, 404);
    assert_eq!(world.admin("POST", "/enterprises/1001/normal", Value::Null).await.status, 200);
    assert_eq!(list().await, 200);
    assert_eq!(
        world.admin("PATCH", "/enterprises/1001/settings", json!({"latencyMillis": 5, "rateLimit": 1})).await.status,
        204
    );
    assert_eq!(list().await, 429);
    assert_eq!(world.admin("POST", "/enterprises/1001/withdraw", Value::Null).await.status, 200);
    assert_eq!(list().await, 401);
    assert_eq!(world.admin("POST", "/enterprises/1001/dance", Value::Null).await.status, 404);
    let calls = world.admin("GET", "/enterprises/1001/calls", Value::Null).await.json();
    assert_eq!(calls.as_array().map(Vec::len), Some(7), "the admin's own calls are no calls of Box: {calls}");
    world.admin("DELETE", "/enterprises/1001/calls", Value::Null).await;
    assert_eq!(world.it.calls().of(Endpoint::Users), 0);
    let names = world.admin("GET", "/behaviours", Value::Null).await.json();
    assert_eq!(names.as_array().map(Vec::len), Some(Behaviour::ALL.len()));
}
