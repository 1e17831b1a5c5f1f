//! The status of a connection, from the previous status and an update. Pure.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{
    backoff::{add_duration, backoff},
    clock_check::MAX_CLOCK_SKEW,
    conditions::{ConditionCause, ConditionInputs, RootConditions, build_conditions},
    failure_messages::Failure,
    messages,
    plan_input::{RosterPresence, auth_differs, generation_unobserved, status_of},
    sync_outcome::{SignedIn, SyncOutcome, SyncResult},
    sync_schedule::{ResolvedSchedule, stale_time},
};
use crate::{
    api::{
        AcceptedCredentials, BoxConnection, BoxConnectionStatus, ConditionStatus, ConditionsExt, CurrentSync,
        FailureClass, LastSync, Reason, RosterRef, SyncAttempt, SyncFailures,
    },
    controller::{oauth::expiry, options::ControllerOptions, request::requested_by},
};

const MAX_HISTORY: usize = 5;
const MAX_NAMES: usize = 10;

/// An update to report.
#[derive(Clone, Debug)]
pub(crate) enum StatusUpdate<'a> {
    /// Time has passed or the spec has changed.
    Refresh,
    /// A long run that has signed in continues.
    Progress(CurrentSync, &'a SignedIn),
    /// A run was stopped without a result.
    Stopped,
    /// A probe ended.
    Probed(&'a Result<SignedIn, Failure>),
    /// A run ended.
    SyncFinished(&'a SyncOutcome),
}

/// The status that should be stored now, from the stored one and an update.
pub(crate) fn build_status(
    connection: &BoxConnection,
    roster_presence: RosterPresence,
    update: &StatusUpdate<'_>,
    options: &ControllerOptions,
    now: Timestamp,
) -> BoxConnectionStatus {
    let schedule = ResolvedSchedule::for_connection(connection, options.schedule_spread);
    let mut root_conditions = RootConditions::from_status(status_of(connection));
    let mut status = status_of(connection).clone();
    // Messages of failures show until when the list is fresh by the current spec.
    status.stale_time = fresh_until(connection, &schedule, status.last_sync.as_ref(), now).map(Time);
    match update {
        // Nothing runs now, and where Box is not called nothing ends what a killed process has begun.
        StatusUpdate::Refresh if connection.spec.suspend || options.paused => status.current_sync = None,
        StatusUpdate::Refresh => {}
        StatusUpdate::Progress(current, signed_in) => {
            status.current_sync = Some(current.clone());
            apply_sign_in(&mut status, &mut root_conditions, signed_in, now);
        }
        StatusUpdate::Stopped => status.current_sync = None,
        StatusUpdate::Probed(Ok(signed_in)) => apply_sign_in(&mut status, &mut root_conditions, signed_in, now),
        StatusUpdate::Probed(Err(failure)) => {
            if failure.reason.failure_class() == FailureClass::Disconnected {
                root_conditions.connected = ConditionCause::from_failure(failure);
            }
        }
        StatusUpdate::SyncFinished(outcome) => {
            if !is_repeat(connection, outcome) && !is_recorded(connection, outcome) {
                apply_sync_outcome(connection, &mut status, &mut root_conditions, outcome);
            }
        }
    }
    status.operator = Some(options.operator.clone());
    let inputs = ConditionInputs { roster_presence, schedule: &schedule, paused: options.paused };
    refresh_derived_fields(connection, &inputs, &mut status, root_conditions, now);
    status
}

/// Until when the list is fresh. A completion in the future, by a clock that was ahead, says nothing about the age of the
/// list: it is stale from when that is first seen until the next sync.
fn fresh_until(
    connection: &BoxConnection,
    schedule: &ResolvedSchedule,
    last: Option<&LastSync>,
    now: Timestamp,
) -> Option<Timestamp> {
    let completion = last?.completion_time.0;
    let stored = status_of(connection);
    let noticed =
        stored.stale_time.as_ref().map(|t| t.0).filter(|t| *t < completion && stored.last_sync.as_ref() == last);
    let in_future = now.duration_until(completion) > MAX_CLOCK_SKEW;
    noticed.or_else(|| in_future.then_some(now)).or_else(|| stale_time(connection, schedule, last))
}

/// Whether an unrequested attempt found a disconnected connection unchanged: it is not recorded.
fn is_repeat(connection: &BoxConnection, outcome: &SyncOutcome) -> bool {
    let status = status_of(connection);
    let unrequested = outcome.requests.is_empty() && outcome.annotation.is_none();
    let lost = status.conditions.has_status("Connected", ConditionStatus::False);
    let known = outcome.generation == status.observed_generation;
    let as_before = outcome.result.as_ref().is_err_and(|f| match f.reason.failure_class() {
        FailureClass::Disconnected => status.conditions.reason("Connected") == Some(f.reason),
        FailureClass::Transient | FailureClass::Suspect => outcome.signed_in.is_none(),
        FailureClass::Stalled | FailureClass::RequestRejected | FailureClass::Neutral => false,
    });
    lost && unrequested && known && as_before && status.current_sync.is_none()
}

/// Whether this very outcome is in the status: an earlier write of it was applied late, after its response was lost and
/// the status was read again. Two runs can end in one second, but not with the same generation, annotation and requests.
fn is_recorded(connection: &BoxConnection, outcome: &SyncOutcome) -> bool {
    let status = status_of(connection);
    let handled = outcome.annotation.is_none() || status.last_handled_request == outcome.annotation;
    let is_entry = |entry: &SyncAttempt| {
        let same_run = match &outcome.result {
            // A run is also reported from its roster, which does not know when it ended.
            Ok(synced) => {
                entry.reason == Reason::Synced.as_str()
                    && entry.start_time.0 == outcome.start
                    && entry.revision == Some(synced.revision)
            }
            // Repeated failures are one entry, with the end of the last.
            Err(failure) => entry.reason == failure.reason.as_str() && entry.completion_time.0 == outcome.end,
        };
        same_run && outcome.requests.iter().take(MAX_NAMES).all(|name| entry.requests.contains(name))
    };
    handled && status.observed_generation >= outcome.generation && status.history.iter().any(is_entry)
}

fn apply_sync_outcome(
    connection: &BoxConnection,
    status: &mut BoxConnectionStatus,
    root_conditions: &mut RootConditions,
    outcome: &SyncOutcome,
) {
    status.current_sync = None;
    status.observed_generation = outcome.generation;
    if outcome.annotation.is_some() {
        status.last_handled_request.clone_from(&outcome.annotation);
    }
    if outcome.app.is_some() {
        status.app.clone_from(&outcome.app);
    }
    if let Some(signed_in) = &outcome.signed_in {
        apply_sign_in(status, root_conditions, signed_in, outcome.end);
    }
    match &outcome.result {
        Ok(synced) => {
            let SyncResult {
                users,
                added,
                updated,
                removed,
                revision,
                held,
                approved: _,
                mass_changes: _,
                clock,
                damaged_history,
                visibility_delays: _,
                earlier_publish: _,
            } = synced;
            let (users, added, updated, removed, revision) = (*users, *added, *updated, *removed, *revision);
            status.users = Some(users);
            status.failures = None;
            status.held.clone_from(held);
            status.roster_ref = connection.metadata.name.clone().map(|name| RosterRef { name, revision });
            status.last_sync = Some(LastSync {
                trigger: outcome.trigger,
                start_time: Time(outcome.start),
                completion_time: Time(outcome.end),
                added,
                updated,
                removed,
                revision,
            });
            root_conditions.synced = ConditionCause::new(
                ConditionStatus::True,
                Reason::Synced,
                messages::sync_summary(outcome.end, &users, clock, *damaged_history),
            );
        }
        Err(failure) => {
            if let Some(held) = &failure.held {
                status.held = Some(held.as_ref().clone());
            }
            apply_failure(connection, status, root_conditions, failure, outcome.end);
        }
    }
    push_history(&mut status.history, outcome);
}

fn apply_failure(
    connection: &BoxConnection,
    status: &mut BoxConnectionStatus,
    root_conditions: &mut RootConditions,
    failure: &Failure,
    end: Timestamp,
) {
    let consequence = failure.reason.failure_class();
    let is_retried = matches!(consequence, FailureClass::Transient | FailureClass::Suspect);
    if is_retried && root_conditions.connected.state == ConditionStatus::False {
        return;
    }
    let before = status.failures.take().filter(|f| f.retry_time.is_some() == is_retried);
    let count = before.map_or(0, |f| f.count) + 1;
    let uid = connection.metadata.uid.as_deref().unwrap_or_default();
    let wait = failure.retry_after.unwrap_or_else(|| backoff(uid, count));
    status.failures = Some(SyncFailures {
        reason: failure.reason.as_str().to_owned(),
        count,
        last_time: Time(end),
        retry_time: is_retried.then(|| Time(add_duration(end, wait))),
        retry_after: is_retried && failure.retry_after.is_some(),
    });
    if consequence == FailureClass::Disconnected {
        root_conditions.connected = ConditionCause::from_failure(failure);
    }
    root_conditions.synced = ConditionCause::from_failure(failure);
}

fn apply_sign_in(
    status: &mut BoxConnectionStatus,
    root_conditions: &mut RootConditions,
    signed_in: &SignedIn,
    now: Timestamp,
) {
    status.authorization =
        expiry::updated_authorization(status.authorization.take(), signed_in.authorization_expiration);
    let same = status.credentials.as_ref().is_some_and(|c| {
        c.method == signed_in.method.as_str()
            && c.secret_name == signed_in.secret_name
            && c.user_id == signed_in.user_id
            && c.resource_version == signed_in.resource_version
    });
    if same && root_conditions.connected.state == ConditionStatus::True {
        return;
    }
    if !same {
        status.credentials = Some(AcceptedCredentials {
            method: signed_in.method.as_str().to_owned(),
            secret_name: signed_in.secret_name.clone(),
            resource_version: signed_in.resource_version.clone(),
            user_id: signed_in.user_id.clone(),
            accepted_time: Time(now),
        });
    }
    status.enterprise = Some(signed_in.enterprise.clone());
    status.account = Some(signed_in.account.clone());
    status.app = Some(signed_in.app.clone());
    let message = format!(
        "Box accepts the credentials of Secret {} for enterprise {} ({}) as {}.",
        signed_in.secret_name, signed_in.enterprise.id, signed_in.enterprise.name, signed_in.account.login
    );
    root_conditions.connected = ConditionCause::new(ConditionStatus::True, Reason::Connected, message);
}

fn push_history(history: &mut Vec<SyncAttempt>, outcome: &SyncOutcome) {
    let (reason, synced) = match &outcome.result {
        Ok(synced) => (Reason::Synced, Some(synced)),
        Err(failure) => (failure.reason, None),
    };
    let calls = i64::from(outcome.calls);
    match history.first_mut() {
        Some(last) if synced.is_none() && last.reason == reason.as_str() => {
            last.completion_time = Time(outcome.end);
            last.attempts += 1;
            last.calls += calls;
            add_names(&mut last.requests, &outcome.requests, MAX_NAMES);
            add_names(&mut last.requested_by, &outcome.requested_by, requested_by::MAX_REQUESTERS);
        }
        Some(_) | None => history.insert(
            0,
            SyncAttempt {
                trigger: outcome.trigger,
                start_time: Time(outcome.start),
                completion_time: Time(outcome.end),
                reason: reason.as_str().to_owned(),
                attempts: 1,
                calls,
                users: synced.map(|s| s.users.total),
                added: synced.map(|s| s.added),
                updated: synced.map(|s| s.updated),
                removed: synced.map(|s| s.removed),
                revision: synced.map(|s| s.revision),
                mass_changes: synced.map(|s| s.mass_changes.clone()).unwrap_or_default(),
                requests: outcome.requests.iter().take(MAX_NAMES).cloned().collect(),
                requested_by: outcome.requested_by.clone(),
            },
        ),
    }
    history.truncate(MAX_HISTORY);
}

/// Adds the new names, up to the limit.
fn add_names(names: &mut Vec<String>, more: &[String], most: usize) {
    for name in more {
        if names.len() < most && !names.contains(name) {
            names.push(name.clone());
        }
    }
}

/// Updates all derived fields: observedGeneration, the times and the conditions.
fn refresh_derived_fields(
    connection: &BoxConnection,
    inputs: &ConditionInputs<'_>,
    status: &mut BoxConnectionStatus,
    root_conditions: RootConditions,
    now: Timestamp,
) {
    let spec = &connection.spec;
    let sync_applied = status.observed_generation != status_of(connection).observed_generation;
    if !sync_applied && (spec.suspend || !(generation_unobserved(connection) && auth_differs(connection))) {
        status.observed_generation = connection.metadata.generation;
    }
    if root_conditions.connected.reason == Reason::AuthorizationExpired {
        status.authorization = None;
    }
    if let Some(authorization) = &mut status.authorization {
        expiry::mark_warned(authorization, now);
    }
    let schedule = inputs.schedule;
    let next = inputs.next_sync_time(connection, status, &root_conditions);
    status.next_sync = next.map(|t| schedule.format_time(t));
    status.next_sync_time = next.map(Time);
    status.stale_time = fresh_until(connection, schedule, status.last_sync.as_ref(), now).map(Time);
    let new = build_conditions(connection, inputs, status, root_conditions, now);
    status.conditions = status_of(connection).conditions.keeping_transition_times(new);
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;
