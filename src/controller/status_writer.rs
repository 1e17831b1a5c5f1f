//! Writing statuses, all by one function: a conflict re-reads the object and builds the status again from it.

use std::{sync::Arc, time::Duration};

use kube::{ResourceExt, core::object::HasStatus};

use super::{
    connection::{
        plan_input::status_of,
        state::log_name,
        status::{StatusUpdate, build_status},
        sync_outcome::SyncOutcome,
        unwritten_status::{UnwrittenStatus, minimal_status},
    },
    context::Context,
    events::{self, PendingEvent, object_reference},
    kube_calls::{KubeError, StatusObject},
    request::status,
    telemetry::{RequestEnded, StatusRefused},
};
use crate::api::{BoxConnection, UserSyncRequest, UserSyncRequestStatus};

const INITIAL_BACKOFF: Duration = Duration::from_millis(200);
const MAX_BACKOFF: Duration = Duration::from_secs(10);
/// Conflicts in a row that are retried without a pause.
const IMMEDIATE_RETRIES: u32 = 5;
/// With [`MAX_BACKOFF`] between them, the attempts for a result last about an hour. Then the reconcile ends with an error
/// and keeps the result.
const MAX_RESULT_ATTEMPTS: u32 = 360;

/// What a status is made from, and so what a failed write costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StatusOrigin {
    /// The result of work, recorded nowhere else: it is written again as long as the API server may soon accept it, so
    /// that the work is not repeated.
    Result,
    /// Stored objects and the time: only a conflict is retried, since the caller writes it again later.
    Derived,
}

impl StatusOrigin {
    fn of(update: &StatusUpdate<'_>) -> Self {
        match update {
            StatusUpdate::Refresh | StatusUpdate::Progress(..) => Self::Derived,
            StatusUpdate::Stopped | StatusUpdate::Probed(_) | StatusUpdate::SyncFinished(_) => Self::Result,
        }
    }

    const fn max_attempts(self) -> u32 {
        match self {
            Self::Result => MAX_RESULT_ATTEMPTS,
            Self::Derived => IMMEDIATE_RETRIES,
        }
    }
}

/// The object after a write.
enum StatusWrite<K: HasStatus> {
    Written(K),
    /// It says so already, or the status is not to be written any more.
    Unchanged(K),
    /// The object is deleted, or the process shuts down.
    Gone,
    /// The API server refuses the status of the object for good.
    Refused(Box<RefusedStatus<K>>),
}

struct RefusedStatus<K: HasStatus> {
    object: K,
    status: K::Status,
    pending_events: Vec<PendingEvent>,
    error: KubeError,
}

/// Writes the connection's status and its events. Returns the object as it is then; `None`: it is deleted, or the
/// process shuts down. A status that the API server refuses is returned as if it had been written: the connection goes on
/// by it.
pub(super) async fn write_connection_status(
    context: &Context,
    read: &BoxConnection,
    update: &StatusUpdate<'_>,
) -> Result<Option<BoxConnection>, KubeError> {
    // A refresh was planned for the spec as it was read; another one is planned for first.
    let refresh = matches!(update, StatusUpdate::Refresh);
    let effective = |c: &BoxConnection| context.with_unwritten_status(Arc::new(c.clone()));
    let build = |c: &BoxConnection| {
        let current_spec = !refresh || c.metadata.generation == read.metadata.generation;
        let (c, presence) = (effective(c), context.roster_presence(c));
        current_spec.then(|| {
            let mut status = build_status(&c, presence, update, &context.options, context.current_time());
            // Two operators that work on one connection would write against each other at once: each names itself when
            // it starts, and with its results.
            if refresh
                && let Some(stored) = c.status.as_ref().and_then(|stored| stored.operator.clone())
                && context.with_state(&c, |state| state.operator_named)
            {
                status.operator = Some(stored);
            }
            status
        })
    };
    let events = |before: &BoxConnection, after: &_| {
        events::connection_events(before, status_of(&effective(before)), after, update)
    };
    let origin = StatusOrigin::of(update);
    let (read, can_wait) = context.with_state(read, |state| match &state.unwritten_status {
        Some(unwritten) => {
            let stored = unwritten.stored_instead_of(read.status.as_ref()).or(read.status.as_ref()).cloned();
            (BoxConnection { status: stored, ..read.clone() }, origin == StatusOrigin::Derived)
        }
        None => (read.clone(), false),
    });
    if can_wait && let Some(status) = build(&read) {
        let waits = context.with_state(&read, |state| {
            state.unwritten_status.as_ref().is_some_and(|unwritten| unwritten.can_wait(&status))
        });
        if waits {
            return Ok(Some(effective(&read).as_ref().clone()));
        }
    }
    // On the heap, like what follows a refusal: every phase holds this future.
    Ok(match Box::pin(write_status(context, &read, origin, build, events)).await? {
        StatusWrite::Written(connection) | StatusWrite::Unchanged(connection) => {
            context.with_state(&connection, |state| {
                state.unwritten_status = None;
                state.operator_named = true;
            });
            Some(connection)
        }
        StatusWrite::Gone => None,
        StatusWrite::Refused(refused) => Some(Box::pin(keep_refused_status(context, *refused)).await),
    })
}

