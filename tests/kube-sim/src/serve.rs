//! A request's way through the server: the trouble that was ordered, the answer, the log.

use crate::{
    Call, Fault, Trouble,
    answer::{Order, Reply},
    fault::Caller,
    refusal::Refusal,
    server::Shared,
    write::Effect,
};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, header, request::Parts};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use serde_json::Value;
use std::sync::Arc;
use tower::BoxError;

pub(crate) type Answer = Result<Response<UnsyncBoxBody<Bytes, BoxError>>, BoxError>;

enum Reception {
    Heard(Visit, Option<Fault>),
    Refused(Refusal),
    Lost,
    Silence,
}

/// One request on its way through the server.
struct Visit {
    shared: Arc<Shared>,
    order: Order,
    seq: u64,
}

pub(crate) async fn serve(shared: Arc<Shared>, caller: Caller, request: Request<kube::client::Body>) -> Answer {
    let (head, body) = request.into_parts();
    let body = body.collect_bytes().await?;
    let latency = shared.state().latency;
    tokio::time::sleep(latency).await;
    let (visit, fault) = match receive(shared, caller, &head, body) {
        Reception::Heard(visit, fault) => (visit, fault),
        Reception::Refused(refusal) => return Ok(refuse(&refusal)),
        Reception::Lost => return Err(lost()),
        Reception::Silence => return std::future::pending().await,
    };
    if let Some(Fault::Before(trouble)) = &fault
        && let Some(answer) = visit.suffer(trouble).await
    {
        return answer;
    }
    let response = visit.apply();
    if let Some(Fault::After(trouble)) = &fault
        && let Some(answer) = visit.suffer(trouble).await
    {
        return answer;
    }
    Ok(response)
}

fn receive(shared: Arc<Shared>, caller: Caller, head: &Parts, body: Bytes) -> Reception {
    let time = shared.now().wall;
    let mut state = shared.state();
    if state.faults.is_dead(&caller) {
        return Reception::Silence;
    }
    if state.faults.down {
        return Reception::Lost;
    }
    let (call, index) = match Call::read(&caller.user, head, body, &state.store) {
        Ok((call, index)) => (Arc::new(call), index),
        Err(refusal) => return Reception::Refused(refusal),
    };
    let resource = state.store.resource(index);
    let seq = state.log.open(call.clone(), time);
    if state.faults.forbids(&call) {
        if let Some(logged) = state.log.entry(seq) {
            logged.code = Some(403);
        }
        return Reception::Refused(Refusal::forbidden(&resource, &call));
    }
    let mut fault = state.faults.strike(&call);
    let number = call.verb.is_write().then(|| {
        state.faults.writes += 1;
        state.faults.writes
    });
    drop(state);
    if let (None, Some(number), Some(hook)) = (&fault, number, shared.hook().as_mut()) {
        fault = hook(number, &call);
    }
    let order = Order { caller, call, resource, index };
    let visit = Visit { shared, order, seq };
    Reception::Heard(visit, fault)
}

impl Visit {
    /// The answer that the trouble makes; none if it let the request through.
    async fn suffer(&self, trouble: &Trouble) -> Option<Answer> {
        match trouble {
            Trouble::Status(code) => Some(Ok(self.fail(*code))),
            Trouble::RetryAfter(code, delay) => {
                let mut response = self.fail(*code);
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(delay.as_secs()));
                Some(Ok(response))
            }
            Trouble::Drop => {
                self.note(None);
                Some(Err(lost()))
            }
            Trouble::Hang => {
                self.note(None);
                std::future::pending().await
            }
            Trouble::Kill => {
                self.note(None);
                self.shared.kill(&self.order.caller.user);
                std::future::pending().await
            }
            Trouble::Hold(gate) => {
                gate.pass().await;
                self.went_on_hold().await
            }
        }
    }

    /// What happened to the connection while the request was held.
    async fn went_on_hold(&self) -> Option<Answer> {
        let (dead, down) = {
            let state = self.shared.state();
            (state.faults.is_dead(&self.order.caller), state.faults.down)
        };
        if !dead && !down {
            return None;
        }
        self.note(None);
        if dead {
            return std::future::pending().await;
        }
        Some(Err(lost()))
    }

    fn fail(&self, code: u16) -> Response<UnsyncBoxBody<Bytes, BoxError>> {
        self.note(Some(code));
        refuse(&Refusal::injected(code, &self.order.resource, &self.order.call))
    }

    fn note(&self, code: Option<u16>) {
        if let Some(logged) = self.shared.state().log.entry(self.seq) {
            logged.code = code;
        }
    }

    fn apply(&self) -> Response<UnsyncBoxBody<Bytes, BoxError>> {
        let now = self.shared.now();
        let mut state = self.shared.state();
        let (result, effect) = match self.order.answer(&mut state, now) {
            Ok((reply, effect)) => (Ok(reply), effect),
            Err(refusal) => (Err(refusal), Effect::Nothing),
        };
        let code = match &result {
            Ok(Reply::Object(code, _)) => *code,
            Ok(Reply::Watch(_)) => 200,
            Err(refusal) => refusal.code,
        };
        if let Some(logged) = state.log.entry(self.seq) {
            logged.code = Some(code);
            logged.changed = effect != Effect::Nothing;
        }
        drop(state);
        if effect != Effect::Nothing {
            self.shared.ring();
        }
        match result {
            Ok(Reply::Object(code, value)) => respond(code, whole(&value)),
            Ok(Reply::Watch(watch)) => {
                let frames = watch.frames(self.shared.clone());
                respond(200, StreamBody::new(frames).boxed_unsync())
            }
            Err(refusal) => refuse(&refusal),
        }
    }
}

fn refuse(refusal: &Refusal) -> Response<UnsyncBoxBody<Bytes, BoxError>> {
    respond(refusal.code, whole(&refusal.body()))
}

fn whole(value: &Value) -> UnsyncBoxBody<Bytes, BoxError> {
    Full::from(value.to_string()).map_err(|never| match never {}).boxed_unsync()
}

fn respond(code: u16, body: UnsyncBoxBody<Bytes, BoxError>) -> Response<UnsyncBoxBody<Bytes, BoxError>> {
    let mut response = Response::new(body);
    // A code that no HTTP knows was ordered by a test; it gets the one that says "our fault".
    *response.status_mut() = http::StatusCode::from_u16(code).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

fn lost() -> BoxError {
    "the connection to the simulated API server was lost".into()
}
