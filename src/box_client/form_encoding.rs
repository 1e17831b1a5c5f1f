//! Percent-encoding for query values and form values, and random words that need none.

use std::fmt::Write;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom, SystemRandom};

/// Appends `value` with everything but RFC 3986's unreserved characters encoded: right in a query as well as in a form.
pub(super) fn percent_encode(out: &mut String, value: &str) {
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            other => write!(out, "%{other:02X}").expect("a String takes everything"),
        }
    }
}

/// 32 characters of an address that nobody can guess.
pub(super) fn random_token() -> String {
    let mut bytes = [0; 24];
    SystemRandom::new().fill(&mut bytes).expect("the system has randomness");
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// A form body of the given pairs, in their order.
pub(super) fn encode_form(pairs: &[(&str, &str)]) -> String {
    // Room for everything at once: a buffer that grew would leave copies of a secret behind.
    let mut out = String::with_capacity(pairs.iter().map(|(key, value)| key.len() + 3 * value.len() + 2).sum());
    for (key, value) in pairs {
        if !out.is_empty() {
            out.push('&');
        }
        out.push_str(key);
        out.push('=');
        percent_encode(&mut out, value);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_value_is_percent_encoded() {
        assert_eq!(encode_form(&[("a", "x-y.z_~"), ("b", "1+2&c=d %/é")]), "a=x-y.z_~&b=1%2B2%26c%3Dd%20%25%2F%C3%A9");
    }
}
