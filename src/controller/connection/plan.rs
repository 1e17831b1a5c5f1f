//! The next step for one connection. Pure; docs/decisions.md is its decision table, tested row by row.

use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;

use super::{
    backoff::{add_duration, ceil_seconds},
    plan_input::{PlanInput, RosterPresence},
    plan_reason::{Due, PlanReason},
    sync_schedule::{ResolvedSchedule, stale_time},
};
use crate::{
    api::{ConditionsExt, FailureClass, Reason, SyncFailures, Trigger, UserSyncRequest},
    auth::reconnect_interval,
    controller::{oauth::expiry, options::ControllerOptions},
};

/// Unfinished requests that a connection accepts; newer ones are refused.
pub(crate) const MAX_PENDING_REQUESTS: usize = 50;
/// How often the Secret of a disconnected connection is checked.
const SECRET_CHECK_INTERVAL: Duration = Duration::from_secs(60);

/// One step for the connection, why, and the requests to refuse. Refusing calls nothing at Box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) step: Step,
    pub(crate) reason: PlanReason,
    pub(crate) refused_requests: Vec<(String, Reason)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing is due before then; without a time, not before something changes.
    Wait(Option<Timestamp>),
    /// Read the version of the Secret.
    CheckSecret,
    /// Report a revision whose publisher ended before it could.
    Report,
    /// Delete unreferenced slices.
    CollectGarbage,
    /// Check in Box whether the credentials still work, without a listing.
    Probe,
    /// Fetch the list, for these requests and, if set, for this value of the annotation.
    Sync { trigger: Trigger, request_names: Vec<String>, annotation: Option<String> },
}

impl Step {
    pub(crate) const fn as_str(&self) -> &'static str {
        match self {
            Step::Wait(_) => "wait",
            Step::CheckSecret => "check the Secret",
            Step::Report => "report",
            Step::CollectGarbage => "collect garbage",
            Step::Probe => "probe",
            Step::Sync { .. } => "sync",
        }
    }

    pub(crate) const fn wait_until(&self) -> Option<Timestamp> {
        match self {
            Step::Wait(until) => *until,
            Step::CheckSecret | Step::Report | Step::CollectGarbage | Step::Probe | Step::Sync { .. } => None,
        }
    }

    /// Whether it needs a permit.
    pub(crate) fn calls_box(&self) -> bool {
        match self {
            Step::Wait(_) | Step::CheckSecret | Step::Report | Step::CollectGarbage => false,
            Step::Probe | Step::Sync { .. } => true,
        }
    }

    /// Whether a request or an annotation waits for it; all else is scheduled work.
    pub(crate) fn is_requested(&self) -> bool {
        match self {
            Step::Wait(_) | Step::CheckSecret | Step::Report | Step::CollectGarbage | Step::Probe => false,
            Step::Sync { request_names, annotation, .. } => !request_names.is_empty() || annotation.is_some(),
        }
    }
}

pub(crate) fn plan(input: &PlanInput, options: &ControllerOptions, now: Timestamp) -> Plan {
    if input.unreported_publish().is_some() {
        return Plan { step: Step::Report, reason: PlanReason::UnreportedRevision, refused_requests: Vec::new() };
    }
    let schedule = ResolvedSchedule::for_connection(&input.connection, options.schedule_spread);
    let stale = stale_time(&input.connection, &schedule, input.status().last_sync.as_ref())
        .filter(|t| *t > now)
        .map(|at| Due { at, reason: PlanReason::StaleTime });
    let (requests, mut refuse) = limit_requests(input);
    if input.connection.spec.suspend {
        refuse.extend(requests.iter().map(|r| (r.name_any(), Reason::Suspended)));
        let next =
            if options.paused { wait_while_paused(input, stale, now) } else { plan_suspended(input, stale, now) };
        return or_collect_garbage(next, input, now).refusing(refuse);
    }
    let (requests, outdated): (Vec<_>, Vec<_>) = requests.into_iter().partition(|r| approval_matches_held(input, r));
    refuse.extend(outdated.iter().map(|r| (r.name_any(), Reason::HeldListChanged)));
    if options.paused {
        return or_collect_garbage(wait_while_paused(input, stale, now), input, now).refusing(refuse);
    }
    let allowed = earliest_sync(input, &requests, now);
    let (waiting, past_deadline): (Vec<_>, Vec<_>) =
        requests.into_iter().partition(|r| !misses_deadline(r, allowed.at, now));
    refuse.extend(past_deadline.iter().map(|r| (r.name_any(), last_failure_reason(input, r))));
    let due = sync_due(input, &waiting, allowed, &schedule, now);
    or_collect_garbage(next_step(input, &waiting, [due, stale], options.min_sync_gap, now), input, now).refusing(refuse)
}

