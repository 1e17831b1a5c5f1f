//! The conditions of a connection. Pure. Two of them hold causes, Connected and Synced; the others follow from these,
//! the rest of the status and the time.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::{failure::Failure, message, observe::List, schedule::after};
use crate::api::{BoxConnection, BoxConnectionStatus, Conditions, Consequence, Reason, State, condition};

/// The two conditions that hold causes; the others follow from them.
pub(super) struct Causes {
    pub(super) connected: Cause,
    pub(super) synced: Cause,
}

pub(super) struct Cause {
    pub(super) state: State,
    pub(super) reason: Reason,
    pub(super) message: String,
}

impl Causes {
    pub(super) fn of(status: &BoxConnectionStatus) -> Self {
        Self { connected: Cause::of(status, "Connected"), synced: Cause::of(status, "Synced") }
    }
}

impl Cause {
    pub(super) fn new(state: State, reason: Reason, message: String) -> Self {
        Self { state, reason, message }
    }

    pub(super) fn failed(
        failure: &Failure,
        connection: &BoxConnection,
        status: &BoxConnectionStatus,
        now: Timestamp,
    ) -> Self {
        let name = connection.metadata.name.as_deref().unwrap_or_default();
        Self::new(State::False, failure.reason, message::cause(failure, name, &connection.spec, status, now))
    }

    pub(super) fn of(status: &BoxConnectionStatus, kind: &str) -> Self {
        let known = status.conditions.of(kind).and_then(|c| {
            let state = [State::True, State::False].into_iter().find(|s| s.as_str() == c.status)?;
            Some(Self::new(state, Reason::parse(&c.reason)?, c.message.clone()))
        });
        known.unwrap_or_else(|| Self::new(State::Unknown, Reason::NotChecked, String::new()))
    }

    fn condition(self, kind: &str, generation: i64, now: Timestamp) -> Condition {
        condition(kind, self.state, self.reason, self.message, generation, now)
    }
}

