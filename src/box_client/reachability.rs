//! Whether Box's API can be reached: one request without credentials, and the proxy that it uses.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Uri};
use hyper_util::client::proxy::matcher::Matcher;
use jiff::Timestamp;
use tower::ServiceExt;

use super::{
    base_url::{BaseUrl, is_loopback},
    retry::date_header,
    transport::{Transport, TransportError},
};

const TIMEOUT: Duration = Duration::from_secs(15);

/// A server responded at Box's address, over trusted TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reachability {
    /// The server's time, if the response had a `Date`.
    pub server_time: Option<Timestamp>,
}

/// Sends one request without credentials and without a retry. Any response counts.
///
/// # Errors
/// There is no response.
pub async fn check_reachability(transport: &Transport, base: &BaseUrl) -> Result<Reachability, TransportError> {
    let request = Request::get(base.join("/")).body(Bytes::new()).expect("valid request parts");
    match tokio::time::timeout(TIMEOUT, transport.clone().oneshot(request)).await {
        Ok(response) => Ok(Reachability { server_time: date_header(response?.headers()) }),
        Err(_) => Err(TransportError::Broken {
            host: base.host().to_owned(),
            cause: format!("timed out after {} s", TIMEOUT.as_secs()),
        }),
    }
}

/// The proxy settings of the environment, read by the same code as in the transport.
pub struct ProxyConfig(Matcher);

impl ProxyConfig {
    pub fn from_env() -> Self {
        Self(Matcher::from_system())
    }

    /// The proxy for Box, without user name and password.
    pub fn proxy_for(&self, base: &BaseUrl) -> Option<String> {
        let uri: Uri = base.join("/").parse().ok()?;
        if uri.scheme_str() == Some("http") && uri.host().is_some_and(is_loopback) {
            return None;
        }
        let proxy = self.0.intercept(&uri)?;
        let authority = proxy.uri().authority()?.as_str();
        let host_port = authority.rsplit_once('@').map_or(authority, |(_, host_port)| host_port);
        Some(format!("{}://{host_port}", proxy.uri().scheme_str().unwrap_or("http")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proxy_that_applies_is_named_without_its_password() {
        let proxy =
            ProxyConfig(Matcher::builder().https("http://me:planted@proxy.example:3128").no("box.internal").build());
        for (base, expected) in [
            ("https://api.box.com", Some("http://proxy.example:3128")),
            ("https://box.internal", None),
            ("http://127.0.0.1:8080", None),
        ] {
            let base = base.parse().expect("a base URL");
            assert_eq!(proxy.proxy_for(&base).as_deref(), expected, "{base}");
        }
    }
}
