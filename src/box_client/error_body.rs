//! The error body of Box's responses, sanitized for display.

use std::fmt;

use serde::Deserialize;

use super::{lenient_json::parse_leniently, lenient_value::LenientValue};
use crate::text::clamp_text;

const MAX_MESSAGE_CHARS: usize = 300;
const MAX_WORD_CHARS: usize = 64;
/// Redacting shorter texts would garble ordinary words; they are not secrets.
const MIN_SECRET_LEN: usize = 6;

/// The code, the message and the request id of an error response.
///
/// Printable, bounded in length, and without the secrets of the request, even if Box repeats them.
/// Displays as `"This app is not authorized by the enterprise" (unauthorized_client, request id abc)`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErrorBody {
    code: Option<String>,
    message: Option<String>,
    request_id: Option<String>,
}

/// Both formats of an error body: the API's `{code, message, request_id}` and the token endpoint's `{error, error_description}`.
#[derive(Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct RawErrorBody<'a> {
    error: LenientValue<'a>,
    error_description: LenientValue<'a>,
    code: LenientValue<'a>,
    message: LenientValue<'a>,
    request_id: LenientValue<'a>,
}

impl ErrorBody {
    /// Parses an error body of either format; `None` if it is not a JSON object.
    pub(super) fn parse(body: &[u8], secrets: &[&str]) -> Option<Self> {
        let clean = |value: LenientValue<'_>, max| {
            value.into_non_empty_text().and_then(|text| sanitize_text(&redact(text, secrets), max))
        };
        let parsed = parse_leniently(body, |json| {
            let RawErrorBody { error, error_description, code, message, request_id } = serde_json::from_str(json)?;
            Ok(Self {
                code: clean(code, MAX_WORD_CHARS).or_else(|| clean(error, MAX_WORD_CHARS)),
                message: clean(message, MAX_MESSAGE_CHARS).or_else(|| clean(error_description, MAX_MESSAGE_CHARS)),
                request_id: clean(request_id, MAX_WORD_CHARS),
            })
        });
        parsed.ok()
    }

    /// The error in a `WWW-Authenticate: Bearer` header (RFC 6750), which Box sends without a body.
    pub(super) fn from_challenge(challenge: &str, secrets: &[&str]) -> Option<Self> {
        let parameters = challenge.trim().strip_prefix("Bearer")?;
        let parameter = |name: &str, max| {
            let (_, rest) = parameters.split_once(&format!("{name}=\""))?;
            let (value, _) = rest.split_once('"')?;
            sanitize_text(&redact(value.to_owned(), secrets), max)
        };
        let code = parameter(" error", MAX_WORD_CHARS).or_else(|| parameter(",error", MAX_WORD_CHARS))?;
        Some(Self { code: Some(code), message: parameter("error_description", MAX_MESSAGE_CHARS), request_id: None })
    }

    /// Uses the request id of the header if the body has none.
    pub(super) fn or_request_id_header(mut self, header: Option<&str>) -> Self {
        self.request_id = self.request_id.or_else(|| header.and_then(|id| sanitize_text(id, MAX_WORD_CHARS)));
        self
    }

    /// `code` of the API's errors, `error` of the token endpoint's.
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// `message` of the API's errors, `error_description` of the token endpoint's; at most about 300 characters.
    pub fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }

    /// The id by which Box's support finds the request.
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    pub fn is_empty(&self) -> bool {
        self == &Self::default()
    }
}

impl fmt::Display for ErrorBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.request_id.as_ref().map(|id| format!("request id {id}"));
        let source: Vec<&str> = [self.code.as_deref(), id.as_deref()].into_iter().flatten().collect();
        match (&self.message, source.is_empty()) {
            (Some(text), false) => write!(f, "\"{text}\" ({})", source.join(", ")),
            (Some(text), true) => write!(f, "\"{text}\""),
            (None, false) => write!(f, "no explanation ({})", source.join(", ")),
            (None, true) => f.write_str("no explanation"),
        }
    }
}

fn redact(mut text: String, secrets: &[&str]) -> String {
    for secret in secrets.iter().filter(|secret| secret.len() >= MIN_SECRET_LEN) {
        if text.contains(secret) {
            text = text.replace(secret, "…");
        }
    }
    text
}