/// Writes a minimal status in place of a refused one, if that is accepted, and keeps the refused one for later.
async fn keep_refused_status(context: &Context, refused: RefusedStatus<BoxConnection>) -> BoxConnection {
    let RefusedStatus { object: connection, status, pending_events, error } = refused;
    StatusRefused { connection: &connection, error: &error }.emit(&context.metrics);
    let why = error.to_string();
    let mut stored = connection.clone();
    // What the API server said may repeat the text for which it refuses the status.
    for why in [Some(why.as_str()), None] {
        let minimal = minimal_status(&status, why);
        if stored.status.as_ref() == Some(&minimal) {
            break;
        }
        match context.cluster.replace_status(&connection, minimal).await {
            Ok(written) => {
                stored = written;
                break;
            }
            Err(error) => {
                tracing::warn!(connection = log_name(&connection), %error, "the minimal status was refused");
            }
        }
    }
    context.with_state(&connection, |state| {
        let uid = connection.uid().unwrap_or_default();
        let before = state.unwritten_status.take();
        state.unwritten_status =
            Some(UnwrittenStatus::new(&uid, stored.status.clone(), status.clone(), before.as_ref()));
    });
    publish_events(context, BoxConnection { status: Some(status), ..stored }, pending_events).await
}

/// Writes a request's status and its event, with `build` applied to the stored version; `None` from `build`: there is
/// nothing to write any more. Returns the object as [`write_connection_status`] does.
pub(super) async fn write_request_status(
    context: &Context,
    read: &UserSyncRequest,
    origin: StatusOrigin,
    build: impl Fn(&UserSyncRequest) -> Option<UserSyncRequestStatus>,
) -> Result<Option<UserSyncRequest>, KubeError> {
    let events = |_: &UserSyncRequest, after: &_| events::request_event(after).into_iter().collect();
    Ok(match write_status(context, read, origin, build, events).await? {
        StatusWrite::Written(request) => {
            if !read.is_finished() {
                RequestEnded(&request).emit(&context.metrics);
            }
            Some(request)
        }
        StatusWrite::Unchanged(request) => Some(request),
        StatusWrite::Gone => None,
        StatusWrite::Refused(refused) => return Err(refused.error),
    })
}

/// Writes the result of a run for each request that it answers.
pub(super) async fn write_request_results(
    context: &Context,
    requests: &[UserSyncRequest],
    outcome: &SyncOutcome,
    connection: &BoxConnection,
) -> Result<(), KubeError> {
    for waiting_request in requests {
        let attempts = waiting_request.status.as_ref().map_or(0, |s| s.attempts) + 1;
        answer_request(context, connection, waiting_request, StatusOrigin::Result, |r| {
            Some(status::status_after_sync(r, attempts, outcome, connection, context.current_time()))
        })
        .await?;
    }
    Ok(())
}

