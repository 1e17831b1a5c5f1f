//! What can go wrong between a client and the server, on request.

use crate::Call;
use std::{collections::HashMap, time::Duration};
use tokio::sync::watch;

/// When trouble strikes.
#[derive(Debug, Clone)]
pub enum Fault {
    /// The request is not applied (but see [`Trouble::Hold`]).
    Before(Trouble),
    /// The request is applied, and the client does not learn of it (but see [`Trouble::Hold`]).
    After(Trouble),
}

/// What happens to a request.
#[derive(Debug, Clone)]
pub enum Trouble {
    /// This code is answered, with a `Status` as the server would word it.
    Status(u16),
    /// The same with a `Retry-After`, which is in whole seconds.
    RetryAfter(u16, Duration),
    /// The connection is lost.
    Drop,
    /// No answer ever comes.
    Hang,
    /// The request waits until the test opens the gate, and then goes on as if nothing had been.
    Hold(Gate),
    /// The process behind the client is dead: neither this request nor any other of the clients that this user has
    /// so far gets an answer, and none of theirs is applied. [`KubeSim::killed`](crate::KubeSim::killed) resolves.
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

    /// Lets through who waits and who comes.
    pub fn open(&self) {
        self.state.send_modify(|state| state.open = true);
    }

    /// Resolves when a request has come to the gate.
    pub async fn reached(&self) {
        // The sender is `self`, so the channel cannot close.
        let _ = self.state.subscribe().wait_for(|state| state.reached).await;
    }

    pub(crate) async fn pass(&self) {
        self.state.send_modify(|state| state.reached = true);
        let _ = self.state.subscribe().wait_for(|state| state.open).await;
    }
}

pub(crate) type Matcher = Box<dyn Fn(&Call) -> bool + Send>;
pub(crate) type WriteHook = Box<dyn FnMut(usize, &Call) -> Option<Fault> + Send>;

/// Who sends: a user, and how many clients there were before this one.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) user: String,
    pub(crate) born: u64,
}

/// The trouble that was ordered.
#[derive(Default)]
pub(crate) struct Faults {
    pub(crate) down: bool,
    queue: Vec<Queued>,
    forbidden: Vec<Matcher>,
    clients: u64,
    /// Clients of a user up to this one are dead.
    dead: HashMap<String, u64>,
    pub(crate) writes: usize,
}

struct Queued {
    left: usize,
    matches: Matcher,
    fault: Fault,
}

impl Faults {
    pub(crate) fn caller(&mut self, user: &str) -> Caller {
        self.clients += 1;
        Caller { user: user.to_owned(), born: self.clients }
    }

    pub(crate) fn kill(&mut self, user: &str) {
        self.dead.insert(user.to_owned(), self.clients);
    }

    pub(crate) fn is_dead(&self, caller: &Caller) -> bool {
        self.dead.get(&caller.user).is_some_and(|last| caller.born <= *last)
    }

    pub(crate) fn queue(&mut self, left: usize, matches: Matcher, fault: Fault) {
        if left > 0 {
            self.queue.push(Queued { left, matches, fault });
        }
    }

    /// The first fault that fits, used up by this call.
    pub(crate) fn strike(&mut self, call: &Call) -> Option<Fault> {
        let index = self.queue.iter().position(|queued| (queued.matches)(call))?;
        let queued = self.queue.get_mut(index)?;
        let fault = queued.fault.clone();
        queued.left = queued.left.saturating_sub(1);
        if queued.left == 0 {
            self.queue.remove(index);
        }
        Some(fault)
    }

    pub(crate) fn forbid(&mut self, matches: Matcher) {
        self.forbidden.push(matches);
    }

    pub(crate) fn forbids(&self, call: &Call) -> bool {
        self.forbidden.iter().any(|matches| matches(call))
    }

    pub(crate) fn clear(&mut self) {
        self.queue.clear();
        self.forbidden.clear();
    }
}