/// The printable characters of a text, with white space collapsed, long words (a token, an assertion, base64) replaced,
/// and truncated at `max`. `None` if nothing is left. Invisible characters are replaced, not removed: what remains could
/// join to a secret.
pub(super) fn sanitize_text(text: &str, max: usize) -> Option<String> {
    let mut out = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if !out.is_empty() {
            out.push(' ');
        }
        match word.chars().count() > MAX_WORD_CHARS {
            true => out.push('…'),
            false => out.extend(word.chars().map(|c| if c == '"' { '\'' } else { c })),
        }
    }
    Some(clamp_text(&out, max)).filter(|out| !out.is_empty())
}

#[cfg(test)]
impl ErrorBody {
    /// An error body for tests.
    pub(crate) fn for_test(code: &str, text: &str) -> Self {
        let id = Some("abc123".to_owned());
        Self { code: Some(code.to_owned()), message: Some(text.to_owned()), request_id: id }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_and_format(body: &str) -> String {
        ErrorBody::parse(body.as_bytes(), &["s3cret-of-the-app"]).expect("JSON").to_string()
    }

    #[test]
    fn both_error_formats_show_the_message_of_box() {
        assert_eq!(
            parse_and_format(
                r#"{"error":"unauthorized_client","error_description":"This app is not authorized by the enterprise","request_id":"abc"}"#
            ),
            r#""This app is not authorized by the enterprise" (unauthorized_client, request id abc)"#
        );
        assert_eq!(
            parse_and_format(
                r#"{"type":"error","status":403,"code":"forbidden_by_policy","message":"No","context_info":{"errors":[]},"request_id":1}"#
            ),
            r#""No" (forbidden_by_policy, request id 1)"#
        );
        assert_eq!(parse_and_format(r#"{"code":"forbidden"}"#), "no explanation (forbidden)");
        assert_eq!(parse_and_format("{}"), "no explanation");
        assert_eq!(ErrorBody::parse(b"<html>", &[]), None);
        assert_eq!(ErrorBody::parse(b"", &[]), None);
        assert!(ErrorBody::parse(b"", &[]).unwrap_or_default().is_empty());
    }

    #[test]
    fn a_challenge_without_a_body_says_what_is_missing() {
        let scope = r#"Bearer realm="Service", error="insufficient_scope", error_description="The request requires higher privileges than provided by the access token.""#;
        assert_eq!(
            ErrorBody::from_challenge(scope, &[]).expect("an error").to_string(),
            r#""The request requires higher privileges than provided by the access token." (insufficient_scope)"#
        );
        let compact = ErrorBody::from_challenge(r#"Bearer realm="Service",error="invalid_token""#, &[]);
        assert_eq!(compact.expect("an error").to_string(), "no explanation (invalid_token)");
        for other in [r#"Bearer realm="Service""#, "Negotiate", r#"Basic realm="proxy", error="x""#, ""] {
            assert_eq!(ErrorBody::from_challenge(other, &[]), None, "{other}");
        }
    }

    #[test]
    fn the_request_id_header_is_used_if_the_body_has_none() {
        assert_eq!(ErrorBody::default().or_request_id_header(Some("h1")).to_string(), "no explanation (request id h1)");
    }

    #[test]
    fn a_secret_or_an_assertion_that_box_repeats_is_redacted() {
        let assertion = "eyJ".repeat(60);
        let formatted = parse_and_format(&format!(
            r#"{{"error":"invalid_grant","error_description":"bad s3cret-of-the-app in {assertion}"}}"#
        ));
        assert_eq!(formatted, r#""bad … in …" (invalid_grant)"#);
    }

    /// Found by a property test.
    #[test]
    fn an_invisible_character_does_not_hide_a_secret_from_redaction() {
        let formatted = parse_and_format(r#"{"message":"s3cret\u200b-of-the-app"}"#);
        assert_eq!(formatted, r#""s3cret�-of-the-app""#);
    }

    #[test]
    fn messages_of_box_are_printable_and_of_bounded_length() {
        let formatted =
            parse_and_format(&format!(r#"{{"message":"a\u001b[31m\r\nb\u202e \"q\" {}"}}"#, "long ".repeat(200)));
        assert!(formatted.starts_with(r#""a [31m b� 'q' long long"#), "{formatted}");
        assert!(formatted.chars().count() < 310, "{formatted}");
    }
}