/// Writes the answer to a request. If the API server refuses it for good, the connection ignores the request for a while,
/// minutes at first and up to an hour: one request must not hold up its connection, or have it sync again and again.
///
/// # Errors
/// The API server cannot be reached or limits requests.
pub(super) async fn answer_request(
    context: &Context,
    connection: &BoxConnection,
    request: &UserSyncRequest,
    origin: StatusOrigin,
    build: impl Fn(&UserSyncRequest) -> Option<UserSyncRequestStatus>,
) -> Result<(), KubeError> {
    match write_request_status(context, request, origin, build).await {
        Ok(_) => Ok(()),
        Err(error) if error.is_transient() || error == KubeError::Conflict => Err(error),
        Err(error) => {
            tracing::warn!(request = log_name(request), %error, "the answer to a request was refused");
            context.with_state(connection, |state| state.defer_request(&request.uid().unwrap_or_default()));
            Ok(())
        }
    }
}

async fn write_status<K: StatusObject>(
    context: &Context,
    read: &K,
    origin: StatusOrigin,
    build: impl Fn(&K) -> Option<<K as HasStatus>::Status>,
    pending_events: impl Fn(&K, &<K as HasStatus>::Status) -> Vec<PendingEvent>,
) -> Result<StatusWrite<K>, KubeError> {
    let mut current = read.clone();
    let mut backoff = INITIAL_BACKOFF;
    let mut attempt = 1;
    loop {
        let Some(new) = build(&current).filter(|new| current.status() != Some(new)) else {
            return Ok(StatusWrite::Unchanged(current));
        };
        let pending_events = pending_events(&current, &new);
        let error = match context.cluster.replace_status(&current, new.clone()).await {
            Ok(written) => return Ok(StatusWrite::Written(publish_events(context, written, pending_events).await)),
            Err(KubeError::NotFound) => return Ok(StatusWrite::Gone),
            Err(error) => error,
        };
        let retried = match origin {
            StatusOrigin::Result => error == KubeError::Conflict || error.is_transient(),
            StatusOrigin::Derived => error == KubeError::Conflict,
        };
        if !retried && error != KubeError::Conflict && !error.is_transient() {
            return Ok(StatusWrite::Refused(Box::new(RefusedStatus {
                object: current,
                status: new,
                pending_events,
                error,
            })));
        }
        if !retried || attempt >= origin.max_attempts() {
            return Err(error);
        }
        let mut reread = true;
        match context.cluster.get_same_object(&current).await {
            // The response was lost, not the write.
            Ok(fresh) if fresh.status() == Some(&new) => {
                return Ok(StatusWrite::Written(publish_events(context, fresh, pending_events).await));
            }
            Ok(fresh) => current = fresh,
            Err(KubeError::NotFound) => return Ok(StatusWrite::Gone),
            Err(error) if origin == StatusOrigin::Derived => return Err(error),
            Err(_) => reread = false,
        }
        // The same version is never written again without a pause.
        if error != KubeError::Conflict || !reread || attempt >= IMMEDIATE_RETRIES {
            tracing::warn!(object = log_name(&current), %error, attempt, "status update failed, retrying");
            tokio::select! {
                () = tokio::time::sleep(error.retry_pause(backoff)) => backoff = (backoff * 2).min(MAX_BACKOFF),
                () = context.stop.cancelled() => return Ok(StatusWrite::Gone),
            }
        }
        attempt += 1;
    }
}

async fn publish_events<K: StatusObject>(context: &Context, object: K, pending_events: Vec<PendingEvent>) -> K {
    tracing::debug!(object = log_name(&object), events = pending_events.len(), "status written");
    for event in pending_events {
        context.events.publish_event(&object_reference(&object), &event).await;
    }
    object
}