impl Plan {
    fn now(step: Step, reason: PlanReason) -> Self {
        Self { step, reason, refused_requests: Vec::new() }
    }

    /// Waits for the first of these times; `otherwise` says why there is none.
    fn wait(times: impl IntoIterator<Item = Due>, otherwise: PlanReason) -> Self {
        match times.into_iter().min_by_key(|due| due.at) {
            Some(Due { at, reason }) => Self::now(Step::Wait(Some(at)), reason),
            None => Self::now(Step::Wait(None), otherwise),
        }
    }

    fn refusing(self, refused_requests: Vec<(String, Reason)>) -> Self {
        Self { refused_requests, ..self }
    }
}

/// Deletes unreferenced slices when their grace period is over and nothing else is due.
fn or_collect_garbage(plan: Plan, input: &PlanInput, now: Timestamp) -> Plan {
    match (&plan.step, input.state.until_garbage_collection) {
        (Step::Wait(_), Some(Duration::ZERO)) => Plan::now(Step::CollectGarbage, PlanReason::UnreferencedSlices),
        (Step::Wait(until), Some(left)) => {
            let known = until.map(|at| Due { at, reason: plan.reason });
            let garbage = Due { at: add_duration(now, left), reason: PlanReason::UnreferencedSlices };
            Plan::wait(known.into_iter().chain([garbage]), plan.reason)
        }
        _ => plan,
    }
}

/// Whether a request approves nothing, or exactly the held removals.
fn approval_matches_held(input: &PlanInput, request: &UserSyncRequest) -> bool {
    let held = input.status().held.as_ref().map(|h| &h.digest);
    request.spec.approve_removals.is_none() || request.spec.approve_removals.as_ref() == held
}

fn next_step(
    input: &PlanInput,
    requests: &[&UserSyncRequest],
    [due, stale]: [Option<Due>; 2],
    min_sync_gap: Duration,
    now: Timestamp,
) -> Plan {
    let gap_end = input
        .state
        .since_listing
        .map(|ago| add_duration(now, min_sync_gap.saturating_sub(ago)))
        .filter(|end| *end > now);
    let due = due.map(|due| due.not_before(gap_end.unwrap_or(due.at), PlanReason::MinSyncGap));
    if let Some(due) = due.filter(|due| due.at <= now) {
        let request_names = requests.iter().map(|r| r.name_any()).collect();
        let annotation = input.pending_annotation();
        return Plan::now(Step::Sync { trigger: trigger(input, requests), request_names, annotation }, due.reason);
    }
    let mut next: Vec<Due> = due.into_iter().chain(stale).collect();
    if input.is_disconnected() {
        match input.state.since_secret_check.map(|ago| SECRET_CHECK_INTERVAL.saturating_sub(ago)) {
            None | Some(Duration::ZERO) => return Plan::now(Step::CheckSecret, PlanReason::SecretCheck),
            Some(left) => next.push(Due { at: add_duration(now, left), reason: PlanReason::SecretCheck }),
        }
    } else if should_probe(input) {
        if input.state.until_probe.is_zero() {
            return Plan::now(Step::Probe, PlanReason::Probe);
        }
        next.push(Due { at: add_duration(now, input.state.until_probe), reason: PlanReason::Probe });
    }
    next.extend(expiry_warning_due(input, now));
    let deadlines = requests.iter().filter(|r| was_attempted(r)).map(|r| deadline(r, now)).filter(|t| *t > now);
    next.extend(deadlines.map(|at| Due { at, reason: PlanReason::RequestDeadline }));
    Plan::wait(next, PlanReason::NothingDue)
}

/// The accepted requests, and those beyond the limit.
fn limit_requests(input: &PlanInput) -> (Vec<&UserSyncRequest>, Vec<(String, Reason)>) {
    let mut requests: Vec<&UserSyncRequest> = input.requests.iter().map(AsRef::as_ref).collect();
    let surplus = requests.split_off(requests.len().min(MAX_PENDING_REQUESTS));
    (requests, surplus.iter().map(|r| (r.name_any(), Reason::TooManyRequests)).collect())
}

