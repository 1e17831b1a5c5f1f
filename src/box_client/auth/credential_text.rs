//! Texts of credentials: their encoding, length and characters. Pure.

use base64::{Engine, prelude::BASE64_STANDARD_NO_PAD};
use secrecy::{ExposeSecret, SecretSlice, SecretString};

use super::malformed_credentials::MalformedCredentials;

/// A text as people put it into a Secret, without what editors and copying add around it: line breaks, blanks (also those
/// that do not break), a byte order mark. `what` is its name in messages.
pub(super) fn decode_text(
    bytes: &SecretSlice<u8>,
    what: &'static str,
    limit: usize,
) -> Result<SecretString, MalformedCredentials> {
    let bytes = bytes.expose_secret();
    // As UTF-16 it may have twice as many bytes.
    if bytes.len() > limit.saturating_mul(2).saturating_add(MAX_PADDING) {
        return Err(MalformedCredentials::TooLong { what, limit });
    }
    let text = decode_unicode(bytes).ok_or(MalformedCredentials::NotUtf8(what))?;
    let text = trim(text.expose_secret());
    match text.is_empty() {
        true => Err(MalformedCredentials::Empty(what)),
        false if is_base64_of_word(text) => Err(MalformedCredentials::Base64Twice(what)),
        false => check_text(text, what, limit).map(SecretString::from),
    }
}

/// What may be around a text.
const MAX_PADDING: usize = 64;

/// Text in UTF-8, or in UTF-16 with a byte order mark, which Windows editors write; `None`: neither.
pub(super) fn decode_unicode(bytes: &[u8]) -> Option<SecretString> {
    let decode_utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let (pairs, rest) = bytes.as_chunks::<2>();
        let units: Vec<u16> = pairs.iter().map(|pair| unit(*pair)).collect();
        String::from_utf16(&units).ok().filter(|_| rest.is_empty())
    };
    let text = match bytes {
        [0xff, 0xfe, rest @ ..] => decode_utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => decode_utf16(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => std::str::from_utf8(rest).ok().map(str::to_owned),
        _ => std::str::from_utf8(bytes).ok().map(str::to_owned),
    };
    text.map(SecretString::from)
}

/// The text without white space, byte order marks and invisible blanks around it.
pub(super) fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || matches!(c, '\u{feff}' | '\u{200b}'..='\u{200d}' | '\u{2060}'))
}

/// Whether a text that should be JSON is base64 of it: `kubectl create secret` and `stringData` encode once more.
pub(super) fn is_base64_of_json(text: &str) -> bool {
    decode_base64(text).is_some_and(|decoded| trim(&String::from_utf8_lossy(decoded.expose_secret())).starts_with('{'))
}

/// The same for what Box issues: letters and digits. Of random ones, 24 bytes of base64 are so by chance once in 10^14.
fn is_base64_of_word(text: &str) -> bool {
    let is_word =
        |decoded: &[u8]| decoded.len() >= 16 && decoded.trim_ascii_end().iter().all(u8::is_ascii_alphanumeric);
    decode_base64(text).is_some_and(|decoded| is_word(decoded.expose_secret()))
}

fn decode_base64(text: &str) -> Option<SecretSlice<u8>> {
    let compact = SecretString::from(text.chars().filter(|c| !c.is_whitespace()).collect::<String>());
    let unpadded = compact.expose_secret().trim_end_matches('=');
    BASE64_STANDARD_NO_PAD.decode(unpadded).ok().map(SecretSlice::from)
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
