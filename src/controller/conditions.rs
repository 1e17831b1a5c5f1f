//! The conditions of a connection. Pure. Two of them hold causes, Connected and Synced; the others follow from these,
//! the rest of the status and the time.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::{failure::Failure, message, observe::List, rhythm::Rhythm};
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
        Self::new(State::False, failure.reason, message::cause(failure, name, status, now))
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

/// What the conditions follow from beside the status and the spec.
pub(super) struct Circumstances<'a> {
    pub(super) list: List,
    pub(super) rhythm: &'a Rhythm,
    /// The operator is told to ask Box nothing.
    pub(super) paused: bool,
}

/// What keeps Box from being asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Halt {
    /// The connection is told so.
    Suspended,
    /// The operator is.
    Paused,
}

impl Circumstances<'_> {
    pub(super) fn halt(&self, connection: &BoxConnection) -> Option<Halt> {
        if connection.spec.suspend { Some(Halt::Suspended) } else { self.paused.then_some(Halt::Paused) }
    }
}

/// All conditions as they should stand there now, in their order, each as if it began now.
pub(super) fn conditions(
    connection: &BoxConnection,
    circumstances: &Circumstances<'_>,
    status: &BoxConnectionStatus,
    causes: Causes,
    now: Timestamp,
) -> Vec<Condition> {
    let halt = circumstances.halt(connection);
    let generation = status.observed_generation.unwrap_or(-1);
    let first = status.last_sync.is_none() && status.failures.is_none() && causes.connected.state != State::False;
    let ready = ready(connection, circumstances, status, &causes, now);
    let trouble = status.failures.as_ref().and_then(|f| Reason::parse(&f.reason));
    let retrying = status.failures.as_ref().is_some_and(|f| f.retry_time.is_some());

    let unobserved = status.observed_generation != connection.metadata.generation;
    let reconciling = if halt.is_some() {
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
    let stuck = trouble.filter(|reason| reason.consequence() == Consequence::Stalled);
    let stalled = if causes.connected.state == State::False {
        Some((causes.connected.reason, message::see(causes.connected.reason, "Connected")))
    } else {
        stuck
            .map(|reason| (reason, message::see(reason, "Synced")))
            .or_else(|| Some((Reason::ScheduleInvalid, unscheduled(connection, circumstances, status, now)?)))
    };
    let paused = circumstances.paused.then(|| (Reason::Paused, message::PAUSED.to_owned()));
    let connected = match causes.connected.state {
        State::Unknown => Cause::new(State::Unknown, Reason::NotChecked, format!("{}.", Reason::NotChecked.headline())),
        State::True | State::False => causes.connected,
    };
    let synced = match causes.synced.state {
        State::Unknown => not_yet(halt),
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
        present("Paused", paused),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn unscheduled(
    connection: &BoxConnection,
    circumstances: &Circumstances<'_>,
    status: &BoxConnectionStatus,
    now: Timestamp,
) -> Option<String> {
    let name = connection.metadata.name.as_deref().unwrap_or_default();
    match circumstances.rhythm {
        Rhythm::Never(unusable) => Some(message::unscheduled(unusable, name, status, now)),
        Rhythm::Every { .. } | Rhythm::Before { .. } => None,
    }
}

/// May others rely on the list? One failed night does not make it unreliable; age does, whatever the cause.
fn ready(
    connection: &BoxConnection,
    circumstances: &Circumstances<'_>,
    status: &BoxConnectionStatus,
    causes: &Causes,
    now: Timestamp,
) -> Cause {
    let halt = circumstances.halt(connection);
    let trouble = status.failures.as_ref().and_then(|f| Reason::parse(&f.reason));
    if causes.connected.state == State::False {
        let reason = causes.connected.reason;
        let message = message::sentences([&message::see(reason, "Connected"), &message::kept(status, now)]);
        return Cause::new(State::False, reason, message);
    }
    let (Some(last), Some(users), Some(stale)) = (&status.last_sync, &status.users, &status.stale_time) else {
        return match trouble {
            Some(reason) => Cause::new(State::False, reason, message::see(reason, "Synced")),
            None => not_yet(halt),
        };
    };
    match circumstances.list {
        // Without the list nobody knows who vanished: it is not published again before somebody has looked.
        List::Gone if trouble == Some(Reason::RemovalsHeld) => {
            let message = message::sentences([GONE, &message::see(Reason::RemovalsHeld, "Synced")]);
            return Cause::new(State::False, Reason::RemovalsHeld, message);
        }
        List::Gone => {
            let why = match (halt, trouble) {
                (Some(Halt::Suspended), _) => {
                    "The connection is suspended: set spec.suspend to false to have it published again.".to_owned()
                }
                (Some(Halt::Paused), _) => see_paused(),
                (None, Some(reason)) => last_attempt(reason),
                (None, None) => "It is being fetched and published again.".to_owned(),
            };
            return Cause::new(State::False, Reason::Syncing, message::sentences([GONE, &why]));
        }
        List::Kept => {}
    }
    let list = message::holds(last.completion_time.0, users);
    let stale = stale.0;
    if now >= stale {
        let why = match (halt, trouble, circumstances.rhythm) {
            (Some(Halt::Suspended), _, _) => {
                "The connection is suspended: set spec.suspend to false for a new one.".to_owned()
            }
            (Some(Halt::Paused), _, _) => see_paused(),
            (None, Some(reason), _) => last_attempt(reason),
            (None, None, Rhythm::Never(_)) => message::see(Reason::ScheduleInvalid, "Stalled"),
            (None, None, Rhythm::Every { .. } | Rhythm::Before { .. }) => "A sync is overdue.".to_owned(),
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

fn see_paused() -> String {
    message::see(Reason::Paused, "Paused")
}

fn not_yet(halt: Option<Halt>) -> Cause {
    let (reason, message) = match halt {
        Some(Halt::Suspended) => (
            Reason::Suspended,
            "The connection is suspended and no list was fetched before: set spec.suspend to false to begin."
                .to_owned(),
        ),
        Some(Halt::Paused) => (Reason::Paused, see_paused()),
        None => (Reason::Syncing, format!("{}.", Reason::Syncing.headline())),
    };
    Cause::new(State::Unknown, reason, message)
}