/// The earliest time at which Box may be called for a list, whether or not a sync is due, and what delays it until then.
fn earliest_sync(input: &PlanInput, requests: &[&UserSyncRequest], now: Timestamp) -> Due {
    let immediately = Due { at: now, reason: PlanReason::NothingDue };
    if input.auth_changed() {
        return immediately;
    }
    let newly_requested = input.pending_annotation().is_some() || requests.iter().any(|r| !was_attempted(r));
    let next_attempt = if input.is_disconnected() {
        let retry_immediately = newly_requested || input.state.secret_changed;
        let interval = if requests.is_empty() { current_reconnect_interval(input, now) } else { SECRET_CHECK_INTERVAL };
        match input.state.since_sign_in {
            Some(ago) if !retry_immediately => {
                Due { at: add_duration(now, interval.saturating_sub(ago)), reason: PlanReason::ReconnectInterval }
            }
            Some(_) | None => immediately,
        }
    } else {
        match &input.status().failures {
            Some(f) if newly_requested && !f.retry_after => immediately,
            Some(f) if f.reason == Reason::RosterConflict.as_str() && !input.has_roster_conflict() => immediately,
            Some(f) => {
                let reason = if f.retry_after { PlanReason::RetryAfter } else { PlanReason::Retry };
                retry_due(input, f, now).map_or(immediately, |at| Due { at, reason })
            }
            None => immediately,
        }
    };
    next_attempt.not_before(add_duration(now, input.state.until_retry_allowed), PlanReason::RetryAfter)
}

/// When a sync is due, never before it is allowed; `None`: nothing calls for one.
fn sync_due(
    input: &PlanInput,
    requests: &[&UserSyncRequest],
    allowed: Due,
    schedule: &ResolvedSchedule,
    now: Timestamp,
) -> Option<Due> {
    let status = input.status();
    // What delays a sync is why it waits; what calls for it is why it runs.
    let when_allowed = |reason| Some(if allowed.at > now { allowed } else { Due { reason, ..allowed } });
    let immediately = |reason| Some(Due { at: now, reason });
    let scheduled = |last| schedule.next_start(last).map(|at| Due { at, reason: schedule.plan_reason() });
    if input.auth_changed() {
        let accepted_before = status.credentials.is_some();
        return when_allowed(if accepted_before { PlanReason::CredentialsChanged } else { PlanReason::FirstSync });
    }
    if !requests.is_empty() {
        return when_allowed(PlanReason::Request);
    }
    if input.pending_annotation().is_some() {
        return when_allowed(PlanReason::Annotation);
    }
    if input.is_disconnected() {
        let changed = input.state.secret_changed;
        return when_allowed(if changed { PlanReason::SecretChanged } else { PlanReason::ReconnectInterval });
    }
    match (&status.failures, &status.last_sync) {
        (Some(SyncFailures { retry_time: Some(_), .. }), _) => when_allowed(PlanReason::Retry),
        (Some(f), _) if f.last_time.0 > now => immediately(PlanReason::ClockSetBack),
        (Some(f), _) => scheduled(f.last_time.0),
        (None, None) => immediately(PlanReason::FirstSync),
        (None, Some(_)) if status.current_sync.is_some() => immediately(PlanReason::InterruptedSync),
        (None, Some(_)) if input.roster_presence() != RosterPresence::Present || status.roster_ref.is_none() => {
            immediately(PlanReason::ListMissing)
        }
        (None, Some(last)) if last.start_time.0 > now => immediately(PlanReason::ClockSetBack),
        (None, Some(last)) => scheduled(last.start_time.0),
    }
}

/// The retry time of `failures`, but no later than its wait measured since this process first read it: a clock that was
/// set back delays no retry.
fn retry_due(input: &PlanInput, f: &SyncFailures, now: Timestamp) -> Option<Timestamp> {
    let retry = f.retry_time.as_ref()?.0;
    let wait = Duration::try_from(f.last_time.0.duration_until(retry)).unwrap_or_default();
    Some(retry.min(add_duration(now, wait.saturating_sub(input.state.since_failure))))
}

