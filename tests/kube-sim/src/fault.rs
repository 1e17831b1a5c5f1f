//! Injected faults between a client and the server.

use crate::Call;
use serde_json::Value;
use std::{collections::HashMap, time::Duration};
use tokio::sync::watch;

/// When a fault applies.
#[derive(Debug, Clone)]
pub enum Fault {
    /// The request is not applied (but see [`FaultAction::Hold`]).
    Before(FaultAction),
    /// The request is applied, but the client does not get the response (but see [`FaultAction::Hold`]).
    After(FaultAction),
    /// The client loses the connection, and the request is applied when the test opens the gate, whether or not the
    /// client still lives.
    Late(Gate),
}

/// What happens to a request.
#[derive(Debug, Clone)]
pub enum FaultAction {
    /// Responds with this code and the server's `Status`.
    Status(u16),
    /// Responds with this `Status`, and its code.
    Body(Value),
    /// A `Status` of the server's with a `Retry-After` in whole seconds.
    RetryAfter(u16, Duration),
    /// The connection is lost.
    Disconnect,
    /// No response is sent.
    Hang,
    /// The request waits until the test opens the gate, and then continues.
    Hold(Gate),
    /// The client's process is dead: no request of any client that this user has so far gets a response or is
    /// applied. [`KubeSim::killed`](crate::KubeSim::killed) resolves.
    Kill,
}

/// Holds requests until it is opened. Clones are the same gate.
#[derive(Debug, Clone)]
pub struct Gate {
    state: watch::Sender<GateState>,
}

#[derive(Debug, Default)]
struct GateState {
    reached: bool,
    open: bool,
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

impl Gate {
    #[must_use]
    pub fn new() -> Self {
        Self { state: watch::Sender::new(GateState::default()) }
    }

    /// Releases waiting and future requests.
    pub fn open(&self) {
        self.state.send_modify(|state| state.open = true);
    }

    /// Resolves when a request has reached the gate.
    pub async fn reached(&self) {
        // The sender is `self`, so the channel cannot close.
        let _ = self.state.subscribe().wait_for(|state| state.reached).await;
    }

    pub(crate) async fn wait(&self) {
        self.state.send_modify(|state| state.reached = true);
        let _ = self.state.subscribe().wait_for(|state| state.open).await;
    }
}

pub(crate) type Matcher = Box<dyn Fn(&Call) -> bool + Send>;
pub(crate) type WriteHook = Box<dyn FnMut(usize, &Call) -> Option<Fault> + Send>;

/// A client: its user, and its number among all clients.
#[derive(Debug, Clone)]
pub(crate) struct ClientId {
    pub(crate) user: String,
    pub(crate) sequence: u64,
}

/// The injected faults.
#[derive(Default)]
pub(crate) struct Faults {
    pub(crate) down: bool,
    queued: Vec<QueuedFault>,
    forbidden: Vec<Matcher>,
    clients: u64,
    /// Clients of a user up to this one are dead.
    killed_up_to: HashMap<String, u64>,
    pub(crate) writes: usize,
}

struct QueuedFault {
    remaining: usize,
    matches: Matcher,
    fault: Fault,
}

impl Faults {
    pub(crate) fn new_client(&mut self, user: &str) -> ClientId {
        self.clients += 1;
        ClientId { user: user.to_owned(), sequence: self.clients }
    }

    pub(crate) fn kill(&mut self, user: &str) {
        self.killed_up_to.insert(user.to_owned(), self.clients);
    }

    pub(crate) fn is_killed(&self, caller: &ClientId) -> bool {
        self.killed_up_to.get(&caller.user).is_some_and(|last| caller.sequence <= *last)
    }

    pub(crate) fn enqueue(&mut self, times: usize, matches: Matcher, fault: Fault) {
        if times > 0 {
            self.queued.push(QueuedFault { remaining: times, matches, fault });
        }
    }

    /// The first matching fault; counts as one use.
    pub(crate) fn take_fault(&mut self, call: &Call) -> Option<Fault> {
        let index = self.queued.iter().position(|queued| (queued.matches)(call))?;
        let queued = self.queued.get_mut(index)?;
        let fault = queued.fault.clone();
        queued.remaining = queued.remaining.saturating_sub(1);
        if queued.remaining == 0 {
            self.queued.remove(index);
        }
        Some(fault)
    }

    pub(crate) fn forbid(&mut self, matches: Matcher) {
        self.forbidden.push(matches);
    }

    pub(crate) fn is_forbidden(&self, call: &Call) -> bool {
        self.forbidden.iter().any(|matches| matches(call))
    }

    pub(crate) fn clear(&mut self) {
        self.queued.clear();
        self.forbidden.clear();
    }
}
