//! Sends requests to Box: timeout, retries, cancellation, call count and observer, for every transport alike. It knows
//! neither tokens nor credentials.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::{
    base_url::BaseUrl,
    call_observer::{CallObserver, CallOutcome, CallRecord, Endpoint},
    error::{Error, InvalidResponse, LimitExceeded},
    error_body::ErrorBody,
    error_classification::{EndpointKind, ErrorExplanation, ResponseClass, classify_response},
    retry::{RetryDelays, header_text, parse_retry_after},
    transport::{Transport, TransportError},
};
use crate::remote_clock::{RemoteClock, date_header};

/// The time limit of one call, from connecting to the last byte.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(60);

/// Box's error bodies have some hundred bytes; a larger one is not parsed.
const MAX_ERROR_BODY_BYTES: usize = 64 << 10;

/// The wall clock. It is needed for assertions and for the expiry of stored tokens.
pub type ClockFn = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The request of one attempt. Each attempt has a new one, because an assertion must not be sent twice.
pub(crate) struct RequestTemplate {
    request: http::request::Builder,
    body: Bytes,
    /// Texts that must not appear in an error, even if Box repeats them.
    secrets: Vec<SecretString>,
}

impl RequestTemplate {
    pub(super) fn get(url: &str, authorization: HeaderValue, secrets: Vec<SecretString>) -> Self {
        let request = Request::get(url).header(header::AUTHORIZATION, authorization);
        Self { request, body: Bytes::new(), secrets }
    }

    pub(super) fn post_form(url: &str, form: &SecretString, secrets: Vec<SecretString>) -> Self {
        Self {
            request: Request::post(url).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded"),
            body: Bytes::copy_from_slice(form.expose_secret().as_bytes()),
            secrets,
        }
    }
}

/// The body of a response with status 200, and the id by which Box's support finds it.
pub(crate) struct ReceivedBody {
    body: Bytes,
    request_id: Option<String>,
}

impl std::ops::Deref for ReceivedBody {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.body
    }
}

impl ReceivedBody {
    /// Adds the request id to the reason why the body is invalid.
    pub(super) fn explain(&self, error: Error) -> Error {
        match error {
            Error::InvalidResponse { problem, body } => {
                Error::InvalidResponse { problem, body: body.or_request_id_header(self.request_id.as_deref()) }
            }
            other => other,
        }
    }
}

/// Clones share the cancellation and the call count.
#[derive(Clone)]
pub(crate) struct Sender {
    transport: Transport,
    base: BaseUrl,
    clock: ClockFn,
    call_timeout: Duration,
    cancel: CancellationToken,
    call_count: Arc<AtomicU32>,
    observer: Option<CallObserver>,
    server_clock: RemoteClock,
}

impl Sender {
    pub(super) fn new(transport: Transport, base: BaseUrl, clock: ClockFn, call_timeout: Duration) -> Self {
        let (cancel, call_count) = (CancellationToken::new(), Arc::default());
        let server_clock = RemoteClock::default();
        Self { transport, base, clock, call_timeout, cancel, call_count, observer: None, server_clock }
    }

    /// A sender with the same settings, but with its own cancellation and call count, and without an observer.
    pub(super) fn with_cancellation(&self, cancel: CancellationToken) -> Self {
        Self { cancel, call_count: Arc::default(), observer: None, ..self.clone() }
    }

    pub(super) fn with_observer(self, observer: CallObserver) -> Self {
        Self { observer: Some(observer), ..self }
    }

    pub(super) fn url(&self, path: &str) -> String {
        self.base.join(path)
    }

    pub(super) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// The time by Box's clock, as of its last response.
    pub(super) fn server_time(&self) -> Option<Timestamp> {
        self.server_clock.estimate()
    }

    /// Calls so far, including retries.
    pub(super) fn call_count(&self) -> u32 {
        self.call_count.load(Ordering::Relaxed)
    }

