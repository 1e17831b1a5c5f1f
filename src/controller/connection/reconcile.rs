//! The reconcile of a connection: observe → plan → place, confirm, plan again → act → report.
//! It alone talks to Box and runs syncs; kube never runs it twice at a time for one object.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt;
use kube::{ResourceExt, runtime::controller::Action};

use super::{
    failure_messages::Failure,
    plan::{Plan, Step, duration_until, plan},
    plan_input::{PlanInput, status_of},
    progress::RunObjects,
    sign_in::{self, SignInCheck, SignInError},
    state::{ConnectionKey, log_name},
    status::{StatusUpdate, SyncOutcome, build_status},
    sync_run::{RunEnd, StopReason, SyncJob, run},
};
use crate::{
    api::{AuthType, BoxConnection, Reason, Trigger, UserSyncRequest},
    controller::{
        context::Context,
        events::{EventAction as Doing, PendingEvent, object_reference},
        kube_calls::KubeError,
        permits::Priority,
        request::status,
        status_writer,
        telemetry::{ReconcileFailed, ReconcilePanicked, ResourceKind, measure_reconcile},
    },
    roster::{self, GcResult},
};

/// A look without any reason, in case something was missed.
const RESYNC_PERIOD: Duration = Duration::from_secs(3600);
/// A look while waiting for a place, which wakes by itself: the list may become stale meanwhile.
const PERMIT_RECHECK: Duration = Duration::from_secs(60);
/// The watch will have caught up with what was confirmed.
const CACHE_LAG_RETRY: Duration = Duration::from_secs(1);
const ERROR_RETRY: Duration = Duration::from_secs(5);

pub(crate) async fn reconcile(connection: Arc<BoxConnection>, context: Arc<Context>) -> Result<Action, KubeError> {
    if connection.metadata.deletion_timestamp.is_some() {
        context.permits.cancel_wait(&ConnectionKey::from(connection.as_ref()));
        return Ok(Action::await_change());
    }
    let reconciled = AssertUnwindSafe(Box::pin(reconcile_inner(&context, &connection))).catch_unwind();
    match measure_reconcile(&context.metrics, ResourceKind::Connections, reconciled).await {
        Ok(action) => action,
        Err(_) => Ok(report_panic(&context, &connection).await),
    }
}

pub(crate) fn error_policy(connection: &BoxConnection, error: &KubeError, context: &Context) -> Action {
    let (kind, object) = (ResourceKind::Connections, log_name(connection));
    ReconcileFailed { kind, object, error, requeue_after: ERROR_RETRY }.emit(&context.metrics);
    Action::requeue(ERROR_RETRY)
}