fn current_reconnect_interval(input: &PlanInput, now: Timestamp) -> Duration {
    reconnect_interval(input.disconnected_since().unwrap_or(now).duration_until(now))
}

/// The most important trigger of the sync.
fn trigger(input: &PlanInput, requests: &[&UserSyncRequest]) -> Trigger {
    let status = input.status();
    let trigger = if status.last_sync.is_none() {
        Trigger::Created
    } else if input.is_disconnected() || input.auth_changed() {
        Trigger::Reconnected
    } else if input.pending_annotation().is_some() || !requests.is_empty() {
        Trigger::Requested
    } else if status.failures.as_ref().is_some_and(|f| f.retry_time.is_some()) {
        Trigger::Retry
    } else {
        Trigger::Scheduled
    };
    status.current_sync.as_ref().map_or(trigger, |interrupted| trigger.min(interrupted.trigger))
}

/// A probe is for working connections, not while a retry is pending, which checks the credentials as well.
fn should_probe(input: &PlanInput) -> bool {
    let retrying = input.status().failures.as_ref().is_some_and(|f| f.retry_time.is_some());
    input.is_connected() && !retrying
}

/// A suspended connection does not call Box, except to renew the authorization of a user.
fn plan_suspended(input: &PlanInput, stale: Option<Due>, now: Timestamp) -> Plan {
    let authorization = input.status().authorization.as_ref().filter(|_| input.is_connected());
    let renewal = authorization.map(|a| Due {
        at: expiry::renewal_time(a).max(add_duration(now, input.state.until_probe)),
        reason: PlanReason::AuthorizationRenewal,
    });
    match renewal {
        Some(due) if due.at <= now => Plan::now(Step::Probe, due.reason),
        other => {
            Plan::wait(stale.into_iter().chain(expiry_warning_due(input, now)).chain(other), PlanReason::Suspended)
        }
    }
}

/// Box is not called; the status is updated when it must change.
fn wait_while_paused(input: &PlanInput, stale: Option<Due>, now: Timestamp) -> Plan {
    Plan::wait(stale.into_iter().chain(expiry_warning_due(input, now)), PlanReason::Paused)
}

/// When the status must warn that the authorization of a user expires.
fn expiry_warning_due(input: &PlanInput, now: Timestamp) -> Option<Due> {
    let unwarned = input.status().authorization.as_ref().filter(|a| a.warned_time.is_none());
    unwarned.map(|a| Due { at: expiry::warning_time(a).max(now), reason: PlanReason::AuthorizationWarning })
}

/// Whether a sync was attempted for the request.
fn was_attempted(request: &UserSyncRequest) -> bool {
    request.status.as_ref().is_some_and(|s| s.attempts > 0)
}

pub(crate) fn deadline(request: &UserSyncRequest, now: Timestamp) -> Timestamp {
    let start = request.status.as_ref().and_then(|s| s.start_time.as_ref()).map_or(now, |t| t.0);
    let limit = Duration::from_secs(request.spec.active_deadline_seconds.unsigned_abs().into());
    add_duration(start, limit)
}

/// Whether the request's next attempt is past its deadline. One that only waits for a permit or for the gap between two
/// syncs has not failed and keeps waiting, until the request's own reconcile ends it half a minute after the deadline.
fn misses_deadline(request: &UserSyncRequest, allowed: Timestamp, now: Timestamp) -> bool {
    let next_attempt = if was_attempted(request) { allowed.max(now) } else { allowed };
    (was_attempted(request) || allowed > now) && next_attempt > deadline(request, now)
}

/// Why the request failed: its own last error, the connection's, or else a delay that Box requested.
fn last_failure_reason(input: &PlanInput, request: &UserSyncRequest) -> Reason {
    let request_reason = request.status.as_ref().and_then(|s| s.conditions.reason("Reconciling"));
    let is_failure = |r: &Reason| r.failure_class() != FailureClass::Neutral;
    let failures = input.status().failures.as_ref().and_then(|f| Reason::parse(&f.reason));
    request_reason.filter(is_failure).or(failures.filter(is_failure)).unwrap_or(Reason::RateLimited)
}

/// Seconds from `now` until `time`; zero if it is past.
pub(crate) fn duration_until(time: Timestamp, now: Timestamp) -> Duration {
    Duration::from_secs(ceil_seconds(Duration::try_from(now.duration_until(time)).unwrap_or_default()).unsigned_abs())
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
