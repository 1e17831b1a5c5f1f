//! Request processing: injected faults, the handler, the log.

use crate::{
    Call, Fault, FaultAction,
    fault::ClientId,
    handlers::{ApiResponse, ResolvedRequest},
    server::Server,
    status_error::StatusError,
    write::WriteEffect,
};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, header, request::Parts};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use serde_json::Value;
use std::sync::Arc;
use tower::BoxError;

pub(crate) type HttpResult = Result<Response<UnsyncBoxBody<Bytes, BoxError>>, BoxError>;

enum ReceiveOutcome {
    Accepted(InFlightRequest, Option<Fault>),
    Rejected(StatusError),
    ConnectionLost,
    NoResponse,
}

/// One request in progress.
struct InFlightRequest {
    server: Arc<Server>,
    request: ResolvedRequest,
    seq: u64,
}

/// A response with the server's time.
pub(crate) async fn handle_request(
    server: Arc<Server>,
    caller: ClientId,
    request: Request<kube::client::Body>,
) -> HttpResult {
    let mut response = respond(server.clone(), caller, request).await?;
    let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&server.write_time().wall);
    if let Ok(date) = date.map_err(BoxError::from).and_then(|date| Ok(HeaderValue::from_str(&date)?)) {
        response.headers_mut().insert(header::DATE, date);
    }
    Ok(response)
}

async fn respond(server: Arc<Server>, caller: ClientId, request: Request<kube::client::Body>) -> HttpResult {
    let (head, body) = request.into_parts();
    let body = body.collect_bytes().await?;
    let latency = server.lock_state().latency;
    tokio::time::sleep(latency).await;
    let (in_flight, fault) = match receive(server, caller, &head, body) {
        ReceiveOutcome::Accepted(in_flight, fault) => (in_flight, fault),
        ReceiveOutcome::Rejected(error) => return Ok(error_response(&error)),
        ReceiveOutcome::ConnectionLost => return Err(connection_lost()),
        ReceiveOutcome::NoResponse => return std::future::pending().await,
    };
    if let Some(Fault::Late(gate)) = fault {
        tokio::spawn(async move {
            gate.wait().await;
            in_flight.execute();
        });
        return Err(connection_lost());
    }
    if let Some(Fault::Before(action)) = &fault
        && let Some(response) = in_flight.apply_fault(action).await
    {
        return response;
    }
    let response = in_flight.execute();
    if let Some(Fault::After(action)) = &fault
        && let Some(response) = in_flight.apply_fault(action).await
    {
        return response;
    }
    Ok(response)
}

fn receive(server: Arc<Server>, caller: ClientId, head: &Parts, body: Bytes) -> ReceiveOutcome {
    let time = server.write_time().wall;
    let mut state = server.lock_state();
    if state.faults.is_killed(&caller) {
        return ReceiveOutcome::NoResponse;
    }
    if state.faults.down {
        return ReceiveOutcome::ConnectionLost;
    }
    let (call, index) = match Call::from_http(&caller.user, head, body, &state.store) {
        Ok((call, index)) => (Arc::new(call), index),
        Err(error) => return ReceiveOutcome::Rejected(error),
    };
    let resource = state.store.resource(index);
    let seq = state.log.append(call.clone(), time);
    if state.faults.is_forbidden(&call) {
        if let Some(logged) = state.log.entry_mut(seq) {
            logged.code = Some(403);
        }
        return ReceiveOutcome::Rejected(StatusError::forbidden(&resource, &call));
    }
    let mut fault = state.faults.take_fault(&call);
    let number = call.verb.is_write().then(|| {
        state.faults.writes += 1;
        state.faults.writes
    });
    drop(state);
    if let (None, Some(number), Some(hook)) = (&fault, number, server.lock_write_hook().as_mut()) {
        fault = hook(number, &call);
    }
    let resolved = ResolvedRequest { caller, call, resource, index };
    let in_flight = InFlightRequest { server, request: resolved, seq };
    ReceiveOutcome::Accepted(in_flight, fault)
}

