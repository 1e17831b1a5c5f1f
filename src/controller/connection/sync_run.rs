//! One supervised sync of one connection: it is stopped when it is no longer wanted, and a long one reports progress.

use std::{panic::AssertUnwindSafe, sync::OnceLock, time::Duration};

use futures::FutureExt;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    clock_check::{ClockCheck, check_clock},
    failure_messages::Failure,
    plan_input::PlanInput,
    progress::RunObjects,
    sign_in::{self, PreparedSignIn, SignInCheck, SignInError, SignInFailure, SignInSuccess},
    state::{ConnectionKey, log_name},
    sync_outcome::{SignedIn, SyncOutcome, SyncResult},
};
use crate::{
    api::{BoxApp, CurrentSync, RequestRef, RosterChange, SyncProgress, Trigger, UserSyncRequest},
    controller::{
        context::Context,
        permits::{ListHold, Permit},
        request::requested_by::requesters,
        telemetry::{ClockChecked, SyncEnded},
    },
    roster::{self, Fence, PublishOutcome, PublishRequest, RosterVersion, check_ownership},
    sync,
};

/// A run that is shorter writes its status once, at its end.
const FIRST_PROGRESS_DELAY: Duration = Duration::from_secs(5);
const PROGRESS_INTERVAL: Duration = Duration::from_secs(10);
/// How often a run checks whether it is still wanted.
const STOP_CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// How long a page in flight may take once the run is to stop.
const STOP_GRACE_PERIOD: Duration = Duration::from_secs(2);

/// A sync to run, from the plan on confirmed objects.
pub(crate) struct SyncJob {
    pub(crate) input: PlanInput,
    pub(crate) sign_in: PreparedSignIn,
    pub(crate) trigger: Trigger,
    /// Names of the requests that it answers.
    pub(crate) request_names: Vec<String>,
    pub(crate) annotation: Option<String>,
}

impl SyncJob {
    /// The requests that it answers.
    pub(crate) fn answered_requests(&self) -> impl Iterator<Item = &UserSyncRequest> {
        self.input.requests.iter().map(AsRef::as_ref).filter(|r| self.request_names.contains(&r.name_any()))
    }

    /// Who requested it.
    fn requested_by(&self) -> Vec<String> {
        let connection = self.annotation.is_some().then_some(&self.input.connection.metadata);
        requesters(self.answered_requests().map(|r| &r.metadata).chain(connection))
    }
}

/// How a run ended.
pub(crate) enum RunEnd {
    Finished {
        outcome: Box<SyncOutcome>,
        fallback_cause: Option<Failure>,
    },
    /// It was stopped without a result.
    Stopped(StopReason),
}

/// Why a run is no longer wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StopReason {
    Deleted,
    Replaced,
    Suspended,
    AuthChanged,
    ShuttingDown,
    /// Another process has written the roster since the run began, and the list may be older than what it published. The
    /// next run begins with what it wrote and recorded.
    Superseded,
}

/// The output of the work itself.
struct RunOutput {
    app: Option<BoxApp>,
    signed_in: Option<SignedIn>,
    calls: u32,
    fallback_cause: Option<Failure>,
    result: Result<SyncResult, Failure>,
}

/// Runs a sync, with a permit for the listing. Returns how it ended, and its objects as last written or read.
pub(super) async fn run(context: &Context, job: SyncJob, permit: Permit) -> (RunEnd, RunObjects) {
    let mut objects = RunObjects::for_job(&job);
    let ended = run_supervised(context, job, permit, &mut objects).await;
    (ended, objects)
}

async fn run_supervised(context: &Context, job: SyncJob, permit: Permit, objects: &mut RunObjects) -> RunEnd {
    let (start, started) = (context.current_time(), Instant::now());
    let stop = context.stop.child_token();
    let (progress, progress_receiver) = watch::channel(SyncProgress::default());
    let signed_in_cell = OnceLock::new();
    let connection = job.input.connection.clone();
    context.with_state(&connection, |state| state.running_requests = Some(job.request_names.clone()));
    let output = {
        let work = AssertUnwindSafe(Box::pin(fetch_and_publish(
            context,
            &job,
            permit,
            start,
            &stop,
            &signed_in_cell,
            &progress,
        )))
        .catch_unwind();
        let supervision = supervise(context, &job, start, &stop, &signed_in_cell, progress_receiver, objects);
        tokio::select! {
            worked = work => match worked {
                Ok(worked) => worked,
                Err(_) => Ok(RunOutput { app: None, signed_in: None, calls: 0, fallback_cause: None, result: Err(Failure::panicked()) }),
            },
            why = supervision => Err(RunInterruption::Stopped(why)),
        }
    };
    context.with_state(&connection, |state| state.running_requests = None);
    let RunOutput { app, signed_in, calls, fallback_cause, result } = match output {
        Ok(work) => work,
        Err(RunInterruption::Stopped(why)) => return RunEnd::Stopped(why),
        Err(RunInterruption::Cancelled) => {
            return RunEnd::Stopped(stop_reason(context, &job).unwrap_or(StopReason::ShuttingDown));
        }
    };
    let outcome = SyncOutcome {
        trigger: job.trigger,
        start,
        end: context.current_time(),
        calls,
        requested_by: job.requested_by(),
        requests: job.request_names,
        annotation: job.annotation,
        generation: connection.metadata.generation,
        app,
        signed_in,
        result,
    };
    SyncEnded { connection: &connection, outcome: &outcome, duration: started.elapsed() }.emit(&context.metrics);
    RunEnd::Finished { outcome: Box::new(outcome), fallback_cause }
}

