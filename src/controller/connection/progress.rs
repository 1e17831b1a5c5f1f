//! While a run takes long, the status tells how far it is.

use kube::core::object::HasStatus;

use super::{
    plan_input::status_of,
    state::log_name,
    status::{SignedIn, StatusUpdate, build_status},
    sync_run::SyncJob,
};
use crate::{
    api::{BoxConnection, CurrentSync, SyncProgress, UserSyncRequest},
    controller::{
        context::Context,
        events::{self, object_reference},
        kube_calls::{KubeError, StatusObject},
        request::status,
    },
};

/// The objects that a run speaks of, as they were last written or read.
pub(crate) struct RunObjects {
    pub(crate) connection: BoxConnection,
    /// The requests that it answers.
    pub(crate) requests: Vec<UserSyncRequest>,
}

impl RunObjects {
    pub(crate) fn for_job(job: &SyncJob) -> Self {
        Self { connection: job.input.connection.as_ref().clone(), requests: job.answered_requests().cloned().collect() }
    }

    /// Tells how far the run is that Box has let in.
    pub(crate) async fn report_progress(&mut self, context: &Context, current: &CurrentSync, signed_in: &SignedIn) {
        let now = context.current_time();
        let progress = SyncProgress { pages: current.pages, users: current.users };
        let start = current.start_time.0;
        let update = StatusUpdate::Progress(current.clone(), signed_in);
        let previous = status_of(&self.connection).clone();
        write_progress_status(context, &mut self.connection, |c| {
            build_status(c, context.roster_presence(c), &update, &context.options, now)
        })
        .await;
        for event in events::connection_events(&previous, status_of(&self.connection), &update) {
            context.events.publish_event(&object_reference(&self.connection), &event).await;
        }
        for request in &mut self.requests {
            write_progress_status(context, request, |r| status::running_status(r, Some(progress), start, now)).await;
        }
    }
}

/// Writes a status, once more where somebody else wrote first. What is not written now is told the next time.
async fn write_progress_status<K: StatusObject>(
    context: &Context,
    object: &mut K,
    status: impl Fn(&K) -> <K as HasStatus>::Status,
) {
    let mut written = context.cluster.replace_status(object, status(object)).await;
    if matches!(written, Err(KubeError::Conflict)) {
        written = match context.cluster.get_same_object(object).await {
            Ok(fresh) => context.cluster.replace_status(&fresh, status(&fresh)).await,
            gone => gone,
        };
    }
    match written {
        Ok(fresh) => *object = fresh,
        Err(error) => tracing::warn!(object = log_name(object), %error, "progress was not written"),
    }
}
