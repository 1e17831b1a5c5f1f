//! The simulated Box of the demo and its admin API.

use std::time::Duration;

use box_sim::{
    Endpoint, Enterprise, KeyFormat, PASSPHRASE, Server, clock,
    demo::{ACME, Demo, GLOBEX, INITECH},
};
use harness::{Error, Result, Secrets};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Generous for a busy machine.
const ADMIN_TIMEOUT: Duration = Duration::from_secs(20);

pub(crate) struct DemoBox {
    pub(crate) acme: Enterprise,
    pub(crate) globex: Enterprise,
    pub(crate) initech: Enterprise,
    server: Server,
}

impl DemoBox {
    pub(crate) async fn serve() -> Result<Self> {
        let Demo { sim, acme, globex, initech } = box_sim::demo::demo(clock::system_clock());
        let server = sim.serve().await;
        let server = server.map_err(|e| Error::new(format!("cannot start the Box simulator: {e}")))?;
        Ok(Self { acme, globex, initech, server })
    }

    pub(crate) fn url(&self) -> String {
        self.server.url()
    }

    /// The config.json of Box's developer console.
    pub(crate) fn config_json(&self) -> Result<String> {
        self.globex
            .config_json(KeyFormat::Pkcs8TripleDes)
            .ok_or_else(|| Error::new("the Box simulator has no key pair for Globex"))
    }

    /// Secrets that must not appear in a log, a status or an event.
    pub(crate) fn secrets(&self) -> Secrets {
        let secrets = Secrets::default();
        for secret in [ACME.client_secret, GLOBEX.client_secret, INITECH.client_secret, PASSPHRASE] {
            secrets.add(secret);
        }
        secrets
    }

    /// Like `curl -X METHOD $BOX/admin/enterprises/PATH --json BODY`.
    pub(crate) async fn call_admin(&self, method: &str, path: &str, body: &str) -> Result<()> {
        let line = format!("{method} /admin/enterprises/{path}");
        let admin_error = |why: &dyn std::fmt::Display| Error::new(format!("Box simulator: {line}: {why}"));
        let response = tokio::time::timeout(ADMIN_TIMEOUT, self.send_http(&line, body)).await;
        let text = response.map_err(|_| admin_error(&"timed out"))?.map_err(|e| admin_error(&e))?;
        let status = text.lines().next().unwrap_or_default();
        if status.split(' ').nth(1).is_some_and(|code| code.starts_with('2')) {
            Ok(())
        } else {
            Err(admin_error(&status))
        }
    }

    async fn send_http(&self, line: &str, body: &str) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(self.server.address()).await?;
        let request = format!(
            "{line} HTTP/1.1\r\nHost: box\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await?;
        let mut response = Vec::new();
        stream.read_to_end(&mut response).await?;
        Ok(String::from_utf8_lossy(&response).into_owned())
    }
}

/// Pages of the user list that were asked of this enterprise.
pub(crate) fn users_call_count(enterprise: &Enterprise) -> u64 {
    enterprise.call_counts().for_endpoint(Endpoint::Users)
}

/// Of these, those that it got.
pub(crate) fn successful_users_call_count(enterprise: &Enterprise) -> u64 {
    enterprise.call_counts().with_status(Endpoint::Users, 200)
}

/// How many users Box has, in all and active: what a right list says.
pub(crate) fn user_counts(enterprise: &Enterprise) -> (u64, u64) {
    let users = enterprise.users();
    let active = users.iter().filter(|user| user.status == "active").count();
    (users.len() as u64, active as u64)
}
