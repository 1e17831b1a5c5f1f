//! Texts of credentials: their length and characters. Pure.

use secrecy::{ExposeSecret, SecretSlice};

use super::malformed_credentials::MalformedCredentials;

/// A text as a Secret holds it, without the line break that editors add. `what` is its name in messages.
pub(super) fn decode_text<'a>(
    bytes: &'a SecretSlice<u8>,
    what: &'static str,
    limit: usize,
) -> Result<&'a str, MalformedCredentials> {
    let text = std::str::from_utf8(bytes.expose_secret()).map_err(|_| MalformedCredentials::NotUtf8(what))?;
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    match text.trim().is_empty() {
        true => Err(MalformedCredentials::Empty(what)),
        false => check_text(text, what, limit),
    }
}

/// The text, if it has at most `limit` bytes and no control characters: no text that Box issues has any, and in JSON
/// each takes six bytes.
pub(super) fn check_text<'a>(text: &'a str, what: &'static str, limit: usize) -> Result<&'a str, MalformedCredentials> {
    match (text.len() <= limit, text.chars().any(char::is_control)) {
        (false, _) => Err(MalformedCredentials::TooLong { what, limit }),
        (true, true) => Err(MalformedCredentials::ControlCharacter(what)),
        (true, false) => Ok(text),
    }
}