enum RunInterruption {
    Stopped(StopReason),
    /// A wait was cancelled because the run must stop.
    Cancelled,
}

async fn fetch_and_publish(
    context: &Context,
    job: &SyncJob,
    permit: Permit,
    start: Timestamp,
    stop: &CancellationToken,
    signed_in_cell: &OnceLock<SignedIn>,
    progress: &watch::Sender<SyncProgress>,
) -> Result<RunOutput, RunInterruption> {
    let connection = &job.input.connection;
    let check = if job.input.is_disconnected() { SignInCheck::NewToken } else { SignInCheck::CachedToken };
    let SignInSuccess { client, signed_in, failure_context, fallback_cause, prior_calls } =
        match sign_in::sign_in(context, connection, &job.sign_in, check, stop).await {
            Ok(success) => success,
            Err(SignInError::Failed(SignInFailure { failure, app, calls })) => {
                return Ok(RunOutput { app, signed_in: None, calls, fallback_cause: None, result: Err(failure) });
            }
            Err(SignInError::Cancelled) => return Err(RunInterruption::Cancelled),
        };
    let signed_in = signed_in_cell.get_or_init(|| signed_in).clone();
    let done = |calls, result| RunOutput { app: None, signed_in: Some(signed_in), calls, fallback_cause, result };
    let uid = connection.uid().unwrap_or_default();
    if let Some(Err(conflict)) =
        job.input.roster.as_ref().map(|r| check_ownership(r, &uid, &connection.spec.enterprise_id))
    {
        return Ok(done(prior_calls + client.call_count(), Err(Failure::roster_conflict(&failure_context, &conflict))));
    }
    let calls = || prior_calls + client.call_count();
    let clock = OnceLock::new();
    let mut list_hold = None;
    let build_request = |list_bytes| {
        // The listing has ended: publishing needs no permit, and does not count for the gap between listings.
        let hold = list_hold.insert(context.finished_lists.exchange(permit, list_bytes));
        context.with_state(connection, |state| state.listed_at = Some(Instant::now()));
        let fence = context.with_state(connection, |state| state.fence);
        let check = check_clock(context.current_time(), client.server_time(), context.cluster.server_time());
        ClockChecked { connection, check: &check }.emit(&context.metrics);
        let check = clock.get_or_init(|| check);
        let retention = connection.spec.history_retention.as_duration();
        let retention = matches!(check, ClockCheck::Right).then_some(retention);
        PublishRequest { retention, ..publish_request(job, &uid, start, calls(), fence, hold) }
    };
    let now = || clock.get().map_or_else(|| context.current_time(), |check| check.correct(context.current_time()));
    let synced = sync::run(
        &client,
        context.box_client_config.limits,
        progress,
        &context.roster_store(connection),
        build_request,
        now,
    )
    .await;
    drop(list_hold);
    context.with_state(connection, |state| {
        state.listed_at = Some(Instant::now());
        state.schedule_next_probe(context.options.probe_interval);
    });
    let result = match synced {
        Ok(published) => {
            context.with_state(connection, |state| {
                state.published = true;
                state.slices_missing = false;
                state.fence = Fence::Written;
                state.set_unreferenced(published.unreferenced);
            });
            let roster = &published.roster;
            let (revision, slices) = (roster.revision, roster.slices.len());
            let synced = match published.outcome {
                PublishOutcome::Committed => {
                    tracing::debug!(revision, slices, "roster committed");
                    SyncResult::from_published(roster)
                }
                PublishOutcome::Unchanged => {
                    tracing::debug!(revision, slices, "list unchanged, nothing published");
                    SyncResult::from_unchanged(roster)
                }
            };
            let clock = clock.get().cloned().unwrap_or(ClockCheck::Unknown);
            let damaged_history = published.damaged_history;
            if damaged_history > 0 {
                tracing::warn!(records = damaged_history, "damaged records of the restored history are dropped");
            }
            let (approved, visibility_delays) = (published.approved, published.visibility_delays);
            Ok(SyncResult { approved, damaged_history, visibility_delays, clock, ..synced })
        }
        Err(sync::Error::Box(error)) => {
            Err(Failure::from_box_error(&failure_context, &error).ok_or(RunInterruption::Cancelled)?)
        }
        Err(sync::Error::Roster(roster::Error::Superseded)) => {
            context.with_state(connection, |state| state.fence = Fence::Required);
            return Err(RunInterruption::Stopped(StopReason::Superseded));
        }
        Err(sync::Error::Roster(error)) => {
            tracing::warn!(connection = log_name(connection.as_ref()), %error, "publishing the list failed");
            Err(Failure::from_roster_error(&failure_context, &error))
        }
    };
    Ok(done(calls(), result))
}

