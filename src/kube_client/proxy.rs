//! Which proxy leads to the API server, decided as kubectl does. Pure.

use std::net::IpAddr;

use http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use secrecy::SecretString;

use super::kubeconfig::EnvLookup;

const SOCKS_PORT: u16 = 1080;

/// A proxy, with its credentials apart: the address can be shown.
#[derive(Clone, Debug)]
pub(super) struct Proxy {
    pub(super) address: Uri,
    pub(super) scheme: ProxyScheme,
    /// `Proxy-Authorization`.
    pub(super) basic_auth: Option<HeaderValue>,
    pub(super) socks_auth: Option<(String, SecretString)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProxyScheme {
    Http,
    Https,
    Socks5,
}

#[derive(Debug, thiserror::Error)]
#[error("proxy-url is not an address such as http://proxy.example:3128, https://… or socks5://…")]
pub struct InvalidProxyUrl;

/// The proxy for the server. `proxy_url` of the kubeconfig or the command line comes first, whatever `NO_PROXY` says.
/// Otherwise `HTTPS_PROXY` (for an `http` server `HTTP_PROXY`) counts, upper case first, with or without a scheme, unless
/// `NO_PROXY` lists the server or the server is on this machine.
///
/// # Errors
/// `proxy_url` cannot be used. A variable that cannot be used is ignored, as in kubectl.
pub(super) fn proxy_for(
    server: &Uri,
    proxy_url: Option<&str>,
    env: EnvLookup<'_>,
) -> Result<Option<Proxy>, InvalidProxyUrl> {
    if let Some(url) = proxy_url {
        let has_scheme = url.contains("://");
        let matcher = Matcher::builder().all(url).build();
        let proxy = matcher.intercept(server).filter(|_| has_scheme).and_then(|found| Proxy::new(&found));
        return proxy.map(Some).ok_or(InvalidProxyUrl);
    }
    let variable = |name: &str| {
        let value = |name: &str| env(name).and_then(|value| value.into_string().ok()).filter(|text| !text.is_empty());
        value(name).or_else(|| value(&name.to_lowercase()))
    };
    let host = server.host().unwrap_or_default();
    let name = match server.scheme_str() {
        // The variable could come from a request's header.
        Some("http") if env("REQUEST_METHOD").is_some() => return Ok(None),
        Some("http") => "HTTP_PROXY",
        _ => "HTTPS_PROXY",
    };
    let Some(url) = variable(name).filter(|_| !is_local(host)) else { return Ok(None) };
    let port = server.port_u16().unwrap_or(if server.scheme_str() == Some("http") { 80 } else { 443 });
    let exceptions = variable("NO_PROXY").unwrap_or_default();
    let for_this_port: Vec<&str> = exceptions.split(',').filter_map(|entry| entry_for(entry, host, port)).collect();
    let url = if url.contains("://") { url } else { format!("http://{url}") };
    let matcher = Matcher::builder().all(url).no(for_this_port.join(",")).build();
    Ok(matcher.intercept(server).and_then(|found| Proxy::new(&found)))
}

/// An entry of `NO_PROXY` as the matcher knows them: without port and `*`, or `None` if it means another port, or only
/// names below a domain that is the host itself.
fn entry_for<'a>(entry: &'a str, host: &str, port: u16) -> Option<&'a str> {
    let entry = entry.trim();
    let (name, entry_port) = match entry.rsplit_once(':') {
        Some((name, number)) if !name.contains(':') || name.ends_with(']') => (name, Some(number)),
        _ => (entry, None),
    };
    if entry_port.is_some_and(|number| number.parse() != Ok(port)) {
        return None;
    }
    let name = name.trim_start_matches('[').trim_end_matches(']');
    let name = if name.len() > 1 { name.strip_prefix('*').unwrap_or(name) } else { name };
    let below = name.strip_prefix('.');
    below.is_none_or(|domain| !domain.eq_ignore_ascii_case(host)).then_some(name)
}

