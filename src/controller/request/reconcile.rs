//! The reconcile of a request. It acknowledges a request that its connection has not answered within two seconds, fails
//! one without a connection, and deletes one after its TTL. It never calls Box.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use kube::{
    ResourceExt,
    runtime::{controller::Action, reflector::ObjectRef},
};

use super::status::{self, CONNECTION_TIMEOUT};
use crate::{
    api::{BoxConnection, ConditionsExt, Reason, UserSyncRequest, UserSyncRequestStatus},
    controller::{
        connection::{
            backoff::add_duration,
            messages,
            plan::duration_until,
            state::{ConnectionKey, ConnectionState, log_name},
        },
        context::{Context, connection_key},
        kube_calls::KubeError,
        status_writer::{self, StatusOrigin},
        telemetry::{ReconcileFailed, ResourceKind, measure_reconcile},
    },
};

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
    let key = connection_key(request);
    let connection = context.cached_connection(&key).filter(|c| c.metadata.deletion_timestamp.is_none());
    let started = request.status.as_ref().and_then(|s| s.start_time.as_ref()).map(|t| t.0);
    let paused = request.status.as_ref().and_then(|s| s.conditions.reason("Reconciling")) == Some(Reason::Paused);
    let acknowledged = if context.options.paused { paused } else { started.is_some() };
    match (connection, started) {
        (Some(_), _) if acknowledged => Ok(Action::requeue(RESYNC_PERIOD)),
        (Some(connection), _) => match until_acknowledge(request, now) {
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
        (None, None) => {
            let message = format!("There is no BoxConnection {} in this namespace yet.", key.name);
            acknowledge(context, request, status::pending_status(request, Reason::Pending, message, now)).await
        }
        (None, Some(start)) => match duration_until(add_duration(start, CONNECTION_TIMEOUT), now) {
            Duration::ZERO => {
                let refused = |r: &UserSyncRequest| {
                    Some(status::refused_status(r, Reason::ConnectionNotFound, None, context.current_time()))
                };
                status_writer::write_request_status(context, request, StatusOrigin::Result, refused).await?;
                Ok(Action::await_change())
            }
            wait => Ok(Action::requeue(wait)),
        },
    }
}

pub(crate) fn error_policy(request: &UserSyncRequest, error: &KubeError, context: &Context) -> Action {
    let (kind, object) = (ResourceKind::Requests, log_name(request));
    let requeue_after = context.request_errors.next_delay(request);
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
