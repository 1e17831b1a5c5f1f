//! What to do now for one connection. Pure: the decision table of docs/decisions.md, tested row by row below.

use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;

use super::{
    authorization,
    context::Rules,
    observe::{List, Observed},
    rhythm::{Rhythm, fresh_until},
    schedule::{after, seconds},
};
use crate::{
    api::{Conditions, Consequence, Failures, Reason, Trigger, UserSyncRequest},
    signin::recovery_cadence,
};

/// Unfinished requests a connection takes; the younger ones are refused.
pub(super) const MOST_REQUESTS: usize = 50;
/// How often the Secret of a disconnected connection is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// One step for the connection and, beside it, the requests to refuse. Refusing asks Box nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) step: Step,
    pub(super) refuse: Vec<(String, Reason)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing is due before then; without a time, not before something changes.
    Wait(Option<Timestamp>),
    /// Read which version of the Secret there is.
    Look,
    /// Tell what a sync published whose process was ended before it could.
    Report,
    /// Delete slices that nobody names.
    Sweep,
    /// Ask Box whether the credentials still work; list nobody.
    Probe,
    /// Fetch the list; the answer is for these requests and, where set, for this value of the annotation.
    Sync { trigger: Trigger, answers: Vec<String>, annotation: Option<String> },
}

impl Step {
    /// Whether somebody waits for it; all else is scheduled work.
    pub(super) fn asked_for(&self) -> bool {
        match self {
            Step::Wait(_) | Step::Look | Step::Report | Step::Sweep | Step::Probe => false,
            Step::Sync { answers, annotation, .. } => !answers.is_empty() || annotation.is_some(),
        }
    }
}

pub(super) fn plan(o: &Observed, rules: &Rules, now: Timestamp) -> Plan {
    if o.untold().is_some() {
        return Plan { step: Step::Report, refuse: Vec::new() };
    }
    let rhythm = Rhythm::of(&o.connection, rules.schedule_spread);
    let stale = fresh_until(&o.connection, &rhythm, o.status().last_sync.as_ref()).filter(|t| *t > now);
    let (requests, mut refuse) = crowd(o);
    if o.connection.spec.suspend {
        refuse.extend(requests.iter().map(|r| (r.name_any(), Reason::Suspended)));
        let step = if rules.paused { quiet(o, stale, now) } else { rest(o, stale, now) };
        return Plan { step: or_sweep(step, o, now), refuse };
    }
    let (requests, outdated): (Vec<_>, Vec<_>) = requests.into_iter().partition(|r| approves_what_is_held(o, r));
    refuse.extend(outdated.iter().map(|r| (r.name_any(), Reason::HeldListChanged)));
    if rules.paused {
        return Plan { step: or_sweep(quiet(o, stale, now), o, now), refuse };
    }
    let allowed = allowed_from(o, &requests, now);
    let (waiting, late): (Vec<_>, Vec<_>) = requests.into_iter().partition(|r| !out_of_time(r, allowed, now));
    refuse.extend(late.iter().map(|r| (r.name_any(), last_trouble(o, r))));
    let due = due_from(o, &waiting, allowed, &rhythm, now);
    Plan { step: or_sweep(step(o, &waiting, [due, stale], rules.min_sync_gap, now), o, now), refuse }
}

/// While nothing else is due, slices that nobody names are.
fn or_sweep(step: Step, o: &Observed, now: Timestamp) -> Step {
    match (step, o.recall.until_sweep) {
        (Step::Wait(_), Some(Duration::ZERO)) => Step::Sweep,
        (Step::Wait(until), Some(left)) => Step::Wait(until.into_iter().chain([after(now, left)]).min()),
        (step, _) => step,
    }
}

/// Whether a request approves nothing, or exactly what is held.
fn approves_what_is_held(o: &Observed, request: &UserSyncRequest) -> bool {
    let held = o.status().held.as_ref().map(|h| &h.digest);
    request.spec.approve_removals.is_none() || request.spec.approve_removals.as_ref() == held
}