async fn reconcile_inner(context: &Context, connection: &Arc<BoxConnection>) -> Result<Action, KubeError> {
    let key = ConnectionKey::from(connection.as_ref());
    let input = context.cached_plan_input(connection.clone());
    let mut first = decide_plan(context, &input);
    if first.step == Step::CheckSecret {
        if let Err(error) = sign_in::check_secret(context, connection).await {
            tracing::warn!(connection = log_name(connection.as_ref()), %error, "the Secret was not read");
        }
        first = decide_plan(context, &context.cached_plan_input(connection.clone()));
    }
    if first.step == Step::CollectGarbage {
        collect_garbage(context, connection).await?;
        first = decide_plan(context, &context.cached_plan_input(connection.clone()));
    }
    let permit = match &first.step {
        Step::Report => None,
        Step::Wait(_) | Step::CheckSecret | Step::CollectGarbage => {
            context.permits.cancel_wait(&key);
            if first.refused_requests.is_empty() {
                update_status(context, connection).await?;
                return Ok(requeue_for(context, &first.step));
            }
            None
        }
        Step::Probe | Step::Sync { .. } => {
            let priority = if first.step.is_requested() { Priority::Requested } else { Priority::Scheduled };
            let permit = context.permits.try_acquire(&key, priority);
            if permit.is_none() && first.refused_requests.is_empty() {
                update_status(context, connection).await?;
                return Ok(Action::requeue(PERMIT_RECHECK));
            }
            permit
        }
    };
    let Some(confirmed) = confirm_input(context, connection).await? else { return Ok(Action::await_change()) };
    let second = decide_plan(context, &confirmed);
    refuse_requests(context, &confirmed, &second.refused_requests).await;
    match second.step {
        Step::Report => {
            drop(permit);
            report_unreported_publish(context, &confirmed).await;
            Ok(Action::requeue(Duration::ZERO))
        }
        Step::Wait(_) | Step::CheckSecret | Step::CollectGarbage => {
            drop(permit);
            context.permits.cancel_wait(&key);
            update_status(context, &confirmed.connection).await?;
            Ok(requeue_for(context, &second.step))
        }
        // Turned away, and woken when a place is free; or not asked for one, since only the second plan wants it.
        Step::Probe | Step::Sync { .. } if permit.is_none() => match first.step {
            Step::Wait(_) | Step::CheckSecret | Step::Report | Step::CollectGarbage => {
                Ok(Action::requeue(CACHE_LAG_RETRY))
            }
            Step::Probe | Step::Sync { .. } => Ok(Action::requeue(PERMIT_RECHECK)),
        },
        Step::Probe => {
            let probed = probe_connection(context, &confirmed).await;
            drop(permit);
            probed
        }
        Step::Sync { trigger, request_names, annotation } => {
            let job = SyncJob { input: confirmed, trigger, request_names, annotation };
            let (run_end, objects) = Box::pin(run(context, job)).await;
            drop(permit);
            finish_run(context, &objects, run_end).await
        }
    }
}

fn decide_plan(context: &Context, input: &PlanInput) -> Plan {
    plan(input, &context.options, context.current_time())
}

fn requeue_for(context: &Context, step: &Step) -> Action {
    let wait = match step {
        Step::Wait(Some(until)) => duration_until(*until, context.current_time()).min(RESYNC_PERIOD),
        Step::Wait(None) => RESYNC_PERIOD,
        Step::CheckSecret | Step::Report | Step::CollectGarbage | Step::Probe | Step::Sync { .. } => Duration::ZERO,
    };
    Action::requeue(wait)
}

/// The connection, its roster and its unfinished requests as they are, not as the watches last heard of them.
async fn confirm_input(context: &Context, connection: &BoxConnection) -> Result<Option<PlanInput>, KubeError> {
    let (namespace, name) = (connection.namespace().unwrap_or_default(), connection.name_any());
    let fresh = match context.cluster.get_object::<BoxConnection>(&namespace, &name).await {
        Ok(fresh) if fresh.metadata.deletion_timestamp.is_none() => Arc::new(fresh),
        Ok(_) | Err(KubeError::NotFound) => return Ok(None),
        Err(error) => return Err(error),
    };
    let requests = context.cluster.list_unfinished_requests(&namespace, &name).await?;
    let roster = context.roster_store(&fresh).get_roster().await?;
    context.with_state(&fresh, |state| state.published = roster.is_some());
    Ok(Some(context.plan_input(fresh, roster.map(Arc::new), requests.into_iter().map(Arc::new).collect())))
}

/// Tells what a sync published whose process was ended before it could.
async fn report_unreported_publish(context: &Context, confirmed: &PlanInput) {
    let Some(roster) = confirmed.unreported_publish() else { return };
    let outcome = SyncOutcome::from_unreported(&confirmed.connection, &roster.spec);
    tracing::info!(
        connection = log_name(confirmed.connection.as_ref()),
        revision = roster.spec.revision,
        "a revision is told whose publisher could not"
    );
    let update = StatusUpdate::SyncFinished(&outcome);
    let already_recorded =
        status_of(&confirmed.connection).roster_ref.as_ref().is_some_and(|r| r.revision >= roster.spec.revision);
    let written = if already_recorded {
        Some(confirmed.connection.as_ref().clone())
    } else {
        status_writer::write_connection_status(context, &confirmed.connection, &update).await
    };
    let Some(written) = written else { return };
    let is_answered =
        |r: &&Arc<UserSyncRequest>| roster.spec.change.requests.iter().any(|a| r.uid().as_ref() == Some(&a.uid));
    let requests: Vec<UserSyncRequest> =
        confirmed.requests.iter().filter(is_answered).map(|r| r.as_ref().clone()).collect();
    status_writer::write_request_results(context, &requests, &outcome, &written).await;
}

