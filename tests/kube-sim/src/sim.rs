//! The test's handle: clients, request log, clock and faults.

use crate::{
    Call, Clock, Fault, LogPosition, LoggedCall, Resource,
    fault::ClientId,
    serve::{HttpResult, handle_request},
    server::Server,
};
use http::Request;
use kube::client::{Body, Client, retry::RetryPolicy};
use std::{future::Future, pin::Pin, sync::Arc, time::Duration};
use tower::retry::Retry;

/// A simulated API server. Clones are the same server.
#[derive(Clone)]
pub struct KubeSim {
    pub(crate) server: Arc<Server>,
}

impl KubeSim {
    /// A running, empty server of `resources` and of secrets, events and leases.
    #[must_use]
    pub fn new(clock: Clock, resources: impl IntoIterator<Item = Resource>) -> Self {
        Self { server: Arc::new(Server::new(clock, resources)) }
    }

    /// A client of the user `test`. Needs a tokio runtime, as every client does.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client_as("test")
    }

    /// A client whose requests are logged under `user`. It does not retry.
    #[must_use]
    pub fn client_as(&self, user: &str) -> Client {
        Client::new(tower::service_fn(self.client_service(user)), "default")
    }

    /// The same, with the default retries of kube's client: 429, 503 and 504 on every method, up to 15 times,
    /// honoring `Retry-After`.
    #[must_use]
    pub fn retrying_client_as(&self, user: &str) -> Client {
        let service = tower::service_fn(self.client_service(user));
        Client::new(Retry::new(RetryPolicy::server_retry(), service), "default")
    }

    fn client_service(
        &self,
        user: &str,
    ) -> impl Fn(Request<Body>) -> Pin<Box<dyn Future<Output = HttpResult> + Send>> + Clone + use<> {
        let server = self.server.clone();
        let caller: ClientId = server.lock_state().faults.new_client(user);
        move |request| Box::pin(handle_request(server.clone(), caller.clone(), request))
    }

    /// All requests since the start or the last [`clear_log`](Self::clear_log), in order of arrival. Requests for
    /// unknown resources get 404 or 405 and are not logged.
    #[must_use]
    pub fn requests(&self) -> Vec<LoggedCall> {
        self.server.lock_state().log.all_entries()
    }

    /// The write requests of [`requests`](Self::requests), with any result.
    #[must_use]
    pub fn writes(&self) -> Vec<LoggedCall> {
        only_writes(self.requests())
    }

    /// The current end of the log.
    #[must_use]
    pub fn log_position(&self) -> LogPosition {
        self.server.lock_state().log.end_position()
    }

    #[must_use]
    pub fn requests_since(&self, mark: LogPosition) -> Vec<LoggedCall> {
        self.server.lock_state().log.entries_since(mark)
    }

    #[must_use]
    pub fn writes_since(&self, mark: LogPosition) -> Vec<LoggedCall> {
        only_writes(self.requests_since(mark))
    }

    /// Clears the log; positions stay valid.
    pub fn clear_log(&self) {
        self.server.lock_state().log.clear();
    }

    /// The latency of every request; default 1 ms.
    pub fn set_latency(&self, latency: Duration) {
        self.server.lock_state().latency = latency;
    }

    /// Delays the events of watches. The order is kept; lists and gets are always up to date.
    /// Zero delivers all events immediately. History is kept for an hour: a longer lag ends in 410.
    pub fn lag_watches(&self, lag: Duration) {
        self.server.lock_state().watches.lag = lag;
        self.server.notify_watchers();
    }

    /// Freezes open and new watches: no event, no bookmark, no end.
    pub fn freeze_watches(&self) {
        self.server.lock_state().watches.frozen = true;
        self.server.notify_watchers();
    }

    /// Frozen watches that are still open deliver the missed events.
    pub fn thaw_watches(&self) {
        self.server.lock_state().watches.frozen = false;
        self.server.notify_watchers();
    }

    /// Open watches end with an error.
    pub fn break_watches(&self) {
        self.server.lock_state().watches.break_count += 1;
        self.server.notify_watchers();
    }

    /// Every request fails with a connection error, and open watches break.
    pub fn start_outage(&self) {
        self.server.lock_state().faults.down = true;
        self.break_watches();
    }

    /// Whether every request fails, see [`start_outage`](Self::start_outage).
    #[must_use]
    pub fn is_down(&self) -> bool {
        self.server.lock_state().faults.down
    }

    pub fn end_outage(&self) {
        self.server.lock_state().faults.down = false;
    }

    /// Clears the history: a watch from an older version gets 410 and must list again.
    pub fn compact(&self) {
        self.server.lock_state().store.history.compact();
        self.server.notify_watchers();
    }

    /// Applies `fault` to the next `n` matching requests. Of several matching faults, the oldest is used first.
    /// The matcher must not call the simulation.
    pub fn fail_next<M>(&self, n: usize, matches: M, fault: Fault)
    where
        M: Fn(&Call) -> bool + Send + 'static,
    {
        self.server.lock_state().faults.enqueue(n, Box::new(matches), fault);
    }

    /// Rejects matching requests with 403, like RBAC. The matcher must not call the simulation.
    pub fn forbid<M>(&self, matches: M)
    where
        M: Fn(&Call) -> bool + Send + 'static,
    {
        self.server.lock_state().faults.forbid(Box::new(matches));
    }

    /// Removes all faults of [`fail_next`](Self::fail_next) and [`forbid`](Self::forbid).
    pub fn clear_faults(&self) {
        self.server.lock_state().faults.clear();
    }

    /// Calls `hook` for every write request with its number, counted from 1, and the call. Replaces an earlier hook;
    /// `|_, _| None` removes it.
    ///
    /// A write that is [forbidden](Self::forbid) is not counted; one that [`fail_next`](Self::fail_next) takes is
    /// counted, but the hook is not called. The hook may read objects and inject faults, but not set another hook.
    pub fn on_write<H>(&self, hook: H)
    where
        H: FnMut(usize, &Call) -> Option<Fault> + Send + 'static,
    {
        let hook: crate::fault::WriteHook = Box::new(hook);
        *self.server.lock_write_hook() = Some(hook);
        self.server.lock_state().faults.writes = 0;
    }

    /// Simulates that the processes of this user were killed: requests of the user's current clients get no response and
    /// are not applied. Clients created later are new processes.
    pub fn kill(&self, user: &str) {
        self.server.kill(user);
    }

    /// Resolves when a user was killed since it last resolved. For one waiter.
    pub async fn killed(&self) {
        self.server.killed.notified().await;
    }
}

fn only_writes(requests: Vec<LoggedCall>) -> Vec<LoggedCall> {
    requests.into_iter().filter(|logged| logged.verb.is_write()).collect()
}