/// What this run publishes, and why.
fn publish_request<'a>(
    job: &'a SyncJob,
    uid: &'a str,
    start: Timestamp,
    calls: u32,
    fence: Fence,
    hold: &ListHold,
) -> PublishRequest<'a> {
    let connection = &job.input.connection;
    let status = job.input.status();
    PublishRequest {
        owner_uid: uid,
        enterprise_id: &connection.spec.enterprise_id,
        retention: None,
        max_removal_percent: connection.spec.max_removal_percent,
        approved_digest: job.answered_requests().find_map(|r| r.spec.approve_removals.as_deref()),
        last_published: status.roster_ref.as_ref().map(|r| (r.revision, status.users.map_or(0, |u| u.total))),
        base: job.input.roster.as_deref().map(RosterVersion::of),
        fence,
        unavailable_timeout: hold.unavailable_timeout(),
        change: RosterChange {
            trigger: job.trigger,
            start_time: Time(start),
            added: 0,
            updated: 0,
            removed: 0,
            calls: calls.into(),
            requests: job
                .answered_requests()
                .map(|r| RequestRef { name: r.name_any(), uid: r.uid().unwrap_or_default() })
                .collect(),
            requested_at: job.annotation.clone(),
            requested_by: job.requested_by(),
            approved: None,
            mass_changes: Vec::new(),
        },
    }
}

/// Returns when the run must end, after the grace period for a page in flight.
async fn supervise(
    context: &Context,
    job: &SyncJob,
    start: Timestamp,
    stop: &CancellationToken,
    signed_in_cell: &OnceLock<SignedIn>,
    progress: watch::Receiver<SyncProgress>,
    objects: &mut RunObjects,
) -> StopReason {
    let mut due = Instant::now() + FIRST_PROGRESS_DELAY;
    let mut stop_check = tokio::time::interval(STOP_CHECK_INTERVAL);
    loop {
        tokio::select! {
            _ = stop_check.tick() => {}
            () = stop.cancelled() => {}
        }
        if let Some(why) = stop_reason(context, job) {
            stop.cancel();
            tokio::time::sleep(STOP_GRACE_PERIOD).await;
            return why;
        }
        if Instant::now() < due {
            continue;
        }
        // Before the sign-in there is no progress to report.
        if let Some(signed_in) = signed_in_cell.get() {
            let SyncProgress { pages, users } = *progress.borrow();
            let current = CurrentSync { trigger: job.trigger, start_time: Time(start), pages, users };
            objects.report_progress(context, &current, signed_in).await;
        } else {
            objects.refresh_connection(context).await;
        }
        due = Instant::now() + PROGRESS_INTERVAL;
    }
}

/// Why the run is no longer wanted, according to the watch. A cached object older than the confirmed one is ignored.
fn stop_reason(context: &Context, job: &SyncJob) -> Option<StopReason> {
    if context.stop.is_cancelled() {
        return Some(StopReason::ShuttingDown);
    }
    let confirmed = &job.input.connection;
    let Some(cached) = context.cached_connection(&ConnectionKey::from(confirmed.as_ref())) else {
        return Some(StopReason::Deleted);
    };
    if cached.uid() != confirmed.uid() {
        return (cached.creation_timestamp() >= confirmed.creation_timestamp()).then_some(StopReason::Replaced);
    }
    if cached.metadata.deletion_timestamp.is_some() {
        return Some(StopReason::Deleted);
    }
    if cached.metadata.generation <= confirmed.metadata.generation {
        return None;
    }
    if cached.spec.suspend {
        return Some(StopReason::Suspended);
    }
    (cached.spec.auth != confirmed.spec.auth).then_some(StopReason::AuthChanged)
}
