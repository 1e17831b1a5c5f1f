//! The admin API for the demo and for manual use: JSON under `/admin`. It is not part of Box and not logged.
//!
//! ```text
//! curl -X POST  $BOX/admin/enterprises/1003/authorize-app
//! curl -X PUT   $BOX/admin/enterprises/1001/behaviours/short-pages
//! curl -X PATCH $BOX/admin/enterprises/1001/users/123456789 --json '{"status": "inactive"}'
//! curl -X POST  $BOX/admin/enterprises/1001/responses --json '{"times": 2, "endpoints": "users", "response": "rate-limited", "retryAfter": "30"}'
//! curl -X PATCH $BOX/admin/enterprises/1001/settings --json '{"latencyMillis": 250, "skewSeconds": 0, "tokenLifetimeSeconds": 600, "rateLimit": 1000}'
//! curl -X POST  $BOX/admin/enterprises/1004/revoke-user-access
//! ```
//!
//! The authorize page works without a browser: `curl -L -d decision=grant "$URL"` grants access (`deny` denies it) and
//! follows the redirect.

use crate::{
    behaviour::Behaviour,
    config::EnterpriseConfig,
    enterprise::Enterprise,
    keys::{KeyFormat, PublicKey},
    scripted_responses::{EndpointFilter, ScriptedResponse},
    sim::BoxSim,
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
        .route("/behaviours", get(list_behaviours))
        .route("/enterprises", get(list_enterprises).post(create_enterprise))
        .route("/enterprises/{id}", get(get_enterprise))
        .route("/enterprises/{id}/config.json", get(get_config_json))
        .route("/enterprises/{id}/users", get(get_users).post(add_user))
        .route("/enterprises/{id}/users/{user}", patch(update_user).delete(delete_user))
        .route("/enterprises/{id}/behaviours/{name}", put(enable_behaviour).delete(disable_behaviour))
        .route("/enterprises/{id}/responses", post(queue_response))
        .route("/enterprises/{id}/settings", patch(patch_settings))
        .route("/enterprises/{id}/calls", get(list_calls).delete(clear_calls))
        .route("/enterprises/{id}/{action}", post(run_action))
}

struct AdminError(StatusCode, String);

impl IntoResponse for AdminError {
    fn into_response(self) -> Response {
        (self.0, Json(json!({"error": self.1}))).into_response()
    }
}

type AdminResult<T> = Result<T, AdminError>;

fn not_found(what: &str) -> AdminError {
    AdminError(StatusCode::NOT_FOUND, format!("{what} not found"))
}

fn bad_request(why: impl std::fmt::Display) -> AdminError {
    AdminError(StatusCode::BAD_REQUEST, why.to_string())
}

fn require_enterprise(sim: &BoxSim, id: &str) -> AdminResult<Enterprise> {
    sim.find_enterprise(id).ok_or_else(|| not_found(&format!("enterprise {id}")))
}

fn parse_behaviour(name: &str) -> AdminResult<Behaviour> {
    name.parse().map_err(|unknown| AdminError(StatusCode::NOT_FOUND, format!("{unknown}")))
}

fn enterprise_json(enterprise: &Enterprise) -> Json<Value> {
    let calls: Vec<Value> = enterprise
        .call_counts()
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
        "behaviours": enterprise.enabled_behaviours().into_iter().map(Behaviour::as_str).collect::<Vec<_>>(),
        "calls": calls,
    }))
}

async fn list_behaviours() -> Json<Value> {
    Json(
        Behaviour::ALL
            .iter()
            .map(|behaviour| json!({"name": behaviour.as_str(), "description": behaviour.description()}))
            .collect(),
    )
}

async fn list_enterprises(State(sim): State<BoxSim>) -> Json<Value> {
    Json(sim.enterprises().iter().map(|enterprise| enterprise_json(enterprise).0).collect())
}

async fn create_enterprise(State(sim): State<BoxSim>, Json(spec): Json<EnterpriseConfig>) -> AdminResult<Json<Value>> {
    if let Some(key) = spec.public_keys.iter().find(|key| PublicKey::from_pem(&key.pem).is_none()) {
        return Err(bad_request(format!("public key {} is not a PEM-encoded RSA public key", key.id)));
    }
    Ok(enterprise_json(&sim.add_enterprise(spec)))
}

async fn get_enterprise(State(sim): State<BoxSim>, Path(id): Path<String>) -> AdminResult<Json<Value>> {
    Ok(enterprise_json(&require_enterprise(&sim, &id)?))
}

#[derive(Deserialize)]
struct FormatQuery {
    format: Option<String>,
}

async fn get_config_json(
    State(sim): State<BoxSim>,
    Path(id): Path<String>,
    Query(asked): Query<FormatQuery>,
) -> AdminResult<impl IntoResponse> {
    let word = asked.format.unwrap_or_else(|| KeyFormat::Pkcs8TripleDes.as_str().to_owned());
    let format = KeyFormat::ALL
        .iter()
        .copied()
        .find(|format| format.as_str() == word)
        .ok_or_else(|| not_found(&format!("key format {word}")))?;
    let file = require_enterprise(&sim, &id)?
        .config_json(format)
        .ok_or_else(|| not_found("private key (only fixture key pairs have one)"))?;
    Ok(([(header::CONTENT_TYPE, "application/json")], file))
}

async fn get_users(State(sim): State<BoxSim>, Path(id): Path<String>) -> AdminResult<Json<Vec<User>>> {
    Ok(Json(require_enterprise(&sim, &id)?.users()))
}

