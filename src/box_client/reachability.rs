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

/// Sends one request without credentials and without a retry. Any response over trusted TLS counts; returns the
/// server's time, if the response had a `Date`.
///
/// # Errors
/// There is no response.
pub async fn check_reachability(transport: &Transport, base: &BaseUrl) -> Result<Option<Timestamp>, TransportError> {
    let request = Request::get(base.join("/")).body(Bytes::new()).expect("valid request parts");
    match tokio::time::timeout(TIMEOUT, transport.clone().oneshot(request)).await {
        Ok(response) => Ok(date_header(response?.headers())),
        Err(_) => Err(TransportError::Broken {
            host: base.host().to_owned(),
            cause: format!("timed out after {} s", TIMEOUT.as_secs()),
        }),
    }
}

/// The proxy for Box by the environment, without user name and password. Read by the same code as in the transport.
pub fn proxy_from_env(base: &BaseUrl) -> Option<String> {
    proxy_for(&Matcher::from_system(), base)
}

fn proxy_for(matcher: &Matcher, base: &BaseUrl) -> Option<String> {
    let uri: Uri = base.join("/").parse().ok()?;
    if uri.scheme_str() == Some("http") && uri.host().is_some_and(is_loopback) {
        return None;
    }
    let proxy = matcher.intercept(&uri)?;
    let authority = proxy.uri().authority()?.as_str();
    let host_port = authority.rsplit_once('@').map_or(authority, |(_, host_port)| host_port);
    Some(format!("{}://{host_port}", proxy.uri().scheme_str().unwrap_or("http")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proxy_that_applies_is_named_without_its_password() {
        let matcher = Matcher::builder().https("http://me:planted@proxy.example:3128").no("box.internal").build();
        for (base, expected) in [
            ("https://api.box.com", Some("http://proxy.example:3128")),
            ("https://box.internal", None),
            ("http://127.0.0.1:8080", None),
        ] {
            let base = base.parse().expect("a base URL");
            assert_eq!(proxy_for(&matcher, &base).as_deref(), expected, "{base}");
        }
    }
}
