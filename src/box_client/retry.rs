//! One question to Box until it is answered: tries, waits, the time limit, and what an answer means.

use std::sync::atomic::Ordering;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, header};
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;
use tower::ServiceExt;

use super::{
    auth::token_source::Client,
    call_observer::{CallOutcome, CallRecord, Endpoint},
    error::{Error, InvalidResponse, LimitExceeded},
    error_body::ErrorBody,
    error_classification::{EndpointKind, ResponseClass, classify_response},
    transport::TransportError,
};

/// The time limit of one call, from connecting to the last byte, whatever the transport.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(60);
/// Tries of one question, the first included: what Box asks for at most.
const MAX_ATTEMPTS: usize = 5;
/// A wait that Box tells is sat out here up to this; a longer one is the caller's.
const MAX_INLINE_WAIT: Duration = Duration::from_secs(60);
/// What a `Retry-After` is believed at most. More is taken for a mistake.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(86_400);

/// One try's request. It is made anew for each try: an assertion must not be sent twice.
pub(super) struct RequestTemplate {
    pub(super) request: http::request::Builder,
    pub(super) body: Bytes,
    /// What this request carries and Box's words must not show, beside the client secret.
    pub(super) secret: SecretString,
}

impl Client {
    /// The body of Box's 200, or what its answers meant after all tries.
    pub(super) async fn send_with_retries(
        &self,
        endpoint: Endpoint,
        template: impl Fn() -> RequestTemplate,
    ) -> Result<Bytes, Error> {
        self.with_retries(|| self.send(endpoint, template())).await
    }

    /// Tries again what failed in passing.
    pub(super) async fn with_retries<T, F>(&self, attempt: impl Fn() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let mut backoff = ExponentialBuilder::default()
            .with_min_delay(Duration::from_secs(1))
            .with_factor(2.0)
            .with_max_delay(Duration::from_secs(16))
            .with_max_times(MAX_ATTEMPTS - 1)
            .with_jitter()
            .build();
        loop {
            let error = match attempt().await {
                Ok(value) => return Ok(value),
                Err(error @ (Error::RateLimited { .. } | Error::Unavailable { .. })) => error,
                Err(permanent) => return Err(permanent),
            };
            let retry_after = error.retry_after();
            let (true, Some(delay)) = (retry_after.is_none_or(|told| told <= MAX_INLINE_WAIT), backoff.next()) else {
                return Err(error);
            };
            let delay = retry_after.unwrap_or(delay);
            tracing::debug!(wait_seconds = delay.as_secs_f32(), told = retry_after.is_some(), %error, "Box is asked again after a wait");
            self.sleep_or_cancel(delay).await?;
        }
    }

    async fn sleep_or_cancel(&self, delay: Duration) -> Result<(), Error> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(Error::Cancelled),
            () = tokio::time::sleep(delay) => Ok(()),
        }
    }

    pub(super) async fn send(&self, endpoint: Endpoint, template: RequestTemplate) -> Result<Bytes, Error> {
        if self.cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let inner = &*self.token_source.0;
        let RequestTemplate { request, body, secret } = template;
        let request = request.header(header::ACCEPT, "application/json").body(body).expect("made of checked parts");
        self.call_count.fetch_add(1, Ordering::Relaxed);
        let started = Instant::now();
        let result = tokio::time::timeout(inner.call_timeout, inner.transport.clone().oneshot(request)).await;
        let (outcome, duration) = (CallOutcome::from_result(&result), started.elapsed());
        let result = match result {
            Err(_) => Err(unavailable_error(format!(
                "{} gave no complete answer within {} s",
                inner.base.host(),
                inner.call_timeout.as_secs_f32()
            ))),
            Ok(Err(TransportError::BodyTooLarge(bytes))) => Err(Error::LimitExceeded(LimitExceeded::Bytes(bytes))),
            Ok(Err(
                error @ (TransportError::Connect { .. } | TransportError::Broken { .. } | TransportError::Setup(_)),
            )) => Err(unavailable_error(error.to_string())),
            Ok(Ok(response)) => self.error_for_status(endpoint.kind(), response, &secret),
        };
        if let Some(observer) = &self.observer {
            let retry_after = result.as_ref().err().and_then(Error::retry_after);
            observer(&CallRecord { endpoint, outcome, duration, retry_after });
        }
        result
    }

    fn error_for_status(
        &self,
        kind: EndpointKind,
        response: Response<Bytes>,
        secret: &SecretString,
    ) -> Result<Bytes, Error> {
        let (head, body) = response.into_parts();
        if head.status == StatusCode::OK {
            return Ok(body);
        }
        let secrets = [secret.expose_secret(), self.token_source.0.origin.client_secret()];
        let body_error = ErrorBody::parse(&body, &secrets);
        let class = classify_response(kind, head.status, body_error.as_ref());
        let error_body =
            body_error.unwrap_or_default().or_request_id_header(header_text(&head.headers, "box-request-id"));
        let status = head.status.as_u16();
        Err(match class {
            ResponseClass::Success => return Ok(body),
            ResponseClass::Denied(refusal) => Error::Denied { denial: refusal, body: error_body },
            ResponseClass::ClockSkew => Error::ClockSkew { body: error_body, skew: self.clock_skew(&head.headers) },
            ResponseClass::RateLimited => Error::RateLimited {
                retry_after: parse_retry_after(&head.headers, self.token_source.current_time()),
                body: error_body,
            },
            ResponseClass::Unavailable => Error::Unavailable {
                retry_after: parse_retry_after(&head.headers, self.token_source.current_time()),
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

    /// Box's clock minus ours, by the `Date` of its answer.
    fn clock_skew(&self, headers: &HeaderMap) -> Option<SignedDuration> {
        Some(date_header(headers)?.duration_since(self.token_source.current_time()))
    }
}

/// When an answer was made, by the clock of whoever made it.
pub(super) fn date_header(headers: &HeaderMap) -> Option<Timestamp> {
    parse_http_date(header_text(headers, header::DATE.as_str())?)
}

fn parse_http_date(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()
}

fn unavailable_error(detail: String) -> Error {
    Error::Unavailable { retry_after: None, detail }
}

fn format_status_error(status: u16, body: &ErrorBody) -> String {
    match (body.message(), body.request_id()) {
        (Some(_), _) => format!("Box answered {status}: {body}"),
        (None, Some(id)) => format!("Box answered {status} (request id {id})"),
        (None, None) => format!("Box answered {status}"),
    }
}

fn header_text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// `Retry-After`, in seconds or as a date by Box's own clock. Anything else, nothing, or more than a day counts as not
/// told: our own wait is used then.
fn parse_retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let value = header_text(headers, header::RETRY_AFTER.as_str())?.trim();
    let wait = match value.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            Duration::try_from(parse_http_date(value)?.duration_since(date_header(headers).unwrap_or(now))).ok()?
        }
    };
    Some(wait).filter(|wait| !wait.is_zero() && *wait <= MAX_RETRY_AFTER)
}
