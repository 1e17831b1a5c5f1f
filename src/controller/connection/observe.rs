//! What the watches know of a connection, the plan for it, and when to plan again.

use std::{sync::Arc, time::Duration};

use kube::runtime::controller::Action;

use super::{
    plan::{Plan, Step, duration_until, plan},
    plan_input::PlanInput,
    sign_in::PreparedSignIn,
    unwritten_status::UnwrittenStatus,
};
use crate::{
    api::BoxConnection,
    controller::{context::Context, permits::Permit},
};

/// A reconcile without any reason, in case an event was missed.
const RESYNC_PERIOD: Duration = Duration::from_secs(3600);
/// The shortest wait for a time.
const MIN_REQUEUE: Duration = Duration::from_secs(1);
/// While queued for a permit, which wakes by itself: the list may become stale meanwhile.
pub(super) const PERMIT_RECHECK: Duration = Duration::from_secs(60);

/// The plan for what the watches and this process know. Costs no call.
pub(super) fn observe(context: &Context, connection: &Arc<BoxConnection>) -> Plan {
    let plan = decide_plan(context, &context.cached_plan_input(connection.clone()));
    if context.with_state(connection, |state| state.is_new_plan(&plan)) {
        let Plan { step, reason, refused_requests } = &plan;
        tracing::debug!(
            step = step.as_str(),
            %reason,
            until = step.wait_until().map(tracing::field::display),
            refused_requests = refused_requests.len(),
            "planned"
        );
    }
    plan
}

/// Whether the step may call Box now.
pub(super) enum PermitRequest {
    /// The step does not call Box.
    NotNeeded,
    /// No permit is free; a released one wakes the connection.
    Queued,
    /// It may, with these credentials.
    Acquired(Permit, PreparedSignIn),
}

pub(super) fn decide_plan(context: &Context, input: &PlanInput) -> Plan {
    plan(input, &context.options, context.current_time())
}

pub(super) fn requeue_for(context: &Context, connection: &BoxConnection, step: &Step) -> Action {
    let wait = match step {
        // A time that has passed, on a watch that lags behind: the plan is made again only when it may have caught up.
        Step::Wait(Some(until)) => duration_until(*until, context.current_time()).clamp(MIN_REQUEUE, RESYNC_PERIOD),
        Step::Wait(None) => RESYNC_PERIOD,
        Step::CheckSecret | Step::Report | Step::CollectGarbage | Step::Probe | Step::Sync { .. } => Duration::ZERO,
    };
    let refused = context.with_state(connection, |state| {
        let until = state.unwritten_status.as_ref().map(UnwrittenStatus::until_next_try)?;
        Some(until.max(MIN_REQUEUE))
    });
    Action::requeue(refused.map_or(wait, |until| wait.min(until)))
}
