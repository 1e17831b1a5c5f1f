//! A simulated cluster and a simulated Box on a socket, with a minimal browser.

use std::{
    collections::HashMap,
    io::{self, BufRead, Cursor, Read, Write},
    net::TcpStream,
    time::Duration,
};

use box_sim::{AuthMethod, BoxSim, Enterprise, EnterpriseConfig, Server};
use k8s_openapi::api::core::v1::Secret;
use kube_sim::SimClock;
use serde_json::json;

use crate::{
    env::{CliEnv, CliOutput, NAMESPACE, OutputBuffer, PIPE, TestIo},
    publish_request::ENTERPRISE,
};

/// A cluster, Box on a socket, and one enterprise in it.
pub(crate) struct ConnectEnv {
    pub(crate) cli: CliEnv,
    pub(crate) enterprise: Enterprise,
    /// The clock of Box, independent of the cluster's.
    pub(crate) box_clock: SimClock,
    server: Server,
}

impl ConnectEnv {
    pub(crate) async fn new(auth: AuthMethod) -> Self {
        // As in the plugin's `main`.
        rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
        let cli = CliEnv::new();
        let box_clock = SimClock::new(cli.clock.now());
        let sim = BoxSim::new(box_clock.clock_fn());
        let enterprise = sim.add_enterprise(EnterpriseConfig::new(ENTERPRISE).name("Acme").users(3).auth(auth));
        let server = sim.serve().await.expect("a free port");
        Self { cli, enterprise, box_clock, server }
    }

    /// Creates a connection `acme` with this sign-in method and the Secret `acme-box`.
    pub(crate) fn create_connection_with_auth(&self, field: &str) {
        self.cli.kube.create(json!({
            "apiVersion": "boxsync.dev/v1alpha1", "kind": "BoxConnection",
            "metadata": { "name": "acme", "namespace": NAMESPACE },
            "spec": { "enterpriseId": ENTERPRISE, "auth": { field: { "secretRef": { "name": "acme-box" } } } },
        }));
    }

    /// Creates the Secret `acme-box`.
    pub(crate) fn create_secret(&self, string_data: serde_json::Value) {
        self.cli.kube.create(json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": { "name": "acme-box", "namespace": NAMESPACE, "labels": { "team": "backup" } },
            "stringData": string_data,
        }));
    }

    /// The content of the Secret; empty if it does not exist.
    pub(crate) fn secret_data(&self) -> HashMap<String, String> {
        let secret: Option<Secret> = self.cli.kube.object(NAMESPACE, "acme-box");
        let data = secret.and_then(|secret| secret.data).unwrap_or_default();
        data.into_iter().map(|(key, value)| (key, String::from_utf8(value.0).expect("text"))).collect()
    }

    /// Adds the URLs of this Box, and a short timeout.
    fn with_box_urls(&self, line: &str) -> String {
        let url = self.server.url();
        let timeout = if line.contains("--timeout") { "" } else { " --timeout 20s" };
        format!("{line} --box-api-url {url} --box-account-url {url}{timeout}")
    }

    /// Runs a command as a script does, with this standard input.
    pub(crate) async fn run_with_input(&self, input: &str, line: &str) -> CliOutput {
        self.run_with_io(TestIo { input, ..PIPE }, line).await
    }

    pub(crate) async fn run_with_io(&self, io: TestIo<'_>, line: &str) -> CliOutput {
        self.cli.run_with_io(io, &self.with_box_urls(line)).await
    }

    /// Runs a command, and calls `on_page` once the address of Box's page is printed.
    pub(crate) async fn run_with_browser<T: Send + 'static>(
        &self,
        input: &str,
        line: &str,
        on_page: impl FnOnce(&str) -> T + Send + 'static,
    ) -> (CliOutput, T) {
        let log = OutputBuffer::default();
        let line = self.with_box_urls(line);
        let command = self.cli.run_into_buffer(&log, TestIo { input, ..PIPE }, &line);
        let browser = async {
            let page = wait_for_page_url(&log).await;
            tokio::task::spawn_blocking(move || on_page(&page)).await.expect("no panic")
        };
        let ((code, err), page_result) = tokio::join!(command, browser);
        (CliOutput { out: log.contents(), err, code }, page_result)
    }

    /// Runs a command, and pastes the result of `on_page` for the printed address.
    pub(crate) async fn run_pasting(&self, line: &str, on_page: impl Fn(&str) -> String) -> CliOutput {
        let log = OutputBuffer::default();
        let mut stdin = PastingStdin { log: log.clone(), on_page, pasted: None };
        let (code, err) = self.cli.run_with_stdin(&log, PIPE, &mut stdin, &self.with_box_urls(line)).await;
        CliOutput { out: log.contents(), err, code }
    }
}

fn find_page_url(text: &str) -> Option<String> {
    let line = text.lines().find(|line| line.contains("/api/oauth2/authorize?"))?;
    Some(line.trim().to_owned())
}

async fn wait_for_page_url(log: &OutputBuffer) -> String {
    let poll = async {
        loop {
            if let Some(page) = find_page_url(&log.contents()) {
                return page;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let url = tokio::time::timeout(Duration::from_secs(30), poll).await;
    url.unwrap_or_else(|_| panic!("no page in {:?}", log.contents()))
}

/// A standard input that reads the printed address and returns the redirect address.
struct PastingStdin<F> {
    log: OutputBuffer,
    on_page: F,
    pasted: Option<Cursor<Vec<u8>>>,
}

impl<F: Fn(&str) -> String> Read for PastingStdin<F> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(into)?;
        self.consume(read);
        Ok(read)
    }
}

impl<F: Fn(&str) -> String> BufRead for PastingStdin<F> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let (log, on_page) = (&self.log, &self.on_page);
        let pasted = self.pasted.get_or_insert_with(|| {
            let page = find_page_url(&log.contents()).expect("the page is printed before the prompt for the address");
            Cursor::new(format!("{}\n", on_page(&page)).into_bytes())
        });
        pasted.fill_buf()
    }

    fn consume(&mut self, read: usize) {
        if let Some(pasted) = &mut self.pasted {
            pasted.consume(read);
        }
    }
}

/// A response as the browser receives it.
#[derive(Debug)]
pub(crate) struct BrowserResponse {
    pub(crate) status: u16,
    pub(crate) text: String,
    pub(crate) location: Option<String>,
}

/// Sends one request, without following redirects.
pub(crate) fn send_http(method: &str, url: &str, form: &str) -> BrowserResponse {
    let (host, path) =
        url.strip_prefix("http://").and_then(|rest| rest.split_once('/')).expect("a URL of this machine");
    let mut stream = TcpStream::connect(host).expect("a listener");
    let request = format!(
        "{method} /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    );
    stream.write_all(request.as_bytes()).expect("it listens");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    let status = text.get(9..12).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{text:?}"));
    let location = text.lines().find_map(|line| line.strip_prefix("location: ")).map(str::to_owned);
    BrowserResponse { status, text, location }
}

/// Submits a decision on Box's page, and returns the redirect address.
pub(crate) fn submit_decision(page: &str, decision: &str) -> String {
    let response = send_http("POST", page, &format!("decision={decision}"));
    response.location.clone().unwrap_or_else(|| panic!("{response:?}"))
}

/// Submits a decision and follows the redirect.
pub(crate) fn follow_decision(page: &str, decision: &str) -> BrowserResponse {
    send_http("GET", &submit_decision(page, decision), "")
}
