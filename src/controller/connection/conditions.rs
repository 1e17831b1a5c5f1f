//! The conditions of a connection. Pure. Two of them hold causes, Connected and Synced; the others follow from these,
//! the rest of the status and the time.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::{failure_messages::Failure, messages, plan_input::RosterPresence, sync_schedule::ResolvedSchedule};
use crate::api::{
    BoxConnection, BoxConnectionStatus, ConditionStatus, ConditionsExt, FailureClass, Reason, SyncFailures,
    new_condition,
};

/// The two conditions that hold causes; the others follow from them.
pub(crate) struct RootConditions {
    pub(crate) connected: ConditionCause,
    pub(crate) synced: ConditionCause,
}

pub(crate) struct ConditionCause {
    pub(crate) state: ConditionStatus,
    pub(crate) reason: Reason,
    /// The stored reason, if only a newer version knows it.
    newer_reason: Option<String>,
    pub(crate) message: String,
}

impl RootConditions {
    pub(crate) fn from_status(status: &BoxConnectionStatus) -> Self {
        Self {
            connected: ConditionCause::from_status(status, "Connected"),
            synced: ConditionCause::from_status(status, "Synced"),
        }
    }
}

impl ConditionCause {
    pub(crate) fn new(state: ConditionStatus, reason: Reason, message: String) -> Self {
        Self { state, reason, newer_reason: None, message }
    }

    pub(crate) fn from_failure(
        failure: &Failure,
        connection: &BoxConnection,
        status: &BoxConnectionStatus,
        now: Timestamp,
    ) -> Self {
        let name = connection.metadata.name.as_deref().unwrap_or_default();
        Self::new(ConditionStatus::False, failure.reason, messages::failure_message(failure, name, status, now))
    }

    pub(crate) fn from_status(status: &BoxConnectionStatus, kind: &str) -> Self {
        let known = status.conditions.find_condition(kind).and_then(|c| {
            let state = [ConditionStatus::True, ConditionStatus::False].into_iter().find(|s| s.as_str() == c.status)?;
            let newer_reason = Reason::parse(&c.reason).is_none().then(|| c.reason.clone());
            Some(Self { newer_reason, ..Self::new(state, Reason::parse_stored(&c.reason), c.message.clone()) })
        });
        known.unwrap_or_else(|| Self::new(ConditionStatus::Unknown, Reason::NotChecked, String::new()))
    }

    /// The message was made when it failed: the list may have been deleted or restored since.
    fn with_current_list(self, inputs: &ConditionInputs<'_>, status: &BoxConnectionStatus, now: Timestamp) -> Self {
        let message = messages::with_current_list(&self.message, inputs.unreadable_list(), status, now);
        Self { message, ..self }
    }

    fn into_condition(self, kind: &str, generation: i64, now: Timestamp) -> Condition {
        let condition = new_condition(kind, self.state, self.reason, self.message, generation, now);
        Condition { reason: self.newer_reason.unwrap_or(condition.reason), ..condition }
    }
}

/// Inputs of the conditions in addition to the status and the spec.
pub(crate) struct ConditionInputs<'a> {
    pub(crate) roster_presence: RosterPresence,
    pub(crate) schedule: &'a ResolvedSchedule,
    /// The operator runs with `--paused`.
    pub(crate) paused: bool,
}

/// Why Box is not called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PauseCause {
    /// The connection is suspended.
    Suspended,
    /// The operator is paused.
    Paused,
}

impl ConditionInputs<'_> {
    pub(crate) fn pause_cause(&self, connection: &BoxConnection) -> Option<PauseCause> {
        if connection.spec.suspend { Some(PauseCause::Suspended) } else { self.paused.then_some(PauseCause::Paused) }
    }

    /// Why the published list cannot be read, if so.
    fn unreadable_list(&self) -> Option<&'static str> {
        match self.roster_presence {
            RosterPresence::Missing => Some(messages::ROSTER_DELETED),
            RosterPresence::Incomplete => Some(messages::SLICES_DELETED),
            RosterPresence::Present => None,
        }
    }

    /// When the next sync starts by itself, if it does.
    pub(crate) fn next_sync_time(
        &self,
        connection: &BoxConnection,
        status: &BoxConnectionStatus,
        root_conditions: &RootConditions,
    ) -> Option<Timestamp> {
        if self.pause_cause(connection).is_some() || root_conditions.connected.state == ConditionStatus::False {
            return None;
        }
        match (&status.failures, &status.last_sync) {
            (Some(SyncFailures { retry_time: Some(retry), .. }), _) => Some(retry.0),
            (Some(failures), _) => self.schedule.next_start(failures.last_time.0),
            (None, Some(last)) => self.schedule.next_start(last.start_time.0),
            (None, None) => None,
        }
    }
}

