//! The way of a call: whose it is, what was ordered for it, the true answer, the log.

use crate::{
    admin,
    answer::{self, On},
    app::Worth,
    ask::Ask,
    authorize,
    behaviour::Behaviour,
    calls::{Call, Endpoint},
    clock::http_date,
    jwt, me, refusal as why,
    reply::{Delivery, Reply},
    revoke,
    sim::BoxSim,
    state::{Cell, State},
    token, users,
};
use axum::{Router, body::Body, extract::State as Shared, routing::any};
use http::{Method, Request, Response, StatusCode, header};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::sync::Arc;

impl BoxSim {
    /// Box's endpoints, and the admin's below `/admin`. A tower service that needs no socket.
    pub fn router(&self) -> Router {
        Router::new().nest("/admin", admin::router()).fallback(any(call)).with_state(self.clone())
    }
}

async fn call(Shared(sim): Shared<BoxSim>, request: Request<Body>) -> Response<Body> {
    let ask = Ask::read(request).await;
    let request_id = sim.request_id();
    let cell = owner(&sim, &ask);
    let mut under_way = UnderWay::begin(&sim, cell.clone(), &ask);
    let Some(cell) = cell else {
        let now = sim.now();
        let reply = of_stranger(&ask, &request_id);
        under_way.answered(reply.status);
        return reply.into_response(&http_date(now));
    };

    let (orders, latency) = {
        let mut state = cell.state();
        (state.take_orders(ask.endpoint), state.latency)
    };
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    for order in &orders {
        order.wait().await;
    }

    let (mut reply, date) = {
        let mut state = cell.state();
        let now = sim.now();
        let here = state.now(now);
        let reply = orders
            .iter()
            .find_map(|order| order.instead(ask.endpoint, &request_id))
            .unwrap_or_else(|| truth(&ask, &mut state, now, &request_id));
        (shaped(reply, &ask, &state), http_date(here))
    };
    for order in &orders {
        order.bend(&mut reply);
    }
    match reply.delivery {
        Delivery::Whole | Delivery::Slow | Delivery::Broken | Delivery::Huge => under_way.answered(reply.status),
        // Logged as unanswered when it is dropped.
        Delivery::HungUp => {}
    }
    reply.into_response(&date)
}

/// The enterprise that a call is about: told by the token, or by client and what comes with it where there is none.
fn owner(sim: &BoxSim, ask: &Ask) -> Option<Arc<Cell>> {
    let all = sim.all();
    let client = match ask.endpoint {
        Endpoint::Token | Endpoint::Revoke => ask.field("client_id")?,
        Endpoint::Authorize => ask.param("client_id")?,
        Endpoint::Me | Endpoint::Users | Endpoint::Other => {
            let token = ask.bearer.as_deref()?;
            return all.into_iter().find(|cell| cell.state().app.knows(token));
        }
    };
    let subject = ask.field("box_subject_id").map(str::to_owned).or_else(|| jwt::subject(ask.field("assertion")?));
    let (refresh, code, token) = (ask.field("refresh_token"), ask.field("code"), ask.field("token"));
    let candidates: Vec<_> = all.into_iter().filter(|cell| cell.state().app.client_id == client).collect();
    let meant = candidates.iter().find(|cell| {
        let app = &cell.state().app;
        let refreshes = |given: &str| app.refresh.as_ref().is_some_and(|(token, _)| token == given);
        let known = refresh.is_some_and(|given| refreshes(given) || app.spent_unused(given))
            || code.is_some_and(|code| app.knows_code(code))
            || token.is_some_and(|token| refreshes(token) || app.knows(token));
        known || Some(&cell.id) == subject.as_ref()
    });
    meant.or(candidates.first()).cloned()
}

fn of_stranger(ask: &Ask, request_id: &str) -> Reply {
    match ask.endpoint {
        Endpoint::Authorize => authorize::of_stranger(),
        Endpoint::Token | Endpoint::Revoke if ask.method != Method::POST => not_allowed(request_id),
        Endpoint::Token | Endpoint::Revoke if ask.field("client_id").is_none() => Reply::refusal(why::INCOMPLETE),
        Endpoint::Token | Endpoint::Revoke => Reply::refusal(why::CLIENT),
        Endpoint::Me | Endpoint::Users => answer::unauthorized(request_id),
        Endpoint::Other => not_found(request_id),
    }
}