impl InFlightRequest {
    /// The response that the fault causes; none if the request continues.
    async fn apply_fault(&self, action: &FaultAction) -> Option<HttpResult> {
        match action {
            FaultAction::Status(code) => Some(Ok(self.inject_status(*code))),
            FaultAction::Body(status) => {
                let code = status["code"].as_u64().and_then(|code| u16::try_from(code).ok()).unwrap_or(500);
                self.log_code(Some(code));
                Some(Ok(http_response(code, json_body(status))))
            }
            FaultAction::RetryAfter(code, delay) => {
                let mut response = self.inject_status(*code);
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(delay.as_secs()));
                Some(Ok(response))
            }
            FaultAction::Disconnect => {
                self.log_code(None);
                Some(Err(connection_lost()))
            }
            FaultAction::Hang => {
                self.log_code(None);
                std::future::pending().await
            }
            FaultAction::Kill => {
                self.log_code(None);
                self.server.kill(&self.request.caller.user);
                std::future::pending().await
            }
            FaultAction::Hold(gate) => {
                gate.wait().await;
                self.resume_after_hold().await
            }
        }
    }

    /// Fails if the client was killed or the server went down while the request was held.
    async fn resume_after_hold(&self) -> Option<HttpResult> {
        let (dead, down) = {
            let state = self.server.lock_state();
            (state.faults.is_killed(&self.request.caller), state.faults.down)
        };
        if !dead && !down {
            return None;
        }
        self.log_code(None);
        if dead {
            return std::future::pending().await;
        }
        Some(Err(connection_lost()))
    }

    fn inject_status(&self, code: u16) -> Response<UnsyncBoxBody<Bytes, BoxError>> {
        self.log_code(Some(code));
        error_response(&StatusError::injected(code, &self.request.resource, &self.request.call))
    }

    fn log_code(&self, code: Option<u16>) {
        if let Some(logged) = self.server.lock_state().log.entry_mut(self.seq) {
            logged.code = code;
        }
    }

    fn execute(&self) -> Response<UnsyncBoxBody<Bytes, BoxError>> {
        let now = self.server.write_time();
        let mut state = self.server.lock_state();
        let (result, effect) = match self.request.handle(&mut state, now) {
            Ok((reply, effect)) => (Ok(reply), effect),
            Err(error) => (Err(error), WriteEffect::Unchanged),
        };
        let code = match &result {
            Ok(ApiResponse::Object(code, _)) => *code,
            Ok(ApiResponse::Watch(_)) => 200,
            Err(error) => error.code,
        };
        if let Some(logged) = state.log.entry_mut(self.seq) {
            logged.code = Some(code);
            logged.changed = effect != WriteEffect::Unchanged;
        }
        drop(state);
        if effect != WriteEffect::Unchanged {
            self.server.notify_watchers();
        }
        match result {
            Ok(ApiResponse::Object(code, value)) => http_response(code, json_body(&value)),
            Ok(ApiResponse::Watch(watch)) => {
                let frames = watch.into_frames(self.server.clone());
                http_response(200, StreamBody::new(frames).boxed_unsync())
            }
            Err(error) => error_response(&error),
        }
    }
}

fn error_response(error: &StatusError) -> Response<UnsyncBoxBody<Bytes, BoxError>> {
    http_response(error.code, json_body(&error.to_status()))
}

fn json_body(value: &Value) -> UnsyncBoxBody<Bytes, BoxError> {
    Full::from(value.to_string()).map_err(|never| match never {}).boxed_unsync()
}

fn http_response(code: u16, body: UnsyncBoxBody<Bytes, BoxError>) -> Response<UnsyncBoxBody<Bytes, BoxError>> {
    let mut response = Response::new(body);
    // Invalid status codes injected by a test become 500.
    *response.status_mut() = http::StatusCode::from_u16(code).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

fn connection_lost() -> BoxError {
    "connection to the simulated API server lost".into()
}
