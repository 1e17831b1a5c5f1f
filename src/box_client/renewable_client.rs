//! An HTTP client that is replaced, and with it its connections, after a request that was given up without a response:
//! HTTP/2 sends every request of every tenant over one connection, and the next would wait there too.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

type BuildClient = Box<dyn Fn() -> reqwest::Result<reqwest::Client> + Send + Sync>;

/// The client, and how to make the next one.
pub(super) struct RenewableClient {
    build: BuildClient,
    /// A request that is given up earlier says nothing about its connection: its run was cancelled.
    stalled_after: Duration,
    current: Mutex<NumberedClient>,
}

struct NumberedClient {
    number: u64,
    client: reqwest::Client,
}

/// A request that is under way. Dropped before [`RequestInFlight::finish`], it was given up.
pub(super) struct RequestInFlight {
    clients: Arc<RenewableClient>,
    number: u64,
    started: Instant,
    finished: bool,
}

impl RenewableClient {
    pub(super) fn new(build: BuildClient, stalled_after: Duration) -> reqwest::Result<Arc<Self>> {
        let current = Mutex::new(NumberedClient { number: 0, client: build()? });
        Ok(Arc::new(Self { build, stalled_after, current }))
    }

    /// The client for one request.
    pub(super) fn start_request(self: &Arc<Self>) -> (reqwest::Client, RequestInFlight) {
        let NumberedClient { number, client } = &*self.lock_current();
        let pending =
            RequestInFlight { clients: Arc::clone(self), number: *number, started: Instant::now(), finished: false };
        (client.clone(), pending)
    }

    fn lock_current(&self) -> MutexGuard<'_, NumberedClient> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces the client with this number. Its other requests go on.
    fn replace(&self, number: u64) {
        let mut current = self.lock_current();
        // Of all requests that wait on one connection, the first replaces it.
        if current.number != number {
            return;
        }
        match (self.build)() {
            Ok(client) => *current = NumberedClient { number: number + 1, client },
            Err(error) => tracing::warn!(%error, "no new HTTP client can be made, the old one stays in use"),
        }
    }
}

impl RequestInFlight {
    /// The request ended, with a response or an error.
    pub(super) fn finish(mut self) {
        self.finished = true;
    }
}

impl Drop for RequestInFlight {
    fn drop(&mut self) {
        if !self.finished && self.started.elapsed() >= self.clients.stalled_after {
            self.clients.replace(self.number);
        }
    }
}