    /// The result of `work`, or [`Error::Cancelled`] as soon as the cancellation comes.
    pub(super) async fn unless_cancelled<T>(&self, work: impl Future<Output = T>) -> Result<T, Error> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(Error::Cancelled),
            result = work => Ok(result),
        }
    }

    /// The body of the first response with status 200, or the error of the last attempt.
    pub(super) async fn send_with_retries(
        &self,
        endpoint: Endpoint,
        template: impl Fn() -> RequestTemplate,
    ) -> Result<ReceivedBody, Error> {
        self.with_retries(|| self.send(endpoint, template())).await
    }

    /// Repeats `attempt` after a transient error.
    pub(super) async fn with_retries<T, F>(&self, attempt: impl Fn() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let mut delays = RetryDelays::new();
        loop {
            let error = match attempt().await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            let Some(delay) = delays.next_delay(&error) else { return Err(error) };
            let retry_after_given = error.retry_after().is_some();
            tracing::debug!(delay_seconds = delay.as_secs_f32(), retry_after_given, %error, "Box API call failed, retrying");
            self.unless_cancelled(tokio::time::sleep(delay)).await?;
        }
    }

    /// One attempt. A cancellation prevents it, but does not interrupt it.
    pub(super) async fn send(&self, endpoint: Endpoint, template: RequestTemplate) -> Result<ReceivedBody, Error> {
        if self.cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let RequestTemplate { request, body, secrets } = template;
        // Of all its parts, only the paging marker comes from outside unchecked.
        let request = request
            .header(header::ACCEPT, "application/json")
            .body(body)
            .map_err(|_| Error::invalid_response(InvalidResponse::MarkerTooLong))?;
        self.call_count.fetch_add(1, Ordering::Relaxed);
        let started = Instant::now();
        let result = tokio::time::timeout(self.call_timeout, self.transport.clone().oneshot(request)).await;
        let (outcome, duration) = (CallOutcome::from_result(&result), started.elapsed());
        let result = match result {
            Err(_) => Err(unavailable_error(format!(
                "{} sent no complete response within {} s",
                self.base.host(),
                self.call_timeout.as_secs_f32()
            ))),
            Ok(Err(TransportError::BodyTooLarge(bytes))) => Err(Error::LimitExceeded(LimitExceeded::Bytes(bytes))),
            Ok(Err(
                error @ (TransportError::Connect { .. } | TransportError::Broken { .. } | TransportError::Setup(_)),
            )) => Err(unavailable_error(error.to_string())),
            Ok(Ok(response)) => {
                self.server_clock.set_from(response.headers());
                self.check_status(endpoint.kind(), response, &secrets)
            }
        };
        if let Some(observer) = &self.observer {
            let retry_after = result.as_ref().err().and_then(Error::retry_after);
            observer(&CallRecord { endpoint, outcome, duration, retry_after });
        }
        result
    }

    fn check_status(
        &self,
        kind: EndpointKind,
        response: Response<Bytes>,
        secrets: &[SecretString],
    ) -> Result<ReceivedBody, Error> {
        let (head, body) = response.into_parts();
        let request_id = header_text(&head.headers, "box-request-id");
        if head.status == StatusCode::OK {
            return Ok(ReceivedBody { body, request_id: request_id.map(str::to_owned) });
        }
        let secrets: Vec<&str> = secrets.iter().map(ExposeSecret::expose_secret).collect();
        let parsed_body = Some(&body).filter(|body| body.len() <= MAX_ERROR_BODY_BYTES);
        let parsed_body = parsed_body.and_then(|body| ErrorBody::parse(body, &secrets));
        let challenge = header_text(&head.headers, header::WWW_AUTHENTICATE.as_str());
        let explanation = parsed_body
            .filter(|body| !body.is_empty())
            .or_else(|| challenge.and_then(|challenge| ErrorBody::from_challenge(challenge, &secrets)));
        let class = classify_response(
            kind,
            head.status,
            match &explanation {
                Some(explanation) => ErrorExplanation::Box(explanation),
                None if body.is_empty() => ErrorExplanation::None,
                None => ErrorExplanation::Foreign,
            },
        );
        let error_body = explanation.unwrap_or_default().or_request_id_header(request_id);
        let status = head.status.as_u16();
        Err(match class {
            ResponseClass::Success => return Ok(ReceivedBody { body, request_id: request_id.map(str::to_owned) }),
            ResponseClass::Denied(denial) => Error::Denied { denial, body: error_body },
            ResponseClass::ClockSkew => Error::ClockSkew { body: error_body, skew: self.clock_skew(&head.headers) },
            ResponseClass::RateLimited => {
                Error::RateLimited { retry_after: parse_retry_after(&head.headers, self.now()), body: error_body }
            }
            ResponseClass::Unavailable => Error::Unavailable {
                retry_after: parse_retry_after(&head.headers, self.now()),
                detail: format_status_error(status, &error_body),
            },
            ResponseClass::Redirect => {
                Error::InvalidResponse { problem: InvalidResponse::Redirect(status), body: error_body }
            }
            ResponseClass::Unexpected if status < 300 => {
                Error::InvalidResponse { problem: InvalidResponse::NotJson, body: error_body }
            }
            ResponseClass::Unexpected => {
                Error::InvalidResponse { problem: InvalidResponse::Status(status), body: error_body }
            }
        })
    }

    /// Box's clock minus ours, by the `Date` of the response.
    fn clock_skew(&self, headers: &HeaderMap) -> Option<SignedDuration> {
        Some(date_header(headers)?.duration_since(self.now()))
    }
}

fn unavailable_error(detail: String) -> Error {
    Error::Unavailable { retry_after: None, detail }
}

fn format_status_error(status: u16, body: &ErrorBody) -> String {
    match (body.message(), body.request_id()) {
        (Some(_), _) => format!("Box returned {status}: {body}"),
        (None, Some(id)) => format!("Box returned {status} (request id {id})"),
        (None, None) => format!("Box returned {status}"),
    }
}
