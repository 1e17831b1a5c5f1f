//! What an error response of the API server means, by its reason, causes and message. Pure.
//!
//! Codes alone do not tell: 403 is a missing right, a quota, a policy or a namespace that is being deleted, and a webhook
//! chooses its code itself. So the message is read first, from its beginning: names and the words of a policy come later
//! in it and may contain anything.

use std::{error::Error, time::Duration};

use kube::core::{Status, response::StatusCause};

use super::error::{KubeError, MAX_CAUSE_CHARS, Refusal, RefusedBy, causes};
use crate::text::clamp_text;

/// The limit for the server's sentence, which may quote the object, or say what to do in an admission policy.
const MAX_SENTENCE_CHARS: usize = 2_000;
/// Names of webhooks and policies are DNS names.
const MAX_NAME_CHARS: usize = 253;
/// Fields that are named of an invalid object.
const MAX_FIELDS: usize = 5;

impl From<kube::Error> for KubeError {
    fn from(error: kube::Error) -> Self {
        let innermost = |error: &dyn Error| {
            Self::Unreachable(clamp_text(causes(error).last().map_or("", String::as_str), MAX_CAUSE_CHARS))
        };
        match error {
            kube::Error::Api(status) => classify(&status),
            // Our own client's error, without the words of kube.
            kube::Error::Service(error) => innermost(&*error),
            other => innermost(&other),
        }
    }
}

/// The meaning of an error response.
fn classify(status: &Status) -> KubeError {
    let message = status.message.trim();
    let refused = |by, sentence: &str| KubeError::Refused(Refusal { by, sentence: clean_sentence(sentence) });
    let subject = strip_prefix(message);
    if let Some((by, sentence)) = denied_by_name(subject) {
        return refused(by, sentence);
    }
    if is_namespace_terminating(status, subject) {
        return refused(RefusedBy::TerminatingNamespace, subject);
    }
    if is_too_large(message) {
        return refused(RefusedBy::SizeLimit, message);
    }
    let details = status.details.as_ref();
    let kind = details.map_or("", |details| details.kind.as_str());
    match code_of(status) {
        401 => KubeError::Unauthenticated(clean_sentence(message)),
        403 => classify_forbidden(message, subject),
        404 if kind == "namespaces" => refused(RefusedBy::MissingNamespace, message),
        // The details name the object only if its kind is known.
        404 if details.is_some_and(|details| !details.name.is_empty()) => KubeError::NotFound,
        404 if !is_html(message) => KubeError::UnknownKind,
        // The quota's own count was changed by another request; the object was not looked at.
        409 if kind == "resourcequotas" || message.contains(" resourcequotas ") => {
            KubeError::TooManyRequests { retry_after: None, message: clean_sentence(message) }
        }
        409 => KubeError::Conflict,
        413 => refused(RefusedBy::SizeLimit, message),
        422 => refused(RefusedBy::Validation, &invalid_fields(status)),
        429 => KubeError::TooManyRequests { retry_after: retry_after(status), message: clean_sentence(message) },
        code @ (408 | 410 | 502..=504) => KubeError::Unavailable { code, message: clean_sentence(message) },
        code @ 500.. if is_passing(status) => KubeError::Unavailable { code, message: clean_sentence(message) },
        code => KubeError::Rejected { code, message: clean_sentence(message) },
    }
}

/// Who sent a 403 that no webhook and no policy sent.
fn classify_forbidden(message: &str, subject: &str) -> KubeError {
    let refused = |by| KubeError::Refused(Refusal { by, sentence: clean_sentence(subject) });
    if subject.starts_with("User \"system:anonymous\" cannot ") {
        return KubeError::Unauthenticated(clean_sentence(subject));
    }
    let authorizer = subject.starts_with("User \"") && subject.contains("\" cannot ");
    // The admission plugin OwnerReferencesPermissionEnforcement asks the authorizer for a second right.
    let owner_right =
        subject.starts_with("cannot set blockOwnerDeletion ") || subject.starts_with("cannot set an ownerRef ");
    if authorizer || owner_right {
        return KubeError::Forbidden(clean_sentence(subject));
    }
    if is_html(message) {
        return KubeError::Rejected { code: 403, message: clean_sentence(message) };
    }
    if subject.to_ascii_lowercase().contains("quota") {
        return refused(RefusedBy::Quota);
    }
    if subject != message || subject.contains("denied") {
        return refused(RefusedBy::Admission);
    }
    KubeError::Rejected { code: 403, message: clean_sentence(message) }
}

/// The message without what the API server writes before the words of the part that refused the request.
fn strip_prefix(message: &str) -> &str {
    let message = message.strip_prefix("Internal error occurred: ").unwrap_or(message);
    if let Some(subject) = message.strip_prefix("forbidden: ") {
        return subject;
    }
    match message.split_once(" is forbidden: ") {
        Some((object, subject)) if is_object(object) => subject,
        _ => message,
    }
}

/// Whether this is a resource, or a resource and a quoted name.
fn is_object(text: &str) -> bool {
    let (resource, name) = text.split_once(' ').unwrap_or((text, "\"\""));
    !resource.is_empty() && !resource.contains('"') && name.starts_with('"') && name.ends_with('"')
}