/// `user` with the members of `change`.
fn merge_user(user: &User, change: Value) -> AdminResult<User> {
    let Value::Object(change) = change else { return Err(bad_request("the request body must be a JSON object")) };
    let mut value = serde_json::to_value(user).map_err(bad_request)?;
    for (name, member) in change {
        if value.get(&name).is_none() {
            return Err(bad_request(format!("unknown user field {name}")));
        }
        value[&name] = member;
    }
    serde_json::from_value(value).map_err(bad_request)
}

async fn add_user(
    State(sim): State<BoxSim>,
    Path(id): Path<String>,
    Json(wanted): Json<Value>,
) -> AdminResult<Json<User>> {
    let enterprise = require_enterprise(&sim, &id)?;
    let text = |name: &str| wanted[name].as_str().map(str::to_owned);
    let (Some(name), Some(login)) = (text("name"), text("login")) else {
        return Err(bad_request("name and login are required"));
    };
    let user = merge_user(&enterprise.new_user(&name, &login), wanted)?;
    enterprise.put_user(user.clone());
    Ok(Json(user))
}

async fn update_user(
    State(sim): State<BoxSim>,
    Path((id, user)): Path<(String, u64)>,
    Json(change): Json<Value>,
) -> AdminResult<Json<User>> {
    let enterprise = require_enterprise(&sim, &id)?;
    let wanted = merge_user(&enterprise.get_user(user).ok_or_else(|| not_found(&format!("user {user}")))?, change)?;
    let edited = enterprise.update_user(user, |known| {
        let modified_at = known.modified_at;
        *known = wanted;
        known.modified_at = modified_at;
    });
    edited.map(Json).ok_or_else(|| not_found(&format!("user {user}")))
}

async fn delete_user(State(sim): State<BoxSim>, Path((id, user)): Path<(String, u64)>) -> AdminResult<Json<User>> {
    require_enterprise(&sim, &id)?.remove_user(user).map(Json).ok_or_else(|| not_found(&format!("user {user}")))
}

async fn enable_behaviour(
    State(sim): State<BoxSim>,
    Path((id, name)): Path<(String, String)>,
) -> AdminResult<Json<Value>> {
    let enterprise = require_enterprise(&sim, &id)?;
    enterprise.enable_behaviour(parse_behaviour(&name)?);
    Ok(enterprise_json(&enterprise))
}

async fn disable_behaviour(
    State(sim): State<BoxSim>,
    Path((id, name)): Path<(String, String)>,
) -> AdminResult<Json<Value>> {
    let enterprise = require_enterprise(&sim, &id)?;
    enterprise.disable_behaviour(parse_behaviour(&name)?);
    Ok(enterprise_json(&enterprise))
}

#[derive(Deserialize)]
struct QueueResponseRequest {
    times: Option<u32>,
    endpoints: Option<EndpointFilter>,
    #[serde(flatten)]
    response: ScriptedResponse,
}

async fn queue_response(
    State(sim): State<BoxSim>,
    Path(id): Path<String>,
    Json(request): Json<QueueResponseRequest>,
) -> AdminResult<StatusCode> {
    require_enterprise(&sim, &id)?.queue_response(
        request.times.unwrap_or(1),
        request.response,
        request.endpoints.unwrap_or(EndpointFilter::Any),
    );
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SettingsPatch {
    latency_millis: Option<u64>,
    skew_seconds: Option<i64>,
    token_lifetime_seconds: Option<i64>,
    /// 0: no limit.
    rate_limit: Option<u32>,
}

async fn patch_settings(
    State(sim): State<BoxSim>,
    Path(id): Path<String>,
    Json(settings): Json<SettingsPatch>,
) -> AdminResult<StatusCode> {
    let enterprise = require_enterprise(&sim, &id)?;
    let SettingsPatch { latency_millis, skew_seconds, token_lifetime_seconds, rate_limit } = settings;
    if let Some(millis) = latency_millis {
        enterprise.set_latency(Duration::from_millis(millis));
    }
    if let Some(seconds) = skew_seconds {
        enterprise.set_clock_skew(SignedDuration::from_secs(seconds));
    }
    if let Some(seconds) = token_lifetime_seconds {
        enterprise.set_token_lifetime(SignedDuration::from_secs(seconds));
    }
    if let Some(calls) = rate_limit {
        enterprise.set_rate_limit((calls > 0).then_some(calls));
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn list_calls(State(sim): State<BoxSim>, Path(id): Path<String>) -> AdminResult<Json<Value>> {
    Ok(Json(json!(require_enterprise(&sim, &id)?.recent_calls())))
}

async fn clear_calls(State(sim): State<BoxSim>, Path(id): Path<String>) -> AdminResult<StatusCode> {
    require_enterprise(&sim, &id)?.clear_calls();
    Ok(StatusCode::NO_CONTENT)
}

async fn run_action(State(sim): State<BoxSim>, Path((id, action)): Path<(String, String)>) -> AdminResult<Json<Value>> {
    let enterprise = require_enterprise(&sim, &id)?;
    match action.as_str() {
        "deauthorize-app" => enterprise.deauthorize_app(),
        "authorize-app" => enterprise.authorize_app(),
        "revoke-user-access" => enterprise.revoke_user_access(),
        "revoke-tokens" => enterprise.revoke_tokens(),
        "replace-key-pair" => enterprise.replace_key_pair(),
        "reset-behaviours" => enterprise.reset_behaviours(),
        "rotate-secret" => {
            enterprise.rotate_secret();
        }
        "reauthorize-user" => {
            enterprise.reauthorize_user();
        }
        _ => return Err(not_found(&format!("action {action}"))),
    }
    Ok(enterprise_json(&enterprise))
}
