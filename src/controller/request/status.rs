//! The status of a request. Pure. A finished request is returned unchanged, so it never runs again.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use crate::{
    api::{
        BoxConnection, ConditionStatus, ConditionsExt, FailureClass, MAX_CONDITION_MESSAGE, Reason, RequestPhase,
        SyncProgress, UserSyncRequest, UserSyncRequestStatus, compose_message, new_condition, plugin_command,
    },
    controller::connection::{
        backoff::{add_duration, ceil_seconds},
        messages,
        plan::{MAX_PENDING_REQUESTS, deadline},
        plan_input::status_of,
        sync_outcome::{SyncOutcome, SyncResult},
    },
};

/// How long a request waits for a connection that does not exist yet.
pub(crate) const CONNECTION_TIMEOUT: Duration = Duration::from_secs(60);
/// Attempts with an invalid response after which a request fails.
const MAX_SUSPECT_ATTEMPTS: i64 = 3;
/// Time to the next attempt for a request of a disconnected connection; see the plan.
const DISCONNECTED_RETRY: Duration = Duration::from_secs(60);

const NEW_REQUEST_HINT: &str = "To sync again, create a new request.";

/// The request is known and waits.
pub(crate) fn pending_status(
    request: &UserSyncRequest,
    reason: Reason,
    message: String,
    now: Timestamp,
) -> UserSyncRequestStatus {
    status_with(request, RequestPhase::Pending, [("Reconciling", reason, message)], now, |_| {})
}

/// It waits until the operator is resumed; its deadline starts then.
pub(crate) fn paused_status(request: &UserSyncRequest, message: String, now: Timestamp) -> UserSyncRequestStatus {
    let status = pending_status(request, Reason::Paused, message, now);
    if status.phase.is_finished() { status } else { UserSyncRequestStatus { start_time: None, ..status } }
}

/// Its run takes long; with progress, where that is known.
pub(crate) fn running_status(
    request: &UserSyncRequest,
    progress: Option<SyncProgress>,
    start: Timestamp,
    now: Timestamp,
) -> UserSyncRequestStatus {
    let message = format!("{}.", Reason::Running.summary());
    status_with(request, RequestPhase::Running, [("Reconciling", Reason::Running, message)], now, |s| {
        s.start_time.get_or_insert(Time(start));
        s.progress = progress;
    })
}

/// It is refused without a call to Box.
pub(crate) fn refused_status(
    request: &UserSyncRequest,
    reason: Reason,
    connection: Option<&BoxConnection>,
    now: Timestamp,
) -> UserSyncRequestStatus {
    let name = &request.spec.connection_ref.name;
    let why = match reason {
        Reason::Suspended => {
            format!("BoxConnection {name} is suspended. Set its spec.suspend to false, then create a new request.")
        }
        Reason::TooManyRequests => format!(
            "{MAX_PENDING_REQUESTS} older requests already wait for BoxConnection {name}. One is enough: a sync answers all waiting requests."
        ),
        Reason::HeldListChanged => match connection {
            Some(connection) => {
                return failed_status(request, reason, approval_mismatch(connection), now, |_| {});
            }
            None => String::new(),
        },
        Reason::ConnectionNotFound => format!(
            "There is no BoxConnection {name} in namespace {}. Check kubectl get boxconnections, then create a new request.",
            request.namespace().unwrap_or_default()
        ),
        Reason::DeadlineExceeded => format!(
            "No sync finished within the deadline of {} seconds. Check kubectl describe boxconnection {name}, then create a new request.",
            request.spec.active_deadline_seconds
        ),
        other => format!(
            "No sync finished within the deadline of {} seconds. Last error: {}. Check kubectl describe boxconnection {name}, then create a new request.",
            request.spec.active_deadline_seconds,
            lowercase_first(other.summary())
        ),
    };
    failed_status(request, reason, why, now, |_| {})
}

