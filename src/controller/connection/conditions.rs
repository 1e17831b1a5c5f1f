//! The conditions of a connection. Pure. Two of them hold causes, Connected and Synced; the others follow from these,
//! the rest of the status and the time.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::{failure_messages::Failure, messages, plan_input::RosterPresence, sync_schedule::ResolvedSchedule};
use crate::api::{
    BoxConnection, BoxConnectionStatus, ConditionStatus, ConditionsExt, FailureClass, ListEvidence, Reason,
    SyncFailures, compose_message, new_condition,
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

    pub(crate) fn from_failure(failure: &Failure) -> Self {
        Self::new(ConditionStatus::False, failure.reason, messages::failure_message(failure))
    }

    pub(crate) fn from_status(status: &BoxConnectionStatus, kind: &str) -> Self {
        let known = status.conditions.find_condition(kind).and_then(|c| {
            let state = [ConditionStatus::True, ConditionStatus::False].into_iter().find(|s| s.as_str() == c.status)?;
            let newer_reason = Reason::parse(&c.reason).is_none().then(|| c.reason.clone());
            Some(Self { newer_reason, ..Self::new(state, Reason::parse_stored(&c.reason), c.message.clone()) })
        });
        known.unwrap_or_else(|| Self::new(ConditionStatus::Unknown, Reason::NotChecked, String::new()))
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
        let evidence = match self.roster_presence {
            RosterPresence::Missing => ListEvidence::RosterMissing,
            RosterPresence::Incomplete => ListEvidence::SlicesMissing,
            RosterPresence::Present => ListEvidence::Complete,
        };
        evidence.problem()
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
        last_failure.map(|reason| (reason, root_conditions.synced.message.clone()))
    } else {
        None
    };
    let stalling_failure = last_failure.filter(|reason| !retrying && reason.failure_class() == FailureClass::Stalled);
    let stalled = if root_conditions.connected.state == ConditionStatus::False {
        Some((root_conditions.connected.reason, root_conditions.connected.message.clone()))
    } else {
        stalling_failure
            .map(|reason| (reason, root_conditions.synced.message.clone()))
            .or_else(|| Some((Reason::ScheduleInvalid, invalid_schedule_message(inputs)?)))
    };
    let paused = inputs.paused.then(|| (Reason::Paused, messages::PAUSED.to_owned()));
    let connected = match root_conditions.connected.state {
        ConditionStatus::Unknown => ConditionCause::new(
            ConditionStatus::Unknown,
            Reason::NotChecked,
            format!("{}.", Reason::NotChecked.summary()),
        ),
        ConditionStatus::True | ConditionStatus::False => root_conditions.connected,
    };
    let synced = match root_conditions.synced.state {
        ConditionStatus::Unknown => not_synced_yet(pause_cause),
        ConditionStatus::True | ConditionStatus::False => root_conditions.synced,
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

fn invalid_schedule_message(inputs: &ConditionInputs<'_>) -> Option<String> {
    match inputs.schedule {
        ResolvedSchedule::Invalid(error) => Some(messages::invalid_schedule(error)),
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
    let cause = &root_conditions.synced.message;
    if root_conditions.connected.state == ConditionStatus::False {
        let ConditionCause { reason, message, .. } = &root_conditions.connected;
        let message = match unreadable.filter(|_| status.last_sync.is_some()) {
            Some(problem) => messages::list_problem(problem, message),
            None => message.clone(),
        };
        return ConditionCause::new(ConditionStatus::False, *reason, message);
    }
    let (Some(last), Some(users), Some(stale)) = (&status.last_sync, &status.users, &status.stale_time) else {
        return match last_failure {
            Some(reason) => ConditionCause::new(ConditionStatus::False, reason, cause.clone()),
            None => not_synced_yet(pause_cause),
        };
    };
    if let Some(problem) = unreadable {
        // Without the list the missing users are unknown: it is not published again before the removals are approved.
        let reason = if last_failure == Some(Reason::RemovalsHeld) { Reason::RemovalsHeld } else { Reason::Syncing };
        let message = match (pause_cause, last_failure) {
            _ if reason == Reason::RemovalsHeld => messages::list_problem(problem, cause),
            (Some(PauseCause::Suspended), _) => compose_message(problem, messages::SUSPENDED),
            (Some(PauseCause::Paused), _) => compose_message(problem, messages::PAUSED),
            (None, Some(_)) => messages::list_problem(problem, cause),
            (None, None) => compose_message(problem, "It is being published again."),
        };
        return ConditionCause::new(ConditionStatus::False, reason, message);
    }
    let stale = stale.0;
    if now >= stale {
        let what = if stale < last.completion_time.0 {
            format!(
                "The list of {} was fetched by a clock that was ahead, so its age is unknown.",
                last.completion_time.0
            )
        } else {
            format!("The list of {} has been stale since {stale}.", last.completion_time.0)
        };
        let invalid_schedule = invalid_schedule_message(inputs);
        let why = match (pause_cause, last_failure, &invalid_schedule) {
            (Some(PauseCause::Suspended), _, _) => messages::SUSPENDED,
            (Some(PauseCause::Paused), _, _) => messages::PAUSED,
            (None, Some(_), _) => cause,
            (None, None, Some(invalid)) => invalid,
            (None, None, None) => "A sync is overdue.",
        };
        return ConditionCause::new(ConditionStatus::False, Reason::Stale, compose_message(&what, why));
    }
    let held = status.held.as_ref().map(|held| messages::removals_held(held, connection));
    match (last_failure, held) {
        (Some(Reason::RemovalsHeld), _) => {
            ConditionCause::new(ConditionStatus::False, Reason::RemovalsHeld, cause.clone())
        }
        (_, Some(held)) => ConditionCause::new(ConditionStatus::True, Reason::RemovalsHeld, held),
        (_, None) if pause_cause == Some(PauseCause::Suspended) => {
            ConditionCause::new(ConditionStatus::True, Reason::Suspended, messages::SUSPENDED.to_owned())
        }
        (Some(_), None) => ConditionCause::new(ConditionStatus::True, Reason::LastAttemptFailed, cause.clone()),
        (None, None) => {
            let list = messages::list_summary(last.completion_time.0, users);
            ConditionCause::new(ConditionStatus::True, Reason::Synced, list)
        }
    }
}

fn not_synced_yet(pause_cause: Option<PauseCause>) -> ConditionCause {
    let (reason, message) = match pause_cause {
        Some(PauseCause::Suspended) => (
            Reason::Suspended,
            "The connection is suspended and no list has been fetched yet. To start, set spec.suspend to false."
                .to_owned(),
        ),
        Some(PauseCause::Paused) => (Reason::Paused, messages::PAUSED.to_owned()),
        None => (Reason::Syncing, format!("{}.", Reason::Syncing.summary())),
    };
    ConditionCause::new(ConditionStatus::Unknown, reason, message)
}
