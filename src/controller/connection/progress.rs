//! Progress of a long run in the statuses of its connection and requests.

use super::{state::log_name, status::StatusUpdate, sync_outcome::SignedIn, sync_run::SyncJob};
use crate::{
    api::{BoxConnection, CurrentSync, SyncProgress, UserSyncRequest},
    controller::{
        context::Context,
        kube_calls::{KubeError, StatusObject},
        request::status,
        status_writer::{self, StatusOrigin},
    },
};

/// The objects of a run, as they were last written or read.
pub(crate) struct RunObjects {
    pub(crate) connection: BoxConnection,
    /// The requests that it answers.
    pub(crate) requests: Vec<UserSyncRequest>,
}

impl RunObjects {
    pub(crate) fn for_job(job: &SyncJob) -> Self {
        Self { connection: job.input.connection.as_ref().clone(), requests: job.answered_requests().cloned().collect() }
    }

    /// Reports the progress of a run that has signed in. What cannot be written now is written with the next report.
    pub(crate) async fn report_progress(&mut self, context: &Context, current: &CurrentSync, signed_in: &SignedIn) {
        let progress = SyncProgress { pages: current.pages, users: current.users };
        let start = current.start_time.0;
        let update = StatusUpdate::Progress(current.clone(), signed_in);
        match status_writer::write_connection_status(context, &self.connection, &update).await {
            Ok(Some(written)) => self.connection = written,
            Ok(None) => {}
            Err(error) => warn_not_written(&self.connection, &error),
        }
        for request in &mut self.requests {
            let running =
                |r: &UserSyncRequest| Some(status::running_status(r, Some(progress), start, context.current_time()));
            match status_writer::write_request_status(context, request, StatusOrigin::Derived, running).await {
                Ok(Some(written)) => *request = written,
                Ok(None) => {}
                Err(error) => warn_not_written(request, &error),
            }
        }
    }
}

fn warn_not_written<K: StatusObject>(object: &K, error: &KubeError) {
    tracing::warn!(object = log_name(object), %error, "progress update failed");
}