/// Deletes the slices that nobody has named for a while.
async fn collect_garbage(context: &Context, connection: &BoxConnection) -> Result<(), KubeError> {
    let expired = context.with_state(connection, |state| state.expired_slices());
    let (uid, enterprise) = (connection.uid().unwrap_or_default(), &connection.spec.enterprise_id);
    let collected = roster::collect_garbage(
        &context.roster_store(connection),
        &uid,
        enterprise,
        |s| expired.contains(s),
        context.current_time(),
    )
    .await;
    match collected {
        Ok(GcResult { deleted, unreferenced: unnamed }) => {
            if deleted > 0 {
                tracing::info!(connection = log_name(connection), deleted, "slices that nobody names were deleted");
            }
            context.with_state(connection, |state| state.set_unreferenced(unnamed));
            Ok(())
        }
        // The list moved on: what nobody names now is seen anew.
        Err(KubeError::Conflict) => {
            context.with_state(connection, |state| state.set_unreferenced([]));
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// Brings the status up to date with the time and the spec. Where the object has changed meanwhile, the watch brings it
/// again.
async fn update_status(context: &Context, connection: &BoxConnection) -> Result<(), KubeError> {
    let status = build_status(
        connection,
        context.roster_presence(connection),
        &StatusUpdate::Refresh,
        &context.options,
        context.current_time(),
    );
    if connection.status.as_ref() == Some(&status) {
        return Ok(());
    }
    let events = crate::controller::events::connection_events(status_of(connection), &status, &StatusUpdate::Refresh);
    match context.cluster.replace_status(connection, status).await {
        Ok(written) => {
            for event in events {
                context.events.publish_event(&object_reference(&written), &event).await;
            }
            Ok(())
        }
        Err(KubeError::Conflict | KubeError::NotFound) => Ok(()),
        Err(error) => Err(error),
    }
}

async fn refuse_requests(context: &Context, input: &PlanInput, refusals: &[(String, Reason)]) {
    for (name, reason) in refusals {
        let Some(request) = input.requests.iter().find(|r| r.name_any() == *name) else { continue };
        tracing::info!(connection = log_name(input.connection.as_ref()), request = name, %reason, "a request is refused");
        status_writer::write_request_status(context, request, |r| {
            status::refused_status(r, *reason, Some(&input.connection), context.current_time())
        })
        .await;
    }
}

async fn probe_connection(context: &Context, input: &PlanInput) -> Result<Action, KubeError> {
    let connection = &input.connection;
    let stop = context.stop.child_token();
    // The tokens of a user are renewed by their use; to renew them more often proves no more.
    let sign_in_check = match connection.spec.auth.selected_method() {
        Some((AuthType::Oauth2, _)) if !connection.spec.suspend => SignInCheck::CachedToken,
        Some((AuthType::Oauth2 | AuthType::ClientCredentials | AuthType::Jwt, _)) | None => SignInCheck::NewToken,
    };
    let sign_in = sign_in::sign_in(context, connection, sign_in_check, &stop).await;
    context.with_state(connection, |state| state.schedule_next_probe(context.options.probe_interval));
    let (result, fallback_cause) = match sign_in {
        Ok(admitted) => (Ok(admitted.signed_in), admitted.fallback_cause),
        Err(SignInError::Failed(refused)) => (Err(refused.failure), None),
        Err(SignInError::Kube(error)) => return Err(error),
        Err(SignInError::Cancelled) => return Ok(Action::requeue(ERROR_RETRY)),
    };
    if let Err(failure) = &result {
        tracing::warn!(connection = log_name(connection.as_ref()), reason = %failure.reason, "{}", failure.summary);
    }
    let Some(written) =
        status_writer::write_connection_status(context, connection, &StatusUpdate::Probed(&result)).await
    else {
        return Ok(Action::await_change());
    };
    report_fallback(context, &written, fallback_cause).await;
    Ok(requeue_after_write(context, written))
}

/// When to look again at a connection as it was just written. Requests bring a look of their own.
fn requeue_after_write(context: &Context, written: BoxConnection) -> Action {
    let input = PlanInput { requests: Vec::new(), ..context.cached_plan_input(Arc::new(written)) };
    requeue_for(context, &decide_plan(context, &input).step)
}

async fn finish_run(context: &Context, objects: &RunObjects, run_end: RunEnd) -> Result<Action, KubeError> {
    match run_end {
        RunEnd::Finished { outcome: attempted, fallback_cause: passed_over } => {
            let update = StatusUpdate::SyncFinished(&attempted);
            let Some(written) = status_writer::write_connection_status(context, &objects.connection, &update).await
            else {
                return Ok(Action::await_change());
            };
            status_writer::write_request_results(context, &objects.requests, &attempted, &written).await;
            report_fallback(context, &written, passed_over).await;
            Ok(requeue_after_write(context, written))
        }
        RunEnd::Stopped(why) => {
            tracing::info!(connection = log_name(&objects.connection), ?why, "a sync was stopped");
            match why {
                StopReason::Deleted | StopReason::Replaced | StopReason::ShuttingDown => {
                    Ok(Action::requeue(ERROR_RETRY))
                }
                StopReason::Suspended | StopReason::AuthChanged => {
                    status_writer::write_connection_status(context, &objects.connection, &StatusUpdate::Stopped).await;
                    Ok(Action::requeue(Duration::ZERO))
                }
            }
        }
        RunEnd::Kube(error) => Err(error),
    }
}

/// One event for each version of the Secret that is no good while an older one still works.
async fn report_fallback(context: &Context, connection: &BoxConnection, fallback_cause: Option<Failure>) {
    let Some(failure) = fallback_cause else { return };
    let new = context.with_state(connection, |state| {
        let new = state.rejected_version != state.tried_version;
        state.rejected_version.clone_from(&state.tried_version);
        new
    });
    if new {
        let text = format!(
            "{} The credentials from before stay in use as long as their token lives. {}",
            failure.summary, failure.remediation
        );
        tracing::warn!(connection = log_name(connection), reason = %failure.reason, "{text}");
        context
            .events
            .publish_event(
                &object_reference(connection),
                &PendingEvent { reason: failure.reason, message: text, action: Doing::Connect },
            )
            .await;
    }
}

/// A panic is this connection's failure and nobody else's. While its retry is pending nothing is written again.
async fn report_panic(context: &Context, connection: &BoxConnection) -> Action {
    ReconcilePanicked(connection).emit(&context.metrics);
    context.with_state(connection, |state| state.running_requests = None);
    let now = context.current_time();
    let failures = status_of(connection).failures.as_ref();
    let pending = failures.filter(|f| f.reason == Reason::Internal.as_str()).and_then(|f| f.retry_time.as_ref());
    if let Some(retry) = pending.filter(|t| t.0 > now) {
        return Action::requeue(duration_until(retry.0, now));
    }
    let first = status_of(connection).last_sync.is_none();
    let outcome = SyncOutcome {
        trigger: if first { Trigger::Created } else { Trigger::Retry },
        start: now,
        end: now,
        calls: 0,
        requests: Vec::new(),
        annotation: None,
        requested_by: Vec::new(),
        generation: connection.metadata.generation,
        app: None,
        signed_in: None,
        result: Err(Failure::panicked()),
    };
    status_writer::write_connection_status(context, connection, &StatusUpdate::SyncFinished(&outcome)).await;
    Action::requeue(ERROR_RETRY)
}
