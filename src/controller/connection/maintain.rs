//! Maintenance: the only work that is done on the cached view, before anything is confirmed. Each piece of it stays
//! correct when the view is outdated: it reads, or its writes name the version that they replace.

use std::sync::Arc;

use kube::ResourceExt;

use super::{
    observe::observe,
    plan::{Plan, Step},
    sign_in,
    state::log_name,
    status::StatusUpdate,
};
use crate::{
    api::BoxConnection,
    controller::{context::Context, kube_calls::KubeError, status_writer},
    roster::{self, GcResult},
};

/// Reads the Secret's version and deletes unreferenced slices, where the plan says so, and plans again.
pub(super) async fn run(context: &Context, connection: &Arc<BoxConnection>, plan: Plan) -> Result<Plan, KubeError> {
    let mut plan = plan;
    if plan.step == Step::CheckSecret {
        if let Err(error) = sign_in::check_secret(context, connection).await {
            tracing::warn!(connection = log_name(connection.as_ref()), %error, "reading the Secret failed");
        }
        plan = observe(context, connection);
    }
    if plan.step == Step::CollectGarbage {
        collect_garbage(context, connection).await?;
        plan = observe(context, connection);
    }
    Ok(plan)
}

/// Deletes the slices that have been unreferenced for the grace period.
async fn collect_garbage(context: &Context, connection: &BoxConnection) -> Result<(), KubeError> {
    let expired = context.with_state(connection, |state| state.expired_slices());
    let (uid, enterprise) = (connection.uid().unwrap_or_default(), &connection.spec.enterprise_id);
    let collected = roster::collect_garbage(
        &context.roster_store(connection),
        &uid,
        enterprise,
        |s| expired.contains(s),
        context.current_time(),
    )
    .await;
    match collected {
        Ok(GcResult { deleted, unreferenced }) => {
            if deleted > 0 {
                tracing::info!(connection = log_name(connection), deleted, "deleted unreferenced slices");
            }
            context.with_state(connection, |state| state.set_unreferenced(unreferenced));
            Ok(())
        }
        // The roster has changed: the grace period of what is unreferenced now begins.
        Err(KubeError::Conflict) => {
            context.with_state(connection, |state| state.set_unreferenced([]));
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// Updates the status to the time and the spec.
pub(super) async fn refresh_status(context: &Context, connection: &BoxConnection) -> Result<(), KubeError> {
    status_writer::write_connection_status(context, connection, &StatusUpdate::Refresh).await.map(drop)
}
