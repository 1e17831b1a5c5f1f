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

use super::call::{Call, Endpoint, Outcome};
use super::error::{Cap, Error, Nonsense};
use super::meaning::{Meaning, Place, meaning};
use super::said::Said;
use super::session::Visit;
use super::transport::TransportError;

/// The time limit of one call, from connecting to the last byte, whatever the transport.
pub(super) const CALL_LIMIT: Duration = Duration::from_secs(60);
/// Tries of one question, the first included: what Box asks for at most.
const TRIES: usize = 5;
/// A wait that Box tells is sat out here up to this; a longer one is the caller's.
const PATIENCE: Duration = Duration::from_secs(60);
/// What a `Retry-After` is believed at most. More is taken for a mistake.
const BELIEVED: Duration = Duration::from_secs(86_400);

/// One try's request. It is made anew for each try: an assertion must not be sent twice.
pub(super) struct Ask {
    pub(super) request: http::request::Builder,
    pub(super) body: Bytes,
    /// What this request carries and Box's words must not show, beside the client secret.
    pub(super) secret: SecretString,
}

impl Visit {
    /// The body of Box's 200, or what its answers meant after all tries.
    pub(super) async fn exchange(&self, endpoint: Endpoint, ask: impl Fn() -> Ask) -> Result<Bytes, Error> {
        self.tried(|| self.once(endpoint, ask())).await
    }

    /// Tries again what failed in passing.
    pub(super) async fn tried<T, F>(&self, once: impl Fn() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let mut own_waits = ExponentialBuilder::default()
            .with_min_delay(Duration::from_secs(1))
            .with_factor(2.0)
            .with_max_delay(Duration::from_secs(16))
            .with_max_times(TRIES - 1)
            .with_jitter()
            .build();
        loop {
            let error = match once().await {
                Ok(got) => return Ok(got),
                Err(error @ (Error::Limited { .. } | Error::Unavailable { .. })) => error,
                Err(lasting) => return Err(lasting),
            };
            let told = error.wait();
            let (true, Some(own)) = (told.is_none_or(|told| told <= PATIENCE), own_waits.next()) else {
                return Err(error);
            };
            let wait = told.unwrap_or(own);
            tracing::debug!(wait_seconds = wait.as_secs_f32(), told = told.is_some(), %error, "Box is asked again after a wait");
            self.pause(wait).await?;
        }
    }

    async fn pause(&self, wait: Duration) -> Result<(), Error> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(Error::Stopped),
            () = tokio::time::sleep(wait) => Ok(()),
        }
    }

    pub(super) async fn once(&self, endpoint: Endpoint, ask: Ask) -> Result<Bytes, Error> {
        if self.stop.is_cancelled() {
            return Err(Error::Stopped);
        }
        let inner = &*self.session.0;
        let Ask { request, body, secret } = ask;
        let request = request.header(header::ACCEPT, "application/json").body(body).expect("made of checked parts");
        self.calls.fetch_add(1, Ordering::Relaxed);
        let begun = Instant::now();
        let answer = tokio::time::timeout(inner.call_limit, inner.transport.clone().oneshot(request)).await;
        let (outcome, took) = (Outcome::of(&answer), begun.elapsed());
        let read = match answer {
            Err(_) => Err(unavailable(format!(
                "{} gave no complete answer within {} s",
                inner.base.host(),
                inner.call_limit.as_secs_f32()
            ))),
            Ok(Err(TransportError::TooLarge(bytes))) => Err(Error::TooLarge(Cap::Bytes(bytes))),
            Ok(Err(
                error @ (TransportError::Connect { .. } | TransportError::Broken { .. } | TransportError::Setup(_)),
            )) => Err(unavailable(error.to_string())),
            Ok(Ok(answer)) => self.read(endpoint.place(), answer, &secret),
        };
        if let Some(listener) = &self.listener {
            let told_wait = read.as_ref().err().and_then(Error::wait);
            listener(&Call { endpoint, outcome, took, told_wait });
        }
        read
    }

    fn read(&self, place: Place, answer: Response<Bytes>, secret: &SecretString) -> Result<Bytes, Error> {
        let (head, body) = answer.into_parts();
        if head.status == StatusCode::OK {
            return Ok(body);
        }
        let secrets = [secret.expose_secret(), self.session.0.source.client_secret()];
        let read = Said::read(&body, &secrets);
        let meaning = meaning(place, head.status, read.as_ref());
        let said = read.unwrap_or_default().or_request_id(text(&head.headers, "box-request-id"));
        let status = head.status.as_u16();
        Err(match meaning {
            Meaning::Answer => return Ok(body),
            Meaning::Refused(refusal) => Error::Refused { refusal, said },
            Meaning::Clock => Error::ClockSkew { said, skew: self.skew(&head.headers) },
            Meaning::Limited => Error::Limited { wait: told_wait(&head.headers, self.session.now()), said },
            Meaning::Unavailable => {
                Error::Unavailable { wait: told_wait(&head.headers, self.session.now()), what: answered(status, &said) }
            }
            Meaning::Redirect => Error::Invalid { what: Nonsense::Redirect(status), said },
            Meaning::Nonsense if status < 300 => Error::Invalid { what: Nonsense::NotJson, said },
            Meaning::Nonsense => Error::Invalid { what: Nonsense::Status(status), said },
        })
    }

    /// Box's clock minus ours, by the `Date` of its answer.
    fn skew(&self, headers: &HeaderMap) -> Option<SignedDuration> {
        Some(date(headers)?.duration_since(self.session.now()))
    }
}

/// When an answer was made, by the clock of whoever made it.
pub(super) fn date(headers: &HeaderMap) -> Option<Timestamp> {
    time(text(headers, header::DATE.as_str())?)
}

fn time(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()
}

fn unavailable(what: String) -> Error {
    Error::Unavailable { wait: None, what }
}

fn answered(status: u16, said: &Said) -> String {
    match (said.text(), said.request_id()) {
        (Some(_), _) => format!("Box answered {status}: {said}"),
        (None, Some(id)) => format!("Box answered {status} (request id {id})"),
        (None, None) => format!("Box answered {status}"),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// `Retry-After`, in seconds or as a date by Box's own clock. Anything else, nothing, or more than a day counts as not
/// told: our own wait is used then.
fn told_wait(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let told = text(headers, header::RETRY_AFTER.as_str())?.trim();
    let wait = match told.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => Duration::try_from(time(told)?.duration_since(date(headers).unwrap_or(now))).ok()?,
    };
    Some(wait).filter(|wait| !wait.is_zero() && *wait <= BELIEVED)
}
