//! The reconcile of a connection, phase by phase. kube never runs it twice at a time for one object.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt;
use kube::{ResourceExt, runtime::controller::Action};
use tracing::Instrument;

use super::{
    act::{act, report_result},
    failure_messages::Failure,
    maintain,
    observe::{PERMIT_RECHECK, PermitRequest, decide_plan, observe, requeue_for},
    plan::{Plan, Step, duration_until},
    plan_input::{PlanInput, status_of},
    state::{ConnectionKey, log_name},
    status::StatusUpdate,
    sync_outcome::SyncOutcome,
};
use crate::{
    api::{BoxConnection, Reason, Trigger},
    controller::{
        context::Context,
        kube_calls::KubeError,
        permit_queue::Priority,
        status_writer,
        telemetry::{ReconcileFailed, ReconcilePanicked, ResourceKind, measure_reconcile},
    },
};

/// After a panic whose failure could not be recorded.
const PANIC_RETRY: Duration = Duration::from_secs(5);

pub(crate) async fn reconcile(connection: Arc<BoxConnection>, context: Arc<Context>) -> Result<Action, KubeError> {
    if connection.metadata.deletion_timestamp.is_some() {
        context.permits.cancel_wait(&ConnectionKey::from(connection.as_ref()));
        return Ok(Action::await_change());
    }
    let span = tracing::info_span!(
        "reconcile",
        namespace = connection.namespace(),
        connection = connection.name_any(),
        run = context.next_run_id(),
        trigger = tracing::field::Empty,
    );
    let key = ConnectionKey::from(connection.as_ref());
    let reconciled =
        AssertUnwindSafe(Box::pin(run_phases(&context, &connection))).catch_unwind().instrument(span.clone());
    let result = match measure_reconcile(&context.metrics, ResourceKind::Connections, reconciled).await {
        Ok(result) => result,
        Err(_) => {
            context.permits.step_aside(&key);
            Ok(report_panic(&context, &connection).instrument(span).await)
        }
    };
    if result.is_ok() {
        context.connection_errors.reset(&key);
    }
    result
}

pub(crate) fn error_policy(connection: &BoxConnection, error: &KubeError, context: &Context) -> Action {
    let (kind, object) = (ResourceKind::Connections, log_name(connection));
    let requeue_after = context.connection_errors.next_delay(connection);
    ReconcileFailed { kind, object, error, requeue_after }.emit(&context.metrics);
    Action::requeue(requeue_after)
}

/// observe → maintain → request a permit → confirm and plan again → act and report. A result that the API server has not
/// accepted yet is reported first: a plan made without it would repeat the work.
async fn run_phases(context: &Context, connection: &Arc<BoxConnection>) -> Result<Action, KubeError> {
    tracing::debug!(resource_version = connection.resource_version(), "reconciling");
    if let Some(result) = context.with_state(connection, |state| state.unwritten_result.take()) {
        return report_result(context, connection, result).await;
    }
    let observed = observe(context, connection);
    if !observed.step.calls_box() {
        // What comes first may take a while, and nobody else could use a permit that is reserved for this connection.
        context.permits.step_aside(&ConnectionKey::from(connection.as_ref()));
    }
    let planned = maintain::run(context, connection, observed).await;
    let permit = request_permit(context, connection, &planned.step);
    if !needs_confirmation(&planned, &permit) {
        maintain::refresh_status(context, connection).await?;
        return Ok(match permit {
            PermitRequest::Queued => Action::requeue(PERMIT_RECHECK),
            PermitRequest::NotNeeded | PermitRequest::Acquired(_) => requeue_for(context, &planned.step),
        });
    }
    let Some(confirmed) = confirm(context, connection).await? else { return Ok(Action::await_change()) };
    let plan = decide_plan(context, &confirmed);
    let Plan { step, reason, .. } = &plan;
    tracing::debug!(step = step.as_str(), %reason, requests = confirmed.requests.len(), "plan confirmed");
    // On the heap: it is the largest of all phases.
    Box::pin(act(context, confirmed, plan, permit)).await
}

fn request_permit(context: &Context, connection: &BoxConnection, step: &Step) -> PermitRequest {
    let key = ConnectionKey::from(connection);
    match step {
        Step::Report => PermitRequest::NotNeeded,
        Step::Wait(_) | Step::CheckSecret | Step::CollectGarbage => {
            context.permits.cancel_wait(&key);
            PermitRequest::NotNeeded
        }
        Step::Probe | Step::Sync { .. } => {
            let priority = if step.is_requested() { Priority::Requested } else { Priority::Scheduled };
            match context.permits.try_acquire(&key, priority) {
                Some(permit) => {
                    tracing::debug!(?priority, "permit acquired");
                    PermitRequest::Acquired(permit)
                }
                None => {
                    tracing::debug!(?priority, "waiting for a permit");
                    PermitRequest::Queued
                }
            }
        }
    }
}

/// Whether anything is to be done that the cached view does not suffice for.
fn needs_confirmation(plan: &Plan, permit: &PermitRequest) -> bool {
    let acts = matches!(plan.step, Step::Report) || matches!(permit, PermitRequest::Acquired(_));
    acts || !plan.refused_requests.is_empty()
}

/// The connection, its roster and its unfinished requests as the API server has them, since watches lag behind.
async fn confirm(context: &Context, connection: &BoxConnection) -> Result<Option<PlanInput>, KubeError> {
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

/// A panic is a failure of this connection only. While its retry is pending nothing is written again.
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
    let update = StatusUpdate::SyncFinished(&outcome);
    if let Err(error) = status_writer::write_connection_status(context, connection, &update).await {
        tracing::warn!(connection = log_name(connection), %error, "status update failed");
    }
    Action::requeue(PANIC_RETRY)
}
