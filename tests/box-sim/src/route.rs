//! Request processing: matching the enterprise, scripted responses, the regular response, the log.

use crate::{
    admin,
    app::TokenStatus,
    authorize,
    behaviour::Behaviour,
    call_log::{Call, Endpoint},
    clock::http_date,
    jwt, me,
    request::BoxRequest,
    response::{BoxResponse, Delivery},
    revoke,
    scripted_responses::{self, EndpointFilter},
    sim::BoxSim,
    state::{EnterpriseCell, EnterpriseState},
    token, token_error, user_lookup, users,
};
use axum::{Router, body::Body, extract::State as Shared, routing::any};
use http::{Method, Request, Response, StatusCode, header};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::sync::Arc;

impl BoxSim {
    /// Box's endpoints, and the admin API under `/admin`, as a tower service without a socket.
    pub fn router(&self) -> Router {
        Router::new().nest("/admin", admin::router()).fallback(any(handle_request)).with_state(self.clone())
    }
}

async fn handle_request(Shared(sim): Shared<BoxSim>, request: Request<Body>) -> Response<Body> {
    let request = BoxRequest::from_http(request).await;
    let request_id = sim.new_request_id();
    let cell = match_enterprise(&sim, &request);
    let mut recorder = CallRecorder::start(&sim, cell.clone(), &request);
    let Some(cell) = cell else {
        let now = sim.now();
        let reply = unmatched_response(&request, &request_id);
        recorder.finish(reply.status);
        return reply.into_response(&http_date(now));
    };

    let (scripted, latency) = {
        let mut state = cell.lock();
        (state.take_responses(request.endpoint), state.latency)
    };
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    for response in &scripted {
        response.delay().await;
    }

    let (mut reply, date) = {
        let mut state = cell.lock();
        let now = sim.now();
        let server_now = state.server_time(now);
        let reply = scripted
            .iter()
            .find_map(|order| order.replacement(request.endpoint, &request_id))
            .unwrap_or_else(|| regular_response(&request, &mut state, now, &request_id));
        (apply_error_shape(reply, &request, &state), http_date(server_now))
    };
    for response in &scripted {
        response.apply_delivery(&mut reply);
    }
    match reply.delivery {
        Delivery::Complete | Delivery::Slow | Delivery::Broken | Delivery::Huge => recorder.finish(reply.status),
        // Logged with status 0 when it is dropped.
        Delivery::Closed => {}
    }
    reply.into_response(&date)
}

/// The enterprise of a call, by its token, otherwise by client id and parameters.
fn match_enterprise(sim: &BoxSim, request: &BoxRequest) -> Option<Arc<EnterpriseCell>> {
    let all = sim.all_cells();
    let client = match request.endpoint {
        Endpoint::Token | Endpoint::Revoke => request.form_field("client_id")?,
        Endpoint::Authorize => request.query_param("client_id")?,
        Endpoint::Me | Endpoint::Users | Endpoint::User | Endpoint::Other => {
            let token = request.bearer.as_deref()?;
            return all.into_iter().find(|cell| cell.lock().app.has_access_token(token));
        }
    };
    let subject = request
        .form_field("box_subject_id")
        .map(str::to_owned)
        .or_else(|| jwt::unverified_subject(request.form_field("assertion")?));
    let (refresh, code, token) =
        (request.form_field("refresh_token"), request.form_field("code"), request.form_field("token"));
    let candidates: Vec<_> = all.into_iter().filter(|cell| cell.lock().app.client_id == client).collect();
    let matched = candidates.iter().find(|cell| {
        let has_user = |id: &String| id.parse().is_ok_and(|id| cell.lock().users.get(id).is_some());
        if subject.as_ref().is_some_and(|id| *id == cell.id || has_user(id)) {
            return true;
        }
        let app = &cell.lock().app;
        let refreshes = |given: &str| app.refresh_token.as_ref().is_some_and(|(token, _)| token == given);
        refresh.is_some_and(|given| refreshes(given) || app.is_refresh_token_reusable(given))
            || code.is_some_and(|code| app.has_code(code))
            || token.is_some_and(|token| refreshes(token) || app.has_access_token(token))
    });
    matched.or(candidates.first()).cloned()
}

fn unmatched_response(request: &BoxRequest, request_id: &str) -> BoxResponse {
    match request.endpoint {
        Endpoint::Authorize => authorize::unknown_client_page(),
        Endpoint::Token | Endpoint::Revoke if request.method != Method::POST => method_not_allowed(request_id),
        Endpoint::Token | Endpoint::Revoke if request.form_field("client_id").is_none() => {
            BoxResponse::from_token_error(token_error::MISSING_PARAMETER)
        }
        Endpoint::Token | Endpoint::Revoke => BoxResponse::from_token_error(token_error::INVALID_CLIENT),
        Endpoint::Me | Endpoint::Users | Endpoint::User => scripted_responses::unauthorized(request_id),
        Endpoint::Other => not_found(request_id),
    }
}