/// All conditions as they should stand there now, in their order, each as if it began now.
pub(super) fn conditions(
    connection: &BoxConnection,
    list: List,
    status: &BoxConnectionStatus,
    causes: Causes,
    now: Timestamp,
) -> Vec<Condition> {
    let spec = &connection.spec;
    let generation = status.observed_generation.unwrap_or(-1);
    let first = status.last_sync.is_none() && status.failures.is_none() && causes.connected.state != State::False;
    let ready = ready(connection, list, status, &causes, now);
    let trouble = status.failures.as_ref().and_then(|f| Reason::parse(&f.reason));
    let retrying = status.failures.as_ref().is_some_and(|f| f.retry_time.is_some()) && !spec.suspend;

    let unobserved = status.observed_generation != connection.metadata.generation;
    let reconciling = if spec.suspend {
        None
    } else if first {
        Some((Reason::Syncing, format!("{}.", Reason::Syncing.headline())))
    } else if unobserved {
        Some((Reason::Syncing, "The changed spec is about to be tried.".to_owned()))
    } else if retrying && ready.state != State::True {
        trouble.map(|reason| (reason, message::see(reason, "Synced")))
    } else {
        None
    };
    let stalled = if causes.connected.state == State::False {
        Some((causes.connected.reason, message::see(causes.connected.reason, "Connected")))
    } else {
        trouble
            .filter(|reason| reason.consequence() == Consequence::Stalled)
            .map(|reason| (reason, message::see(reason, "Synced")))
    };
    let connected = match causes.connected.state {
        State::Unknown => Cause::new(State::Unknown, Reason::NotChecked, format!("{}.", Reason::NotChecked.headline())),
        State::True | State::False => causes.connected,
    };
    let synced = match causes.synced.state {
        State::Unknown => not_yet(spec.suspend),
        State::True | State::False => causes.synced,
    };
    let present = |kind, cause: Option<(Reason, String)>| {
        cause.map(|(reason, message)| condition(kind, State::True, reason, message, generation, now))
    };
    [
        Some(ready.condition("Ready", generation, now)),
        Some(connected.condition("Connected", generation, now)),
        Some(synced.condition("Synced", generation, now)),
        present("Reconciling", reconciling),
        present("Stalled", stalled),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// May others rely on the list? One failed night does not make it unreliable; age does, whatever the cause.
fn ready(
    connection: &BoxConnection,
    list: List,
    status: &BoxConnectionStatus,
    causes: &Causes,
    now: Timestamp,
) -> Cause {
    let spec = &connection.spec;
    let trouble = status.failures.as_ref().and_then(|f| Reason::parse(&f.reason));
    if causes.connected.state == State::False {
        let reason = causes.connected.reason;
        let message = message::sentences([&message::see(reason, "Connected"), &message::kept(spec, status, now)]);
        return Cause::new(State::False, reason, message);
    }
    let (Some(last), Some(users)) = (&status.last_sync, &status.users) else {
        return match trouble {
            Some(reason) => Cause::new(State::False, reason, message::see(reason, "Synced")),
            None => not_yet(spec.suspend),
        };
    };
    match list {
        // Without the list nobody knows who vanished: it is not published again before somebody has looked.
        List::Gone if trouble == Some(Reason::RemovalsHeld) => {
            let message = message::sentences([GONE, &message::see(Reason::RemovalsHeld, "Synced")]);
            return Cause::new(State::False, Reason::RemovalsHeld, message);
        }
        List::Gone => {
            let why = match (trouble, spec.suspend) {
                (_, true) => {
                    "The connection is suspended: set spec.suspend to false to have it published again.".to_owned()
                }
                (Some(reason), false) => last_attempt(reason),
                (None, false) => "It is being fetched and published again.".to_owned(),
            };
            return Cause::new(State::False, Reason::Syncing, message::sentences([GONE, &why]));
        }
        List::Kept => {}
    }
    let list = message::holds(last.completion_time.0, users);
    let stale = after(last.completion_time.0, spec.stale_after());
    if now >= stale {
        let why = match (trouble, spec.suspend) {
            (_, true) => "The connection is suspended: set spec.suspend to false for a new one.".to_owned(),
            (Some(reason), false) => last_attempt(reason),
            (None, false) => "A sync is overdue.".to_owned(),
        };
        let message = format!("{list} It counted as fresh until {stale}. {why}");
        return Cause::new(State::False, Reason::Stale, message);
    }
    let held =
        status.held.as_ref().map(|held| message::held(held, connection.metadata.name.as_deref().unwrap_or_default()));
    match trouble {
        Some(Reason::RemovalsHeld) => {
            let message = message::sentences([&list, &message::see(Reason::RemovalsHeld, "Synced")]);
            Cause::new(State::False, Reason::RemovalsHeld, message)
        }
        Some(reason) if held.is_some() => {
            let message = message::sentences([&list, held.as_deref().unwrap_or_default(), &last_attempt(reason)]);
            Cause::new(State::True, Reason::RemovalsHeld, message)
        }
        Some(reason) => {
            let message = format!("{list} It counts as fresh until {stale}. {}", last_attempt(reason));
            Cause::new(State::True, Reason::LastAttemptFailed, message)
        }
        None => match held {
            Some(held) => Cause::new(State::True, Reason::RemovalsHeld, message::sentences([&list, &held])),
            None => Cause::new(State::True, Reason::Synced, list),
        },
    }
}

const GONE: &str = "The published list is gone: its UserRoster was deleted.";

fn last_attempt(reason: Reason) -> String {
    format!("The last attempt failed. {}", message::see(reason, "Synced"))
}

fn not_yet(suspended: bool) -> Cause {
    if suspended {
        let message = "The connection is suspended and no list was fetched before: set spec.suspend to false to begin.";
        Cause::new(State::Unknown, Reason::Suspended, message.to_owned())
    } else {
        Cause::new(State::Unknown, Reason::Syncing, format!("{}.", Reason::Syncing.headline()))
    }
}
