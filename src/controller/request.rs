//! The reconcile of a request: it acknowledges one that its connection has not answered within two seconds, answers
//! one without a connection, and deletes one whose time is over. It never talks to Box.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use kube::{ResourceExt, runtime::controller::Action};

use super::{
    answer::{self, CONNECTION_AWAITED},
    cluster::Trouble,
    context::{Context, connection_of},
    happening::{Kind, ReconcileFailed, timed},
    memory::{Key, Memory, named},
    message,
    plan::wait_until,
    schedule::after,
    tell,
};
use crate::api::{BoxConnection, Conditions, Reason, UserSyncRequest, UserSyncRequestStatus};

const ACKNOWLEDGED: Duration = Duration::from_secs(2);
/// A look without any reason, in case something was missed.
const SAFETY_LOOK: Duration = Duration::from_secs(3600);
const AFTER_TROUBLE: Duration = Duration::from_secs(5);

pub(super) async fn reconcile(request: Arc<UserSyncRequest>, context: Arc<Context>) -> Result<Action, Trouble> {
    timed(&context.metrics, Kind::Requests, Box::pin(turn(&context, &request))).await
}

async fn turn(context: &Context, request: &UserSyncRequest) -> Result<Action, Trouble> {
    let now = context.now();
    if request.finished() {
        return expire(context, request, now).await;
    }
    let key = connection_of(request);
    let connection = context.known_connection(&key).filter(|c| c.metadata.deletion_timestamp.is_none());
    let started = request.status.as_ref().and_then(|s| s.start_time.as_ref()).map(|t| t.0);
    let paused = request.status.as_ref().and_then(|s| s.conditions.reason("Reconciling")) == Some(Reason::Paused);
    let acknowledged = if context.rules.paused { paused } else { started.is_some() };
    match (connection, started) {
        (Some(_), _) if acknowledged => Ok(Action::requeue(SAFETY_LOOK)),
        (Some(connection), _) => match until_acknowledged(request, now) {
            Duration::ZERO => {
                let status = match waits_for(context, &key, &connection, request) {
                    (Reason::Running, _) => answer::running(request, None, now, now),
                    (Reason::Paused, message) => answer::paused(request, message, now),
                    (reason, message) => answer::waits(request, reason, message, now),
                };
                acknowledge(context, request, status).await
            }
            wait => Ok(Action::requeue(wait)),
        },
        (None, None) => {
            let message = format!("There is no BoxConnection {} in this namespace yet.", key.name);
            acknowledge(context, request, answer::waits(request, Reason::Pending, message, now)).await
        }
        (None, Some(start)) => match wait_until(after(start, CONNECTION_AWAITED), now) {
            Duration::ZERO => {
                let refused = |r: &UserSyncRequest| answer::refused(r, Reason::ConnectionNotFound, None, context.now());
                tell::request(context, request, refused).await;
                Ok(Action::await_change())
            }
            wait => Ok(Action::requeue(wait)),
        },
    }
}

pub(super) fn after_trouble(request: &UserSyncRequest, trouble: &Trouble, context: &Context) -> Action {
    let (kind, object) = (Kind::Requests, named(request));
    ReconcileFailed { kind, object, trouble, again: AFTER_TROUBLE }.tell(&context.metrics);
    Action::requeue(AFTER_TROUBLE)
}

/// The connection's own reconcile usually answers first. Creation times come from another machine's clock: one that
/// lies ahead of ours counts as long ago.
fn until_acknowledged(request: &UserSyncRequest, now: Timestamp) -> Duration {
    let created = request.creation_timestamp().map_or(now, |t| t.0);
    if created > now { Duration::ZERO } else { wait_until(after(created, ACKNOWLEDGED), now) }
}

/// What the request waits for.
fn waits_for(context: &Context, key: &Key, connection: &BoxConnection, request: &UserSyncRequest) -> (Reason, String) {
    if context.rules.paused {
        return (Reason::Paused, message::WAITS_PAUSED.to_owned());
    }
    let name = request.name_any();
    let gap = context.rules.min_sync_gap;
    let doing = |memory: &Memory| match &memory.running {
        Some(answers) if answers.contains(&name) => (Reason::Running, String::new()),
        Some(_) => {
            (Reason::Pending, "A sync that began before this request is running; the next one answers it.".to_owned())
        }
        None if memory.listed_at.is_some_and(|t| t.elapsed() < gap) => (
            Reason::CoolingDown,
            format!("A sync ended a moment ago; the next one begins {} s after it.", gap.as_secs()),
        ),
        None => (
            Reason::Pending,
            "All places for syncs are taken, or Box asked to wait; see the BoxConnection's status.".to_owned(),
        ),
    };
    let unknown = || (Reason::Pending, format!("BoxConnection {} is about to be looked at.", connection.name_any()));
    context.memories.peek(key, doing).unwrap_or_else(unknown)
}

/// Writes a first status. Where somebody else was quicker, theirs stands.
async fn acknowledge(
    context: &Context,
    request: &UserSyncRequest,
    status: UserSyncRequestStatus,
) -> Result<Action, Trouble> {
    match context.cluster.write(request, status).await {
        Ok(_) | Err(Trouble::Conflict | Trouble::NotFound) => Ok(Action::requeue(CONNECTION_AWAITED)),
        Err(trouble) => Err(trouble),
    }
}

async fn expire(context: &Context, request: &UserSyncRequest, now: Timestamp) -> Result<Action, Trouble> {
    let Some(time) = answer::expires(request) else { return Ok(Action::await_change()) };
    match wait_until(time, now) {
        Duration::ZERO => match context.cluster.delete_request(request).await {
            Ok(()) | Err(Trouble::NotFound | Trouble::Conflict) => Ok(Action::await_change()),
            Err(trouble) => Err(trouble),
        },
        wait => Ok(Action::requeue(wait)),
    }
}
