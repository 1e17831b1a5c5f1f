//! Box's own words about an error, cut down to what a person may read.

use std::fmt;

use serde::Deserialize;

use super::scalar::Scalar;

const MAX_TEXT: usize = 300;
const MAX_WORD: usize = 64;
/// A secret shorter than this would garble ordinary words, and is none.
const MIN_SECRET: usize = 6;

/// What Box said with an error: its code, its text, and the id under which Box's support finds the request.
///
/// Printable, bounded in length, and free of the secrets that the request carried, even if Box repeats them.
/// Displays as `"This app is not authorized by the enterprise" (unauthorized_client, request id abc)`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    code: Option<String>,
    text: Option<String>,
    request_id: Option<String>,
}

/// Both shapes of an error body: the API's `{code, message, request_id}` and the token endpoint's `{error, error_description}`.
#[derive(Default, Deserialize)]
struct Body<'a> {
    #[serde(borrow, default)]
    error: Scalar<'a>,
    #[serde(borrow, default)]
    error_description: Scalar<'a>,
    #[serde(borrow, default)]
    code: Scalar<'a>,
    #[serde(borrow, default)]
    message: Scalar<'a>,
    #[serde(borrow, default)]
    request_id: Scalar<'a>,
}

impl Said {
    /// Reads an error body of either shape; `None` if it is no JSON object.
    pub(super) fn read(body: &[u8], secrets: &[&str]) -> Option<Self> {
        let Body { error, error_description, code, message, request_id } = serde_json::from_slice(body).ok()?;
        let clean = |value: Scalar<'_>, max| value.into_word().and_then(|text| printable(&without(text, secrets), max));
        Some(Self {
            code: clean(code, MAX_WORD).or_else(|| clean(error, MAX_WORD)),
            text: clean(message, MAX_TEXT).or_else(|| clean(error_description, MAX_TEXT)),
            request_id: clean(request_id, MAX_WORD),
        })
    }

    /// Fills in the request id of a header, where the body named none.
    pub(super) fn or_request_id(mut self, header: Option<&str>) -> Self {
        self.request_id = self.request_id.or_else(|| header.and_then(|id| printable(id, MAX_WORD)));
        self
    }

    /// `code` of the API's errors, `error` of the token endpoint's.
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// `message` of the API's errors, `error_description` of the token endpoint's; at most some 300 characters.
    pub fn text(&self) -> Option<&str> {
        self.text.as_deref()
    }

    /// The id under which Box's support finds the request.
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    pub fn is_empty(&self) -> bool {
        self == &Self::default()
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.request_id.as_ref().map(|id| format!("request id {id}"));
        let source: Vec<&str> = [self.code.as_deref(), id.as_deref()].into_iter().flatten().collect();
        match (&self.text, source.is_empty()) {
            (Some(text), false) => write!(f, "\"{text}\" ({})", source.join(", ")),
            (Some(text), true) => write!(f, "\"{text}\""),
            (None, false) => write!(f, "no explanation ({})", source.join(", ")),
            (None, true) => f.write_str("no explanation"),
        }
    }
}

fn without(mut text: String, secrets: &[&str]) -> String {
    for secret in secrets.iter().filter(|secret| secret.len() >= MIN_SECRET) {
        if text.contains(secret) {
            text = text.replace(secret, "…");
        }
    }
    text
}

/// The printable characters of a text, blanks joined, words that can only be data (a token, an assertion, base64) left out, cut at `max`.
/// `None` if nothing is left.
pub(super) fn printable(text: &str, max: usize) -> Option<String> {
    let mut out = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if !out.is_empty() {
            out.push(' ');
        }
        match word.chars().count() > MAX_WORD {
            true => out.push('…'),
            false => out.extend(word.chars().map(|c| if c == '"' { '\'' } else { c }).filter(|c| !is_invisible(*c))),
        }
    }
    if let Some((at, _)) = out.char_indices().nth(max) {
        out.truncate(at);
        out.push('…');
    }
    Some(out).filter(|out| !out.is_empty())
}

/// Marks that turn the direction of a line or hide in it.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
impl Said {
    /// What Box would have said, for tests of those who repeat it.
    pub(crate) fn sample(code: &str, text: &str) -> Self {
        let id = Some("abc123".to_owned());
        Self { code: Some(code.to_owned()), text: Some(text.to_owned()), request_id: id }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> String {
        Said::read(body.as_bytes(), &["s3cret-of-the-app"]).expect("JSON").to_string()
    }

    #[test]
    fn both_shapes_of_an_error_are_shown_in_the_words_of_box() {
        assert_eq!(
            read(
                r#"{"error":"unauthorized_client","error_description":"This app is not authorized by the enterprise","request_id":"abc"}"#
            ),
            r#""This app is not authorized by the enterprise" (unauthorized_client, request id abc)"#
        );
        assert_eq!(
            read(
                r#"{"type":"error","status":403,"code":"forbidden_by_policy","message":"No","context_info":{"errors":[]},"request_id":1}"#
            ),
            r#""No" (forbidden_by_policy, request id 1)"#
        );
        assert_eq!(read(r#"{"code":"forbidden"}"#), "no explanation (forbidden)");
        assert_eq!(read("{}"), "no explanation");
        assert_eq!(Said::read(b"<html>", &[]), None);
        assert_eq!(Said::read(b"", &[]), None);
        assert!(Said::read(b"", &[]).unwrap_or_default().is_empty());
    }

    #[test]
    fn a_request_id_of_the_header_stands_in_for_that_of_the_body() {
        assert_eq!(Said::default().or_request_id(Some("h1")).to_string(), "no explanation (request id h1)");
    }

    #[test]
    fn a_secret_or_an_assertion_that_box_repeats_is_left_out() {
        let assertion = "eyJ".repeat(60);
        let said =
            read(&format!(r#"{{"error":"invalid_grant","error_description":"bad s3cret-of-the-app in {assertion}"}}"#));
        assert_eq!(said, r#""bad … in …" (invalid_grant)"#);
    }

    #[test]
    fn words_of_box_are_printable_and_of_bounded_length() {
        let said = read(&format!(r#"{{"message":"a\u001b[31m\r\nb\u202e \"q\" {}"}}"#, "long ".repeat(200)));
        assert!(said.starts_with(r#""a [31m b 'q' long long"#), "{said}");
        assert!(said.chars().count() < 310, "{said}");
    }
}