fn regular_response(
    request: &BoxRequest,
    state: &mut EnterpriseState,
    now: Timestamp,
    request_id: &str,
) -> BoxResponse {
    match (request.endpoint, &request.method) {
        (Endpoint::Authorize, &Method::GET | &Method::POST) => return authorize::handle_authorize(request, state, now),
        (Endpoint::Token, &Method::POST) => return token::handle_token(request, state, now),
        (Endpoint::Revoke, &Method::POST) => return revoke::handle_revoke(request, state),
        (Endpoint::Authorize | Endpoint::Token | Endpoint::Revoke, _) => return method_not_allowed(request_id),
        (Endpoint::Me | Endpoint::Users | Endpoint::User | Endpoint::Other, _) => {}
    }
    let bearer = request.bearer.as_deref().unwrap_or_default();
    let pages = match state.app.token_status(bearer, now) {
        TokenStatus::Valid { pages } => pages,
        TokenStatus::Invalid => return scripted_responses::unauthorized(request_id),
    };
    state.app.mark_used(bearer);
    if let Err(seconds) = state.rate_limiter.count_call(now) {
        let context = json!({"message": "Request rate limit exceeded"});
        return BoxResponse::api_error(
            StatusCode::TOO_MANY_REQUESTS,
            "rate_limit_exceeded",
            "Request rate limit exceeded, please try again later",
            &context,
            request_id,
        )
        .with_header(header::RETRY_AFTER, &seconds.to_string());
    }
    match request.endpoint {
        Endpoint::Other | Endpoint::Token | Endpoint::Authorize | Endpoint::Revoke => not_found(request_id),
        Endpoint::Me | Endpoint::Users | Endpoint::User if request.method != Method::GET => {
            method_not_allowed(request_id)
        }
        Endpoint::Me => me::handle_current_user(request, state),
        Endpoint::Users | Endpoint::User if !me::may_read_users(state, bearer) => {
            scripted_responses::forbidden("access_denied_insufficient_permissions", request_id)
        }
        Endpoint::User => user_lookup::handle_get_user(request, state).unwrap_or_else(|| not_found(request_id)),
        Endpoint::Users if pages >= 2 && state.behaviours.contains(Behaviour::TokenExpiresMidListing) => {
            scripted_responses::unauthorized(request_id)
        }
        Endpoint::Users => {
            let reply = users::handle_list_users(request, state, request_id);
            state.app.count_page(bearer);
            reply
        }
    }
}

/// API errors in an undocumented shape.
fn apply_error_shape(mut reply: BoxResponse, request: &BoxRequest, state: &EnterpriseState) -> BoxResponse {
    let is_api_error = EndpointFilter::Api.matches(request.endpoint) && reply.status.as_u16() >= 400;
    if is_api_error && state.behaviours.contains(Behaviour::ErrorsWithoutBody) {
        reply.body = bytes::Bytes::new();
        reply.headers.retain(|(name, _)| *name != header::CONTENT_TYPE);
    } else if is_api_error && state.behaviours.contains(Behaviour::OauthErrorsFromApi) {
        let error: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        reply.body = json!({"error": error["code"], "error_description": error["message"]}).to_string().into();
    }
    reply
}

fn not_found(request_id: &str) -> BoxResponse {
    BoxResponse::api_error(StatusCode::NOT_FOUND, "not_found", "Not Found", &Value::Null, request_id)
}

fn method_not_allowed(request_id: &str) -> BoxResponse {
    BoxResponse::api_error(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "Method Not Allowed",
        &Value::Null,
        request_id,
    )
}

/// A call in progress. It is logged after the response, or with status 0 if there is none.
struct CallRecorder {
    sim: BoxSim,
    cell: Option<Arc<EnterpriseCell>>,
    call: Option<Call>,
}

impl CallRecorder {
    fn start(sim: &BoxSim, cell: Option<Arc<EnterpriseCell>>, request: &BoxRequest) -> Self {
        let names = |pairs: &[(String, String)]| pairs.iter().map(|(name, _)| name.clone()).collect();
        let call = Call {
            at: sim.now(),
            method: request.method.clone(),
            path: request.path.clone(),
            endpoint: request.endpoint,
            params: names(&request.query),
            form: names(&request.form),
            status: 0,
        };
        match &cell {
            Some(cell) => cell.lock().call_log.start_call(),
            None => sim.unmatched_log().start_call(),
        }
        Self { sim: sim.clone(), cell, call: Some(call) }
    }

    fn finish(&mut self, status: StatusCode) {
        self.record_status(status.as_u16());
    }

    fn record_status(&mut self, status: u16) {
        let Some(mut call) = self.call.take() else { return };
        call.status = status;
        call.at = self.sim.now();
        match &self.cell {
            Some(cell) => {
                let mut state = cell.lock();
                state.call_log.end_call();
                state.call_log.record(call);
            }
            None => {
                let mut strangers = self.sim.unmatched_log();
                strangers.end_call();
                strangers.record(call);
            }
        }
    }
}

impl Drop for CallRecorder {
    fn drop(&mut self) {
        self.record_status(0);
    }
}