fn step(
    o: &Observed,
    requests: &[&UserSyncRequest],
    [due, stale]: [Option<Timestamp>; 2],
    min_sync_gap: Duration,
    now: Timestamp,
) -> Step {
    let gap_ends = o.recall.since_listing.map(|ago| after(now, min_sync_gap.saturating_sub(ago)));
    let due = due.map(|due| due.max(gap_ends.unwrap_or(due)));
    if due.is_some_and(|due| due <= now) {
        let answers = requests.iter().map(|r| r.name_any()).collect();
        return Step::Sync { trigger: trigger(o, requests), answers, annotation: o.annotation().map(str::to_owned) };
    }
    let mut next: Vec<Timestamp> = due.into_iter().chain(stale).collect();
    if o.disconnected() {
        match o.recall.since_look.map(|ago| LOOK_EVERY.saturating_sub(ago)) {
            None | Some(Duration::ZERO) => return Step::Look,
            Some(left) => next.push(after(now, left)),
        }
    } else if probes(o) {
        if o.recall.until_probe.is_zero() {
            return Step::Probe;
        }
        next.push(after(now, o.recall.until_probe));
    }
    next.extend(warning(o, now));
    next.extend(requests.iter().filter(|r| tried(r)).map(|r| deadline(r, now)).filter(|t| *t > now));
    Step::Wait(next.into_iter().min())
}

/// The requests that are taken, and those that are too many.
fn crowd(o: &Observed) -> (Vec<&UserSyncRequest>, Vec<(String, Reason)>) {
    let mut requests: Vec<&UserSyncRequest> = o.requests.iter().map(AsRef::as_ref).collect();
    let surplus = requests.split_off(requests.len().min(MOST_REQUESTS));
    (requests, surplus.iter().map(|r| (r.name_any(), Reason::TooManyRequests)).collect())
}

/// From when on Box may be asked for a list, whether or not one is due.
fn allowed_from(o: &Observed, requests: &[&UserSyncRequest], now: Timestamp) -> Timestamp {
    if o.auth_changed() {
        return now;
    }
    let asked_anew = o.annotation().is_some() || requests.iter().any(|r| !tried(r));
    let next_try = if o.disconnected() {
        let mended = asked_anew || o.recall.secret_changed;
        let cadence = if requests.is_empty() { recovery(o, now) } else { LOOK_EVERY };
        match o.recall.since_try {
            Some(ago) if !mended => after(now, cadence.saturating_sub(ago)),
            Some(_) | None => now,
        }
    } else {
        match &o.status().failures {
            Some(f) if asked_anew && !f.retry_after => now,
            Some(f) if f.reason == Reason::RosterConflict.as_str() && !o.conflicts() => now,
            Some(f) => retry_from(o, f, now).unwrap_or(now),
            None => now,
        }
    };
    next_try.max(after(now, o.recall.until_allowed))
}

/// From when on a sync is due, which is never before it is allowed; `None`: nothing calls for one.
fn due_from(
    o: &Observed,
    requests: &[&UserSyncRequest],
    allowed: Timestamp,
    rhythm: &Rhythm,
    now: Timestamp,
) -> Option<Timestamp> {
    let status = o.status();
    let asked = o.annotation().is_some() || !requests.is_empty();
    if asked || o.auth_changed() || o.disconnected() {
        return Some(allowed);
    }
    match (&status.failures, &status.last_sync) {
        (Some(Failures { retry_time: Some(_), .. }), _) => Some(allowed),
        (Some(f), _) if f.last_time.0 > now => Some(now),
        (Some(f), _) => rhythm.next(f.last_time.0),
        (None, None) => Some(now),
        (None, Some(_)) if status.current_sync.is_some() => Some(now),
        (None, Some(_)) if o.list() == List::Gone || status.roster_ref.is_none() => Some(now),
        (None, Some(last)) if last.start_time.0 > now => Some(now),
        (None, Some(last)) => rhythm.next(last.start_time.0),
    }
}

/// The retry that `failures` names, but no further away than its own wait, measured since this process first saw it:
/// a clock that was set back delays no retry.
fn retry_from(o: &Observed, f: &Failures, now: Timestamp) -> Option<Timestamp> {
    let retry = f.retry_time.as_ref()?.0;
    let wait = Duration::try_from(f.last_time.0.duration_until(retry)).unwrap_or_default();
    Some(retry.min(after(now, wait.saturating_sub(o.recall.since_failure))))
}