fn truth(ask: &Ask, state: &mut State, now: Timestamp, request_id: &str) -> Reply {
    match (ask.endpoint, &ask.method) {
        (Endpoint::Authorize, &Method::GET | &Method::POST) => return authorize::answer(ask, state, now),
        (Endpoint::Token, &Method::POST) => return token::answer(ask, state, now),
        (Endpoint::Revoke, &Method::POST) => return revoke::answer(ask, state),
        (Endpoint::Authorize | Endpoint::Token | Endpoint::Revoke, _) => return not_allowed(request_id),
        (Endpoint::Me | Endpoint::Users | Endpoint::Other, _) => {}
    }
    let bearer = ask.bearer.as_deref().unwrap_or_default();
    let pages = match state.app.worth(bearer, now) {
        Worth::Good { pages } => pages,
        Worth::Nothing => return answer::unauthorized(request_id),
    };
    state.app.used(bearer);
    if let Err(seconds) = state.rate.count(now) {
        let context = json!({"message": "Request rate limit exceeded"});
        return Reply::error(
            StatusCode::TOO_MANY_REQUESTS,
            "rate_limit_exceeded",
            "Request rate limit exceeded, please try again later",
            &context,
            request_id,
        )
        .with(header::RETRY_AFTER, &seconds.to_string());
    }
    match ask.endpoint {
        Endpoint::Other | Endpoint::Token | Endpoint::Authorize | Endpoint::Revoke => not_found(request_id),
        Endpoint::Me | Endpoint::Users if ask.method != Method::GET => not_allowed(request_id),
        Endpoint::Me => me::answer(ask, state),
        Endpoint::Users if pages >= 2 && state.behaviours.has(Behaviour::TokenExpiresMidWalk) => {
            answer::unauthorized(request_id)
        }
        Endpoint::Users => {
            let reply = users::answer(ask, state, request_id);
            state.app.page_given(bearer);
            reply
        }
    }
}

/// API errors in another shape than the documented one.
fn shaped(mut reply: Reply, ask: &Ask, state: &State) -> Reply {
    let is_api_error = On::Api.covers(ask.endpoint) && reply.status.as_u16() >= 400;
    if is_api_error && state.behaviours.has(Behaviour::ErrorsWithoutBody) {
        reply.body = bytes::Bytes::new();
        reply.headers.retain(|(name, _)| *name != header::CONTENT_TYPE);
    } else if is_api_error && state.behaviours.has(Behaviour::OauthErrorsFromApi) {
        let error: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        reply.body = json!({"error": error["code"], "error_description": error["message"]}).to_string().into();
    }
    reply
}

fn not_found(request_id: &str) -> Reply {
    Reply::error(StatusCode::NOT_FOUND, "not_found", "Not Found", &Value::Null, request_id)
}

fn not_allowed(request_id: &str) -> Reply {
    Reply::error(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "Method Not Allowed", &Value::Null, request_id)
}

/// A call that has begun. It is logged when it is answered, and with status 0 when it never is.
struct UnderWay {
    sim: BoxSim,
    cell: Option<Arc<Cell>>,
    call: Option<Call>,
}

impl UnderWay {
    fn begin(sim: &BoxSim, cell: Option<Arc<Cell>>, ask: &Ask) -> Self {
        let names = |pairs: &[(String, String)]| pairs.iter().map(|(name, _)| name.clone()).collect();
        let call = Call {
            at: sim.now(),
            method: ask.method.clone(),
            path: ask.path.clone(),
            endpoint: ask.endpoint,
            params: names(&ask.query),
            form: names(&ask.form),
            status: 0,
        };
        match &cell {
            Some(cell) => cell.state().log.begin(),
            None => sim.strangers().begin(),
        }
        Self { sim: sim.clone(), cell, call: Some(call) }
    }

    fn answered(&mut self, status: StatusCode) {
        self.log(status.as_u16());
    }

    fn log(&mut self, status: u16) {
        let Some(mut call) = self.call.take() else { return };
        call.status = status;
        call.at = self.sim.now();
        match &self.cell {
            Some(cell) => {
                let mut state = cell.state();
                state.log.end();
                state.log.record(call);
            }
            None => {
                let mut strangers = self.sim.strangers();
                strangers.end();
                strangers.record(call);
            }
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.log(0);
    }
}
