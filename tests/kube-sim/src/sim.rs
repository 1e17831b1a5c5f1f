//! The handle that a test holds: clients, the log of requests, time and trouble.

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
    /// A server that is up, empty, and serves `resources` besides secrets, events and leases.
    #[must_use]
    pub fn new(clock: Clock, resources: impl IntoIterator<Item = Resource>) -> Self {
        Self { server: Arc::new(Server::new(clock, resources)) }
    }

    /// A client of the user `test`. Needs a tokio runtime, as every client does.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client_as("test")
    }

    /// A client whose requests are logged under `user`. It reports every failure, it retries nothing.
    #[must_use]
    pub fn client_as(&self, user: &str) -> Client {
        Client::new(tower::service_fn(self.client_service(user)), "default")
    }

    /// The same, with the retries that kube's own client has unless it is told otherwise: 429, 503 and 504 on every
    /// method, up to 15 times, obeying `Retry-After`.
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
    /// what is not served are answered with 404 or 405, and not logged.
    #[must_use]
    pub fn requests(&self) -> Vec<LoggedCall> {
        self.server.lock_state().log.all_entries()
    }

    /// Those of [`requests`](Self::requests) that ask for a change, whatever became of them.
    #[must_use]
    pub fn writes(&self) -> Vec<LoggedCall> {
        only_writes(self.requests())
    }

    /// The present end of the log.
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

    /// Forgets the log; marks stay valid.
    pub fn clear_log(&self) {
        self.server.lock_state().log.clear();
    }

    /// How long every request travels before it is looked at; 1 ms unless set.
    pub fn set_latency(&self, latency: Duration) {
        self.server.lock_state().latency = latency;
    }

    /// From now on a watch hears of a change so much later. The order stays; lists and gets are always up to date.
    /// Zero ends it, and what is due is delivered at once. History is kept for an hour: a lag beyond that ends in 410.
    pub fn lag_watches(&self, lag: Duration) {
        self.server.lock_state().watches.lag = lag;
        self.server.notify_watchers();
    }

    /// Open watches fall silent, and new ones are silent from the start: no event, no bookmark, no end.
    pub fn freeze_watches(&self) {
        self.server.lock_state().watches.frozen = true;
        self.server.notify_watchers();
    }

    /// Frozen watches that are still open deliver what they missed.
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

    pub fn end_outage(&self) {
        self.server.lock_state().faults.down = false;
    }

    /// Forgets all history: a watch that continues at an older version gets 410 and has to list again.
    pub fn compact(&self) {
        self.server.lock_state().store.history.compact();
        self.server.notify_watchers();
    }

    /// The next `n` requests that match suffer `fault`. Of several orders that match, the oldest is used up first.
    /// The matcher must not call the simulation.
    pub fn fail_next<M>(&self, n: usize, matches: M, fault: Fault)
    where
        M: Fn(&Call) -> bool + Send + 'static,
    {
        self.server.lock_state().faults.enqueue(n, Box::new(matches), fault);
    }

    /// From now on requests that match are answered with 403, as RBAC would. The matcher must not call the simulation.
    pub fn forbid<M>(&self, matches: M)
    where
        M: Fn(&Call) -> bool + Send + 'static,
    {
        self.server.lock_state().faults.forbid(Box::new(matches));
    }

    /// Ends what [`fail_next`](Self::fail_next) and [`forbid`](Self::forbid) ordered.
    pub fn clear_faults(&self) {
        self.server.lock_state().faults.clear();
    }

    /// Asks `hook` about every write request that comes from now on, whatever will become of it: its number, counted
    /// from 1, and the call. It takes the place of an earlier hook; `|_, _| None` ends it.
    ///
    /// A write that is [forbidden](Self::forbid) is not counted; one that [`fail_next`](Self::fail_next) takes is
    /// counted, but the hook is not asked. The hook may read objects and order faults, but not set another hook.
    pub fn on_write<H>(&self, hook: H)
    where
        H: FnMut(usize, &Call) -> Option<Fault> + Send + 'static,
    {
        let hook: crate::fault::WriteHook = Box::new(hook);
        *self.server.lock_write_hook() = Some(hook);
        self.server.lock_state().faults.writes = 0;
    }

    /// As if the processes of this user were killed: no client that the user has now is ever answered again, and
    /// nothing of theirs is applied. Clients made later are new processes.
    pub fn kill(&self, user: &str) {
        self.server.kill(user);
    }

    /// Resolves as soon as somebody was killed since it last resolved. For one waiter.
    pub async fn killed(&self) {
        self.server.killed.notified().await;
    }
}

fn only_writes(requests: Vec<LoggedCall>) -> Vec<LoggedCall> {
    requests.into_iter().filter(|logged| logged.verb.is_write()).collect()
}