/// Its run ended, as attempt number `attempts`; `connection` has the status after it.
pub(crate) fn status_after_sync(
    request: &UserSyncRequest,
    attempts: i64,
    outcome: &SyncOutcome,
    connection: &BoxConnection,
    now: Timestamp,
) -> UserSyncRequestStatus {
    let set_started = |s: &mut UserSyncRequestStatus| {
        s.start_time.get_or_insert(Time(outcome.start));
        s.attempts = attempts;
    };
    let failure = match &outcome.result {
        Ok(synced) if request.spec.approve_removals.is_none() || request.spec.approve_removals == synced.approved => {
            let SyncResult {
                users,
                added,
                updated,
                removed,
                revision,
                held,
                approved: _,
                mass_changes: _,
                damaged_history: _,
                visibility_delays: _,
                clock: _,
                earlier_publish: earlier,
            } = synced;
            let answers = messages::request_answered(outcome.end, users, *revision);
            let what = match earlier {
                Some((published, change)) => messages::published_earlier(*published, change, *revision, outcome.end),
                None => format!("It was published now: {}.", messages::change_counts(*added, *updated, *removed)),
            };
            let held = held.as_ref().map(|h| {
                format!(
                    "The removal of {} is held: {}.",
                    messages::format_user_count(h.removals),
                    plugin_command("approve", connection)
                )
            });
            let message =
                messages::join_sentences([&answers, &what, held.as_deref().unwrap_or_default(), NEW_REQUEST_HINT]);
            return status_with(request, RequestPhase::Succeeded, [("Complete", Reason::Synced, message)], now, |s| {
                set_started(s);
                s.completion_time = Some(Time(now));
                s.users = Some(*users);
                s.added = Some(*added);
                s.updated = Some(*updated);
                s.removed = Some(*removed);
                s.revision = Some(*revision);
            });
        }
        Ok(_) => {
            let message = approval_mismatch(connection);
            return failed_status(request, Reason::HeldListChanged, message, now, set_started);
        }
        Err(failure) if failure.reason == Reason::RemovalsHeld && request.spec.approve_removals.is_some() => {
            let message = approval_mismatch(connection);
            return failed_status(request, Reason::HeldListChanged, message, now, set_started);
        }
        Err(failure) => failure,
    };
    let next = next_attempt_time(connection, now);
    let late = next > deadline(request, outcome.start);
    // The end of the message when the request fails.
    let final_hint = match failure.reason.failure_class() {
        FailureClass::Disconnected | FailureClass::Stalled | FailureClass::RequestRejected | FailureClass::Neutral => {
            Some("Then create a new request.".to_owned())
        }
        FailureClass::Suspect if attempts >= MAX_SUSPECT_ATTEMPTS => {
            Some(format!("It failed {attempts} times. Create a new request once it is fixed."))
        }
        FailureClass::Suspect | FailureClass::Transient => {
            late.then(|| format!("The next attempt at {next} is past this request's deadline. Create a new request."))
        }
    };
    let next_attempt_hint = format!("The next attempt is at {next}.");
    let last = final_hint.as_ref().unwrap_or(&next_attempt_hint);
    let message = compose_message(&failure.summary, &failure.remediation);
    let message = match message.chars().count() + 1 + last.chars().count() {
        ..=MAX_CONDITION_MESSAGE => messages::join_sentences([&message, last]),
        _ => message,
    };
    match final_hint {
        Some(_) => failed_status(request, failure.reason, message, now, set_started),
        None => {
            status_with(request, RequestPhase::Pending, [("Reconciling", failure.reason, message)], now, set_started)
        }
    }
}

fn next_attempt_time(connection: &BoxConnection, now: Timestamp) -> Timestamp {
    let status = status_of(connection);
    let retry = status.failures.as_ref().and_then(|f| f.retry_time.as_ref()).map(|t| t.0);
    let disconnected = status.conditions.has_status("Connected", ConditionStatus::False);
    retry.filter(|_| !disconnected).unwrap_or_else(|| add_duration(now, DISCONNECTED_RETRY))
}

/// Why an approval took no effect.
fn approval_mismatch(connection: &BoxConnection) -> String {
    let what = match &status_of(connection).held {
        Some(held) => format!(
            "This request does not match the removals that wait for approval now ({}), and removed no users.",
            messages::format_user_count(held.removals)
        ),
        None => "No removals wait for approval; this request removed no users.".to_owned(),
    };
    compose_message(&what, &format!("Review them again: {}.", plugin_command("approve", connection)))
}

fn failed_status(
    request: &UserSyncRequest,
    reason: Reason,
    message: String,
    now: Timestamp,
    update: impl FnOnce(&mut UserSyncRequestStatus),
) -> UserSyncRequestStatus {
    let conditions = [("Failed", reason, message.clone()), ("Stalled", reason, message)];
    status_with(request, RequestPhase::Failed, conditions, now, |s| {
        update(s);
        s.completion_time = Some(Time(now));
    })
}

/// The request's status with this phase and these conditions, all of them True.
fn status_with<const N: usize>(
    request: &UserSyncRequest,
    phase: RequestPhase,
    conditions: [(&str, Reason, String); N],
    now: Timestamp,
    update: impl FnOnce(&mut UserSyncRequestStatus),
) -> UserSyncRequestStatus {
    let previous = request.status.clone().unwrap_or_default();
    if previous.phase.is_finished() {
        return previous;
    }
    let generation = request.metadata.generation.unwrap_or(-1);
    let new = conditions
        .map(|(kind, reason, message)| new_condition(kind, ConditionStatus::True, reason, message, generation, now));
    let mut status = UserSyncRequestStatus {
        observed_generation: request.metadata.generation,
        conditions: previous.conditions.keeping_transition_times(new.to_vec()),
        phase,
        progress: None,
        ..previous
    };
    update(&mut status);
    status.start_time.get_or_insert(Time(now));
    status
}

/// When a finished request is to be deleted; `None`: never.
pub(crate) fn deletion_time(request: &UserSyncRequest) -> Option<Timestamp> {
    let ttl = request.spec.ttl_seconds_after_finished?;
    let status = request.status.as_ref().filter(|s| s.phase.is_finished())?;
    let limit = Duration::from_secs(ttl.unsigned_abs().into());
    Some(crate::controller::connection::backoff::add_seconds(status.completion_time.as_ref()?.0, ceil_seconds(limit)))
}

fn lowercase_first(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().filter(|_| !text.starts_with("Box"));
    first.map_or_else(|| text.to_owned(), |c| c.to_lowercase().chain(chars).collect())
}
