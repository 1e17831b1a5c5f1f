//! Proxies of the environment and of the kubeconfig.

use std::process::Stdio;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use super::{
    Comparison, Expected, Fails, Lists,
    certificates::{SERVER, SERVER_CA},
    network::Endpoint,
};

/// base64 of `me:planted-secret`.
const CREDENTIALS: &str = "bWU6cGxhbnRlZC1zZWNyZXQ=";

/// Whether the proxy was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    OverProxy,
    Direct,
}

use Way::{Direct, OverProxy};

struct Proxied {
    both: Comparison,
    ca: String,
}

impl Proxied {
    fn cluster(&self, server: &str, proxy_url: Option<&str>) -> Value {
        let mut cluster = json!({"server": server, "certificate-authority-data": self.ca});
        if let Some(url) = proxy_url {
            cluster["proxy-url"] = json!(url);
        }
        cluster
    }

    async fn compare(
        &mut self,
        case: &str,
        proxy: &Endpoint,
        cluster: &Value,
        env: &[(&str, &str)],
        (way, expected): (Way, Expected<'_>),
    ) {
        let file = self.both.write_kubeconfig("kubeconfig", cluster, &self.both.user());
        let env: Vec<_> = env.iter().copied().chain([("KUBECONFIG", &*file)]).collect();
        self.both.compare(case, &env, &["--request-timeout=4"], expected).await;
        // Each by itself, to see which way it goes.
        for (program, answer) in [("kubectl", true), ("the plugin", false)] {
            let before = proxy.connections();
            let flags = ["--request-timeout=4"];
            let _ = if answer {
                self.both.ask_kubectl(&env, &flags).await
            } else {
                self.both.ask_plugin(&env, &flags).await
            };
            let taken = if proxy.connections() > before { OverProxy } else { Direct };
            if taken != way {
                self.both.failures.push(format!("{case}: {program} went {taken:?}, not {way:?}"));
            }
        }
    }
}

/// `kubectl proxy`, which serves plain HTTP on a free port.
async fn start_kubectl_proxy(both: &Comparison) -> (Child, String) {
    let mut child = Command::new(both.plane.kubectl().program())
        .args(["proxy", "--port=0", "--accept-hosts=.*"])
        .arg("--kubeconfig")
        .arg(both.plane.admin_kubeconfig())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("kubectl");
    let mut line = String::new();
    let stdout = child.stdout.take().expect("a pipe");
    BufReader::new(stdout).read_line(&mut line).await.expect("a line");
    let address = line.trim().rsplit(' ').next().expect("an address").to_owned();
    (child, address)
}

#[tokio::test]
async fn the_plugin_takes_the_proxies_that_kubectl_takes() {
    let both = Comparison::new("proxies").await;
    let api_ca = both.ca_pem();
    let server = Endpoint::tls_server(&both.plane.url(), &api_ca, SERVER, &[]).await;
    let target = server.address;
    let proxy = Endpoint::http_proxy(target, None, None).await;
    let locked = Endpoint::http_proxy(target, Some(CREDENTIALS), None).await;
    let over_tls = Endpoint::http_proxy(target, None, Some(SERVER)).await;
    let socks = Endpoint::socks_proxy(target).await;
    let mut proxied = Proxied { both, ca: STANDARD.encode(SERVER_CA) };
    let address = proxy.address.to_string();
    let with_scheme = format!("http://{address}");
    let corp = proxied.cluster("https://api.corp.test", None);
    let corp_port = proxied.cluster("https://api.corp.test:6443", None);
    let by_ip = proxied.cluster("https://192.0.2.1:6443", None);
    let local = proxied.cluster(&format!("https://{target}"), None);

    let unreachable = || (Direct, Fails("cannot be reached"));
    for (case, cluster, env, expected) in [
        ("HTTPS_PROXY", &corp, vec![("HTTPS_PROXY", &*with_scheme)], (OverProxy, Lists("one"))),
        ("https_proxy", &corp, vec![("https_proxy", &*with_scheme)], (OverProxy, Lists("one"))),
        ("HTTPS_PROXY without a scheme", &corp, vec![("HTTPS_PROXY", &*address)], (OverProxy, Lists("one"))),
        ("HTTP_PROXY", &corp, vec![("HTTP_PROXY", &*with_scheme)], unreachable()),
        ("ALL_PROXY", &corp, vec![("ALL_PROXY", &*with_scheme)], unreachable()),
        ("NO_PROXY of the domain", &corp, vec![("HTTPS_PROXY", &*address), ("NO_PROXY", "corp.test")], unreachable()),
        ("no_proxy", &corp, vec![("HTTPS_PROXY", &*address), ("no_proxy", ".corp.test")], unreachable()),
        (
            "NO_PROXY with a trailing comma",
            &corp,
            vec![("HTTPS_PROXY", &*address), ("NO_PROXY", "corp.test,")],
            unreachable(),
        ),
        (
            "NO_PROXY of others with a trailing comma",
            &corp,
            vec![("HTTPS_PROXY", &*address), ("NO_PROXY", "other.test,,")],
            (OverProxy, Lists("one")),
        ),
        ("NO_PROXY with a star", &corp, vec![("HTTPS_PROXY", &*address), ("NO_PROXY", "*.corp.test")], unreachable()),
        ("NO_PROXY of all", &corp, vec![("HTTPS_PROXY", &*address), ("NO_PROXY", "*")], unreachable()),
        (
            "NO_PROXY below the host",
            &corp,
            vec![("HTTPS_PROXY", &*address), ("NO_PROXY", ".api.corp.test")],
            (OverProxy, Lists("one")),
        ),
        (
            "NO_PROXY of the proxy",
            &corp,
            vec![("HTTPS_PROXY", &*address), ("NO_PROXY", "127.0.0.1,127.0.0.0/8")],
            (OverProxy, Lists("one")),
        ),
        (
            "NO_PROXY with the port",
            &corp_port,
            vec![("HTTPS_PROXY", &*address), ("NO_PROXY", "corp.test:6443")],
            unreachable(),
        ),
        (
            "NO_PROXY with another port",
            &corp_port,
            vec![("HTTPS_PROXY", &*address), ("NO_PROXY", "corp.test:443")],
            (OverProxy, Lists("one")),
        ),
        (
            "NO_PROXY of a network",
            &by_ip,
            vec![("HTTPS_PROXY", &*address), ("NO_PROXY", "192.0.2.0/24")],
            unreachable(),
        ),
        ("NO_PROXY of an address", &by_ip, vec![("HTTPS_PROXY", &*address), ("NO_PROXY", "192.0.2.1")], unreachable()),
        ("a server on this machine", &local, vec![("HTTPS_PROXY", &*address)], (Direct, Lists("one"))),
        ("an empty variable", &local, vec![("HTTPS_PROXY", "")], (Direct, Lists("one"))),
    ] {
        proxied.compare(case, &proxy, cluster, &env, expected).await;
    }

    let wins = [("HTTPS_PROXY", "http://127.0.0.1:1"), ("NO_PROXY", "*")];
    for (case, proxy, url, expected) in [
        ("proxy-url", &proxy, with_scheme.clone(), (OverProxy, Lists("one"))),
        (
            "proxy-url with credentials",
            &locked,
            format!("http://me:planted-secret@{}", locked.address),
            (OverProxy, Lists("one")),
        ),
        (
            "proxy-url with an escaped password",
            &locked,
            format!("http://me:planted%2Dsecret@{}", locked.address),
            (OverProxy, Lists("one")),
        ),
        (
            "proxy-url without credentials",
            &locked,
            format!("http://{}", locked.address),
            (OverProxy, Fails("it wants a name and a password (407)")),
        ),
        (
            "proxy-url with a wrong password",
            &locked,
            format!("http://planted-secret:x@{}", locked.address),
            (OverProxy, Fails("(407)")),
        ),
        ("proxy-url behind TLS", &over_tls, format!("https://{}", over_tls.address), (OverProxy, Lists("one"))),
        ("proxy-url with socks5", &socks, format!("socks5://{}", socks.address), (OverProxy, Lists("one"))),
        ("proxy-url without a scheme", &proxy, address.clone(), (Direct, Fails("proxy-url is not an address"))),
        (
            "proxy-url with ftp",
            &proxy,
            format!("ftp://me:planted-secret@{address}"),
            (Direct, Fails("proxy-url is not an address")),
        ),
        (
            "proxy-url that is down",
            &proxy,
            "http://me:planted-secret@127.0.0.1:1".to_owned(),
            (Direct, Fails("the connection over the proxy http://127.0.0.1:1 failed: connection refused")),
        ),
        (
            "proxy-url with socks5 that is down",
            &proxy,
            "socks5://me:planted-secret@127.0.0.1:1".to_owned(),
            (Direct, Fails("the connection over the proxy socks5://127.0.0.1:1 failed")),
        ),
    ] {
        let cluster = proxied.cluster("https://api.corp.test:6443", Some(&url));
        proxied.compare(case, proxy, &cluster, &wins, expected).await;
    }
    let local = proxied.cluster(&format!("https://{target}"), Some(&with_scheme));
    proxied.compare("proxy-url for this machine", &proxy, &local, &wins, (OverProxy, Lists("one"))).await;

    // Without TLS, the proxy reads the requests.
    let (_kubectl_proxy, plain) = start_kubectl_proxy(&proxied.both).await;
    let plain_proxy = Endpoint::http_proxy(plain.parse().expect("an address"), None, None).await;
    let url = format!("http://{}", plain_proxy.address);
    let server = json!({"server": format!("http://{plain}")});
    proxied.compare("an http server", &plain_proxy, &server, &[("HTTP_PROXY", &url)], (Direct, Lists("one"))).await;
    let server = json!({"server": "http://api.corp.test"});
    proxied
        .compare(
            "an http server over HTTP_PROXY",
            &plain_proxy,
            &server,
            &[("HTTP_PROXY", &url)],
            (OverProxy, Lists("one")),
        )
        .await;
    let server = json!({"server": format!("http://{plain}"), "proxy-url": url});
    proxied.compare("an http server over proxy-url", &plain_proxy, &server, &[], (OverProxy, Lists("one"))).await;
    proxied.both.finish();
}
