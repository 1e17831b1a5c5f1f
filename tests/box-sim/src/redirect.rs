//! Redirect URIs: the registered ones, with any port for loopback addresses.

use http::Uri;

const DEFAULT_REDIRECT_URI: &str = "http://127.0.0.1/callback";

/// The redirect URIs of an app.
pub(crate) struct RedirectUris(Vec<String>);

impl RedirectUris {
    pub(crate) fn new(registered: &[String]) -> Self {
        Self(if registered.is_empty() { vec![DEFAULT_REDIRECT_URI.to_owned()] } else { registered.to_vec() })
    }

    /// The redirect URI if it is registered; without a requested one, the first registered.
    pub(crate) fn resolve<'a>(&'a self, requested: Option<&'a str>) -> Option<&'a str> {
        match requested {
            None => self.0.first().map(String::as_str),
            Some(asked) => self.0.iter().any(|known| is_match(known, asked)).then_some(asked),
        }
    }
}

/// Scheme, host, path and query match, and also the port unless the host is a loopback address.
fn is_match(registered: &str, requested: &str) -> bool {
    let (Ok(known), Ok(asked)) = (registered.parse::<Uri>(), requested.parse::<Uri>()) else { return false };
    let loopback = matches!(known.host(), Some("127.0.0.1" | "localhost" | "[::1]"));
    known.scheme() == asked.scheme()
        && known.host() == asked.host()
        && known.path_and_query() == asked.path_and_query()
        && (loopback || known.port_u16() == asked.port_u16())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_port_of_a_loopback_redirect_uri_may_differ() {
        for (known, asked, expected) in [
            (DEFAULT_REDIRECT_URI, "http://127.0.0.1:4711/callback", true),
            (DEFAULT_REDIRECT_URI, "http://127.0.0.1/callback", true),
            (DEFAULT_REDIRECT_URI, "http://localhost:4711/callback", false),
            (DEFAULT_REDIRECT_URI, "https://127.0.0.1:4711/callback", false),
            (DEFAULT_REDIRECT_URI, "http://127.0.0.1:4711/other", false),
            (DEFAULT_REDIRECT_URI, "http://127.0.0.1:4711/callback?x=1", false),
            (DEFAULT_REDIRECT_URI, "http://127.0.0.1.example.com/callback", false),
            ("https://acme.example/back", "https://acme.example:8443/back", false),
        ] {
            assert_eq!(is_match(known, asked), expected, "{known} {asked}");
        }
    }
}