/// The webhook or policy that denied the request or could not be asked, and its words.
fn denied_by_name(subject: &str) -> Option<(RefusedBy, &str)> {
    if let Some((name, words)) = quoted_name(subject, "admission webhook ") {
        let why = words.strip_prefix("denied the request: ").unwrap_or(words);
        return Some((RefusedBy::Webhook(name), why));
    }
    for call in ["failed calling webhook ", "failed calling admission webhook "] {
        if let Some((name, words)) = quoted_name(subject, call) {
            return Some((RefusedBy::UnavailableWebhook(name), words.trim_start_matches(": ")));
        }
    }
    for kind in ["ValidatingAdmissionPolicy ", "MutatingAdmissionPolicy ", "policy "] {
        if let Some((name, words)) = quoted_name(subject, kind)
            && let Some((_, why)) = words.split_once("denied request: ")
        {
            return Some((RefusedBy::Policy(name), why));
        }
    }
    None
}

/// The quoted name behind this beginning of a text, and what follows it.
fn quoted_name<'a>(text: &'a str, beginning: &str) -> Option<(String, &'a str)> {
    let quoted = text.strip_prefix(beginning)?;
    let quote = quoted.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let (name, rest) = quoted[1..].split_once(quote)?;
    Some((clamp_text(name, MAX_NAME_CHARS), rest.trim_start()))
}

fn is_namespace_terminating(status: &Status, subject: &str) -> bool {
    causes_of(status).iter().any(|cause| cause.reason == "NamespaceTerminating")
        || (subject.starts_with("unable to create new content in namespace ")
            && subject.contains("because it is being terminated"))
}

/// The code; of a body without one, the code that its reason stands for.
fn code_of(status: &Status) -> u16 {
    match (status.code, status.reason.as_str()) {
        (0, "Unauthorized") => 401,
        (0, "Forbidden") => 403,
        (0, "NotFound") => 404,
        (0, "AlreadyExists" | "Conflict") => 409,
        (0, "Gone" | "Expired") => 410,
        (0, "RequestEntityTooLarge") => 413,
        (0, "Invalid") => 422,
        (0, "TooManyRequests") => 429,
        (0, "ServiceUnavailable") => 503,
        (0, "Timeout") => 504,
        (0, _) => 500,
        (code, _) => code,
    }
}

/// The `Retry-After` of a response, as the API server repeats it in the body.
fn retry_after(status: &Status) -> Option<Duration> {
    let seconds = status.details.as_ref()?.retry_after_seconds;
    (seconds > 0).then(|| Duration::from_secs(seconds.into()))
}

/// Whether etcd does not store an object because of its size, which the API server reports as an error of its own (500).
fn is_too_large(message: &str) -> bool {
    let message = message.strip_prefix("Internal error occurred: ").unwrap_or(message);
    message.starts_with("etcdserver: request is too large")
        || message.contains("trying to send message larger than max")
}

/// Whether a 500 passes by itself within seconds.
fn is_passing(status: &Status) -> bool {
    let message = status.message.as_str();
    let etcd = ["leader changed", "request timed out", "no leader", "too many requests"];
    status.reason == "ServerTimeout"
        || message.contains("resource quota evaluation timed out")
        || (message.contains("etcdserver: ") && etcd.iter().any(|text| message.contains(text)))
}

fn is_html(message: &str) -> bool {
    message.starts_with('<')
}

fn causes_of(status: &Status) -> &[StatusCause] {
    status.details.as_ref().map_or(&[], |details| &details.causes)
}

/// What is wrong with which field. The values are left out: they may be those of users, or secret.
fn invalid_fields(status: &Status) -> String {
    let causes = causes_of(status);
    let named: Vec<String> = causes
        .iter()
        .take(MAX_FIELDS)
        .map(|cause| match without_value(&cause.message) {
            why if cause.field.is_empty() || cause.field == "<nil>" => why.to_owned(),
            why => format!("{}: {why}", cause.field),
        })
        .collect();
    let words = if named.is_empty() {
        let (_, why) = status.message.split_once(" is invalid: ").unwrap_or(("", &status.message));
        why.split(['"', '{', '[']).next().unwrap_or_default().trim_end_matches([' ', ':']).to_owned()
    } else {
        named.join("; ")
    };
    match causes.len().saturating_sub(MAX_FIELDS) {
        0 => words,
        more => format!("{words}; and {more} more"),
    }
}

/// `must be shorter` of `Invalid value: "abc": must be shorter`.
fn without_value(message: &str) -> &str {
    let Some((kind, detail)) = message.split_once(": ") else { return message };
    if !matches!(kind, "Invalid value" | "Unsupported value" | "Duplicate value" | "Not found" | "Too many") {
        return message;
    }
    let end = match detail.chars().next() {
        Some('"') => end_of_quoted(detail),
        // The last one, since the value may contain anything.
        Some('{') => detail.rfind("}: ").map(|at| at + 1),
        Some('[') => detail.rfind("]: ").map(|at| at + 1),
        _ => detail.find(": "),
    };
    end.and_then(|end| detail.get(end..)).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(kind)
}

fn end_of_quoted(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().skip(1).find_map(|(at, c)| match c {
        _ if escaped => {
            escaped = false;
            None
        }
        '\\' => {
            escaped = true;
            None
        }
        '"' => Some(at + 1),
        _ => None,
    })
}

/// A text of the server as one printable line. Kyverno and Gatekeeper write several.
fn clean_sentence(text: &str) -> String {
    if is_html(text) {
        return "an HTML page, probably of a proxy before the API server".to_owned();
    }
    let bounded: String = text.chars().take(2 * MAX_SENTENCE_CHARS).collect();
    let line = bounded.split_whitespace().collect::<Vec<_>>().join(" ");
    clamp_text(line.trim_end_matches('.'), MAX_SENTENCE_CHARS)
}
