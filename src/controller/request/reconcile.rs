//! The reconcile of a request. It acknowledges a request that its connection has not answered within two seconds, fails
//! one without a connection or whose deadline has passed, and deletes one after its TTL. It never calls Box.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use kube::{
    ResourceExt,
    runtime::{controller::Action, reflector::ObjectRef},
};

use super::{
    index::connection_key,
    status::{self, CONNECTION_TIMEOUT},
};
use crate::{
    api::{BoxConnection, ConditionsExt, FailureClass, Reason, UserSyncRequest, UserSyncRequestStatus},
    controller::{
        connection::{
            backoff::add_duration,
            messages,
            plan::{deadline, duration_until},
            state::{ConnectionKey, ConnectionState, log_name},
        },
        context::Context,
        kube_calls::KubeError,
        status_writer::{self, StatusOrigin},
        telemetry::{ReconcileFailed, ResourceKind, measure_reconcile},
    },
};

/// How long a connection that was deleted under its request may be missing: it is often created again.
const MISSING_TIMEOUT: Duration = Duration::from_secs(45);
/// How long after its deadline a request that its connection has not ended fails.
const DEADLINE_GRACE: Duration = Duration::from_secs(30);
const ACKNOWLEDGE_DELAY: Duration = Duration::from_secs(2);
/// A reconcile without any reason, in case an event was missed.
const RESYNC_PERIOD: Duration = Duration::from_secs(3600);

pub(crate) async fn reconcile(request: Arc<UserSyncRequest>, context: Arc<Context>) -> Result<Action, KubeError> {
    let reconciled = Box::pin(reconcile_inner(&context, &request));
    let result = measure_reconcile(&context.metrics, ResourceKind::Requests, reconciled).await;
    if result.is_ok() {
        context.request_errors.reset(&ObjectRef::from_obj(request.as_ref()));
    }
    result
}

async fn reconcile_inner(context: &Context, request: &UserSyncRequest) -> Result<Action, KubeError> {
    let now = context.current_time();
    if request.is_finished() {
        return delete_expired(context, request, now).await;
    }
    let until_overdue = until_overdue(context, request, now);
    if until_overdue == Some(Duration::ZERO) {
        return refuse(context, request, overdue_reason(request)).await;
    }
    let next_look = RESYNC_PERIOD.min(until_overdue.unwrap_or(RESYNC_PERIOD));
    let key = connection_key(request);
    let started = request.status.as_ref().and_then(|s| s.start_time.as_ref()).map(|t| t.0);
    let paused = request.status.as_ref().and_then(|s| s.conditions.reason("Reconciling")) == Some(Reason::Paused);
    let acknowledged = if context.options.paused { paused } else { started.is_some() };
    match (find_connection(context, &key).await, started) {
        (Ok(Some(_)), _) if acknowledged => {
            context.requests.reset_connection_missing(request);
            Ok(Action::requeue(next_look))
        }
        (Ok(Some(connection)), _) => match until_acknowledge(request, now) {
            Duration::ZERO => {
                let status = match pending_reason(context, &key, &connection, request) {
                    (Reason::Running, _) => status::running_status(request, None, now, now),
                    (Reason::Paused, message) => status::paused_status(request, message, now),
                    (reason, message) => status::pending_status(request, reason, message, now),
                };
                acknowledge(context, request, status).await
            }
            wait => Ok(Action::requeue(wait)),
        },
        (Ok(None), None) => {
            context.requests.connection_missing_for(request);
            let message = format!("There is no BoxConnection {} in this namespace yet.", key.name);
            acknowledge(context, request, status::pending_status(request, Reason::Pending, message, now)).await
        }
        (Ok(None), Some(start)) => {
            let known = MISSING_TIMEOUT.saturating_sub(context.requests.connection_missing_for(request));
            match duration_until(add_duration(start, CONNECTION_TIMEOUT), now).max(known) {
                Duration::ZERO => refuse(context, request, Reason::ConnectionNotFound).await,
                wait => Ok(Action::requeue(wait.min(next_look))),
            }
        }
        (Err(error), None) => {
            let message = format!("BoxConnection {} cannot be read: {error}.", key.name);
            acknowledge(context, request, status::pending_status(request, Reason::Pending, message, now)).await
        }
        (Err(error), Some(_)) => Err(error),
    }
}