/// All conditions in order, each with the current time as its transition time.
pub(crate) fn build_conditions(
    connection: &BoxConnection,
    inputs: &ConditionInputs<'_>,
    status: &BoxConnectionStatus,
    root_conditions: RootConditions,
    now: Timestamp,
) -> Vec<Condition> {
    let pause_cause = inputs.pause_cause(connection);
    let generation = status.observed_generation.unwrap_or(-1);
    let first = status.last_sync.is_none()
        && status.failures.is_none()
        && root_conditions.connected.state != ConditionStatus::False;
    let ready_condition = ready_cause(connection, inputs, status, &root_conditions, now);
    let last_failure = status.failures.as_ref().map(|f| Reason::parse_stored(&f.reason));
    let retrying = status.failures.as_ref().is_some_and(|f| f.retry_time.is_some());

    let unobserved = status.observed_generation != connection.metadata.generation;
    let reconciling = if pause_cause.is_some() {
        None
    } else if first {
        Some((Reason::Syncing, format!("{}.", Reason::Syncing.summary())))
    } else if unobserved {
        Some((Reason::Syncing, "The changed spec is being applied.".to_owned()))
    } else if retrying && ready_condition.state != ConditionStatus::True {
        last_failure.map(|reason| (reason, messages::see_condition(reason, "Synced")))
    } else {
        None
    };
    let stalling_failure = last_failure.filter(|reason| !retrying && reason.failure_class() == FailureClass::Stalled);
    let stalled = if root_conditions.connected.state == ConditionStatus::False {
        Some((root_conditions.connected.reason, messages::see_condition(root_conditions.connected.reason, "Connected")))
    } else {
        stalling_failure
            .map(|reason| (reason, messages::see_condition(reason, "Synced")))
            .or_else(|| Some((Reason::ScheduleInvalid, invalid_schedule_message(connection, inputs, status, now)?)))
    };
    let paused = inputs.paused.then(|| (Reason::Paused, messages::PAUSED.to_owned()));
    let connected = match root_conditions.connected.state {
        ConditionStatus::Unknown => ConditionCause::new(
            ConditionStatus::Unknown,
            Reason::NotChecked,
            format!("{}.", Reason::NotChecked.summary()),
        ),
        ConditionStatus::True => root_conditions.connected,
        ConditionStatus::False => root_conditions.connected.with_current_list(inputs, status, now),
    };
    let synced = match root_conditions.synced.state {
        ConditionStatus::Unknown => not_synced_yet(pause_cause),
        ConditionStatus::True => root_conditions.synced,
        ConditionStatus::False => root_conditions.synced.with_current_list(inputs, status, now),
    };
    let present = |kind, cause: Option<(Reason, String)>| {
        cause.map(|(reason, message)| new_condition(kind, ConditionStatus::True, reason, message, generation, now))
    };
    [
        Some(ready_condition.into_condition("Ready", generation, now)),
        Some(connected.into_condition("Connected", generation, now)),
        Some(synced.into_condition("Synced", generation, now)),
        present("Reconciling", reconciling),
        present("Stalled", stalled),
        present("Paused", paused),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn invalid_schedule_message(
    connection: &BoxConnection,
    inputs: &ConditionInputs<'_>,
    status: &BoxConnectionStatus,
    now: Timestamp,
) -> Option<String> {
    let name = connection.metadata.name.as_deref().unwrap_or_default();
    match inputs.schedule {
        ResolvedSchedule::Invalid(error) => Some(messages::invalid_schedule(error, name, status, now)),
        ResolvedSchedule::Interval { .. } | ResolvedSchedule::Cron { .. } => None,
    }
}

/// Whether others can rely on the list. A failed attempt alone does not make it unreliable; age does, whatever the cause.
fn ready_cause(
    connection: &BoxConnection,
    inputs: &ConditionInputs<'_>,
    status: &BoxConnectionStatus,
    root_conditions: &RootConditions,
    now: Timestamp,
) -> ConditionCause {
    let pause_cause = inputs.pause_cause(connection);
    let last_failure = status.failures.as_ref().map(|f| Reason::parse_stored(&f.reason));
    let unreadable = inputs.unreadable_list();
    if root_conditions.connected.state == ConditionStatus::False {
        let reason = root_conditions.connected.reason;
        let remaining = match unreadable.filter(|_| status.last_sync.is_some()) {
            Some(what) => what.to_owned(),
            None => messages::readable_list(status, now),
        };
        let message = messages::join_sentences([&messages::see_condition(reason, "Connected"), &remaining]);
        return ConditionCause::new(ConditionStatus::False, reason, message);
    }
    let (Some(last), Some(users), Some(stale)) = (&status.last_sync, &status.users, &status.stale_time) else {
        return match last_failure {
            Some(reason) => {
                ConditionCause::new(ConditionStatus::False, reason, messages::see_condition(reason, "Synced"))
            }
            None => not_synced_yet(pause_cause),
        };
    };
    match unreadable {
        // Without the list the missing users are unknown: it is not republished before the removals are approved.
        Some(problem) if last_failure == Some(Reason::RemovalsHeld) => {
            let message = messages::join_sentences([problem, &messages::see_condition(Reason::RemovalsHeld, "Synced")]);
            return ConditionCause::new(ConditionStatus::False, Reason::RemovalsHeld, message);
        }
        Some(problem) => {
            let why = match (pause_cause, last_failure) {
                (Some(PauseCause::Suspended), _) => {
                    "The connection is suspended: to publish it again, set spec.suspend to false.".to_owned()
                }
                (Some(PauseCause::Paused), _) => see_paused_condition(),
                (None, Some(reason)) => last_attempt_failed(reason),
                (None, None) => "It is being republished.".to_owned(),
            };
            return ConditionCause::new(
                ConditionStatus::False,
                Reason::Syncing,
                messages::join_sentences([problem, &why]),
            );
        }
        None => {}
    }
    let list = messages::list_summary(last.completion_time.0, users);
    let stale = stale.0;
    if now >= stale {
        let why = match (pause_cause, last_failure, inputs.schedule) {
            (Some(PauseCause::Suspended), _, _) => {
                "The connection is suspended: to get a new list, set spec.suspend to false.".to_owned()
            }
            (Some(PauseCause::Paused), _, _) => see_paused_condition(),
            (None, Some(reason), _) => last_attempt_failed(reason),
            (None, None, ResolvedSchedule::Invalid(_)) => messages::see_condition(Reason::ScheduleInvalid, "Stalled"),
            (None, None, ResolvedSchedule::Interval { .. } | ResolvedSchedule::Cron { .. }) => {
                "A sync is overdue.".to_owned()
            }
        };
        let since = if stale < last.completion_time.0 {
            "It was fetched by a clock that was ahead, so its age is unknown.".to_owned()
        } else {
            format!("It was fresh until {stale}.")
        };
        let message = format!("{list} {since} {why}");
        return ConditionCause::new(ConditionStatus::False, Reason::Stale, message);
    }
    let held = status
        .held
        .as_ref()
        .map(|held| messages::removals_held(held, connection.metadata.name.as_deref().unwrap_or_default()));
    match last_failure {
        Some(Reason::RemovalsHeld) => {
            let message = messages::join_sentences([&list, &messages::see_condition(Reason::RemovalsHeld, "Synced")]);
            ConditionCause::new(ConditionStatus::False, Reason::RemovalsHeld, message)
        }
        Some(reason) if held.is_some() => {
            let message =
                messages::join_sentences([&list, held.as_deref().unwrap_or_default(), &last_attempt_failed(reason)]);
            ConditionCause::new(ConditionStatus::True, Reason::RemovalsHeld, message)
        }
        Some(reason) => {
            let message = format!("{list} It is fresh until {stale}. {}", last_attempt_failed(reason));
            ConditionCause::new(ConditionStatus::True, Reason::LastAttemptFailed, message)
        }
        None => match held {
            Some(held) => ConditionCause::new(
                ConditionStatus::True,
                Reason::RemovalsHeld,
                messages::join_sentences([&list, &held]),
            ),
            None => ConditionCause::new(ConditionStatus::True, Reason::Synced, list),
        },
    }
}

fn last_attempt_failed(reason: Reason) -> String {
    format!("The last attempt failed. {}", messages::see_condition(reason, "Synced"))
}

fn see_paused_condition() -> String {
    messages::see_condition(Reason::Paused, "Paused")
}

fn not_synced_yet(pause_cause: Option<PauseCause>) -> ConditionCause {
    let (reason, message) = match pause_cause {
        Some(PauseCause::Suspended) => (
            Reason::Suspended,
            "The connection is suspended and no list has been fetched yet. To start, set spec.suspend to false."
                .to_owned(),
        ),
        Some(PauseCause::Paused) => (Reason::Paused, see_paused_condition()),
        None => (Reason::Syncing, format!("{}.", Reason::Syncing.summary())),
    };
    ConditionCause::new(ConditionStatus::Unknown, reason, message)
}
