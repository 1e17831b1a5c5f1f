//! The admin's side over HTTP, for the demo and for by hand: JSON below `/admin`. It is no part of Box and is not logged.
//!
//! ```text
//! curl -X POST  $BOX/admin/enterprises/1003/grant
//! curl -X PUT   $BOX/admin/enterprises/1001/behaviours/short-pages
//! curl -X PATCH $BOX/admin/enterprises/1001/users/123456789 --json '{"status": "inactive"}'
//! curl -X POST  $BOX/admin/enterprises/1001/next --json '{"times": 2, "on": "users", "answer": "rate-limited", "retryAfter": "30"}'
//! curl -X PATCH $BOX/admin/enterprises/1001/settings --json '{"latencyMillis": 250, "skewSeconds": 0, "tokenLifetimeSeconds": 600, "rateLimit": 1000}'
//! curl -X POST  $BOX/admin/enterprises/1004/user-withdraws
//! ```
//!
//! The authorize page needs no browser either: `curl -L -d decision=grant "$URL"` agrees (`deny` does not) and goes where
//! Box sends the user.

use crate::{
    answer::{Answer, On},
    behaviour::Behaviour,
    enterprise::Enterprise,
    keys::{KeyFormat, PublicKey},
    sim::BoxSim,
    spec::EnterpriseSpec,
    user::User,
};
use axum::{
    Json, Router,
    extract::{Path, Query, State},
    response::{IntoResponse, Response},
    routing::{get, patch, post, put},
};
use http::{StatusCode, header};
use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

pub(crate) fn router() -> Router<BoxSim> {
    Router::new()
        .route("/behaviours", get(all_behaviours))
        .route("/enterprises", get(enterprises).post(create))
        .route("/enterprises/{id}", get(show))
        .route("/enterprises/{id}/config.json", get(config_json))
        .route("/enterprises/{id}/users", get(users).post(add_user))
        .route("/enterprises/{id}/users/{user}", patch(edit_user).delete(remove_user))
        .route("/enterprises/{id}/behaviours/{name}", put(behave).delete(behave_no_longer))
        .route("/enterprises/{id}/next", post(next))
        .route("/enterprises/{id}/settings", patch(settings))
        .route("/enterprises/{id}/calls", get(calls).delete(forget_calls))
        .route("/enterprises/{id}/{action}", post(act))
}

struct Refused(StatusCode, String);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Json(json!({"error": self.1}))).into_response()
    }
}

type Answered<T> = Result<T, Refused>;

fn nobody(what: &str) -> Refused {
    Refused(StatusCode::NOT_FOUND, format!("there is no {what}"))
}

fn invalid(why: impl std::fmt::Display) -> Refused {
    Refused(StatusCode::BAD_REQUEST, why.to_string())
}

fn find(sim: &BoxSim, id: &str) -> Answered<Enterprise> {
    sim.find(id).ok_or_else(|| nobody(&format!("enterprise {id}")))
}

fn known(name: &str) -> Answered<Behaviour> {
    name.parse().map_err(|unknown| Refused(StatusCode::NOT_FOUND, format!("{unknown}")))
}

fn described(enterprise: &Enterprise) -> Json<Value> {
    let calls: Vec<Value> = enterprise
        .calls()
        .iter()
        .map(|(endpoint, status, count)| json!({"endpoint": endpoint, "status": status, "count": count}))
        .collect();
    Json(json!({
        "id": enterprise.id(),
        "name": enterprise.name(),
        "users": enterprise.user_count(),
        "clientId": enterprise.client_id(),
        "clientSecret": enterprise.client_secret(),
        "refreshToken": enterprise.refresh_token(),
        "behaviours": enterprise.behaviours().into_iter().map(Behaviour::as_str).collect::<Vec<_>>(),
        "calls": calls,
    }))
}

async fn all_behaviours() -> Json<Value> {
    Json(
        Behaviour::ALL
            .iter()
            .map(|behaviour| json!({"name": behaviour.as_str(), "about": behaviour.about()}))
            .collect(),
    )
}

async fn enterprises(State(sim): State<BoxSim>) -> Json<Value> {
    Json(sim.enterprises().iter().map(|enterprise| described(enterprise).0).collect())
}

async fn create(State(sim): State<BoxSim>, Json(spec): Json<EnterpriseSpec>) -> Answered<Json<Value>> {
    if let Some(key) = spec.public_keys.iter().find(|key| PublicKey::from_pem(&key.pem).is_none()) {
        return Err(invalid(format!("public key {} is no RSA public key in PEM", key.id)));
    }
    Ok(described(&sim.enterprise(spec)))
}

async fn show(State(sim): State<BoxSim>, Path(id): Path<String>) -> Answered<Json<Value>> {
    Ok(described(&find(&sim, &id)?))
}

#[derive(Deserialize)]
struct Format {
    format: Option<String>,
}

async fn config_json(
    State(sim): State<BoxSim>,
    Path(id): Path<String>,
    Query(asked): Query<Format>,
) -> Answered<impl IntoResponse> {
    let word = asked.format.unwrap_or_else(|| KeyFormat::Pkcs8TripleDes.as_str().to_owned());
    let format = KeyFormat::ALL
        .iter()
        .copied()
        .find(|format| format.as_str() == word)
        .ok_or_else(|| nobody(&format!("key format {word}")))?;
    let file = find(&sim, &id)?
        .config_json(format)
        .ok_or_else(|| nobody("key pair of which the simulator knows the private key"))?;
    Ok(([(header::CONTENT_TYPE, "application/json")], file))
}