/// The connection of a request; `None`: there is none, or it is being deleted. The watch lags behind, and may not have
/// read the connection's namespace: that there is none is confirmed by the API server.
async fn find_connection(context: &Context, key: &ConnectionKey) -> Result<Option<Arc<BoxConnection>>, KubeError> {
    let live = |connection: &Arc<BoxConnection>| connection.metadata.deletion_timestamp.is_none();
    if let Some(connection) = context.cached_connection(key).filter(live) {
        return Ok(Some(connection));
    }
    let namespace = key.namespace.as_deref().unwrap_or_default();
    match context.cluster.get_object::<BoxConnection>(namespace, &key.name).await {
        Ok(connection) => Ok(Some(Arc::new(connection)).filter(live)),
        Err(KubeError::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn refuse(context: &Context, request: &UserSyncRequest, reason: Reason) -> Result<Action, KubeError> {
    let refused = |r: &UserSyncRequest| Some(status::refused_status(r, reason, None, context.current_time()));
    status_writer::write_request_status(context, request, StatusOrigin::Result, refused).await?;
    Ok(Action::await_change())
}

/// The time until the request fails here, because its connection did not end it at its deadline; `None`: it has no
/// deadline yet.
fn until_overdue(context: &Context, request: &UserSyncRequest, now: Timestamp) -> Option<Duration> {
    let started = request.status.as_ref().is_some_and(|s| s.start_time.is_some());
    let overdue = add_duration(deadline(request, now), DEADLINE_GRACE);
    (started && !context.options.paused).then(|| duration_until(overdue, now))
}

/// The last error of an overdue request, if there was one.
fn overdue_reason(request: &UserSyncRequest) -> Reason {
    let reason = request.status.as_ref().and_then(|s| s.conditions.reason("Reconciling"));
    reason.filter(|r| r.failure_class() != FailureClass::Neutral).unwrap_or(Reason::DeadlineExceeded)
}

pub(crate) fn error_policy(request: &UserSyncRequest, error: &KubeError, context: &Context) -> Action {
    let (kind, object) = (ResourceKind::Requests, log_name(request));
    let delay = context.request_errors.next_delay(request);
    // A write that was refused at the deadline is tried again after a growing pause, everything else before the deadline.
    let overdue = until_overdue(context, request, context.current_time()).filter(|wait| !wait.is_zero());
    let requeue_after = delay.min(overdue.unwrap_or(delay));
    ReconcileFailed { kind, object, error, requeue_after }.emit(&context.metrics);
    Action::requeue(requeue_after)
}

/// The connection's own reconcile usually answers first. Creation times come from another machine's clock: one in the
/// future counts as long ago.
fn until_acknowledge(request: &UserSyncRequest, now: Timestamp) -> Duration {
    let created = request.creation_timestamp().map_or(now, |t| t.0);
    if created > now { Duration::ZERO } else { duration_until(add_duration(created, ACKNOWLEDGE_DELAY), now) }
}

/// Why the request is pending.
fn pending_reason(
    context: &Context,
    key: &ConnectionKey,
    connection: &BoxConnection,
    request: &UserSyncRequest,
) -> (Reason, String) {
    if context.options.paused {
        return (Reason::Paused, messages::REQUEST_PAUSED.to_owned());
    }
    let name = request.name_any();
    let gap = context.options.min_sync_gap;
    let reason_for = |state: &ConnectionState| match &state.running_requests {
        Some(answers) if answers.contains(&name) => (Reason::Running, String::new()),
        Some(_) => (
            Reason::Pending,
            "A sync that started before this request is running. The next sync answers this request.".to_owned(),
        ),
        None if state.listed_at.is_some_and(|t| t.elapsed() < gap) => (
            Reason::CoolingDown,
            format!("A sync has just finished. The next one starts {} s after it.", gap.as_secs()),
        ),
        None => (
            Reason::Pending,
            "All sync permits are in use, or Box requested a delay. See the status of the BoxConnection.".to_owned(),
        ),
    };
    let unknown = || (Reason::Pending, format!("BoxConnection {} is waiting to be reconciled.", connection.name_any()));
    context.connection_states.read_state(key, reason_for).unwrap_or_else(unknown)
}

/// Writes a first status, unless the request's connection has written one meanwhile.
async fn acknowledge(
    context: &Context,
    request: &UserSyncRequest,
    status: UserSyncRequestStatus,
) -> Result<Action, KubeError> {
    let first = |r: &UserSyncRequest| (r.status == request.status).then(|| status.clone());
    status_writer::write_request_status(context, request, StatusOrigin::Derived, first).await?;
    Ok(Action::requeue(CONNECTION_TIMEOUT))
}

async fn delete_expired(context: &Context, request: &UserSyncRequest, now: Timestamp) -> Result<Action, KubeError> {
    let Some(time) = status::deletion_time(request) else { return Ok(Action::await_change()) };
    match duration_until(time, now) {
        Duration::ZERO => match context.cluster.delete_request(request).await {
            Ok(()) | Err(KubeError::NotFound | KubeError::Conflict) => Ok(Action::await_change()),
            Err(error) => Err(error),
        },
        wait => Ok(Action::requeue(wait)),
    }
}
