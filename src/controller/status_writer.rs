//! Writing what came of a run, on whatever version of the object there is by then: an outcome is not lost because
//! somebody else wrote first or the API server was away, and the run is not repeated for it.

use std::time::Duration;

use kube::core::object::HasStatus;

use super::{
    connection::{
        plan_input::status_of,
        state::log_name,
        status::{StatusUpdate, SyncOutcome, build_status},
    },
    context::Context,
    events::{self, PendingEvent, object_reference},
    kube_calls::{KubeError, StatusObject},
    request::status,
    telemetry::RequestEnded,
};
use crate::api::{BoxConnection, UserSyncRequest, UserSyncRequestStatus};

const INITIAL_BACKOFF: Duration = Duration::from_millis(200);
const MAX_BACKOFF: Duration = Duration::from_secs(10);

/// Writes the connection's status and its events. Returns the object as it then is; `None`: it is gone, or the process
/// is to end.
pub(super) async fn write_connection_status(
    context: &Context,
    read: &BoxConnection,
    update: &StatusUpdate<'_>,
) -> Option<BoxConnection> {
    let status = |c: &BoxConnection| {
        build_status(c, context.roster_presence(c), update, &context.options, context.current_time())
    };
    write_status(context, read, status, |before, after| events::connection_events(status_of(before), after, update))
        .await
}

/// Writes a request's status, made by `status` from the version that there is.
pub(super) async fn write_request_status(
    context: &Context,
    read: &UserSyncRequest,
    status: impl Fn(&UserSyncRequest) -> UserSyncRequestStatus,
) -> Option<UserSyncRequest> {
    let written =
        write_status(context, read, status, |_, after| events::request_event(after).into_iter().collect()).await;
    if let Some(ended) = written.as_ref().filter(|_| !read.is_finished()) {
        RequestEnded(ended).emit(&context.metrics);
    }
    written
}

/// Writes what came of a run for each request that it answers.
pub(super) async fn write_request_results(
    context: &Context,
    requests: &[UserSyncRequest],
    outcome: &SyncOutcome,
    connection: &BoxConnection,
) {
    for waiting_request in requests {
        let attempts = waiting_request.status.as_ref().map_or(0, |s| s.attempts) + 1;
        write_request_status(context, waiting_request, |r| {
            status::status_after_sync(r, attempts, outcome, connection, context.current_time())
        })
        .await;
    }
}

async fn write_status<K: StatusObject>(
    context: &Context,
    read: &K,
    status: impl Fn(&K) -> <K as HasStatus>::Status,
    pending_events: impl Fn(&K, &<K as HasStatus>::Status) -> Vec<PendingEvent>,
) -> Option<K> {
    let mut current = read.clone();
    let mut backoff = INITIAL_BACKOFF;
    loop {
        let new = status(&current);
        if current.status() == Some(&new) {
            return Some(current);
        }
        let pending_events = pending_events(&current, &new);
        let error = match context.cluster.replace_status(&current, new.clone()).await {
            Ok(written) => return Some(publish_events(context, written, pending_events).await),
            Err(KubeError::NotFound) => return None,
            Err(error) => error,
        };
        match context.cluster.get_same_object(&current).await {
            // The answer got lost, not the write.
            Ok(fresh) if fresh.status() == Some(&new) => {
                return Some(publish_events(context, fresh, pending_events).await);
            }
            Ok(fresh) => current = fresh,
            Err(KubeError::NotFound) => return None,
            Err(_) => {}
        }
        if error != KubeError::Conflict {
            tracing::warn!(object = log_name(&current), %error, "a status is not written yet");
            tokio::select! {
                () = tokio::time::sleep(backoff) => backoff = (backoff * 2).min(MAX_BACKOFF),
                () = context.stop.cancelled() => return None,
            }
        }
    }
}

async fn publish_events<K: StatusObject>(context: &Context, object: K, pending_events: Vec<PendingEvent>) -> K {
    for event in pending_events {
        context.events.publish_event(&object_reference(&object), &event).await;
    }
    object
}
