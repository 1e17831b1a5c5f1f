//! Writing what came of a run, on whatever version of the object there is by then: an outcome is not lost because
//! somebody else wrote first or the API server was away, and the run is not repeated for it.

use std::time::Duration;

use kube::core::object::HasStatus;

use super::{
    answer,
    cluster::{Told, Trouble},
    context::Context,
    events::{self, Note, reference},
    happening::RequestEnded,
    memory::named,
    observe::status_of,
    report::{Attempted, News, report},
};
use crate::api::{BoxConnection, UserSyncRequest, UserSyncRequestStatus};

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Writes the connection's status and its events. Returns the object as it then is; `None`: it is gone, or the process
/// is to end.
pub(super) async fn connection(context: &Context, read: &BoxConnection, news: &News<'_>) -> Option<BoxConnection> {
    let status = |c: &BoxConnection| report(c, context.list(c), news, &context.rules, context.now());
    tell(context, read, status, |before, after| events::of_connection(status_of(before), after, news)).await
}

/// Writes a request's status, made by `status` from the version that there is.
pub(super) async fn request(
    context: &Context,
    read: &UserSyncRequest,
    status: impl Fn(&UserSyncRequest) -> UserSyncRequestStatus,
) -> Option<UserSyncRequest> {
    let written = tell(context, read, status, |_, after| events::of_request(after).into_iter().collect()).await;
    if let Some(ended) = written.as_ref().filter(|_| !read.finished()) {
        RequestEnded(ended).tell(&context.metrics);
    }
    written
}

/// Writes what came of a run for each request that it answers.
pub(super) async fn answers(
    context: &Context,
    requests: &[UserSyncRequest],
    attempted: &Attempted,
    connection: &BoxConnection,
) {
    for asked in requests {
        let tries = asked.status.as_ref().map_or(0, |s| s.attempts) + 1;
        request(context, asked, |r| answer::answered(r, tries, attempted, connection, context.now())).await;
    }
}

async fn tell<K: Told>(
    context: &Context,
    read: &K,
    status: impl Fn(&K) -> <K as HasStatus>::Status,
    notes: impl Fn(&K, &<K as HasStatus>::Status) -> Vec<Note>,
) -> Option<K> {
    let mut current = read.clone();
    let mut pause = FIRST_PAUSE;
    loop {
        let new = status(&current);
        if current.status() == Some(&new) {
            return Some(current);
        }
        let notes = notes(&current, &new);
        let trouble = match context.cluster.write(&current, new.clone()).await {
            Ok(written) => return Some(published(context, written, notes).await),
            Err(Trouble::NotFound) => return None,
            Err(trouble) => trouble,
        };
        match context.cluster.reread(&current).await {
            // The answer got lost, not the write.
            Ok(fresh) if fresh.status() == Some(&new) => return Some(published(context, fresh, notes).await),
            Ok(fresh) => current = fresh,
            Err(Trouble::NotFound) => return None,
            Err(_) => {}
        }
        if trouble != Trouble::Conflict {
            tracing::warn!(object = named(&current), %trouble, "a status is not written yet");
            tokio::select! {
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
                () = context.stop.cancelled() => return None,
            }
        }
    }
}

async fn published<K: Told>(context: &Context, object: K, notes: Vec<Note>) -> K {
    for note in notes {
        context.events.publish(&reference(&object), &note).await;
    }
    object
}
