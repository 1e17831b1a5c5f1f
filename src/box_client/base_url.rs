//! The base URL of Box's API: HTTPS, or plain HTTP to loopback.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use http::Uri;

/// The base URL of every request: `/oauth2/token` and `/2.0/…` are appended to it.
///
/// Only `https` is accepted, and `http` to a loopback host (`localhost`, `127.0.0.0/8`, `[::1]`), because every request carries a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl {
    url: String,
    host: String,
}

/// Why a text is not a [`BaseUrl`]. It does not repeat the text, which may contain a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BaseUrlError {
    #[error("not a URL such as https://api.box.com")]
    NotAUrl,
    #[error(
        "plain http is allowed only to localhost, 127.0.0.1 and [::1]; use https, because every request carries a secret"
    )]
    PlainHttp,
    #[error("the base URL must not contain a user name, query or fragment; write it as https://api.box.com")]
    UnexpectedParts,
}

impl BaseUrl {
    pub(super) fn join(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// The host alone, for messages.
    pub(super) fn host(&self) -> &str {
        &self.host
    }
}

impl Default for BaseUrl {
    fn default() -> Self {
        Self { url: "https://api.box.com".into(), host: "api.box.com".into() }
    }
}

impl FromStr for BaseUrl {
    type Err = BaseUrlError;

    fn from_str(text: &str) -> Result<Self, BaseUrlError> {
        let text = text.trim().trim_end_matches('/');
        let uri: Uri = text.parse().map_err(|_| BaseUrlError::NotAUrl)?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(BaseUrlError::NotAUrl);
        };
        if authority.host().is_empty() {
            return Err(BaseUrlError::NotAUrl);
        }
        if authority.as_str().contains('@') || text.contains(['?', '#']) {
            return Err(BaseUrlError::UnexpectedParts);
        }
        match scheme {
            "https" => {}
            "http" if is_loopback(authority.host()) => {}
            "http" => return Err(BaseUrlError::PlainHttp),
            _ => return Err(BaseUrlError::NotAUrl),
        }
        Ok(Self { url: text.into(), host: authority.host().into() })
    }
}

/// Whether the host is this machine.
pub(super) fn is_loopback(host: &str) -> bool {
    let v6 = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
        || v6.is_some_and(|h| h.parse::<Ipv6Addr>().is_ok_and(|ip| ip.is_loopback()))
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_is_accepted_and_plain_http_only_to_loopback() {
        for good in [
            "https://api.box.com",
            "https://api.box.com/",
            "https://box.example:8443/prefix",
            "http://localhost:8080",
            "http://LOCALHOST",
            "http://127.0.0.1:1",
            "http://127.1.2.3",
            "http://[::1]:8080/",
        ] {
            assert!(good.parse::<BaseUrl>().is_ok(), "{good}");
        }
        for (bad, why) in [
            ("http://api.box.com", BaseUrlError::PlainHttp),
            ("http://localhost.example.com", BaseUrlError::PlainHttp),
            ("http://127.0.0.1.example.com", BaseUrlError::PlainHttp),
            ("http://0.0.0.0:80", BaseUrlError::PlainHttp),
            ("http://[::2]", BaseUrlError::PlainHttp),
            ("ftp://localhost", BaseUrlError::NotAUrl),
            ("api.box.com", BaseUrlError::NotAUrl),
            ("", BaseUrlError::NotAUrl),
            ("https://", BaseUrlError::NotAUrl),
            ("https://user:pass@api.box.com", BaseUrlError::UnexpectedParts),
            ("http://localhost:80@evil.example", BaseUrlError::UnexpectedParts),
            ("https://api.box.com?x=1", BaseUrlError::UnexpectedParts),
            ("https://api.box.com/#top", BaseUrlError::UnexpectedParts),
        ] {
            assert_eq!(bad.parse::<BaseUrl>(), Err(why), "{bad}");
        }
    }

    #[test]
    fn a_trailing_slash_is_not_doubled() {
        let base: BaseUrl = "http://localhost:8080/".parse().expect("a base URL");
        assert_eq!(base.join("/2.0/users"), "http://localhost:8080/2.0/users");
        assert_eq!(base.to_string(), "http://localhost:8080");
        assert_eq!(BaseUrl::default(), "https://api.box.com".parse().expect("Box's own"));
    }
}
