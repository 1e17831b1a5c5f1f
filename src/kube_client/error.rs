//! Why a call to the API server failed, by how callers react to it.

use std::{error::Error, fmt, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use k8s_openapi::api::core::v1::Secret;

use crate::text::clamp_text;

/// A longer `Retry-After` is not waited for in place.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(30);
/// The limit for the text of a connection error, which ends up in messages of conditions.
pub(super) const MAX_CAUSE_CHARS: usize = 300;
/// So many bytes of a secret value are enough to find it in a message; a multiple of three, as base64 groups bytes.
const RECOGNIZED_BYTES: usize = 6;

/// Why a call to the API server failed. Texts of the server are one printable line, bounded, and without a full stop.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KubeError {
    #[error("not found")]
    NotFound,
    /// The kind is unknown: its CustomResourceDefinition is not installed, or not served yet by an API server that has
    /// just started. The object may exist.
    #[error("the API server does not serve this kind")]
    UnknownKind,
    /// The object has changed since it was read, or already exists.
    #[error("conflict: the object was changed or already exists")]
    Conflict,
    /// 401, or nobody: the API server does not know who asks.
    #[error("the API server does not accept the credentials: {0}")]
    Unauthenticated(String),
    /// The right for the call is missing. The text names it.
    #[error("forbidden: {0}")]
    Forbidden(String),
    /// A quota, a policy, the namespace or the object itself stands against a request that the sender may make.
    #[error("refused by {}: {}", _0.by, _0.sentence)]
    Refused(Refusal),
    /// The API server limits requests (429), and may say how long to wait.
    #[error("the API server limits requests: {message}")]
    TooManyRequests { retry_after: Option<Duration>, message: String },
    /// Passes by itself within seconds: the server or its storage is not available.
    #[error("the API server answered {code}: {message}")]
    Unavailable { code: u16, message: String },
    /// Any other answer.
    #[error("the API server answered {code}: {message}")]
    Rejected { code: u16, message: String },
    /// The object exists, and this version cannot read it.
    #[error("the object cannot be read: {0}")]
    Unreadable(String),
    /// No response. The text is the innermost cause, shortened.
    #[error("the API server cannot be reached: {0}")]
    Unreachable(String),
}

/// A request that the API server understood, and that the caller has the right to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub by: RefusedBy,
    /// The server's own sentence: one line, bounded, printable, without a full stop.
    pub sentence: String,
}

/// What refuses the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefusedBy {
    Quota,
    /// An admission webhook, such as those of Gatekeeper and Kyverno.
    Webhook(String),
    /// The admission webhook that must be asked could not be called.
    UnavailableWebhook(String),
    /// A ValidatingAdmissionPolicy, or a mutating one.
    Policy(String),
    /// Another part of the admission: LimitRanger, Pod Security.
    Admission,
    TerminatingNamespace,
    MissingNamespace,
    /// The schema or a rule of the CustomResourceDefinition.
    Validation,
    SizeLimit,
}

impl fmt::Display for RefusedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Quota => f.write_str("a quota"),
            Self::Webhook(name) => write!(f, "admission webhook {name}"),
            Self::UnavailableWebhook(name) => write!(f, "admission webhook {name}, which cannot be called"),
            Self::Policy(name) => write!(f, "admission policy {name}"),
            Self::Admission => f.write_str("the API server's admission"),
            Self::TerminatingNamespace => f.write_str("a namespace that is being deleted"),
            Self::MissingNamespace => f.write_str("a namespace that does not exist"),
            Self::Validation => f.write_str("the validation of the object"),
            Self::SizeLimit => f.write_str("a limit of size"),
        }
    }
}

impl KubeError {
    /// An object that cannot be read. The error may quote it.
    pub(crate) fn unreadable(error: &str) -> Self {
        Self::Unreadable(clamp_text(error, MAX_CAUSE_CHARS))
    }

    /// How long to wait before the call is repeated: what the API server asks for, at most half a minute, or `backoff` if
    /// that is longer.
    pub fn retry_pause(&self, backoff: Duration) -> Duration {
        match self {
            Self::TooManyRequests { retry_after: Some(requested), .. } => {
                (*requested).min(MAX_RETRY_AFTER).max(backoff)
            }
            _ => backoff,
        }
    }

    /// Whether the API server gave no verdict on the request: it cannot be reached, limits requests, failed itself, or
    /// could not ask a webhook.
    pub fn is_unavailable(&self) -> bool {
        match self {
            Self::Unreachable(_)
            | Self::TooManyRequests { .. }
            | Self::Unavailable { .. }
            | Self::Rejected { code: 500.., .. } => true,
            Self::Refused(refusal) => matches!(refusal.by, RefusedBy::UnavailableWebhook(_)),
            Self::NotFound
            | Self::UnknownKind
            | Self::Conflict
            | Self::Unauthenticated(_)
            | Self::Forbidden(_)
            | Self::Rejected { .. }
            | Self::Unreadable(_) => false,
        }
    }

    /// Whether the same call is likely to succeed within seconds. Unlike in [`is_unavailable`](Self::is_unavailable),
    /// neither a webhook that cannot be called nor another 500 counts: they may last.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::TooManyRequests { .. } | Self::Unavailable { .. } => true,
            Self::NotFound
            | Self::UnknownKind
            | Self::Conflict
            | Self::Unauthenticated(_)
            | Self::Forbidden(_)
            | Self::Refused(_)
            | Self::Rejected { .. }
            | Self::Unreadable(_) => false,
        }
    }

    /// Whether the API server denies the sender. One that has just started denies what it allows once it has loaded its
    /// rules.
    pub fn denies_sender(&self) -> bool {
        matches!(self, Self::Forbidden(_) | Self::Unauthenticated(_))
    }

    /// The error of a write of this Secret. If the server's text repeats one of its values, it is left out.
    #[must_use]
    pub(crate) fn without_values_of(mut self, secret: &Secret) -> Self {
        let Some(text) = self.server_text() else { return self };
        let repeats = |value: &[u8]| {
            let start = value.get(..RECOGNIZED_BYTES).unwrap_or(value);
            let plain = String::from_utf8_lossy(start);
            !start.is_empty() && (text.contains(&*plain) || text.contains(&STANDARD_NO_PAD.encode(start)))
        };
        if secret.data.iter().flatten().any(|(_, value)| repeats(&value.0)) {
            "its message repeats content of the Secret, and is not shown".clone_into(text);
        }
        self
    }

    fn server_text(&mut self) -> Option<&mut String> {
        match self {
            Self::Unauthenticated(text) | Self::Forbidden(text) => Some(text),
            Self::Refused(refusal) => Some(&mut refusal.sentence),
            Self::TooManyRequests { message, .. }
            | Self::Unavailable { message, .. }
            | Self::Rejected { message, .. } => Some(message),
            Self::NotFound | Self::UnknownKind | Self::Conflict | Self::Unreadable(_) | Self::Unreachable(_) => None,
        }
    }
}

/// The texts of an error and its causes, outermost first. A cause whose text the outer error already contains is left out.
pub(super) fn causes(error: &dyn Error) -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        if texts.last().is_none_or(|outer| !outer.contains(&text)) {
            texts.push(text);
        }
        next = error.source();
    }
    texts
}
