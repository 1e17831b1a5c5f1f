//! A town with a Box that people log in to, and a browser of few words.

use std::{
    collections::HashMap,
    io::{self, BufRead, Cursor, Read, Write},
    net::TcpStream,
    time::Duration,
};

use box_sim::{Auth, BoxSim, Enterprise, EnterpriseSpec, Server};
use k8s_openapi::api::core::v1::Secret;
use kube_sim::SimClock;
use serde_json::json;

use crate::town::{At, Log, NAMESPACE, PIPE, Said, Town};

/// The enterprise that all connections here are for.
pub(crate) const ENTERPRISE: &str = "1001";

/// A cluster, a Box on a socket, and an enterprise in it.
pub(crate) struct City {
    pub(crate) town: Town,
    pub(crate) it: Enterprise,
    /// Box's own clock, which can be set apart from the town's.
    pub(crate) box_clock: SimClock,
    server: Server,
}

impl City {
    pub(crate) async fn new(auth: Auth) -> Self {
        // What the program does first, once for the process.
        rustls::crypto::ring::default_provider().install_default().ok();
        let town = Town::new();
        let box_clock = SimClock::new(town.clock.now());
        let sim = BoxSim::new(box_clock.reader());
        let it = sim.enterprise(EnterpriseSpec::new(ENTERPRISE).named("Acme").users(3).auth(auth));
        let server = sim.serve().await.expect("a free port");
        Self { town, it, box_clock, server }
    }

    /// A connection `acme` that signs in this way, with the Secret `acme-box`.
    pub(crate) fn connection(&self, field: &str) {
        self.town.kube.create(json!({
            "apiVersion": "boxsync.dev/v1alpha1", "kind": "BoxConnection",
            "metadata": { "name": "acme", "namespace": NAMESPACE },
            "spec": { "enterpriseId": ENTERPRISE, "auth": { field: { "secretRef": { "name": "acme-box" } } } },
        }));
    }

    /// A Secret `acme-box` as somebody made it.
    pub(crate) fn kept(&self, strings: serde_json::Value) {
        self.town.kube.create(json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": { "name": "acme-box", "namespace": NAMESPACE, "labels": { "team": "backup" } },
            "stringData": strings,
        }));
    }

    /// The Secret's content, and nothing where there is none.
    pub(crate) fn secret(&self) -> HashMap<String, String> {
        let secret: Option<Secret> = self.town.kube.object(NAMESPACE, "acme-box");
        let data = secret.and_then(|secret| secret.data).unwrap_or_default();
        data.into_iter().map(|(key, value)| (key, String::from_utf8(value.0).expect("text"))).collect()
    }

    /// With this Box, and an end that a test can wait for if nothing comes.
    fn line(&self, line: &str) -> String {
        let url = self.server.url();
        let timeout = if line.contains("--timeout") { "" } else { " --timeout 20s" };
        format!("{line} --box-api-url {url} --box-account-url {url}{timeout}")
    }

    /// Asks as a script does, with this on standard input.
    pub(crate) async fn ask(&self, types: &str, line: &str) -> Said {
        self.ask_at(At { types, ..PIPE }, line).await
    }

    pub(crate) async fn ask_at(&self, at: At<'_>, line: &str) -> Said {
        self.town.ask_at(at, &self.line(line)).await
    }

    /// Asks, and once the page of Box is printed, does this with it.
    pub(crate) async fn ask_with<T: Send + 'static>(
        &self,
        types: &str,
        line: &str,
        person: impl FnOnce(&str) -> T + Send + 'static,
    ) -> (Said, T) {
        let log = Log::default();
        let line = self.line(line);
        let asked = self.town.ask_into(&log, At { types, ..PIPE }, &line);
        let browser = async {
            let page = printed(&log).await;
            tokio::task::spawn_blocking(move || person(&page)).await.expect("no panic")
        };
        let ((code, err), done) = tokio::join!(asked, browser);
        (Said { out: log.text(), err, code }, done)
    }

    /// Asks, and pastes what comes of the printed page.
    pub(crate) async fn ask_pasting(&self, line: &str, person: impl Fn(&str) -> String) -> Said {
        let log = Log::default();
        let mut hand = Hand { log: log.clone(), person, pasted: None };
        let (code, err) = self.town.ask_reading(&log, PIPE, &mut hand, &self.line(line)).await;
        Said { out: log.text(), err, code }
    }
}

fn page(text: &str) -> Option<String> {
    let line = text.lines().find(|line| line.contains("/api/oauth2/authorize?"))?;
    Some(line.trim().to_owned())
}

async fn printed(log: &Log) -> String {
    let look = async {
        loop {
            if let Some(page) = page(&log.text()) {
                return page;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let found = tokio::time::timeout(Duration::from_secs(30), look).await;
    found.unwrap_or_else(|_| panic!("no page in {:?}", log.text()))
}

/// Reads the page off the screen, and types where it led to.
struct Hand<F> {
    log: Log,
    person: F,
    pasted: Option<Cursor<Vec<u8>>>,
}

impl<F: Fn(&str) -> String> Read for Hand<F> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(into)?;
        self.consume(read);
        Ok(read)
    }
}

impl<F: Fn(&str) -> String> BufRead for Hand<F> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let (log, person) = (&self.log, &self.person);
        let pasted = self.pasted.get_or_insert_with(|| {
            let page = page(&log.text()).expect("the page is printed before the address is asked for");
            Cursor::new(format!("{}\n", person(&page)).into_bytes())
        });
        pasted.fill_buf()
    }

    fn consume(&mut self, read: usize) {
        if let Some(pasted) = &mut self.pasted {
            pasted.consume(read);
        }
    }
}

/// A status, and where it leads to.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) status: u16,
    pub(crate) text: String,
    pub(crate) location: Option<String>,
}

/// One request of a browser that follows nothing.
pub(crate) fn http(method: &str, url: &str, form: &str) -> Page {
    let (host, path) =
        url.strip_prefix("http://").and_then(|rest| rest.split_once('/')).expect("a URL of this machine");
    let mut stream = TcpStream::connect(host).expect("somebody listens");
    let request = format!(
        "{method} /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    );
    stream.write_all(request.as_bytes()).expect("it listens");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    let status = text.get(9..12).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{text:?}"));
    let location = text.lines().find_map(|line| line.strip_prefix("location: ")).map(str::to_owned);
    Page { status, text, location }
}

/// Presses a button of the page: the address that the browser is sent to.
pub(crate) fn press(page: &str, decision: &str) -> String {
    let answer = http("POST", page, &format!("decision={decision}"));
    answer.location.clone().unwrap_or_else(|| panic!("{answer:?}"))
}

/// Presses the button, and goes where it leads.
pub(crate) fn decide(page: &str, decision: &str) -> Page {
    http("GET", &press(page, decision), "")
}
