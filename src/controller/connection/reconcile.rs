//! The reconcile of a connection, phase by phase. kube never runs it twice at a time for one object.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt;
use jiff::Timestamp;
use kube::{ResourceExt, runtime::controller::Action};
use tracing::Instrument;

use super::{
    act::{act, report_result},
    failure_messages::Failure,
    maintain,
    observe::{PERMIT_RECHECK, PermitRequest, decide_plan, observe, requeue_for},
    plan::{Plan, Step, duration_until},
    plan_input::{PlanInput, generation_unobserved, status_of},
    sign_in::{self, PreparedSignIn},
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
        permits::Permit,
        status_writer,
        telemetry::{ReconcileFailed, ReconcilePanicked, ResourceKind, measure_reconcile},
    },
};

/// After a panic whose failure could not be recorded.
const PANIC_RETRY: Duration = Duration::from_secs(5);
/// How long a confirmed plan waits for a permit before it must be confirmed again.
const CONFIRMED_LIMIT: Duration = Duration::from_secs(30);

pub(crate) async fn reconcile(connection: Arc<BoxConnection>, context: Arc<Context>) -> Result<Action, KubeError> {
    if connection.metadata.deletion_timestamp.is_some() {
        context.forget_connection(&ConnectionKey::from(connection.as_ref()));
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
    let delay = context.connection_errors.next_delay(connection);
    let requeue_after = until_stale(connection, context.current_time()).map_or(delay, |left| delay.min(left));
    ReconcileFailed { kind, object, error, requeue_after }.emit(&context.metrics);
    Action::requeue(requeue_after)
}

/// The part of the status that follows from the time is written first: whatever fails afterwards, a stale list is shown as
/// stale. A changed spec is shown with the result of applying it, or here if that fails.
async fn run_phases(context: &Context, connection: &Arc<BoxConnection>) -> Result<Action, KubeError> {
    tracing::debug!(resource_version = connection.resource_version(), "reconciling");
    let unobserved = generation_unobserved(&context.with_unwritten_status(connection.clone()));
    let refreshed = if unobserved { connection } else { &maintain::try_refresh_status(context, connection).await };
    let result = run_planned_phases(context, refreshed).await;
    if unobserved && result.is_err() {
        maintain::try_refresh_status(context, connection).await;
    }
    result
}

/// observe → maintain → request a permit → confirm and plan again → act and report. A result that the API server has not
/// accepted yet is reported first: a plan made without it would repeat the work.
async fn run_planned_phases(context: &Context, connection: &Arc<BoxConnection>) -> Result<Action, KubeError> {
    if let Some(result) = context.with_state(connection, |state| state.unwritten_result.take()) {
        return report_result(context, connection, result).await;
    }
    let key = ConnectionKey::from(connection.as_ref());
    let observed = observe(context, connection);
    if !observed.step.calls_box() {
        // What comes first may take a while, and nobody else could use a permit that is reserved for this connection.
        context.permits.step_aside(&key);
    }
    let planned = maintain::run(context, connection, observed).await;
    match &planned.step {
        Step::Probe | Step::Sync { .. } => return Box::pin(work_with_box(context, connection, &key, &planned)).await,
        Step::Report => {}
        Step::Wait(_) | Step::CheckSecret | Step::CollectGarbage => context.permits.cancel_wait(&key),
    }
    act_without_permit(context, connection, &planned, PermitRequest::NotNeeded).await
}

/// Requests a permit, confirms and plans again, and acts. No permit waits for the API server longer than
/// [`UNCONFIRMED_LIMIT`](crate::controller::permits::UNCONFIRMED_LIMIT): a plan that takes longer to confirm gets the next
/// permit, and after a failure the next attempt is confirmed before it takes a permit. Its position is kept.
async fn work_with_box(
    context: &Context,
    connection: &Arc<BoxConnection>,
    key: &ConnectionKey,
    planned: &Plan,
) -> Result<Action, KubeError> {
    let permits = &context.permits;
    let priority = priority_of(&planned.step);
    let permit = if context.with_state(connection, |state| state.confirmation_failed) {
        permits.join(key, priority);
        None
    } else {
        let permit = permits.try_acquire(key, priority);
        if permit.is_none() {
            tracing::debug!(?priority, "waiting for a permit");
            let work = Box::pin(act_without_permit(context, connection, planned, PermitRequest::Queued));
            return aside_during(context, key, work).await;
        }
        permit
    };
    let confirmation = Box::pin(confirm_with_credentials(context, connection));
    let (confirmed, permit) = match permit {
        Some(permit) => {
            tracing::debug!(?priority, "permit acquired");
            permit.keep_during(confirmation).await
        }
        None => (confirmation.await, None),
    };
    context.with_state(connection, |state| state.confirmation_failed = confirmed.is_err());
    let (input, plan, sign_in) = match confirmed {
        Ok(Some(confirmed)) => confirmed,
        Ok(None) => {
            permits.cancel_wait(key);
            return Ok(Action::await_change());
        }
        Err(error) => {
            permit.map_or_else(|| permits.step_aside(key), Permit::give_back);
            return Err(error);
        }
    };
    let Some(sign_in) = sign_in else {
        drop(permit);
        permits.cancel_wait(key);
        return Box::pin(act(context, input, plan, PermitRequest::NotNeeded)).await;
    };
    let permit = match permit {
        Some(permit) => Some(permit),
        None => tokio::select! {
            permit = permits.acquire_within(key, priority_of(&plan.step), CONFIRMED_LIMIT) => permit,
            () = context.stop.cancelled() => None,
        },
    };
    // On the heap: it is the largest of all phases.
    match permit {
        Some(permit) => Box::pin(act(context, input, plan, PermitRequest::Acquired(permit, sign_in))).await,
        None => aside_during(context, key, Box::pin(act(context, input, plan, PermitRequest::Queued))).await,
    }
}

/// Does other work for a connection that waits for a permit. A permit that becomes free meanwhile is not for it.
async fn aside_during<T>(context: &Context, key: &ConnectionKey, work: impl Future<Output = T>) -> T {
    context.permits.step_aside(key);
    let done = work.await;
    context.permits.come_back(key);
    done
}

fn priority_of(step: &Step) -> Priority {
    if step.is_requested() { Priority::Requested } else { Priority::Scheduled }
}

/// Acts on a plan that does not call Box now.
async fn act_without_permit(
    context: &Context,
    connection: &BoxConnection,
    planned: &Plan,
    permit: PermitRequest,
) -> Result<Action, KubeError> {
    // Is anything to be done that the cached view does not suffice for?
    if planned.step != Step::Report && planned.refused_requests.is_empty() {
        maintain::refresh_status(context, connection).await?;
        return Ok(match permit {
            PermitRequest::Queued => Action::requeue(PERMIT_RECHECK),
            PermitRequest::NotNeeded | PermitRequest::Acquired(..) => requeue_for(context, connection, &planned.step),
        });
    }
    let Some(confirmed) = confirm(context, connection).await? else { return Ok(Action::await_change()) };
    let plan = plan_again(context, &confirmed);
    Box::pin(act(context, confirmed, plan, permit)).await
}

/// Until the list becomes stale, which must be shown then whatever fails.
fn until_stale(connection: &BoxConnection, now: Timestamp) -> Option<Duration> {
    let stale = status_of(connection).stale_time.as_ref()?.0;
    (stale > now).then(|| duration_until(stale, now))
}

/// What the API server confirms, the plan for it, and the credentials if that calls Box; `None`: the connection is gone.
async fn confirm_with_credentials(
    context: &Context,
    connection: &BoxConnection,
) -> Result<Option<(PlanInput, Plan, Option<PreparedSignIn>)>, KubeError> {
    let Some(confirmed) = confirm(context, connection).await? else { return Ok(None) };
    let plan = plan_again(context, &confirmed);
    let sign_in = match plan.step.calls_box() {
        true => Some(sign_in::prepare(context, &confirmed.connection).await?),
        false => None,
    };
    Ok(Some((confirmed, plan, sign_in)))
}

fn plan_again(context: &Context, confirmed: &PlanInput) -> Plan {
    let plan = decide_plan(context, confirmed);
    let Plan { step, reason, .. } = &plan;
    tracing::debug!(step = step.as_str(), %reason, requests = confirmed.requests.len(), "plan confirmed");
    if let Step::Sync { trigger, .. } = step {
        tracing::Span::current().record("trigger", trigger.as_str());
    }
    plan
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
