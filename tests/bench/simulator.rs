//! simulator — the simulated Box in its own process, so that its cost does not count for other processes.
//! It is this program with a subcommand, configured through the simulator's admin API.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use box_sim::{BoxSim, clock};
use bytes::Bytes;
use http::Method;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Result;

pub(crate) const SUBCOMMAND: &str = "serve-box";
pub(crate) const CLIENT_ID: &str = "benchClientId0000000000000000000";
pub(crate) const CLIENT_SECRET: &str = "benchClientSecret000000000000000";

const LISTENING_PREFIX: &str = "listening on ";
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// The subcommand: serves until the process is killed.
pub(crate) async fn serve_box() -> ExitCode {
    match BoxSim::new(clock::system_clock()).serve().await {
        Ok(server) => {
            println!("{LISTENING_PREFIX}{}", server.url());
            std::future::pending().await
        }
        Err(problem) => {
            eprintln!("failed to start the simulator: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// How many tracking codes most users of an enterprise have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TrackingCodes {
    None,
    Two,
}

/// A running simulator, initially without enterprises; dropping this kills it.
pub(crate) struct Simulator {
    _process: harness::Process,
    client: reqwest::Client,
    url: String,
}

impl Simulator {
    pub(crate) async fn start_process(folder: &Path, name: &str) -> Result<Self> {
        // A log per process, because logs are appended to.
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(SUBCOMMAND);
        let log = folder.join(format!("box-{name}-{}.log", COUNT.fetch_add(1, Ordering::Relaxed)));
        let process = harness::Process::spawn("the simulator", &command, &log)?;
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            if let Some(url) = process.log().lines().find_map(|line| line.strip_prefix(LISTENING_PREFIX)) {
                return Ok(Self { url: url.to_owned(), _process: process, client: http_client()? });
            }
            if Instant::now() >= deadline || !process.is_running() {
                return Err(format!("the simulator did not start:\n{}", process.log()).into());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) fn base_url(&self) -> &str {
        &self.url
    }

    /// Creates an enterprise without a rate limit. All enterprises have the same app.
    pub(crate) async fn create_enterprise(&self, id: &str, users: usize, codes: TrackingCodes) -> Result<()> {
        let spec = json!({
            "id": id, "users": users, "trackingCodes": codes == TrackingCodes::Two,
            "clientId": CLIENT_ID, "clientSecret": CLIENT_SECRET,
        });
        self.request_json(Method::POST, "enterprises", &spec).await?;
        self.patch_settings(id, &json!({"rateLimit": 0})).await
    }

    /// Sets the additional latency of each response.
    pub(crate) async fn set_latency(&self, id: &str, latency: Duration) -> Result<()> {
        self.patch_settings(id, &json!({"latencyMillis": latency.as_millis()})).await
    }

    async fn patch_settings(&self, id: &str, settings: &Value) -> Result<()> {
        self.request_json(Method::PATCH, &format!("enterprises/{id}/settings"), settings).await.map(drop)
    }

    /// Number of calls to all enterprises so far.
    pub(crate) async fn count_calls(&self) -> Result<u64> {
        let response = self.request_json(Method::GET, "enterprises", &Value::Null).await?;
        let enterprises = response.as_array().into_iter().flatten();
        let calls = enterprises.flat_map(|enterprise| enterprise["calls"].as_array().into_iter().flatten());
        Ok(calls.filter_map(|call| call["count"].as_u64()).sum())
    }

    /// When each page of this enterprise's list was requested.
    pub(crate) async fn page_request_times(&self, id: &str) -> Result<Vec<Timestamp>> {
        let calls = self.request_json(Method::GET, &format!("enterprises/{id}/calls"), &Value::Null).await?;
        let pages = calls.as_array().into_iter().flatten().filter(|call| call["endpoint"] == "users");
        pages.map(|call| Ok(call["at"].as_str().unwrap_or_default().parse()?)).collect()
    }

    /// The IDs of all users, sorted.
    pub(crate) async fn user_ids(&self, id: &str) -> Result<Vec<u64>> {
        #[derive(Deserialize)]
        struct UserId {
            id: u64,
        }
        let body = self.request_bytes(Method::GET, &format!("enterprises/{id}/users"), &Value::Null).await?;
        Ok(serde_json::from_slice::<Vec<UserId>>(&body)?.into_iter().map(|user| user.id).collect())
    }

    pub(crate) async fn set_job_title(&self, id: &str, user: u64, title: &str) -> Result<()> {
        let path = format!("enterprises/{id}/users/{user}");
        self.request_json(Method::PATCH, &path, &json!({"job_title": title})).await.map(drop)
    }

    pub(crate) async fn add_user(&self, id: &str, user: u64, name: &str) -> Result<()> {
        let new = json!({"id": user, "name": name, "login": format!("{name}@box.example")});
        self.request_json(Method::POST, &format!("enterprises/{id}/users"), &new).await.map(drop)
    }

    pub(crate) async fn remove_user(&self, id: &str, user: u64) -> Result<()> {
        self.request_json(Method::DELETE, &format!("enterprises/{id}/users/{user}"), &Value::Null).await.map(drop)
    }

    /// When the first call to this enterprise was made.
    pub(crate) async fn first_call_time(&self, id: &str) -> Result<Option<Timestamp>> {
        let calls = self.request_json(Method::GET, &format!("enterprises/{id}/calls"), &Value::Null).await?;
        calls[0]["at"].as_str().map(|at| Ok(at.parse()?)).transpose()
    }

    async fn request_json(&self, method: Method, path: &str, body: &Value) -> Result<Value> {
        let body = self.request_bytes(method, path, body).await?;
        if body.is_empty() { Ok(Value::Null) } else { Ok(serde_json::from_slice(&body)?) }
    }

    async fn request_bytes(&self, method: Method, path: &str, body: &Value) -> Result<Bytes> {
        let url = format!("{}/admin/{path}", self.url);
        let request = self.client.request(method, &url).header(http::header::CONTENT_TYPE, "application/json");
        let response = request.body(body.to_string()).send().await?;
        let (status, body): (_, Bytes) = (response.status(), response.bytes().await?);
        if !status.is_success() {
            return Err(format!("{url}: {status}: {}", String::from_utf8_lossy(&body)).into());
        }
        Ok(body)
    }
}

/// Configured like the operator's client for loopback.
pub(crate) fn http_client() -> Result<reqwest::Client> {
    let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
    Ok(builder.retry(reqwest::retry::never()).tls_certs_only([]).build()?)
}
