//! Where the authorize page may send a user back to: what the app has registered, on any port of this machine.

use http::Uri;

const USUAL: &str = "http://127.0.0.1/callback";

/// The redirect URIs of an app.
pub(crate) struct Redirects(Vec<String>);

impl Redirects {
    pub(crate) fn of(registered: &[String]) -> Self {
        Self(if registered.is_empty() { vec![USUAL.to_owned()] } else { registered.to_vec() })
    }

    /// Where to, if that is allowed; without a wish, the first that is registered.
    pub(crate) fn chosen<'a>(&'a self, asked: Option<&'a str>) -> Option<&'a str> {
        match asked {
            None => self.0.first().map(String::as_str),
            Some(asked) => self.0.iter().any(|known| fits(known, asked)).then_some(asked),
        }
    }
}

/// Scheme, host, path and query are the same, and so is the port, unless the host is this machine.
fn fits(known: &str, asked: &str) -> bool {
    let (Ok(known), Ok(asked)) = (known.parse::<Uri>(), asked.parse::<Uri>()) else { return false };
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
    fn only_the_port_of_a_loopback_address_is_free() {
        for (known, asked, expected) in [
            (USUAL, "http://127.0.0.1:4711/callback", true),
            (USUAL, "http://127.0.0.1/callback", true),
            (USUAL, "http://localhost:4711/callback", false),
            (USUAL, "https://127.0.0.1:4711/callback", false),
            (USUAL, "http://127.0.0.1:4711/other", false),
            (USUAL, "http://127.0.0.1:4711/callback?x=1", false),
            (USUAL, "http://127.0.0.1.example.com/callback", false),
            ("https://acme.example/back", "https://acme.example:8443/back", false),
        ] {
            assert_eq!(fits(known, asked), expected, "{known} {asked}");
        }
    }
}