fn recovery(o: &Observed, now: Timestamp) -> Duration {
    recovery_cadence(o.lost_at().unwrap_or(now).duration_until(now))
}

/// The weightiest of what calls for the sync.
fn trigger(o: &Observed, requests: &[&UserSyncRequest]) -> Trigger {
    let status = o.status();
    let trigger = if status.last_sync.is_none() {
        Trigger::Created
    } else if o.disconnected() || o.auth_changed() {
        Trigger::Reconnected
    } else if o.annotation().is_some() || !requests.is_empty() {
        Trigger::Requested
    } else if status.failures.as_ref().is_some_and(|f| f.retry_time.is_some()) {
        Trigger::Retry
    } else {
        Trigger::Scheduled
    };
    status.current_sync.as_ref().map_or(trigger, |interrupted| trigger.min(interrupted.trigger))
}

/// A probe is for connections that work: not while a retry, which finds out as well, is pending.
fn probes(o: &Observed) -> bool {
    let retrying = o.status().failures.as_ref().is_some_and(|f| f.retry_time.is_some());
    o.connected() && !retrying
}

/// A suspended connection asks Box nothing, but does not let the authorization of a user end. `stale` is when its list
/// becomes so.
fn rest(o: &Observed, stale: Option<Timestamp>, now: Timestamp) -> Step {
    let authorization = o.status().authorization.as_ref().filter(|_| o.connected());
    let renewal = authorization.map(|a| authorization::renewed_at(a).max(after(now, o.recall.until_probe)));
    match renewal {
        Some(time) if time <= now => Step::Probe,
        other => Step::Wait(stale.into_iter().chain(warning(o, now)).chain(other).min()),
    }
}

/// Box is not asked; the status is told when it has to say something else.
fn quiet(o: &Observed, stale: Option<Timestamp>, now: Timestamp) -> Step {
    Step::Wait(stale.into_iter().chain(warning(o, now)).min())
}

/// When the status has to warn that the authorization of a user ends.
fn warning(o: &Observed, now: Timestamp) -> Option<Timestamp> {
    let unwarned = o.status().authorization.as_ref().filter(|a| a.warned_time.is_none());
    unwarned.map(|a| authorization::warns_at(a).max(now))
}

/// Whether an attempt was made for the request already.
fn tried(request: &UserSyncRequest) -> bool {
    request.status.as_ref().is_some_and(|s| s.attempts > 0)
}

pub(super) fn deadline(request: &UserSyncRequest, now: Timestamp) -> Timestamp {
    let start = request.status.as_ref().and_then(|s| s.start_time.as_ref()).map_or(now, |t| t.0);
    let limit = Duration::from_secs(request.spec.active_deadline_seconds.unsigned_abs().into());
    after(start, limit)
}

/// Whether the request's next try would lie beyond its deadline. One that only waits for a place or for the gap
/// between two syncs was never kept by trouble and goes on waiting.
fn out_of_time(request: &UserSyncRequest, allowed: Timestamp, now: Timestamp) -> bool {
    let next_try = if tried(request) { allowed.max(now) } else { allowed };
    (tried(request) || allowed > now) && next_try > deadline(request, now)
}

/// What keeps the request: its own last trouble, the connection's, or else a wait that Box asked for.
fn last_trouble(o: &Observed, request: &UserSyncRequest) -> Reason {
    let told = request.status.as_ref().and_then(|s| s.conditions.reason("Reconciling"));
    let trouble = |r: &Reason| r.consequence() != Consequence::Neutral;
    let failures = o.status().failures.as_ref().and_then(|f| Reason::parse(&f.reason));
    told.filter(trouble).or(failures.filter(trouble)).unwrap_or(Reason::RateLimited)
}

/// How many seconds from `now` until `time`; zero where it is past.
pub(super) fn wait_until(time: Timestamp, now: Timestamp) -> Duration {
    Duration::from_secs(seconds(Duration::try_from(now.duration_until(time)).unwrap_or_default()).unsigned_abs())
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
