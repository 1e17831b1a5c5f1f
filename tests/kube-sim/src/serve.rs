//! From a request to its answer: first the trouble that was ordered, then the store.

use crate::{
    Call, Fault, Trouble, Verb,
    fault::Caller,
    object,
    refusal::Refusal,
    resource::Resource,
    selection::Selection,
    server::{Shared, State},
    shape::Shape,
    store::Key,
    watching::{Wanted, Watch, since},
    write::{Effect, Part, Update, Written},
};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, header, request::Parts};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tower::BoxError;

pub(crate) type Answer = Result<Response<UnsyncBoxBody<Bytes, BoxError>>, BoxError>;

/// What is to be answered, before it is bytes.
enum Reply {
    Object(u16, Value),
    Watch(Box<Watch>),
}

enum Reception {
    Heard(Visit, Option<Fault>),
    Refused(Refusal),
    Lost,
    Silence,
}

/// One request on its way through the server.
struct Visit {
    shared: Arc<Shared>,
    caller: Caller,
    call: Arc<Call>,
    resource: Arc<Resource>,
    index: usize,
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
    let visit = Visit { shared, caller, call, resource, index, seq };
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
                self.shared.kill(&self.caller.user);
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
            (state.faults.is_dead(&self.caller), state.faults.down)
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
        refuse(&Refusal::injected(code, &self.resource, &self.call))
    }

    fn note(&self, code: Option<u16>) {
        if let Some(logged) = self.shared.state().log.entry(self.seq) {
            logged.code = code;
        }
    }

    fn apply(&self) -> Response<UnsyncBoxBody<Bytes, BoxError>> {
        let mut state = self.shared.state();
        let (result, effect) = match self.answer(&mut state) {
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

    fn answer(&self, state: &mut State) -> Result<(Reply, Effect), Refusal> {
        let shape = Shape::accepted(&self.call.accept);
        let now = self.shared.now();
        let written = match self.call.verb {
            Verb::Get => {
                let found = state.store.get(&self.key());
                let found = found.ok_or_else(|| Refusal::not_found(&self.resource, &self.key().name))?;
                return Ok((Reply::Object(200, shape.object(&found)), Effect::Nothing));
            }
            Verb::List => {
                self.check_list()?;
                let selection = self.selection()?;
                let items = state.store.list(self.index, &selection).map(AsRef::as_ref);
                let list = shape.list(&self.resource, state.store.history.version(), items);
                return Ok((Reply::Object(200, list), Effect::Nothing));
            }
            Verb::Watch => {
                let watch = Watch::open(state, self.caller.clone(), self.wanted(shape)?);
                return Ok((Reply::Watch(Box::new(watch)), Effect::Nothing));
            }
            Verb::Create => state.store.create(self.index, &self.key().namespace, self.body()?, now)?,
            Verb::Update => {
                let update = Update::Replace(self.body()?);
                state.store.update(self.key(), self.part(), update, now)?
            }
            Verb::Patch => {
                if !self.call.content_type.starts_with("application/merge-patch+json") {
                    return Err(Refusal::media_type());
                }
                let update = Update::Merge(self.body()?);
                state.store.update(self.key(), self.part(), update, now)?
            }
            Verb::Delete => state.store.delete(self.key(), &self.delete_options()?, now)?,
        };
        let Written { object, effect } = written;
        let reply = match (self.call.verb, effect) {
            (Verb::Delete, Effect::Removed) => Reply::Object(200, self.deleted(&object)),
            (Verb::Create, _) => Reply::Object(201, shape.object(&object)),
            _ => Reply::Object(200, shape.object(&object)),
        };
        Ok((reply, effect))
    }

    fn key(&self) -> Key {
        Key {
            resource: self.index,
            namespace: self.call.namespace.clone().unwrap_or_default(),
            name: self.call.name.clone().unwrap_or_default(),
        }
    }

    fn part(&self) -> Part {
        match self.call.subresource {
            Some(_) => Part::Status,
            None => Part::Main,
        }
    }

    fn body(&self) -> Result<Value, Refusal> {
        serde_json::from_slice(&self.call.body)
            .map_err(|error| Refusal::bad_request(format!("the body of the request is no JSON: {error}")))
    }

    fn selection(&self) -> Result<Selection, Refusal> {
        Selection::new(
            &self.resource,
            self.call.namespace.as_deref(),
            self.call.parameter("fieldSelector"),
            self.call.parameter("labelSelector"),
        )
    }

    /// Every list is whole and the most recent one.
    fn check_list(&self) -> Result<(), Refusal> {
        if self.call.parameter("continue").is_some() {
            return Err(Refusal::unsupported("continue: it answers every list whole"));
        }
        match self.call.parameter("resourceVersionMatch") {
            Some("Exact") => Err(Refusal::unsupported("resourceVersionMatch=Exact")),
            _ => Ok(()),
        }
    }

    fn wanted(&self, shape: Shape) -> Result<Wanted, Refusal> {
        if self.call.flag("sendInitialEvents") {
            return Err(Refusal::unsupported("sendInitialEvents"));
        }
        let timeout = self.call.parameter("timeoutSeconds").and_then(|seconds| seconds.parse().ok());
        Ok(Wanted {
            index: self.index,
            selection: self.selection()?,
            shape,
            since: since(self.call.parameter("resourceVersion"))?,
            timeout: timeout.map(Duration::from_secs),
            bookmarks: self.call.flag("allowWatchBookmarks"),
        })
    }

    fn delete_options(&self) -> Result<Value, Refusal> {
        let options = match self.call.body.is_empty() {
            true => Value::Null,
            false => self.body()?,
        };
        let policy = self.call.parameter("propagationPolicy").or(options["propagationPolicy"].as_str());
        if let Some(policy) = policy.filter(|policy| *policy != "Background") {
            return Err(Refusal::unsupported(&format!("propagationPolicy={policy}")));
        }
        if options["dryRun"].as_array().is_some_and(|stages| !stages.is_empty()) {
            return Err(Refusal::unsupported("dryRun"));
        }
        Ok(options)
    }

    fn deleted(&self, object: &Value) -> Value {
        json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
            "details": {
                "name": object::name(object), "group": self.resource.group,
                "kind": self.resource.plural, "uid": object::uid(object),
            },
        })
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