async fn users(State(sim): State<BoxSim>, Path(id): Path<String>) -> Answered<Json<Vec<User>>> {
    Ok(Json(find(&sim, &id)?.users()))
}

/// `user` with the members of `change` in place of its own.
fn changed(user: &User, change: Value) -> Answered<User> {
    let Value::Object(change) = change else { return Err(invalid("the change of a user is an object")) };
    let mut value = serde_json::to_value(user).map_err(invalid)?;
    for (name, member) in change {
        if value.get(&name).is_none() {
            return Err(invalid(format!("a user has no {name}")));
        }
        value[&name] = member;
    }
    serde_json::from_value(value).map_err(invalid)
}

async fn add_user(
    State(sim): State<BoxSim>,
    Path(id): Path<String>,
    Json(wanted): Json<Value>,
) -> Answered<Json<User>> {
    let enterprise = find(&sim, &id)?;
    let text = |name: &str| wanted[name].as_str().map(str::to_owned);
    let (Some(name), Some(login)) = (text("name"), text("login")) else {
        return Err(invalid("a new user needs a name and a login"));
    };
    let user = changed(&enterprise.new_user(&name, &login), wanted)?;
    enterprise.put(user.clone());
    Ok(Json(user))
}

async fn edit_user(
    State(sim): State<BoxSim>,
    Path((id, user)): Path<(String, u64)>,
    Json(change): Json<Value>,
) -> Answered<Json<User>> {
    let enterprise = find(&sim, &id)?;
    let wanted = changed(&enterprise.user(user).ok_or_else(|| nobody(&format!("user {user}")))?, change)?;
    let edited = enterprise.edit(user, |known| {
        let modified_at = known.modified_at;
        *known = wanted;
        known.modified_at = modified_at;
    });
    edited.map(Json).ok_or_else(|| nobody(&format!("user {user}")))
}

async fn remove_user(State(sim): State<BoxSim>, Path((id, user)): Path<(String, u64)>) -> Answered<Json<User>> {
    find(&sim, &id)?.remove_user(user).map(Json).ok_or_else(|| nobody(&format!("user {user}")))
}

async fn behave(State(sim): State<BoxSim>, Path((id, name)): Path<(String, String)>) -> Answered<Json<Value>> {
    let enterprise = find(&sim, &id)?;
    enterprise.behave(known(&name)?);
    Ok(described(&enterprise))
}

async fn behave_no_longer(
    State(sim): State<BoxSim>,
    Path((id, name)): Path<(String, String)>,
) -> Answered<Json<Value>> {
    let enterprise = find(&sim, &id)?;
    enterprise.behave_no_longer(known(&name)?);
    Ok(described(&enterprise))
}

#[derive(Deserialize)]
struct Next {
    times: Option<u32>,
    on: Option<On>,
    #[serde(flatten)]
    answer: Answer,
}

async fn next(State(sim): State<BoxSim>, Path(id): Path<String>, Json(next): Json<Next>) -> Answered<StatusCode> {
    find(&sim, &id)?.next(next.times.unwrap_or(1), next.answer, next.on.unwrap_or(On::Any));
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Settings {
    latency_millis: Option<u64>,
    skew_seconds: Option<i64>,
    token_lifetime_seconds: Option<i64>,
    /// 0: no limit.
    rate_limit: Option<u32>,
}

async fn settings(
    State(sim): State<BoxSim>,
    Path(id): Path<String>,
    Json(settings): Json<Settings>,
) -> Answered<StatusCode> {
    let enterprise = find(&sim, &id)?;
    let Settings { latency_millis, skew_seconds, token_lifetime_seconds, rate_limit } = settings;
    if let Some(millis) = latency_millis {
        enterprise.latency(Duration::from_millis(millis));
    }
    if let Some(seconds) = skew_seconds {
        enterprise.skew(SignedDuration::from_secs(seconds));
    }
    if let Some(seconds) = token_lifetime_seconds {
        enterprise.token_lifetime(SignedDuration::from_secs(seconds));
    }
    if let Some(calls) = rate_limit {
        enterprise.rate_limit((calls > 0).then_some(calls));
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn calls(State(sim): State<BoxSim>, Path(id): Path<String>) -> Answered<Json<Value>> {
    Ok(Json(json!(find(&sim, &id)?.seen())))
}

async fn forget_calls(State(sim): State<BoxSim>, Path(id): Path<String>) -> Answered<StatusCode> {
    find(&sim, &id)?.forget_calls();
    Ok(StatusCode::NO_CONTENT)
}

async fn act(State(sim): State<BoxSim>, Path((id, action)): Path<(String, String)>) -> Answered<Json<Value>> {
    let enterprise = find(&sim, &id)?;
    match action.as_str() {
        "withdraw" => enterprise.withdraw(),
        "grant" => enterprise.grant(),
        "user-withdraws" => enterprise.user_withdraws(),
        "revoke-tokens" => enterprise.revoke_tokens(),
        "replace-key-pair" => enterprise.replace_key_pair(),
        "normal" => enterprise.normal(),
        "rotate-secret" => {
            enterprise.rotate_secret();
        }
        "authorize-again" => {
            enterprise.authorize_again();
        }
        _ => return Err(nobody(&format!("action {action}"))),
    }
    Ok(described(&enterprise))
}
