//! Maintenance: the only work that is done on the cached view, before anything is confirmed. Each piece of it stays
//! correct when the view is outdated: it reads, or its writes name the version that they replace.

use std::{collections::HashSet, sync::Arc};

use kube::ResourceExt;

use super::{
    observe::observe,
    plan::{Plan, Step},
    plan_input::status_of,
    sign_in,
    state::log_name,
    status::StatusUpdate,
};
use crate::{
    api::BoxConnection,
    controller::{context::Context, kube_calls::KubeError, status_writer},
    roster::{self, GcResult, GcScope},
};

/// Reads the Secret's version and deletes unreferenced slices, where the plan says so, and plans again.
pub(super) async fn run(context: &Context, connection: &Arc<BoxConnection>, plan: Plan) -> Plan {
    let mut plan = plan;
    if plan.step == Step::CheckSecret {
        if let Err(error) = sign_in::check_secret(context, connection).await {
            tracing::warn!(connection = log_name(connection.as_ref()), %error, "reading the Secret failed");
        }
        plan = observe(context, connection);
    }
    if plan.step == Step::CollectGarbage {
        collect_garbage(context, connection).await;
        plan = observe(context, connection);
    }
    plan
}

/// Deletes the slices that have been unreferenced for the grace period. Nothing else depends on it, so an error is logged
/// and put back.
async fn collect_garbage(context: &Context, connection: &BoxConnection) {
    let (due, fenced) = context.with_state(connection, |state| (state.expired_slices(), state.fenced_slices()));
    let uid = connection.uid().unwrap_or_default();
    let scope = GcScope {
        owner_uid: &uid,
        enterprise_id: &connection.spec.enterprise_id,
        was_published: status_of(connection).roster_ref.is_some(),
        due: &due,
        fenced: &fenced,
    };
    let collected = roster::collect_garbage(&context.roster_store(connection), &scope, context.current_time()).await;
    let (fenced, error) = match collected {
        Ok(GcResult { deleted, unreferenced, error }) => {
            if deleted > 0 {
                tracing::info!(connection = log_name(connection), deleted, "deleted unreferenced slices");
            }
            context.with_state(connection, |state| state.set_unreferenced(unreferenced));
            (due, error)
        }
        // The roster has changed: the grace period of what is unreferenced now begins.
        Err(KubeError::Conflict) => {
            context.with_state(connection, |state| state.set_unreferenced([]));
            (HashSet::new(), None)
        }
        Err(error) => (fenced, Some(error)),
    };
    if let Some(error) = &error {
        tracing::warn!(connection = log_name(connection), %error, "deleting unreferenced slices failed");
    }
    context.with_state(connection, |state| state.record_garbage_collection(fenced, error.is_some()));
}

/// Updates the status to the time and the spec.
pub(super) async fn refresh_status(context: &Context, connection: &BoxConnection) -> Result<(), KubeError> {
    status_writer::write_connection_status(context, connection, &StatusUpdate::Refresh).await.map(drop)
}