/// Whether the host is this machine.
pub(super) fn is_local(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

impl Proxy {
    fn new(intercept: &Intercept) -> Option<Self> {
        let found = intercept.uri();
        let scheme = match found.scheme_str()? {
            "http" => ProxyScheme::Http,
            "https" => ProxyScheme::Https,
            "socks5" | "socks5h" => ProxyScheme::Socks5,
            _ => return None,
        };
        let mut parts = found.clone().into_parts();
        if scheme == ProxyScheme::Socks5 && found.port().is_none() {
            parts.authority = format!("{}:{SOCKS_PORT}", found.host()?).parse().ok();
        }
        Some(Self {
            address: Uri::from_parts(parts).ok()?,
            scheme,
            basic_auth: intercept.basic_auth().cloned(),
            socks_auth: intercept.raw_auth().map(|(user, password)| (user.to_owned(), password.into())),
        })
    }

    /// Scheme, host and port.
    pub(super) fn display_address(&self) -> String {
        let authority = self.address.authority().map_or("", |authority| authority.as_str());
        format!("{}://{authority}", self.address.scheme_str().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    fn proxy(server: &str, proxy_url: Option<&str>, variables: &[(&str, &str)]) -> Option<String> {
        let env = |name: &str| {
            variables.iter().find(|(variable, _)| *variable == name).map(|(_, value)| OsString::from(*value))
        };
        let server = server.parse().expect("a URL");
        let found = proxy_for(&server, proxy_url, &env).expect("a usable proxy");
        found.map(|proxy| {
            assert!(!format!("{proxy:?}").contains("planted"), "{proxy:?}");
            proxy.display_address()
        })
    }

    const API: &str = "https://api.corp.example:6443";
    const BY_IP: &str = "https://10.1.2.3:6443";

    #[test]
    fn the_variable_for_the_scheme_counts_with_and_without_a_scheme_of_its_own() {
        for (server, variables, expected) in [
            (API, &[("HTTPS_PROXY", "http://p.example:3128")][..], Some("http://p.example:3128")),
            (API, &[("https_proxy", "p.example:3128")], Some("http://p.example:3128")),
            (API, &[("HTTPS_PROXY", ""), ("https_proxy", "p.example:3128")], Some("http://p.example:3128")),
            (API, &[("HTTPS_PROXY", "10.0.0.1:3128")], Some("http://10.0.0.1:3128")),
            (API, &[("HTTPS_PROXY", "http://me:planted@p.example:3128/x")], Some("http://p.example:3128")),
            (API, &[("HTTPS_PROXY", "socks5://p.example")], Some("socks5://p.example:1080")),
            (API, &[("HTTPS_PROXY", "https://p.example")], Some("https://p.example")),
            (API, &[("HTTPS_PROXY", "not a proxy")], None),
            (API, &[("HTTP_PROXY", "p.example:3128")], None),
            (API, &[("ALL_PROXY", "p.example:3128")], None),
            ("http://api.corp.example", &[("HTTP_PROXY", "p.example:3128")], Some("http://p.example:3128")),
            ("http://api.corp.example", &[("HTTP_PROXY", "p.example:3128"), ("REQUEST_METHOD", "GET")], None),
            ("https://localhost:6443", &[("HTTPS_PROXY", "p.example:3128")], None),
            ("https://127.8.0.1:6443", &[("HTTPS_PROXY", "p.example:3128")], None),
            ("https://[::1]:6443", &[("HTTPS_PROXY", "p.example:3128")], None),
        ] {
            assert_eq!(proxy(server, None, variables).as_deref(), expected, "{server} {variables:?}");
        }
    }

    #[test]
    fn no_proxy_is_compared_with_the_address_of_the_api_server() {
        for (server, exceptions, through_proxy) in [
            (API, "corp.example", false),
            (API, "corp.example,", false),
            (API, " , .corp.example ,,", false),
            (API, "*.corp.example", false),
            (API, "API.Corp.Example", false),
            (API, "corp.example:6443", false),
            (API, "corp.example:443", true),
            (API, ".api.corp.example", true),
            (API, "p.example", true),
            (API, "orp.example", true),
            (API, "*", false),
            (API, "", true),
            (BY_IP, "10.0.0.0/8", false),
            (BY_IP, "10.1.2.3,", false),
            (BY_IP, "10.1.2.3:6443", false),
            (BY_IP, "10.1.2.3:443", true),
            (BY_IP, "10.1.2.4", true),
            ("https://[fd00::1]:6443", "fd00::/8", false),
            ("https://[fd00::1]:6443", "[fd00::1]:6443", false),
            ("https://[fd00::1]:6443", "fd00::2", true),
        ] {
            let variables = [("HTTPS_PROXY", "p.example:3128"), ("NO_PROXY", exceptions)];
            assert_eq!(proxy(server, None, &variables).is_some(), through_proxy, "{server} {exceptions:?}");
        }
    }

    #[test]
    fn the_proxy_of_the_kubeconfig_wins_over_the_environment() {
        let variables = [("HTTPS_PROXY", "p.example:3128"), ("NO_PROXY", "*")];
        for server in [API, "https://127.0.0.1:6443", "http://127.0.0.1:8001"] {
            let found = proxy(server, Some("socks5://me:planted@10.0.0.9:1081"), &variables);
            assert_eq!(found.as_deref(), Some("socks5://10.0.0.9:1081"), "{server}");
        }
    }

    #[test]
    fn an_unusable_proxy_url_is_an_error_without_its_password() {
        for url in ["p.example:3128", "ftp://me:planted@p.example", "http://me:pla nted@p.example", "http://"] {
            let server = API.parse().expect("a URL");
            let error = proxy_for(&server, Some(url), &|_| None).expect_err(url).to_string();
            assert!(error.starts_with("proxy-url is not") && !error.contains("pla"), "{error}");
        }
    }
}
